"""A folder of crops, and the batches that training makes of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pipeline.types import Pixels
from training.augment import augment, mixed, resized
from training.ratings import Example
from training.recipe import Recipe
from training.views import VIEW


@dataclass(frozen=True, eq=False)
class CropSet:
    """What `crops.cut` wrote: crops as served and wider ones, with their examples."""

    served: Pixels
    wide: Pixels
    examples: list[Example]
    context: float = VIEW.context
    """Of the served crops, as of a `View`."""

    @classmethod
    def open(cls, folder: Path) -> CropSet:
        """Map the folder's arrays into memory."""
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        rows = index["examples"]
        served, wide = (
            np.load(folder / f"{name}.npy", mmap_mode="r")[: len(rows)]
            for name in ("served", "wide")
        )
        examples = [Example(**{**row, "image": Path(row["image"])}) for row in rows]
        return cls(served, wide, examples, index["context"])

    def seen(self, rows: Sequence[int], size: int) -> Pixels:
        """The served crops of those rows at a scorer's size, uint8 (rows, size, size, 3)."""
        return np.stack([resized(self.served[row], size) for row in rows])

    @property
    def digest(self) -> str:
        """The sha256 of whose crops these are, in their order, and of how they were rated."""
        rows = [{**asdict(example), "image": str(example.image)} for example in self.examples]
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()

    @property
    def scores(self) -> npt.NDArray[np.float32]:
        """What the panels said, on the scale from 1 to 10, (n,)."""
        return np.array([example.score for example in self.examples], dtype=np.float32)


def batches(
    crops: CropSet, indices: list[int], recipe: Recipe, epoch: int, side: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """The epoch's batches of augmented crops and scores; each is made while the last one trains."""
    order = np.random.default_rng([recipe.seed, epoch]).permutation(indices)
    chunks = [order[i : i + recipe.batch] for i in range(0, len(order), recipe.batch)]
    scores = crops.scores

    def make(chunk: npt.NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        pictures = [
            augment(
                crops.wide[i],
                np.random.default_rng([recipe.seed, epoch, int(i)]),
                side,
                recipe.augmentation,
            )
            for i in chunk
        ]
        rng = np.random.default_rng([recipe.seed, epoch, len(scores), int(chunk[0])])
        blended, rated = mixed(np.stack(pictures), scores[chunk], recipe.mixup, rng)
        return torch.from_numpy(blended), torch.from_numpy(rated)

    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(make, chunks[0])
        for chunk in [*chunks[1:], None]:
            batch = following.result()
            if chunk is not None:
                following = pool.submit(make, chunk)
            yield batch
