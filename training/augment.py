"""What photos of one face differ in, and a rating should not: made up anew for every epoch."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.crops import SIZE
from pipeline.pooling import Float
from pipeline.types import Pixels


def augment(wide: Pixels, rng: np.random.Generator, size: int) -> Pixels:
    """A served-like crop of side `size` out of a wide one, uint8 (size, size, 3).

    Jitters what the detector's box jitters (place, scale, roll), mirrors, and varies light,
    colour and resolution.
    """
    picture = _moved(wide, rng)
    if rng.random() < 0.2:
        picture = _coarse(picture, rng)
    picture = _relit(picture, rng)
    if size != SIZE:
        picture = resized(picture, size)
    return picture


def mixed(
    pictures: Pixels, scores: Float, alpha: float, rng: np.random.Generator
) -> tuple[Pixels, Float]:
    """Blends each picture (n, side, side, 3) and its score (n,) with another of the batch.

    The shares are drawn from Beta(alpha, alpha); 0 leaves all as it is. Zhang et al., "mixup:
    Beyond Empirical Risk Minimization", ICLR 2018.
    """
    if alpha == 0:
        return pictures, scores
    other = rng.permutation(len(pictures))
    share = rng.beta(alpha, alpha, len(pictures)).astype(np.float32)
    blend = share[:, None, None, None]
    blended = pictures * blend + pictures[other] * (1 - blend)
    return blended.astype(np.uint8), scores * share + scores[other] * (1 - share)


def resized(picture: Pixels, size: int) -> Pixels:
    """The square picture at another size."""
    return np.asarray(cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def _moved(wide: Pixels, rng: np.random.Generator) -> Pixels:
    middle = (wide.shape[0] - 1) / 2
    turn = cv2.getRotationMatrix2D((middle, middle), rng.normal(0, 5), rng.uniform(0.88, 1.12))
    turn[:, 2] += (SIZE - 1) / 2 - middle + rng.uniform(-0.05, 0.05, 2) * SIZE
    if rng.random() < 0.5:
        turn[0] = [-turn[0, 0], -turn[0, 1], SIZE - 1 - turn[0, 2]]
    moved = cv2.warpAffine(
        wide, turn, (SIZE, SIZE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(moved, np.uint8)


def _coarse(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """As a small face in a large photo comes out of the crop."""
    small = resized(picture, int(rng.integers(48, 160)))
    up = cv2.resize(small, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
    return np.asarray(up, np.uint8)


def _relit(picture: Pixels, rng: np.random.Generator) -> Pixels:
    light = picture.astype(np.float32)
    grey = light.mean(axis=2, keepdims=True)
    saturation = 0.0 if rng.random() < 0.05 else rng.uniform(0.75, 1.25)
    light = grey + (light - grey) * np.float32(saturation)
    light = (light - 127.5) * np.float32(rng.uniform(0.8, 1.2)) + 127.5
    light += np.float32(rng.uniform(-25, 25)) + rng.uniform(-8, 8, 3).astype(np.float32)
    return np.asarray(np.clip(light, 0, 255), np.uint8)
