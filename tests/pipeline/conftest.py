"""What the tests of the decoder share."""

from __future__ import annotations

from typing import Any

import pytest
import simplejpeg
from PIL import Image, ImageFile, WebPImagePlugin

from pipeline.types import Pixels


@pytest.fixture(scope="module")
def portrait(astronaut: Pixels) -> Image.Image:
    """100 x 80 pixels that no turn or flip maps onto themselves."""
    return Image.fromarray(astronaut[50:130, 170:270])


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The name of each decoder that runs."""
    calls: list[str] = []

    def spy(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            calls.append(f"{owner.__name__}.{name}")
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, call)

    spy(simplejpeg, "decode_jpeg")
    spy(ImageFile.ImageFile, "load")
    spy(WebPImagePlugin.WebPImageFile, "load")
    return calls
