"""The crops that training makes up, beside those that the service cuts."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from pipeline.crops import crop
from pipeline.types import Box, Pixels
from training.augment import augment, mixed, resized
from training.crop_set import CropSet, batches
from training.crops import middle
from training.ratings import Example
from training.recipe import Recipe
from training.views import VIEW, WIDE

FACE = Box(180, 60, 280, 180)
SIZE = VIEW.size
MARGIN = (WIDE.size - SIZE) // 2


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
    return crop(astronaut, FACE, VIEW)


@pytest.fixture(scope="module")
def wide(astronaut: Pixels) -> Pixels:
    return crop(astronaut, FACE, WIDE)


def distance(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    """The mean difference of two pictures, in levels of 255."""
    return float(np.abs(one.astype(np.float64) - other).mean())


def test_a_wide_crop_holds_the_served_one_at_the_same_scale() -> None:
    assert WIDE.size / VIEW.size == pytest.approx(WIDE.context / VIEW.context)


def test_the_middle_of_a_wide_crop_is_the_served_crop(astronaut: Pixels) -> None:
    # Neither crop is resized, so they agree to the last bit.
    box = Box(150, 100, 250, 100 + SIZE / VIEW.context)
    wide = crop(astronaut, box, WIDE)
    assert np.array_equal(wide[MARGIN:-MARGIN, MARGIN:-MARGIN], crop(astronaut, box, VIEW))


def test_resized_crops_share_their_middle(served: Pixels, wide: Pixels) -> None:
    inner = wide[MARGIN:-MARGIN, MARGIN:-MARGIN]
    # Each is cut on whole pixels of the photo, about two of the crop's.
    assert distance(inner, served) < 6
    assert distance(np.roll(inner, 4, axis=0), served) > 12


def test_a_face_not_found_is_cut_as_the_middle_square_of_the_photo(astronaut: Pixels) -> None:
    tall = astronaut[:, :224]
    assert np.array_equal(crop(tall, middle(tall), VIEW), astronaut[144:368, :224])


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


@pytest.mark.parametrize("seed", range(6))
def test_no_strength_leaves_the_served_crop_maybe_mirrored(wide: Pixels, seed: int) -> None:
    plain = wide[MARGIN:-MARGIN, MARGIN:-MARGIN]
    picture = augment(wide, np.random.default_rng(seed), SIZE, strength=0)
    assert min(distance(picture, plain), distance(picture, plain[:, ::-1])) == 0


def test_more_strength_strays_further(wide: Pixels) -> None:
    plain = wide[MARGIN:-MARGIN, MARGIN:-MARGIN]

    def strays(strength: float) -> float:
        pictures = [
            augment(wide, np.random.default_rng(seed), SIZE, strength) for seed in range(40)
        ]
        return float(
            np.mean([min(distance(p, plain), distance(p, plain[:, ::-1])) for p in pictures])
        )

    assert 2 < strays(0.3) < 0.7 * strays(1.0)


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


def test_an_epoch_shows_every_example_once_and_anew() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (24, 288, 288, 3), np.uint8)
    rated = [Example(Path(f"{number}.jpg"), 1 + number / 4) for number in range(24)]
    crops = CropSet(noise[:, 32:256, 32:256], noise, rated)
    part = list(range(20))

    def epoch(number: int) -> tuple[list[Tensor], list[float]]:
        pairs = list(batches(crops, part, Recipe(batch=8), number, 32))
        return [pictures for pictures, _ in pairs], torch.cat([pair[1] for pair in pairs]).tolist()

    pictures, scores = epoch(0)
    assert [tuple(batch.shape) for batch in pictures] == [(n, 32, 32, 3) for n in (8, 8, 4)]
    assert sorted(scores) == [rated[index].score for index in part]
    again, same_scores = epoch(0)
    assert torch.equal(torch.cat(pictures), torch.cat(again))
    assert scores == same_scores
    following, other_scores = epoch(1)
    assert scores != other_scores
    shown = {picture.numpy().tobytes() for picture in torch.cat(pictures)}
    assert not shown & {picture.numpy().tobytes() for picture in torch.cat(following)}


def test_batches_are_augmented_and_mixed_as_the_recipe_says(wide: Pixels) -> None:
    plain = wide[MARGIN:-MARGIN, MARGIN:-MARGIN]
    rated = [Example(Path(f"{number}.jpg"), 1.0 + number) for number in range(8)]
    crops = CropSet(plain[None].repeat(8, 0), wide[None].repeat(8, 0), rated)
    ((pictures, scores),) = batches(crops, list(range(8)), Recipe(augmentation=0), 0, SIZE)
    for picture in pictures.numpy():
        assert min(distance(picture, plain), distance(picture, plain[:, ::-1])) == 0
    assert sorted(scores.tolist()) == [example.score for example in rated]
    ((_, scores),) = batches(crops, list(range(8)), Recipe(mixup=1.0), 0, 32)
    assert not {round(score, 4) for score in scores.tolist()} <= {it.score for it in rated}
