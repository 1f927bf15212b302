"""The crops that training makes up, beside those that the service cuts."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest

from pipeline.crops import CONTEXT, SIZE, crop
from pipeline.types import Box, Pixels
from training.augment import augment, mixed, resized
from training.crops import WIDE_CONTEXT, WIDE_SIZE, middle

FACE = Box(180, 50, 280, 190)
MARGIN = (WIDE_SIZE - SIZE) // 2


class Still:
    """Draws that move, turn and relight nothing; `mirror` is all that it may decide."""

    def __init__(self, *, mirror: bool = False) -> None:
        self._draws = iter([0.0 if mirror else 0.99])

    def normal(self, mean: float, _deviation: float) -> float:
        return mean

    def uniform(self, low: float, high: float, size: int | None = None) -> Any:
        return (low + high) / 2 if size is None else np.full(size, (low + high) / 2)

    def random(self) -> float:
        return next(self._draws, 0.99)


def still(*, mirror: bool = False) -> np.random.Generator:
    return cast(np.random.Generator, Still(mirror=mirror))


@pytest.fixture(scope="module")
def served(astronaut: Pixels) -> Pixels:
    return crop(astronaut, FACE)


@pytest.fixture(scope="module")
def wide(astronaut: Pixels) -> Pixels:
    return crop(astronaut, FACE, WIDE_CONTEXT, WIDE_SIZE)


def distance(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    """The mean difference of two pictures, in levels of 255."""
    return float(np.abs(one.astype(np.float64) - other).mean())


def test_a_wide_crop_holds_the_served_one_at_the_same_scale() -> None:
    wider = WIDE_SIZE / SIZE
    assert wider == pytest.approx(WIDE_CONTEXT / CONTEXT)


def test_the_middle_of_a_wide_crop_is_the_served_crop(astronaut: Pixels) -> None:
    # 160 pixels of face fill 224: neither crop is resized, so they agree to the last bit.
    box = Box(150, 100, 250, 260)
    wide = crop(astronaut, box, 1.8, WIDE_SIZE)
    assert np.array_equal(wide[MARGIN:-MARGIN, MARGIN:-MARGIN], crop(astronaut, box, 1.4))


def test_resized_crops_share_their_middle(served: Pixels, wide: Pixels) -> None:
    inner = wide[MARGIN:-MARGIN, MARGIN:-MARGIN]
    assert distance(inner, served) < 3
    assert distance(np.roll(inner, 4, axis=0), served) > 6


def test_a_face_not_found_is_cut_as_the_middle_square_of_the_photo(astronaut: Pixels) -> None:
    tall = astronaut[:, :224]
    assert np.array_equal(crop(tall, middle(tall)), astronaut[144:368, :224])


def test_without_jitter_gives_the_served_crop(wide: Pixels) -> None:
    plain = augment(wide, still(), SIZE)
    assert np.array_equal(plain, wide[MARGIN:-MARGIN, MARGIN:-MARGIN])


def test_mirrors_about_the_middle(wide: Pixels) -> None:
    plain = wide[MARGIN:-MARGIN, MARGIN:-MARGIN]
    mirrored = augment(wide, still(mirror=True), SIZE)
    assert distance(mirrored, plain[:, ::-1]) == 0
    assert distance(mirrored, plain) > 20


@pytest.mark.parametrize("side", [32, 128, 176, SIZE])
def test_gives_a_square_of_bytes_of_the_side_asked_for(wide: Pixels, side: int) -> None:
    before = wide.copy()
    for seed in range(8):
        picture = augment(wide, np.random.default_rng(seed), side)
        assert picture.shape == (side, side, 3)
        assert picture.dtype == np.uint8
    assert np.array_equal(wide, before)


def test_a_side_changes_the_size_alone(wide: Pixels) -> None:
    large = augment(wide, np.random.default_rng(3), SIZE)
    assert np.array_equal(augment(wide, np.random.default_rng(3), 96), resized(large, 96))


def test_one_generator_one_picture(wide: Pixels) -> None:
    pictures = [augment(wide, np.random.default_rng(seed), 96) for seed in (*range(12), 0)]
    assert np.array_equal(pictures[0], pictures[-1])
    for number, picture in enumerate(pictures[:-1]):
        assert all(distance(picture, other) > 1 for other in pictures[:number])


def test_jitter_is_centred_on_the_served_crop(served: Pixels, wide: Pixels) -> None:
    pictures = [augment(wide, np.random.default_rng(seed), SIZE) for seed in range(300)]
    mean = np.mean(pictures, axis=0)
    plain = (served.astype(np.float64) + served[:, ::-1]) / 2
    at = {
        (down, right): distance(np.roll(mean, (down, right), (0, 1))[12:-12, 12:-12], inner)
        for inner in [plain[12:-12, 12:-12]]
        for down in (-4, 0, 4)
        for right in (-4, 0, 4)
    }
    assert min(at, key=at.__getitem__) == (0, 0)
    assert np.corrcoef(mean.ravel(), plain.ravel())[0, 1] > 0.9
    assert mean.mean() == pytest.approx(plain.mean(), abs=5)


def test_mixing_blends_pictures_and_scores_by_the_same_share() -> None:
    shades = np.array([0, 60, 120, 240], np.uint8)
    pictures = np.broadcast_to(shades[:, None, None, None], (4, 8, 8, 3)).copy()
    scores = (shades / 30).astype(np.float32)
    blended, rated = mixed(pictures, scores, 0.5, np.random.default_rng(3))
    assert blended.shape == pictures.shape
    assert blended.dtype == np.uint8
    assert not np.array_equal(rated, scores)
    np.testing.assert_allclose(blended[:, 0, 0, 0] / 30, rated, atol=1.01 / 30)


def test_mixing_by_nothing_changes_nothing(astronaut: Pixels) -> None:
    pictures, scores = astronaut[None], np.ones(1, np.float32)
    blended, rated = mixed(pictures, scores, 0, np.random.default_rng(1))
    assert np.array_equal(blended, pictures)
    assert np.array_equal(rated, scores)
