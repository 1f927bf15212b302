"""Stochastic depth: a step goes around some blocks of a ResNet, at random.

Huang, Sun, Liu, Sedra, Weinberger, "Deep Networks with Stochastic Depth", ECCV 2016. Here the
first and last block of each layer always run, and the inner ones share one chance: in the
starting weights of a widened network they begin as the identity. It is a regulariser, and a step
that goes around a block does not pay for it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck, ResNet


def make_depth_stochastic(backbone: ResNet, chance: float) -> None:
    """Let training steps go around each inner block with that chance; inference runs them all."""
    if not 0 <= chance <= 0.8:
        raise ValueError(f"a stochastic depth of {chance} is not from 0 to 0.8")
    if chance == 0:
        return
    for layer in (backbone.layer1, backbone.layer2, backbone.layer3, backbone.layer4):
        for block in list(layer)[1:-1]:
            last = block.bn3 if isinstance(block, Bottleneck) else block.bn2
            # What runs is weighed up, so that inference meets the mean that training made.
            last.register_forward_hook(_weighed_up(1 / (1 - chance)))
            block.forward = _at_random(block, chance)


def _weighed_up(factor: float) -> Any:
    def hook(module: nn.Module, _inputs: Any, output: Tensor) -> Tensor | None:
        return output * factor if module.training else None

    return hook


def _at_random(block: nn.Module, chance: float) -> Any:
    whole = block.forward

    def forward(x: Tensor) -> Any:
        if block.training and torch.rand(()).item() < chance:
            return x
        return whole(x)

    return forward
