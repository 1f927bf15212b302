"""POST and GET /predict: every input and output form, and what the answers hold."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from pipeline.predictor import Predictor
from pipeline.report import report
from pipeline.types import Pixels
from service import requests
from tests.conftest import SCORER
from tests.service.forms import as_json, form

FORMATS = {"png": "PNG", "jpeg": "JPEG", "webp": "WEBP"}


def figures(response: TestResponse) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    document: dict[str, Any] = json.loads(response.text)
    return document


def test_every_way_in_gives_the_same_faces(
    client: FlaskClient, photo: bytes, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "fetch", lambda url, *_: photo if url == "https://a/b" else b"")
    answers = [
        client.post("/predict", **form(photo)),
        client.post("/predict", data=photo, content_type="image/jpeg"),
        client.post("/predict", data=photo, content_type="application/octet-stream"),
        client.post("/predict", **as_json(photo)),
        client.post("/predict", json={"image": "data:image/jpeg;base64," + _base64_lines(photo)}),
        client.get("/predict", query_string={"url": "https://a/b"}),
    ]
    expected = report(predictor.predict(photo))
    for answer in answers:
        assert answer.mimetype == "application/json"
        assert {key: figures(answer)[key] for key in expected} == expected


def _base64_lines(photo: bytes) -> str:
    return base64.encodebytes(photo).decode()


def test_the_answer_is_the_contracts(
    client: FlaskClient, photo: bytes, predictor: Predictor
) -> None:
    answer = figures(client.post("/predict", **form(photo)))
    assert set(answer) == {"request_id", "model", "image", "faces", "timing_ms"}
    card = predictor.models[SCORER].card
    assert answer["model"] == {
        "detector": "mtcnn",
        "scorer": SCORER,
        "sha256": card["files"]["int8.onnx"]["sha256"],
    }
    assert answer["image"] == {"width": 512, "height": 512}
    assert set(answer["timing_ms"]) == {"decode", "detect", "score"}
    (face,) = answer["faces"]
    assert set(face) == {"box", "confidence", "landmarks", "score", "spread"}
    assert 160 < face["box"]["x"] < 200
    assert 70 < face["box"]["width"] < 110
    assert set(face["landmarks"]) == {"left_eye", "right_eye", "nose", "mouth_left", "mouth_right"}
    assert 1 <= face["score"] <= 10
    assert face["confidence"] > 0.99


def test_boxes_are_in_the_pixels_of_the_whole_photo(
    client: FlaskClient, astronaut: Pixels, predictor: Predictor
) -> None:
    large = io.BytesIO()
    Image.fromarray(astronaut).resize((3072, 3072)).save(large, "JPEG")
    answer = figures(client.post("/predict", **form(large.getvalue())))
    assert answer["image"] == {"width": 3072, "height": 3072}
    face = answer["faces"][0]
    assert face["box"]["x"] / 6 == pytest.approx(181, abs=8)
    assert face["box"]["height"] / 6 == pytest.approx(111, abs=12)
    assert face["landmarks"]["nose"][1] / 6 == pytest.approx(129, abs=5)


def test_boxes_are_clipped_to_the_photo(client: FlaskClient, astronaut: Pixels) -> None:
    cut = io.BytesIO()
    Image.fromarray(astronaut[85:, 190:]).save(cut, "PNG")
    answer = figures(client.post("/predict", **form(cut.getvalue())))
    assert answer["faces"]
    for face in answer["faces"]:
        box = face["box"]
        assert min(box["x"], box["y"]) >= 0
        assert box["x"] + box["width"] <= answer["image"]["width"]
        assert box["y"] + box["height"] <= answer["image"]["height"]


@pytest.mark.parametrize("format_", FORMATS)
def test_a_picture_comes_at_full_size_with_the_figures_in_a_header(
    client: FlaskClient, photo: bytes, astronaut: Pixels, format_: str
) -> None:
    plain = figures(client.post("/predict", **form(photo)))
    for answer in (
        client.post(f"/predict?format={format_}", **form(photo)),
        client.post("/predict", **form(photo, format=format_)),
        client.post("/predict", **as_json(photo, format=format_)),
        client.post("/predict", **form(photo), headers={"Accept": f"image/{format_}"}),
    ):
        assert answer.status_code == 200
        assert answer.mimetype == f"image/{format_}"
        picture = Image.open(io.BytesIO(answer.data))
        assert picture.format == FORMATS[format_]
        assert picture.size == (512, 512)
        header = json.loads(answer.headers["X-Attrai-Result"])
        assert header["faces"] == plain["faces"]
        box = plain["faces"][0]["box"]
        drawn = np.asarray(picture.convert("RGB"), np.int16)
        edge = drawn[box["y"] + 40 : box["y"] + 60, box["x"] + 1]
        original = astronaut[box["y"] + 40 : box["y"] + 60, box["x"] + 1]
        assert np.abs(edge - original).mean() > 20


def test_a_header_that_would_be_too_long_is_left_out(
    client: FlaskClient, astronaut: Pixels
) -> None:
    crowd = io.BytesIO()
    face = np.asarray(Image.fromarray(astronaut[20:220, 120:320]).resize((100, 100)))
    Image.fromarray(np.tile(face, (7, 7, 1))).save(crowd, "PNG")
    answer = client.post("/predict?format=jpeg", **form(crowd.getvalue()))
    assert answer.status_code == 200
    assert "X-Attrai-Result" not in answer.headers


@pytest.mark.parametrize(
    ("accept", "mimetype"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("application/*", "application/json"),
        ("image/*", "image/png"),
        ("image/webp, */*;q=0.1", "image/webp"),
        ("image/jpeg;q=0.5, image/webp;q=0.9", "image/webp"),
        ("application/json;q=0, */*", "image/png"),
        ("text/html, image/avif, image/webp, */*;q=0.8", "image/webp"),
    ],
)
def test_the_accept_header_chooses(
    client: FlaskClient, photo: bytes, accept: str, mimetype: str
) -> None:
    answer = client.post("/predict", **form(photo), headers={"Accept": accept})
    assert (answer.status_code, answer.mimetype) == (200, mimetype)
    assert "Accept" in answer.headers["Vary"]


def test_format_outranks_accept(client: FlaskClient, photo: bytes) -> None:
    answer = client.post("/predict?format=json", **form(photo), headers={"Accept": "image/png"})
    assert answer.mimetype == "application/json"


def test_options_choose_faces(client: FlaskClient, astronaut: Pixels) -> None:
    pair = io.BytesIO()
    small = np.asarray(Image.fromarray(astronaut).resize((256, 256)))
    pixels = np.zeros((512, 768, 3), np.uint8)
    pixels[:256, :256], pixels[:, 256:] = small, astronaut
    Image.fromarray(pixels).save(pair, "PNG")
    both = figures(client.post("/predict", **form(pair.getvalue())))["faces"]
    assert len(both) == 2
    one = figures(client.post("/predict?max_faces=1", **form(pair.getvalue())))["faces"]
    assert one == both[:1]
    assert one[0]["box"]["x"] > 256
    sure = max(face["confidence"] for face in both)
    query = {"min_confidence": (sure + 1) / 2 if sure < 1 else 1}
    few = figures(client.post("/predict", query_string=query, **form(pair.getvalue())))["faces"]
    assert all(face["confidence"] >= query["min_confidence"] for face in few)
    everyone = figures(client.post("/predict", **as_json(pair.getvalue(), max_faces=50)))
    assert everyone["faces"] == both


def test_no_face_is_a_success(client: FlaskClient, encoded: Callable[[str], bytes]) -> None:
    plain = io.BytesIO()
    Image.new("RGB", (300, 200), "teal").save(plain, "WEBP")
    answer = figures(client.post("/predict", **form(plain.getvalue())))
    assert answer["faces"] == []
    picture = client.post("/predict?format=png", **form(plain.getvalue()))
    assert picture.mimetype == "image/png"
    assert json.loads(picture.headers["X-Attrai-Result"])["faces"] == []


def test_model_may_be_named(client: FlaskClient, photo: bytes) -> None:
    answer = figures(client.post(f"/predict?model={SCORER}", **form(photo)))
    assert answer["model"]["scorer"] == SCORER


@pytest.mark.parametrize("offered", ["a", "Trace.1_2-3", "x" * 64])
def test_a_good_request_id_is_kept(client: FlaskClient, photo: bytes, offered: str) -> None:
    answer = client.post("/predict", **form(photo), headers={"X-Request-ID": offered})
    assert answer.headers["X-Request-ID"] == figures(answer)["request_id"] == offered


@pytest.mark.parametrize("offered", ["", "x" * 65, "a b", "ä", "a/b", '"', "a,b"])
def test_any_other_request_id_is_replaced(client: FlaskClient, offered: str) -> None:
    answer = client.get(
        "/healthz", headers={"X-Request-ID": offered.encode("utf-8").decode("latin-1")}
    )
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-ID"])


def test_answers_about_photos_are_not_stored(client: FlaskClient, photo: bytes) -> None:
    for format_ in ("json", "png"):
        answer = client.post(f"/predict?format={format_}", **form(photo))
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_no_upload_touches_a_disk(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, astronaut: Pixels
) -> None:
    large = io.BytesIO()
    Image.fromarray(astronaut).resize((2000, 2000)).save(large, "PNG")
    assert len(large.getvalue()) > 1_000_000  # Werkzeug spools forms above 500 kB

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a temporary file was opened")

    for name in ("TemporaryFile", "SpooledTemporaryFile", "NamedTemporaryFile"):
        monkeypatch.setattr(f"tempfile.{name}", refuse)
    monkeypatch.setattr("werkzeug.formparser.SpooledTemporaryFile", refuse, raising=False)
    monkeypatch.setattr("werkzeug.formparser.TemporaryFile", refuse, raising=False)
    assert client.post("/predict", **form(large.getvalue())).status_code == 200


def test_health_readiness_and_models(client: FlaskClient) -> None:
    assert client.get("/healthz").json == {"status": "ok"}
    assert client.get("/readyz").json == {"status": "ready"}
    listed = client.get("/models").json
    assert listed is not None
    assert listed["default"] == SCORER
    names = {card["name"]: card["kind"] for card in listed["models"]}
    assert names == {"mtcnn": "detector", SCORER: "scorer"}
