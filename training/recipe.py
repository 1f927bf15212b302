"""How a scorer is trained: every choice, with its default."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """One training run. Two runs of one recipe on one machine give the same weights."""

    sizes: tuple[tuple[int, int], ...] = ((128, 10), (176, 6), (224, 6))
    """(side of the crops in pixels, epochs), coarse to fine; the last is the size that serves."""
    batch: int = 32
    learning_rate: float = 4e-4
    """The peak of a one-cycle schedule."""
    weight_decay: float = 0.02
    ema: float = 0.99
    """Decay, a step, of the averaged weights, which are validated beside the latest."""
    label_spread: float = 0.7
    """Standard deviation, in points, of the distribution that stands for a mean rating."""
    expectation_weight: float = 1.0
    """Weight of the error of the distribution's mean, beside the divergence of its shape."""
    mixup: float = 0.0
    """How much pictures are blended with each other: the parameter of the Beta distribution."""
    validation: float = 0.1
    """Share of the training part that chooses the epoch and is not trained on."""
    seed: int = 1

    @property
    def epochs(self) -> list[int]:
        """The side of the crops in each epoch."""
        return [side for side, count in self.sizes for _ in range(count)]


def parse_sizes(text: str) -> tuple[tuple[int, int], ...]:
    """`128:10,224:6` as ((128, 10), (224, 6))."""
    pairs = (part.split(":") for part in text.split(","))
    return tuple((int(side), int(count)) for side, count in pairs)
