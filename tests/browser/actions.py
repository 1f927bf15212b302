"""What people do with the page, and what they see of it."""

from __future__ import annotations

import base64
import re

from playwright.sync_api import FilePayload, Locator, Page, expect


def card(page: Page, name: str, state: str = "done") -> Locator:
    """The card of the photo called `name`, once it is in that state."""
    found = page.get_by_role("article").filter(has_text=name)
    expect(found).to_have_attribute("data-state", state)
    return found


def pick(page: Page, *files: tuple[str, bytes]) -> None:
    """Choose files, each (name, content), through the button and the system's own dialog."""
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose photos").click()
    chooser.value.set_files(
        [FilePayload(name=name, mimeType="image/jpeg", buffer=body) for name, body in files]
    )


def give_address(page: Page, url: str) -> None:
    page.get_by_role("textbox").fill(url)
    page.get_by_role("button", name="Fetch").click()


TRANSFER = """([kind, files, text]) => {
    const transfer = new DataTransfer();
    for (const [name, body] of files) {
        const bytes = Uint8Array.from(atob(body), (letter) => letter.charCodeAt(0));
        transfer.items.add(new File([bytes], name, { type: "image/jpeg" }));
    }
    if (text) transfer.setData(kind === "paste" ? "text/plain" : "text/uri-list", text);
    const options = { bubbles: true, cancelable: true };
    if (kind === "paste") {
        const event = new ClipboardEvent("paste", { ...options, clipboardData: transfer });
        return !document.body.dispatchEvent(event);
    }
    for (const type of ["dragenter", "dragover"]) {
        document.body.dispatchEvent(new DragEvent(type, { ...options, dataTransfer: transfer }));
    }
    const lit = document.documentElement.classList.contains("dragging");
    const taken = !document.body.dispatchEvent(
        new DragEvent("drop", { ...options, dataTransfer: transfer }));
    return lit && taken && !document.documentElement.classList.contains("dragging");
}"""


def transfer(page: Page, kind: str, *files: tuple[str, bytes], text: str = "") -> None:
    """Drop or paste ("drop", "paste") files, or text; the page must take it."""
    encoded = [[name, base64.b64encode(body).decode()] for name, body in files]
    assert page.evaluate(TRANSFER, [kind, encoded, text])


def boxes_over(found: Locator) -> list[dict[str, float]]:
    """Where the boxes lie over the card's photo, as fractions of its width and height."""
    # All in one look: between two of them the page may scroll.
    boxes: list[dict[str, float]] = found.evaluate(
        """card => {
          const photo = card.querySelector("img").getBoundingClientRect();
          return [...card.querySelectorAll("[role=radio], input[type=radio]")].map(face => {
            const box = face.getBoundingClientRect();
            return {x: (box.x - photo.x) / photo.width, y: (box.y - photo.y) / photo.height,
                    width: box.width / photo.width, height: box.height / photo.height};
          });
        }"""
    )
    return boxes


def score_of(found: Locator) -> float:
    """The large figure in the card."""
    text = found.locator(".figure").inner_text()
    assert re.fullmatch(r"\d{1,2}\.\d", text)
    return float(text)
