"""What goes wrong, in headless Chromium: in plain words, and with what to do about it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tests.pipeline.pictures import PNG_END, chunk

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.actions import card, give_address, pick, score_of
from tests.browser.server import PhotoHost, Server
from tests.browser.sights import Sights


def headline(found: Locator) -> str:
    return found.locator(".headline").inner_text()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"Dear diary, no photo today.", "This is not a photo"),
        (b"", "This is not a photo"),
        (b"\0\0\0\x18ftypheic" + bytes(40), "This is a HEIC photo"),
        (b"%PDF-1.7 " + bytes(40), "This is a PDF, which is not read here"),
    ],
)
def test_what_is_no_photo_is_not_even_sent(
    page: Page, server: Server, body: bytes, words: str
) -> None:
    pick(page, ("notes.jpg", body))
    found = card(page, "notes.jpg", "failed")
    assert headline(found).startswith(words)
    expect(found.get_by_role("button", name="Try again")).to_be_hidden()
    expect(page.get_by_role("status")).to_contain_text(f"notes.jpg: {words}")
    assert server.asked == []


def test_a_damaged_photo_is_said_to_be(page: Page, photo: bytes, sights: Sights) -> None:
    sights.expect(422)
    pick(page, ("damaged.jpg", photo[:300]))
    found = card(page, "damaged.jpg", "failed")
    assert headline(found) == "This photo cannot be rated"
    expect(found.locator(".advice")).to_contain_text("damaged, or too small")


def test_a_picture_of_another_kind_is_sent_as_a_copy(page: Page, photo: bytes) -> None:
    gif = io.BytesIO()
    Image.open(io.BytesIO(photo)).save(gif, "GIF")
    pick(page, ("portrait.gif", gif.getvalue()))
    found = card(page, "portrait.gif")
    expect(found.get_by_role("radio")).to_have_count(1)
    expect(found.locator(".note")).to_have_text("GIF is not read here, so a JPEG copy was sent.")
    expect(found.get_by_role("button", name="Copy curl")).to_be_hidden()


def test_a_photo_of_too_many_bytes_is_sent_smaller(page: Page, photo: bytes) -> None:
    png = io.BytesIO()
    Image.open(io.BytesIO(photo)).save(png, "PNG")
    padding = chunk(b"teSt", np.random.default_rng(0).bytes(17 * 1024 * 1024))
    pick(page, ("huge.png", png.getvalue().removesuffix(PNG_END) + padding + PNG_END))
    found = card(page, "huge.png")
    expect(found.get_by_role("radio")).to_have_count(1)
    expect(found.locator(".note")).to_contain_text("Too large to send as it is")


def test_a_photo_that_the_server_finds_too_large_is_sent_smaller(
    page: Page, photo: bytes, server: Server, sights: Sights
) -> None:
    sights.expect(413)
    server.refuse("413 Content Too Large")
    pick(page, ("large.jpg", photo))
    found = card(page, "large.jpg")
    expect(found.get_by_role("radio")).to_have_count(1)
    expect(found.locator(".note")).to_contain_text("a copy of 512 \u00d7 512 pixels was sent")
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("http://10.0.0.1/photo.jpg", 400, "This address cannot be fetched"),
        ("/gone.jpg", 502, "The photo could not be fetched"),
    ],
)
def test_an_address_that_gives_no_photo(
    page: Page, photo_host: PhotoHost, sights: Sights, path: str, status: int, words: str
) -> None:
    sights.expect(status)
    give_address(page, path if "://" in path else photo_host.url + path)
    found = card(page, path.rpartition("/")[2], "failed")
    assert headline(found) == words
    expect(found.locator(".advice")).to_contain_text("save the photo, and drop it here")


def test_a_server_that_is_full_is_asked_again(
    page: Page, photo: bytes, server: Server, sights: Sights, one_face: float
) -> None:
    sights.expect(429)
    server.refuse("429 Too Many Requests", times=2, Retry_After="2")
    pick(page, ("portrait.jpg", photo))
    expect(page.locator(".state")).to_have_text("The server is busy; next try in 2 s")
    assert score_of(card(page, "portrait.jpg")) == one_face
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("refusal", "status", "words"),
    [
        ("500 Internal Server Error", 500, "Something went wrong on the server"),
        ("403 Forbidden", 403, "This server does not let you in"),
    ],
)
def test_what_may_pass_can_be_tried_again(
    page: Page, photo: bytes, server: Server, sights: Sights, refusal: str, status: int, words: str
) -> None:
    sights.expect(status)
    server.refuse(refusal)
    pick(page, ("portrait.jpg", photo))
    found = card(page, "portrait.jpg", "failed")
    assert headline(found) == words
    found.get_by_role("button", name="Try again").click()
    expect(card(page, "portrait.jpg").get_by_role("radio")).to_have_count(1)
    expect(found.locator(".failure")).to_be_hidden()


def test_a_server_that_is_gone_is_said_to_be(page: Page, photo: bytes, sights: Sights) -> None:
    sights.lost = True
    page.route("**/predict?*", lambda route: route.abort())
    pick(page, ("portrait.jpg", photo))
    assert headline(card(page, "portrait.jpg", "failed")) == "The server cannot be reached"
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    card(page, "portrait.jpg")


def test_a_key_is_asked_for_once_and_where_it_is_wrong_again(
    page: Page, photo: bytes, server: Server, sights: Sights, one_face: float
) -> None:
    sights.expect(401)
    server.locked = True
    pick(page, ("one.jpg", photo), ("two.jpg", photo))
    dialog = page.get_by_role("dialog", name="This server asks for a key")
    dialog.get_by_label("Key").fill("a wrong key")
    dialog.get_by_role("button", name="Use this key").click()
    dialog = page.get_by_role("dialog", name="This key was not accepted")
    dialog.get_by_label("Key").fill(server.key)
    page.keyboard.press("Enter")
    for name in ("one.jpg", "two.jpg"):
        assert score_of(card(page, name)) == one_face


def test_who_hears_late_that_a_key_is_asked_for_uses_the_one_that_was_given(
    page: Page, photo: bytes, server: Server, sights: Sights, one_face: float
) -> None:
    """The second photo's refusal, of a request without a key, comes when there is a key."""
    sights.expect(401)
    server.locked = True
    held: list[Route] = []

    def hold_the_second(route: Route) -> None:
        if held or "authorization" in route.request.headers or not server.asked:
            route.continue_()
        else:
            held.append(route)

    page.route("**/predict?*", hold_the_second)
    pick(page, ("one.jpg", photo))
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Cancel").click()
    card(page, "one.jpg", "failed")
    with page.expect_request("**/predict?*"):
        pick(page, ("two.jpg", photo))
    page.get_by_role("button", name="Try again").click()
    dialog.get_by_label("Key").fill(server.key)
    page.keyboard.press("Enter")
    assert score_of(card(page, "one.jpg")) == one_face
    (late,) = held
    late.continue_()
    assert score_of(card(page, "two.jpg")) == one_face
    expect(dialog).to_be_hidden()
