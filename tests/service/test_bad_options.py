"""Options that cannot be, wherever they come from."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.conftest import SCORER
from tests.service.answers import problem
from tests.service.forms import as_json, form

pytestmark = pytest.mark.usefixtures("goes_on")


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("format=gif", "format"),
        ("format=", "format"),
        ("format=JSON", "format"),
        ("max_faces=-1", "max_faces"),
        ("max_faces=0", "max_faces"),
        ("max_faces=1.5", "max_faces"),
        ("max_faces=many", "max_faces"),
        ("max_faces=", "max_faces"),
        ("max_faces=99999999999", "max_faces"),
        ("max_faces=%D9%A3", "max_faces"),
        ("min_confidence=2", "min_confidence"),
        ("min_confidence=-0.1", "min_confidence"),
        ("min_confidence=nan", "min_confidence"),
        ("min_confidence=high", "min_confidence"),
        ("min_confidence=", "min_confidence"),
        ("min_confidence=0_1", "min_confidence"),
        ("min_confidence=%200.5", "min_confidence"),
        ("min_confidence=%D9%A0.%D9%A5", "min_confidence"),
        ("min_confidence=1e999", "min_confidence"),
        ("model=", "model"),
        ("fromat=png", "fromat"),
        ("url=https://example.com/b.jpg", "url"),
        ("format=png&format=json", "format"),
    ],
)
def test_bad_options_are_named(client: FlaskClient, photo: bytes, query: str, word: str) -> None:
    answer = client.post(f"/predict?{query}", data=photo, content_type="image/jpeg")
    problem(answer, 400, word)
    problem(client.get(f"/predict?url=https://example.com/a.jpg&{query}"), 400, word)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_query_of_other_bytes_than_utf_8(client: FlaskClient, method: str) -> None:
    for query in ("\xff", "model=\xff", "url=http://example.com/\xe9"):
        raw = {"QUERY_STRING": query}
        problem(client.open("/predict", method=method, environ_overrides=raw), 400, "UTF-8", "%XX")


@pytest.mark.parametrize("value", [True, None, [1], {"a": 1}, 1.5, "x", -3])
def test_bad_options_in_json(client: FlaskClient, photo: bytes, value: Any) -> None:
    for option in ("max_faces", "format"):
        problem(client.post("/predict", **as_json(photo, **{option: value})), 400, option)


@pytest.mark.parametrize("value", [True, None, [0.5], "x", 10**400, -(10**400)])
def test_a_confidence_in_json_that_cannot_be(client: FlaskClient, photo: bytes, value: Any) -> None:
    answer = client.post("/predict", **as_json(photo, min_confidence=value))
    problem(answer, 400, "min_confidence")


@pytest.mark.parametrize(
    "fields",
    [{"\x80" * 50_000: 1}, {"model": "m" * 50_000}, {"format": ["f"] * 50_000}],
    ids=["name", "model", "list"],
)
def test_what_was_wrong_is_not_sent_back_in_full(
    client: FlaskClient, photo: bytes, fields: dict[str, Any]
) -> None:
    answer = client.post("/predict", **as_json(photo, **fields))
    problem(answer, 400)
    assert len(answer.data) < 1000


def test_a_member_of_json_that_comes_twice_is_named(client: FlaskClient) -> None:
    for name in ("image", "max_faces"):
        body = f'{{"image": "AAAA", "max_faces": 1, "{name}": 2}}'
        answer = client.post("/predict", data=body, content_type="application/json")
        problem(answer, 400, name, "more than once")


def test_an_option_given_in_two_places(client: FlaskClient, photo: bytes) -> None:
    answer = client.post("/predict?format=json", **form(photo, format="png"))
    problem(answer, 400, "more than once")


def test_an_unknown_model_lists_those_there_are(client: FlaskClient, photo: bytes) -> None:
    answer = client.post("/predict?model=vgg", data=photo, content_type="image/jpeg")
    problem(answer, 404, "'vgg'", SCORER)


@pytest.mark.parametrize("accept", ["text/html", "image/gif", "image/avif, text/*"])
def test_an_accept_header_that_nothing_fits(client: FlaskClient, photo: bytes, accept: str) -> None:
    answer = client.post(
        "/predict", data=photo, content_type="image/jpeg", headers={"Accept": accept}
    )
    problem(answer, 406, "image/webp")
