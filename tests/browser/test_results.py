"""What comes of photos, in headless Chromium: faces and their figures, progress, what leaves."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import skimage.data
from PIL import Image

from pipeline.types import Pixels
from tests.pipeline.pictures import encode, exif

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.actions import boxes_over, card, give_address, pick, score_of
from tests.browser.photos import crowd
from tests.browser.server import PhotoHost, Server


def test_no_face_is_no_error(page: Page) -> None:
    coffee = encode(Image.fromarray(skimage.data.coffee()), "WebP")  # type: ignore[no-untyped-call]
    pick(page, ("coffee.webp", coffee))
    found = card(page, "coffee.webp")
    expect(found.locator(".state")).to_have_text("No face found, 600 \u00d7 400")
    expect(found.locator(".note")).to_contain_text("too small, turned away or covered")
    expect(found.locator(".details")).to_be_hidden()


def test_of_many_faces_each_tells_its_own(page: Page, astronaut: Pixels) -> None:
    pick(page, ("crowd.png", crowd(astronaut)))
    found = card(page, "crowd.png")
    faces = found.get_by_role("radio")
    expect(faces).to_have_count(12)
    expect(faces.first).to_be_checked()
    labels = [face.get_attribute("aria-label") or "" for face in faces.all()]
    assert all(f"Face {place} of 12: score" in label for place, label in enumerate(labels, 1))
    faces.nth(6).hover()
    expect(found.locator(".place")).to_have_text("Face 7 of 12")
    page.mouse.move(0, 0)
    expect(found.locator(".place")).to_have_text("Face 1 of 12")
    faces.nth(4).click()
    expect(found.locator(".place")).to_have_text("Face 5 of 12")
    assert f"score {score_of(found):.1f}" in labels[4]
    found.get_by_role("button", name="Previous face").click()
    expect(found.locator(".place")).to_have_text("Face 4 of 12")


def test_several_photos_go_two_at_a_time_with_their_progress(
    page: Page, photo: bytes, server: Server
) -> None:
    names = [f"photo-{number}.jpg" for number in range(1, 6)]
    with server.turn:
        pick(page, *((name, photo) for name in names))
        expect(page.locator("[data-state=busy]")).to_have_count(2)
        expect(page.locator("[data-state=waiting]")).to_have_count(3)
        expect(page.get_by_text("0 of 5 photos done")).to_be_visible()
    expect(page.get_by_text("5 of 5 photos done")).to_be_visible()
    assert page.locator(".name").all_inner_texts() == names
    page.get_by_role("button", name="Remove photo-2.jpg").click()
    expect(page.get_by_text("4 of 4 photos done")).to_be_visible()
    expect(page.get_by_role("button", name="Remove photo-3.jpg")).to_be_focused()
    page.get_by_role("button", name="Clear all").click()
    expect(page.get_by_role("article")).to_have_count(0)
    expect(page.get_by_role("button", name="Choose photos")).to_be_focused()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP"])
def test_a_turned_photo_has_its_box_where_its_face_is(
    page: Page, astronaut: Pixels, kind: str
) -> None:
    lying = Image.fromarray(astronaut[:, 60:400]).rotate(90, expand=True)
    pick(page, ("turned", encode(lying, kind, exif=exif(6))))
    found = card(page, "turned")
    expect(found.locator(".state")).to_contain_text("340 \u00d7 512")
    # Chromium itself would leave the WebP lying.
    seen = found.locator("img").evaluate(
        "async image => (await image.decode(), [image.naturalWidth, image.naturalHeight])"
    )
    assert seen == [340, 512]
    (shown,) = boxes_over(found)
    assert shown["x"] == pytest.approx((181 - 60) / 340, abs=0.03)
    assert shown["y"] == pytest.approx(61 / 512, abs=0.03)


def test_the_json_is_copied_as_it_came(
    page: Page, context: BrowserContext, photo: bytes, one_face: float
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    pick(page, ("portrait.jpg", photo))
    card(page, "portrait.jpg").get_by_role("button", name="Copy JSON").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert round(copied["faces"][0]["score"], 1) == one_face
    assert set(copied) == {"request_id", "model", "image", "faces", "timing_ms"}


def test_the_copied_curl_does_the_same_even_of_an_awkward_name(
    page: Page, context: BrowserContext, portrait: Path, one_face: float
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_label("Photos", exact=True).set_input_files(portrait)
    card(page, "photo.jpg").get_by_role("button", name="Copy curl").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert ran(page, portrait.parent) == one_face


def test_the_curl_of_an_address_does_the_same(
    page: Page, context: BrowserContext, photo_host: PhotoHost, tmp_path: Path, one_face: float
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    give_address(page, f"{photo_host.url}/photo.jpg?it's=a&$HOME;+%20")
    card(page, "photo.jpg").get_by_role("button", name="Copy curl").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert ran(page, tmp_path) == one_face


def ran(page: Page, folder: Path) -> float:
    """The score that the command on the clipboard gets when a shell runs it in `folder`."""
    command = page.evaluate("navigator.clipboard.readText()")
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, check=True, capture_output=True, timeout=60
    )
    answer = json.loads(done.stdout)
    return round(float(answer["faces"][0]["score"]), 1)


@pytest.mark.parametrize(("suffix", "kind"), [("jpg", "JPEG"), ("png", "PNG"), ("webp", "WEBP")])
def test_the_rated_picture_is_downloaded_as_what_it_came_as(
    page: Page, astronaut: Pixels, suffix: str, kind: str
) -> None:
    pick(page, (f"portrait.{suffix}", encode(Image.fromarray(astronaut), kind)))
    button = card(page, f"portrait.{suffix}").get_by_role("button", name="Download picture")
    with page.expect_download() as download:
        button.click()
    assert download.value.suggested_filename == f"portrait-rated.{suffix}"
    with Image.open(download.value.path()) as picture:
        assert picture.format == kind
        assert picture.size == (512, 512)
