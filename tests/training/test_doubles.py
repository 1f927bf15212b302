"""Finding photos that are there twice, and taking no others for it."""

from __future__ import annotations

import io
from collections.abc import Callable

import cv2
import imagehash
import numpy as np
import pytest
import skimage.data
from PIL import Image

import training.doubles
from pipeline.crops import crop
from pipeline.detector import fastest_detector
from pipeline.models import Model
from pipeline.photo import read_photo
from pipeline.settings import ROOT, DetectorSettings, PhotoSettings
from pipeline.types import Box, Pixels
from training.doubles import (
    HASH_SIZE,
    LIKENESS,
    Double,
    clusters,
    find_doubles,
    fingerprint,
    likeness,
    near,
)
from training.views import VIEW

FACE = Box(170, 60, 275, 180)
"""The astronaut's."""
SCUT = ROOT.parent / "shared" / "data" / "scut-fbp5500" / "images"


def resized(pixels: Pixels, scale: float) -> Pixels:
    height, width = pixels.shape[:2]
    size = round(width * scale), round(height * scale)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def compressed(pixels: Pixels, quality: int) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file), np.uint8)


def moved(box: Box, by: float, scale: float) -> Box:
    """As a detector puts it on a photo that was changed a little; `by` in shares of the box."""
    x, y = (box.x1 + box.x2) / 2 + by * box.width, (box.y1 + box.y2) / 2 - by * box.height
    half_width, half_height = scale * box.width / 2, scale * box.height / 2
    return Box(x - half_width, y - half_height, x + half_width, y + half_height)


COPIES: dict[str, tuple[Callable[[Pixels], Pixels], Callable[[Box], Box]]] = {
    "compressed": (lambda p: compressed(p, 30), lambda box: moved(box, 0.03, 1.02)),
    "shrunk": (lambda p: resized(p, 0.5), lambda box: moved(box.scaled(0.5, 0.5), 0.02, 0.97)),
    "brightened": (
        lambda p: (p * 1.15 + 6).clip(0, 255).astype(np.uint8),
        lambda box: moved(box, -0.03, 1),
    ),
    "mirrored": (
        lambda p: p[:, ::-1].copy(),
        lambda box: moved(Box(512 - box.x2, box.y1, 512 - box.x1, box.y2), 0.02, 1.03),
    ),
    "grey": (
        lambda p: np.repeat(p.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2),
        lambda box: moved(box, 0.01, 0.98),
    ),
    "its margins cut away": (
        lambda p: p[20:430, 90:400].copy(),
        lambda box: moved(Box(box.x1 - 90, box.y1 - 20, box.x2 - 90, box.y2 - 20), 0.01, 1.01),
    ),
}


@pytest.fixture(scope="module")
def others() -> list[Pixels]:
    """Crops of pictures of something else."""
    pictures = [skimage.data.chelsea(), skimage.data.coffee(), skimage.data.rocket()]  # type: ignore[no-untyped-call]
    return [
        crop(np.asarray(picture, np.uint8), Box(150, 60, 300, 210), VIEW) for picture in pictures
    ]


