"""What photos of one face differ in, and a rating should not: made up anew for every epoch."""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.pooling import Float
from pipeline.types import Pixels
from training.views import VIEW

SIZE = VIEW.size


def augment(wide: Pixels, rng: np.random.Generator, size: int, strength: float = 1.0) -> Pixels:
    """A served-like crop of side `size` out of a wide one, uint8 (size, size, 3).

    Jitters what the detector's box jitters (place, scale, roll), mirrors, and varies light,
    colour and resolution, all by `strength`; 0 gives the served crop, maybe mirrored.
    """
    picture = _moved(wide, rng, strength)
    if rng.random() < 0.2 * strength:
        picture = _coarse(picture, rng)
    picture = _relit(picture, rng, strength)
    return resized(picture, size)


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
    """The square picture at that size; itself where it has it."""
    if picture.shape[0] == size:
        return picture
    return np.asarray(cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def _moved(wide: Pixels, rng: np.random.Generator, strength: float) -> Pixels:
    middle = (wide.shape[0] - 1) / 2
    angle, scale = strength * rng.normal(0, 5), 1 + strength * rng.uniform(-0.12, 0.12)
    turn = cv2.getRotationMatrix2D((middle, middle), angle, scale)
    turn[:, 2] += (SIZE - 1) / 2 - middle + strength * rng.uniform(-0.05, 0.05, 2) * SIZE
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


def _relit(picture: Pixels, rng: np.random.Generator, strength: float) -> Pixels:
    light = picture.astype(np.float32)
    grey = light.mean(axis=2, keepdims=True)
    grey_photo = rng.random() < 0.05 * strength
    saturation = 0.0 if grey_photo else 1 + strength * rng.uniform(-0.25, 0.25)
    light = grey + (light - grey) * np.float32(saturation)
    light = (light - 127.5) * np.float32(1 + strength * rng.uniform(-0.2, 0.2)) + 127.5
    light += np.float32(strength * rng.uniform(-25, 25))
    light += np.float32(strength) * rng.uniform(-8, 8, 3).astype(np.float32)
    return np.asarray(np.clip(light, 0, 255), np.uint8)
