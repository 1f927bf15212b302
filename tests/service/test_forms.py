"""Forms: what was put in comes out, and what is none is refused."""

from __future__ import annotations

import random

import pytest

from service.errors import BodyTooLarge, MissingPhoto
from service.forms import MOST_PARTS, parse_form
from tests.service.forms import BOUNDARY, parts

HEAD = f"--{BOUNDARY}\r\nContent-Disposition: form-data"
END = f"\r\n--{BOUNDARY}--\r\n"
DELIMITER = f"\r\n--{BOUNDARY}".encode()
TRICKS = [b"\r\n", b"\n", b"--", DELIMITER[4:], DELIMITER[:-1], b"\0", b"a"]


@pytest.mark.parametrize("seed", range(200))
def test_what_was_put_in_comes_out(seed: int) -> None:
    chance = random.Random(seed)
    sent: list[tuple[str, str | None, bytes]] = []
    while len(sent) < 5:
        content = b"".join(chance.choices(TRICKS, k=chance.randrange(20)))
        # What a client would have taken another boundary for.
        if DELIMITER not in b"\r\n" + content:
            name = chance.choice(["image", "format", "", "ä ö"])
            file = chance.choice([None, "photo.jpg", "a; b.jpg", "ü.jpg"])
            sent.append((name, file, content))
    form = parse_form(parts(*sent)["data"], BOUNDARY)
    assert form.fields == [(name, text.decode()) for name, file, text in sent if file is None]
    assert form.files == [(name, content) for name, file, content in sent if file is not None]


def test_parts_keep_their_order() -> None:
    body = parts(("b", None, "1"), ("a", None, "2"), ("b", None, "3"))["data"]
    assert parse_form(body, BOUNDARY).fields == [("b", "1"), ("a", "2"), ("b", "3")]


def test_an_empty_file_is_a_file() -> None:
    assert parse_form(parts(("image", "a.jpg", b""))["data"], BOUNDARY).files == [("image", b"")]


def test_a_file_may_have_a_name_in_any_charset() -> None:
    head = f'{HEAD}; name="image"; filename="'.encode()
    body = head + b"M\xfcller \x93.jpg" + b'"\r\n\r\nphoto' + END.encode()
    assert parse_form(body, BOUNDARY).files == [("image", b"photo")]


def test_text_that_is_not_utf8_is_text_all_the_same() -> None:
    body = parts(("format", None, b"\xff\xfe"))["data"]
    assert parse_form(body, BOUNDARY).fields == [("format", "\ufffd\ufffd")]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "no form",
        f"--{BOUNDARY}",
        f"--{BOUNDARY}\r\n",
        f"--{BOUNDARY}\n\n",
        f'{HEAD}; name="image"; filename="a.jpg"',
        f'{HEAD}; name="image"; filename="a.jpg"\r\n\r\nbreaks off',
        f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\n\r\nx{END}",
        f"--{BOUNDARY}\r\nContent-Disposition: attachment\r\n\r\nx{END}",
        f"--{BOUNDARY}\r\n\ud800{'a' * 3000}: x\r\n\r\nx{END}",
    ],
)
def test_a_body_that_is_no_form(body: str) -> None:
    with pytest.raises(MissingPhoto, match="the form is broken") as caught:
        parse_form(body.encode("utf-8", "surrogatepass"), BOUNDARY)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("most", [MOST_PARTS, MOST_PARTS + 1])
def test_a_form_has_so_many_parts_and_no_more(most: int) -> None:
    body = parts(*[("a", None, "")] * most)["data"]
    if most > MOST_PARTS:
        with pytest.raises(BodyTooLarge):
            parse_form(body, BOUNDARY)
    else:
        assert len(parse_form(body, BOUNDARY).fields) == MOST_PARTS


def test_a_part_with_long_headers() -> None:
    with pytest.raises(BodyTooLarge):
        parse_form(f'{HEAD}; name="{"a" * 5000}"\r\n\r\nx{END}'.encode(), BOUNDARY)