def in_an_oval(picture: Pixels) -> Pixels:
    mask = cv2.ellipse(np.zeros((224, 224, 1), np.uint8), (112, 112), (62, 85), 0, 0, 360, 1, -1)
    return np.where(np.asarray(mask).reshape(224, 224, 1) == 1, picture // 2, 255).astype(np.uint8)


@pytest.mark.parametrize("copy", COPIES)
def test_finds_a_copy_among_other_pictures(
    copy: str, astronaut: Pixels, others: list[Pixels]
) -> None:
    change, box = COPIES[copy]
    changed = change(astronaut)
    crops = [others[0], crop(astronaut, FACE, VIEW), *others[1:], crop(changed, box(FACE), VIEW)]
    photos = [others[0], astronaut, *others[1:], changed]
    (double,) = find_doubles(np.stack(crops), [fingerprint(photo) for photo in photos])
    assert (double.one, double.other) == (1, 4)
    assert double.mirrored == (copy == "mirrored")
    assert LIKENESS <= double.likeness <= 1


def test_the_likest_come_first_and_each_pair_once(astronaut: Pixels, others: list[Pixels]) -> None:
    faces = [crop(p, FACE, VIEW) for p in (compressed(astronaut, 15), astronaut, astronaut)]
    crops = [*others, *faces]
    doubles = find_doubles(np.stack(crops), [fingerprint(crop) for crop in crops])
    assert [(double.one, double.other) for double in doubles] == [(4, 5), (3, 4), (3, 5)]
    assert doubles[0].likeness == 1 > doubles[1].likeness


def test_a_nearly_symmetric_face_is_not_taken_for_mirrored(
    astronaut: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    face = crop(astronaut, FACE, VIEW)
    symmetric = (0.55 * face + 0.45 * face[:, ::-1]).astype(np.uint8)
    copy = compressed(symmetric, 60)
    assert LIKENESS < likeness(symmetric, copy[:, ::-1]) < likeness(symmetric, copy)
    both = {(0, 1, False), (0, 1, True)}
    monkeypatch.setattr(training.doubles, "near", lambda *_: both)
    (double,) = find_doubles(np.stack([symmetric, copy]), [b"", b""])
    assert not double.mirrored


def test_other_pictures_in_the_same_outline_are_no_doubles(
    astronaut: Pixels, others: list[Pixels]
) -> None:
    ovals = [in_an_oval(picture) for picture in (crop(astronaut, FACE, VIEW), *others)]
    for number, one in enumerate(ovals):
        for other in ovals[:number]:
            assert likeness(one, other) < LIKENESS
            assert likeness(one, other[:, ::-1]) < LIKENESS


def test_likeness_is_of_the_details_not_of_the_light(astronaut: Pixels) -> None:
    face = crop(astronaut, FACE, VIEW)
    blurred = np.asarray(cv2.GaussianBlur(face, (0, 0), 12), np.uint8)
    assert likeness(face, blurred) < LIKENESS
    from_the_left = (face * np.linspace(0.5, 1, 224)[:, None]).astype(np.uint8)
    assert likeness(face, from_the_left) > LIKENESS


def test_plain_pictures_are_like_themselves_alone(astronaut: Pixels) -> None:
    plain = np.full((224, 224, 3), 90, np.uint8)
    assert likeness(plain, plain.copy()) == 1
    assert likeness(plain, plain + np.uint8(40)) == 0
    assert likeness(plain, crop(astronaut, FACE, VIEW)) == 0


def test_a_fingerprint_is_phash_both_ways_round(astronaut: Pixels) -> None:
    bits = np.unpackbits(np.frombuffer(fingerprint(astronaut), np.uint8))
    for turned, its in zip((astronaut, astronaut[:, ::-1]), np.split(bits, 2), strict=True):
        image = Image.fromarray(np.ascontiguousarray(turned)).convert("L")
        assert np.array_equal(its, imagehash.phash(image, HASH_SIZE).hash.ravel())


@pytest.mark.parametrize("chunk", [3, 256])
def test_near_compares_all_with_all(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training.doubles, "CHUNK", chunk)
    rng = np.random.default_rng(6)
    bits = rng.random((10, 2, HASH_SIZE**2)) < 0.5
    bits[7, 0] = bits[2, 0]
    bits[7, 0, :9] ^= True
    bits[9, 1] = bits[4, 0]
    prints = [np.packbits(both).tobytes() for both in bits]
    assert near(prints, 9) == {(2, 7, False), (4, 9, True)}
    assert near(prints, 8) == {(4, 9, True)}


def test_copies_of_one_picture_are_one_picture() -> None:
    pairs = [(1, 5), (2, 9), (5, 7), (1, 7), (9, 10)]
    assert clusters([Double(one, other, False, 1.0) for one, other in pairs]) == 2
    assert clusters([]) == 0


def test_finds_a_known_double_of_a_published_set_and_no_lookalike() -> None:
    if not SCUT.exists():
        pytest.skip(f"no {SCUT.relative_to(ROOT.parent)}, which no clone of this repository holds")
    model = Model.open(ROOT / "models" / "mtcnn")
    detector = fastest_detector(model, DetectorSettings(), threads=1)
    crops, photos = [], []
    # All but the first two are of different people, and two by two most alike.
    for name in ("CF253", "CF363", "CF237", "CF510", "AM1344", "AM537"):
        pixels = read_photo((SCUT / f"{name}.jpg").read_bytes(), PhotoSettings()).pixels
        crops.append(crop(pixels, detector.detect(pixels)[0].box, VIEW))
        photos.append(fingerprint(pixels))
    assert [(double.one, double.other) for double in find_doubles(np.stack(crops), photos)] == [
        (0, 1)
    ]
