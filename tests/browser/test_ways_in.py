"""Every way in, in headless Chromium: pick, drop, paste, an address."""

from __future__ import annotations

import pytest

from pipeline.predictor import Predictor

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Page, expect

from tests.browser.actions import boxes_over, card, give_address, pick, score_of, transfer
from tests.browser.server import PhotoHost, Server


def test_a_picked_photo_shows_its_box_and_score(
    page: Page, photo: bytes, predictor: Predictor, one_face: float
) -> None:
    pick(page, ("portrait.jpg", photo))
    found = card(page, "portrait.jpg")
    assert score_of(found) == one_face
    assert found.locator(".tag").inner_text() == f"{one_face:.1f}"
    (shown,) = boxes_over(found)
    box = predictor.predict(photo).faces[0].face.box
    assert shown["x"] == pytest.approx(box.x1 / 512, abs=0.01)
    assert shown["y"] == pytest.approx(box.y1 / 512, abs=0.01)
    assert shown["width"] == pytest.approx((box.x2 - box.x1) / 512, abs=0.01)
    assert shown["height"] == pytest.approx((box.y2 - box.y1) / 512, abs=0.01)
    expect(page.get_by_role("status")).to_have_text(f"portrait.jpg: 1 face, score {one_face:.1f}.")


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_a_photo_may_be_dropped_or_pasted(
    page: Page, photo: bytes, one_face: float, kind: str
) -> None:
    transfer(page, kind, (f"{kind}.jpg", photo))
    assert score_of(card(page, f"{kind}.jpg")) == one_face


def test_a_pasted_picture_is_no_file_that_curl_could_send(page: Page, photo: bytes) -> None:
    transfer(page, "paste", ("image.png", photo))
    found = card(page, "pasted photo")
    expect(found.get_by_role("button", name="Copy JSON")).to_be_visible()
    expect(found.get_by_role("button", name="Copy curl")).to_be_hidden()
    transfer(page, "drop", ("image.png", photo))
    found = card(page, "image.png")
    expect(found.get_by_role("button", name="Copy curl")).to_be_visible()


def test_a_photo_behind_an_address_is_shown_with_its_box(
    page: Page, photo_host: PhotoHost, server: Server, one_face: float
) -> None:
    give_address(page, f"{photo_host.url}/photo.jpg")
    found = card(page, "photo.jpg")
    assert score_of(found) == one_face
    picture = found.get_by_role("img")
    assert (picture.get_attribute("src") or "").startswith("blob:")
    assert picture.evaluate("(image) => image.naturalWidth") == 512
    assert len(server.asked) == 1, "figures and picture come in one answer"


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_an_address_may_be_dropped_or_pasted(
    page: Page, photo_host: PhotoHost, one_face: float, kind: str
) -> None:
    transfer(page, kind, text=f"{photo_host.url}/photo.jpg")
    assert score_of(card(page, "photo.jpg")) == one_face


def test_a_crowd_behind_an_address_is_asked_for_twice(
    page: Page, photo_host: PhotoHost, server: Server
) -> None:
    give_address(page, f"{photo_host.url}/crowd.png")
    found = card(page, "crowd.png")
    expect(found.get_by_role("radio")).to_have_count(20)
    assert len(server.asked) == 2, "its figures are too long for a header"


def test_what_is_no_address_is_said_beside_the_field(page: Page, server: Server) -> None:
    give_address(page, "ftp://example.com/photo.jpg")
    expect(page.get_by_role("alert")).to_contain_text("Give a whole address")
    expect(page.get_by_role("textbox")).to_be_focused()
    assert server.asked == []
