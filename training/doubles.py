"""Finds photos that are there twice: the same picture, mirrored, resized or compressed anew.

Candidates have perceptual hashes (pHash: Zauner, "Implementation and Benchmarking of Perceptual
Image Hash Functions", 2010) that are close, of the whole photo or of the crop. Portraits on a plain
ground have close hashes too, so a candidate counts only if its two faces, laid on one another,
agree in detail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import cv2
import imagehash
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps
from tqdm import tqdm

from pipeline.types import Pixels
from training.views import VIEW

HASH_SIZE = 16
BITS = HASH_SIZE**2
PHOTO_LIMIT, CROP_LIMIT = 40, 64
"""Bits of 256 that may differ. Copies of a whole photo differ in 20 at most; of one whose margins
were cut away only the crops are alike, and the detector does not put its box in quite the same
place: this finds about four of five."""
LIKENESS = 0.9
"""From where two faces count as one picture. Among 7,489 portraits, the likest two of different
people had 0.89; mirrored, shrunk, brightened and compressed copies have 0.93 or more."""
CHUNK = 256
FACE_SIDE = 80
"""Pixels of a face's box at which two faces are compared: what copies keep, and nothing finer."""
SIDE = round(FACE_SIDE * VIEW.context)
_EDGE = round((SIDE - 0.56 * FACE_SIDE) / 2)
MIDDLE = slice(_EDGE, SIDE - _EDGE)
"""Eyes to mouth: the outline of an oval mask, which many portraits share, is not to count."""

Grey = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Double:
    """Two crops of one picture: their rows, and how like they are, up to 1."""

    one: int
    other: int
    mirrored: bool
    likeness: float


def fingerprint(pixels: Pixels) -> bytes:
    """pHash of a picture and of its mirror image: 32 bytes each."""
    image = Image.fromarray(pixels).convert("L")
    hashes = (imagehash.phash(turned, HASH_SIZE).hash for turned in (image, ImageOps.mirror(image)))
    return b"".join(np.packbits(bits).tobytes() for bits in hashes)


def near(fingerprints: Sequence[bytes], limit: int) -> set[tuple[int, int, bool]]:
    """Pairs (one, other, mirrored), one before other, whose hashes differ in at most `limit` bits.

    Compares all with all: a second or two for 7,500.
    """
    words = np.frombuffer(b"".join(fingerprints), np.uint64).reshape(len(fingerprints), 2, -1)
    found: set[tuple[int, int, bool]] = set()
    for start in range(0, len(words), CHUNK):
        ones = words[start : start + CHUNK, None, 0]
        for mirrored in (False, True):
            apart = np.bitwise_count(ones ^ words[None, start:, int(mirrored)]).sum(axis=2)
            for row, column in np.argwhere(np.triu(apart <= limit, k=1)).tolist():
                found.add((start + row, start + column, mirrored))
    return found


def likeness(one: Pixels, other: Pixels) -> float:
    """How well two crops' faces agree in detail when one is laid on the other, from -1 to 1.

    The affine map is the one that maximises the enhanced correlation coefficient (Evangelidis,
    Psarakis, PAMI 2008); compared are the middles of both, band-passed, by normalised correlation.
    """
    if np.array_equal(one, other):
        return 1.0
    still, moving = _grey(one), _grey(other)
    warp = np.eye(2, 3, dtype=np.float32)
    enough = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-3)
    try:
        _, found = cv2.findTransformECC(
            still, moving, warp, cv2.MOTION_AFFINE, enough, np.full((SIDE, SIDE), 255, np.uint8), 5
        )
    except cv2.error:
        # Too unlike, or too plain, for any map: compared as they are.
        found = np.eye(2, 3, dtype=np.float32)
    moved = cv2.warpAffine(
        moving, found, (SIDE, SIDE),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return _correlation(
        _detail(still)[MIDDLE, MIDDLE], _detail(np.asarray(moved, np.float32))[MIDDLE, MIDDLE]
    )


def find_doubles(crops: Pixels, photos: Sequence[bytes]) -> list[Double]:
    """Every two of the crops, RGB uint8 (n, side, side, 3), that show one picture; likest first.

    `photos` are the fingerprints of the photos that the crops were cut from.
    """
    prints = [
        fingerprint(crop) for crop in tqdm(crops, unit="crop", desc="fingerprints", disable=None)
    ]
    candidates = sorted(near(photos, PHOTO_LIMIT) | near(prints, CROP_LIMIT))
    best: dict[tuple[int, int], Double] = {}
    for one, other, mirrored in tqdm(candidates, unit="pair", desc="doubles", disable=None):
        turned = crops[other][:, ::-1] if mirrored else crops[other]
        double = Double(one, other, mirrored, likeness(crops[one], turned))
        known = best.get((one, other))
        if double.likeness >= LIKENESS and (known is None or known.likeness < double.likeness):
            best[one, other] = double
    return sorted(best.values(), key=lambda double: (-double.likeness, double.one, double.other))


def clusters(doubles: Sequence[Double]) -> int:
    """How many pictures the doubles are of: three copies of one picture are three doubles."""
    leader = {row: row for row in chain.from_iterable((d.one, d.other) for d in doubles)}

    def top(row: int) -> int:
        while leader[row] != row:
            row = leader[row]
        return row

    for double in doubles:
        leader[top(double.other)] = top(double.one)
    return len({top(row) for row in leader})


def _grey(crop: Pixels) -> Grey:
    small = cv2.resize(
        cv2.cvtColor(np.ascontiguousarray(crop), cv2.COLOR_RGB2GRAY),
        (SIDE, SIDE),
        interpolation=cv2.INTER_AREA,
    )
    return np.asarray(small, np.float32)


def _detail(grey: Grey) -> Grey:
    """Without what is finer than compression leaves, and without the light, which is coarser."""
    coarse = cv2.GaussianBlur(grey, (0, 0), 4.0)
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), 1.0) - coarse, np.float32)


def _correlation(one: Grey, other: Grey) -> float:
    one, other = one - one.mean(), other - other.mean()
    size = float(np.linalg.norm(one) * np.linalg.norm(other))
    return float((one * other).sum()) / size if size > 1e-3 else 0.0
