"""The rating network in PyTorch. Only the torch engine and `training/` import this module."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchvision.models import get_model

LOWEST, HIGHEST, STEP = 1.0, 10.0, 0.25
"""The scores that the head's bins stand for."""
LEAST_SPREAD = 0.15
"""In points, before the gain: no photo is so plain that the distribution's own noise is less."""


@dataclass(frozen=True)
class SpreadLaw:
    """How the head's distribution tells the standard deviation of the score's error.

    The head learns label distributions that are `label` points wide around each rating; what its
    distribution is wider than that is doubt. `gain` makes the doubt fit the errors on photos that
    were held out.
    """

    label: float = 0.7
    gain: float = 1.0


class RatingNet(nn.Module):
    """torchvision's ResNet-34 whose head gives a distribution of scores; its mean is the rating.

    Gao et al., "Learning Expectation of Label Distribution for Facial Age and Attractiveness
    Estimation", arXiv:2007.01771, 2020. `base` may name another ResNet of torchvision's.
    """

    bins: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, base: str = "resnet34", spread: SpreadLaw | None = None) -> None:
        super().__init__()
        bins = torch.arange(LOWEST, HIGHEST + STEP / 2, STEP)
        self.backbone = get_model(base, weights=None, num_classes=len(bins))
        self.spread = spread or SpreadLaw()
        self.register_buffer("bins", bins, persistent=False)
        # ImageNet's, which the starting weights expect
        mean, deviation = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
        self.register_buffer("mean", 255 * mean, persistent=False)
        self.register_buffer("deviation", 255 * deviation, persistent=False)

    def logits(self, crops: Tensor) -> Tensor:
        """`crops`, uint8 (n, side, side, 3), to logits (n, bins)."""
        pixels = (crops.to(self.mean.dtype) - self.mean) / self.deviation
        logits: Tensor = self.backbone(pixels.permute(0, 3, 1, 2))
        return logits

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """`crops`, uint8 (n, side, side, 3), to scores from 1 to 10 and spreads, float32 (n,)."""
        return self.read(self.logits(crops))

    def read(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (n, bins) to scores, 1 to 10, and spreads above 0, both in points, (n,)."""
        shares = torch.softmax(logits.float(), dim=1)
        scores = (shares * self.bins).sum(dim=1)
        variance = (shares * (self.bins - scores[:, None]) ** 2).sum(dim=1)
        doubt = torch.clamp(variance - self.spread.label**2, min=LEAST_SPREAD**2)
        return scores, self.spread.gain * torch.sqrt(doubt)

    def expectation(self, logits: Tensor) -> Tensor:
        """Logits (n, bins) to the mean of their distribution, a score from 1 to 10, (n,)."""
        return self.read(logits)[0]

    def load_master(self, weights: Mapping[str, Tensor]) -> None:
        """Take the weights of a model's float16 master."""
        self.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
