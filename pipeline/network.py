"""The rating network in PyTorch. Only the torch engine and `training/` import this module."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torchvision.models import resnet34

LOWEST, HIGHEST, STEP = 1.0, 10.0, 0.25
"""The scores that the head's bins stand for."""


class RatingNet(nn.Module):
    """torchvision's ResNet-34 whose head gives a distribution of scores; its mean is the rating.

    Gao et al., "Learning Expectation of Label Distribution for Facial Age and Attractiveness
    Estimation", arXiv:2007.01771, 2020.
    """

    bins: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        bins = torch.arange(LOWEST, HIGHEST + STEP / 2, STEP)
        self.backbone = resnet34(num_classes=len(bins))
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

    def forward(self, crops: Tensor) -> Tensor:
        """`crops`, uint8 (n, side, side, 3), to scores from 1 to 10, float32 (n,)."""
        return self.expectation(self.logits(crops))

    def expectation(self, logits: Tensor) -> Tensor:
        """Logits (n, bins) to the mean of their distribution, a score from 1 to 10, (n,)."""
        return (torch.softmax(logits.float(), dim=1) * self.bins).sum(dim=1)

    def load_master(self, weights: Mapping[str, Tensor]) -> None:
        """Take the weights of a model's float16 master."""
        self.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
