"""The page for everybody: by keyboard, with a screen reader, on a phone, in light and dark."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.types import Pixels

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.actions import card, pick
from tests.browser.photos import crowd
from tests.browser.server import Server
from tests.browser.sights import Sights

WIDE = {"width": 1280, "height": 900}
PHONE = {"viewport": {"width": 320, "height": 640}, "is_mobile": True, "has_touch": True}


def breaches(page: Page) -> list[str]:
    """What axe-core finds against WCAG 2.2 AA and good practice, as rule and element."""
    axe = pytest.importorskip("axe_playwright_python", reason="axe-core is not installed")
    script = Path(axe.__file__).with_name("axe.min.js").read_text()
    page.evaluate(f"() => {{ {script} }}")
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = page.evaluate(
        "async (tags) => (await axe.run(document, { runOnly: tags })).violations", tags
    )
    return [f"{rule['id']}: {node['html']}" for rule in found for node in rule["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [{"viewport": WIDE}, PHONE], ids=["desktop", "phone"])
class TestEveryWindow:
    @pytest.fixture
    def context_options(self, device: dict[str, object], scheme: str) -> dict[str, object]:
        return {**device, "color_scheme": scheme, "reduced_motion": "reduce"}

    def test_an_accessibility_check_passes(
        self, page: Page, photo: bytes, astronaut: Pixels, sights: Sights
    ) -> None:
        assert breaches(page) == []
        sights.expect(422)
        crew = crowd(astronaut, 2, 2)
        pick(page, ("portrait.jpg", photo), ("crowd.png", crew), ("broken.jpg", photo[:300]))
        card(page, "portrait.jpg")
        card(page, "crowd.png")
        card(page, "broken.jpg", "failed")
        assert breaches(page) == []

    def test_nothing_is_wider_than_the_window(
        self, page: Page, photo: bytes, astronaut: Pixels
    ) -> None:
        name = "a-rather-long-name-without-any-space-in-it-as-cameras-and-phones-make-them.jpg"
        pick(page, (name, photo), ("crowd.png", crowd(astronaut)))
        card(page, name)
        card(page, "crowd.png")
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width == page.evaluate("window.innerWidth")


class TestOnAPhone:
    @pytest.fixture
    def context_options(self) -> dict[str, object]:
        return PHONE

    def test_the_camera_takes_a_photo(self, page: Page, photo: bytes) -> None:
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Take a photo").tap()
        assert chooser.value.element.get_attribute("capture") == "environment"
        chooser.value.set_files({"name": "0001.jpg", "mimeType": "image/jpeg", "buffer": photo})
        card(page, "0001.jpg")

    def test_a_tap_on_a_face_tells_of_it(self, page: Page, astronaut: Pixels) -> None:
        pick(page, ("crowd.png", crowd(astronaut, 2, 3)))
        found = card(page, "crowd.png")
        found.get_by_role("radio").nth(3).tap()
        expect(found.locator(".place")).to_contain_text("Face 4 of")

    def test_what_a_finger_aims_at_is_large_enough(self, page: Page, photo: bytes) -> None:
        pick(page, ("portrait.jpg", photo))
        card(page, "portrait.jpg")
        for button in page.get_by_role("button").all():
            box = button.bounding_box()
            assert box is not None
            assert min(box["width"], box["height"]) >= 44, button.inner_text()


def test_a_phones_camera_is_not_offered_at_a_desk(page: Page) -> None:
    expect(page.get_by_role("button", name="Choose photos")).to_be_visible()
    expect(page.get_by_role("button", name="Take a photo")).to_be_hidden()


def focused(page: Page) -> str:
    """What has the focus, as its words or its label."""
    return str(
        page.evaluate(
            "document.activeElement.ariaLabel || document.activeElement.innerText.trim()"
            " || document.activeElement.id"
        )
    )


def test_all_can_be_done_by_keyboard(
    page: Page, context: BrowserContext, astronaut: Pixels
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    # Listen long before: a key may be quicker than the order to intercept the dialog that it opens.
    page.on("filechooser", lambda _: None)
    while focused(page) != "Choose photos":
        page.keyboard.press("Tab")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    crew = crowd(astronaut, 1, 3)
    chooser.value.set_files({"name": "crew.png", "mimeType": "image/png", "buffer": crew})
    found = card(page, "crew.png")
    order = []
    for _ in range(10):
        page.keyboard.press("Tab")
        order.append(focused(page).split(":")[0])
    assert order == [
        "url",
        "Fetch",
        "Clear all",
        "Remove crew.png",
        "Face 1 of 3",
        "Previous face",
        "Next face",
        "Download picture",
        "Copy JSON",
        "Copy curl",
    ]
    while not focused(page).startswith("Face"):
        page.keyboard.press("Shift+Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.keyboard.press("ArrowRight")
    assert focused(page).startswith("Face 2 of 3")
    expect(found.locator(".place")).to_have_text("Face 2 of 3")
    while focused(page) != "Copy JSON":
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.get_by_role("status")).to_have_text("Copy JSON: Copied.")
    while focused(page) != "Remove crew.png":
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("article")).to_have_count(0)
    assert focused(page) == "Choose photos"


def test_who_tries_again_by_keyboard_stays_at_the_photo(
    page: Page, photo: bytes, server: Server, sights: Sights
) -> None:
    sights.expect(500)
    server.refuse("500 Internal Server Error")
    pick(page, ("portrait.jpg", photo))
    card(page, "portrait.jpg", "failed")
    page.get_by_role("button", name="Try again").press("Enter")
    card(page, "portrait.jpg")
    page.keyboard.press("Tab")
    assert focused(page) == "Remove portrait.jpg"


class TestColours:
    @pytest.fixture
    def context_options(self) -> dict[str, object]:
        return {"viewport": WIDE, "color_scheme": "dark"}

    def test_the_page_is_dark_where_the_system_is(self, page: Page) -> None:
        shade = "getComputedStyle(document.documentElement).backgroundColor"
        assert page.evaluate(shade) == "rgb(19, 21, 20)"
        page.emulate_media(color_scheme="light")
        assert page.evaluate(shade) == "rgb(246, 245, 241)"


def test_who_wants_no_motion_gets_none(page: Page) -> None:
    moving = """() => [...document.querySelectorAll("*")].filter((element) => {
        const style = getComputedStyle(element);
        return style.animationName !== "none" || parseFloat(style.transitionDuration) > 0;
    }).length"""
    assert page.evaluate(moving) > 0
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(moving) == 0


class TestWithoutScripts:
    @pytest.fixture
    def context_options(self) -> dict[str, object]:
        return {"java_script_enabled": False}

    def test_a_form_gives_the_rated_picture(self, page: Page, photo: bytes) -> None:
        page.get_by_label("A photo", exact=True).set_input_files(
            {"name": "portrait.jpg", "mimeType": "image/jpeg", "buffer": photo}
        )
        with page.expect_response("**/predict") as answer:
            page.get_by_role("button", name="Rate it").click()
        assert answer.value.status == 200
        assert answer.value.headers["content-type"] == "image/jpeg"
