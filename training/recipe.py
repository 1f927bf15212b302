"""How a scorer is trained: every choice, with its default."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

BASES = ("resnet18", "resnet34", "resnet50")
LOSSES = ("distribution", "expectation")


def choice(default: Any, why: str, among: tuple[str, ...] = ()) -> Any:
    """A dataclass field with its default, what it is for, and what it may be."""
    return field(default=default, metadata={"why": why, "among": among})


@dataclass(frozen=True)
class Recipe:
    """One training run. Two runs of one recipe on one machine give the same weights."""

    protocol: str = choice("split", "what is trained on: split, fold-1 …, or all")
    sets: tuple[str, ...] = choice((), "the sets to train on, comma-separated; all by default")
    base: str = choice("resnet34", "the network, one of torchvision's", BASES)
    sizes: tuple[tuple[int, int], ...] = choice(
        ((128, 6), (192, 8)),
        "SIDE:EPOCHS,…: sides of the crops in pixels, coarse to fine; the last one serves",
    )
    batch: int = choice(32, "crops a step")
    learning_rate: float = choice(4e-4, "the peak of a one-cycle schedule")
    weight_decay: float = choice(0.02, "of AdamW")
    ema: float = choice(0.99, "decay, a step, of the averaged weights, which are what is kept")
    loss: str = choice(
        "distribution",
        "distribution: its shape and its mean (DLDL-v2); expectation: its mean alone, no spread",
        LOSSES,
    )
    label_spread: float = choice(0.7, "points that the label distribution is wide (deviation)")
    expectation_weight: float = choice(1.0, "weight of the mean's error beside the shape's")
    stochastic_depth: float = choice(
        0.5, "chance that a step goes around an inner block of the network (0 to 0.8)"
    )
    augmentation: float = choice(1.0, "strength of the jitter of place, light and colour; 0: none")
    mixup: float = choice(0.0, "blends pictures: the parameter of the Beta distribution")
    validation: float = choice(
        0.05, "share of the training part that is held out: for the curves and the spread"
    )
    seed: int = choice(1, "of everything random")

    def __post_init__(self) -> None:
        """Raises ValueError for choices that no run can be made of."""
        if self.batch < 1:
            raise ValueError(f"a batch of {self.batch} crops cannot be")
        if min(min(pair) for pair in self.sizes) < 1:
            raise ValueError(f"sizes of {as_text(self.sizes)}: a side or a count is under 1")

    @property
    def size(self) -> int:
        """The side of the crops that the network is trained for in the end, and serves."""
        return self.epochs[-1]

    @property
    def epochs(self) -> list[int]:
        """The side of the crops in each epoch."""
        return [side for side, count in self.sizes for _ in range(count)]

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """What `to_json` wrote. Choices that it does not know took their default then."""
        told = json.loads(text)
        told["sizes"] = tuple((side, count) for side, count in told["sizes"])
        told["sets"] = tuple(told.get("sets", ()))
        return cls(**{f.name: told[f.name] for f in fields(cls) if f.name in told})

    def to_json(self) -> str:
        """As one line of JSON."""
        return json.dumps(asdict(self))


def as_text(value: Any) -> str:
    """A choice as the command line takes it: `128:6,192:8`."""
    if isinstance(value, tuple):
        return ",".join(":".join(map(str, it)) if isinstance(it, tuple) else it for it in value)
    return str(value)


def parse_sizes(text: str) -> tuple[tuple[int, int], ...]:
    """`128:10,224:6` as ((128, 10), (224, 6))."""
    pairs = (part.split(":") for part in text.split(","))
    return tuple((int(side), int(count)) for side, count in pairs)


def parse_sets(text: str) -> tuple[str, ...]:
    """`one,other` as ("one", "other")."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def parse_threads(text: str) -> int:
    """A number of threads; of at least one."""
    threads = int(text)
    if threads < 1:
        raise ValueError(f"{threads} threads do nothing")
    return threads
