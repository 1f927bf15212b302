"""Damaged photos by number: the same number is always the same photo.

python -m tests.hostile.fuzzer 4711 > mutant     # to look at one
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from random import Random

import numpy as np
import skimage.data

from pipeline.types import Pixels
from tests.hostile.bombs import small
from tests.hostile.mutations import ALL
from tests.hostile.seeds import seeds, synthetic


@dataclass(frozen=True)
class Mutant:
    """A photo that was damaged, and how."""

    name: str
    data: bytes


def _face() -> Pixels:
    astronaut: Pixels = skimage.data.astronaut()  # type: ignore[no-untyped-call]
    return np.ascontiguousarray(astronaut[30:210:2, 150:300:2])


def seed_photo() -> bytes:
    """A sound JPEG of a face."""
    return seeds(_face())["jpeg"]


@cache
def _seeds() -> dict[str, bytes]:
    """A face, and a picture of nothing, in every kind of file."""
    face = _face()
    # The face twice, for it is what goes on to the scorer.
    named = {"face": seeds(face), "face again": seeds(face), "nothing": seeds(synthetic())}
    return {
        f"{kind} of {name}": file for name, files in named.items() for kind, file in files.items()
    }


def mutant(number: int) -> Mutant:
    """The damaged photo of that number."""
    dice = Random(number)
    if number % 20 == 0:
        return Mutant("a bomb", small(dice))
    photos = _seeds()
    name = dice.choice(list(photos))
    other = dice.choice(list(photos.values()))
    change = dice.choice(ALL)
    return Mutant(f"{change.__name__.strip('_')} on {name}", change(dice, photos[name], other))


if __name__ == "__main__":
    sys.stdout.buffer.write(mutant(int(sys.argv[1])).data)
