"""The state of a training run, its loss, and one epoch of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torchvision.models import get_model_weights

from pipeline.network import RatingNet, SpreadLaw
from pipeline.types import Pixels
from training.depth import make_depth_stochastic
from training.recipe import Recipe

TORCHVISION = "torchvision"
"""As --init: torchvision's ImageNet weights, where they can be downloaded."""
BACKBONE = "backbone."
"""What the names in a scorer's master begin with."""
Tensors = tuple[Tensor, ...] | list[Tensor]


class Progress(Protocol):
    """What shows how far an epoch is."""

    def step(self, side: int, loss: float) -> None:
        """A batch of that side went through; the epoch's mean loss so far."""


class Run:
    """A training run between two epochs, which a checkpoint holds whole."""

    def __init__(self, recipe: Recipe, steps: int, init: Path, device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.net = RatingNet(recipe.base, SpreadLaw(recipe.label_spread))
        start_from(self.net.backbone, starting_weights(init, recipe.base), init, recipe.base)
        self.net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = AveragedModel(self.net, multi_avg_fn=averaging(recipe.ema), use_buffers=True)
        # After the average was copied from it, which is to run every block.
        make_depth_stochastic(self.net.backbone, recipe.stochastic_depth)
        self.optimizer = torch.optim.AdamW(
            self.net.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        # Of five steps, torch would divide by the length of the first fifth less one: nought.
        rising = 0.2 if steps != 5 else 0.25
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, recipe.learning_rate, total_steps=steps, pct_start=rising
        )
        self.device = device
        self.epoch = 0

    def state(self) -> dict[str, Any]:
        """All that it takes to go on."""
        parts = ("net", "average", "optimizer", "schedule")
        return {**{part: getattr(self, part).state_dict() for part in parts}, "epoch": self.epoch}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint's state."""
        for part in ("net", "average", "optimizer", "schedule"):
            getattr(self, part).load_state_dict(state[part])
        self.epoch = state["epoch"]

    def train_epoch(self, batches: Iterator[tuple[Tensor, Tensor]], progress: Progress) -> float:
        """One pass over the training part; the mean loss."""
        self.net.train()
        # A run that was interrupted draws what it would have drawn.
        torch.manual_seed(self.recipe.seed + 1000 * (self.epoch + 1))
        side = self.recipe.epochs[self.epoch]
        losses = []
        for crops, rated in batches:
            with precision(self.device):
                logits = self.net.logits(crops.to(self.device))
            loss = loss_of(self.net, logits, rated.to(self.device), self.recipe)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            self.schedule.step()
            self.average.update_parameters(self.net)
            losses.append(loss.item())
            if not np.isfinite(losses[-1]):
                raise SystemExit("the loss is no longer a number: try a lower --learning-rate")
            progress.step(side, float(np.mean(losses)))
        self.epoch += 1
        return float(np.mean(losses))


def averaging(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """An exponential average that is not longer than a run: its decay rises to `decay`.

    With 0.99 throughout, three quarters of what 28 steps leave would be the weights that the
    first one made. Raises ValueError for a decay that is not from 0 to 1.
    """
    get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]

    def update(average: Tensors, current: Tensors, count: Tensor | int) -> None:
        done = int(count)
        rising = min(decay, (1 + done) / (10 + done))
        get_ema_multi_avg_fn(rising)(average, current, count)  # type: ignore[no-untyped-call]

    return update


def loss_of(net: RatingNet, logits: Tensor, rated: Tensor, recipe: Recipe) -> Tensor:
    """Divergence from the label distribution plus the error of the mean (DLDL-v2)."""
    error = functional.l1_loss(net.expectation(logits), rated)
    if recipe.loss == "expectation":
        return error
    distance = (net.bins[None] - rated[:, None]) / recipe.label_spread
    label = torch.softmax(-(distance**2) / 2, dim=1)
    divergence = functional.kl_div(
        torch.log_softmax(logits.float(), dim=1), label, reduction="batchmean"
    )
    return divergence + recipe.expectation_weight * error


def rate(net: torch.nn.Module, crops: Pixels, device: torch.device) -> Any:
    """Scores and spreads of crops (n, size, size, 3), float32 (2, n)."""
    net.eval()
    rated = []
    with torch.inference_mode(), precision(device):
        for start in range(0, len(crops), 64):
            scores, spreads = net(torch.from_numpy(crops[start : start + 64]).to(device))
            rated.append(torch.stack([scores, spreads]).float().cpu())
    return torch.cat(rated, dim=1).numpy()


def precision(device: torch.device) -> torch.autocast:
    """bfloat16 where the processor multiplies it, float32 elsewhere."""
    capable = device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=capable)


def starting_weights(init: Path, base: str) -> dict[str, Tensor]:
    """A backbone's weights in float32, from a file or from torchvision's hub.

    Without a head, unless they are a scorer's master. Raises SystemExit for a file that holds none.
    """
    if str(init) == TORCHVISION:
        weights = dict(get_model_weights(base)["IMAGENET1K_V1"].get_state_dict(progress=True))
    else:
        try:
            weights = load_file(init)
        except SafetensorError as error:
            raise SystemExit(f"{init} holds no safetensors: {error}") from error
    if any(name.startswith(BACKBONE) for name in weights):
        return {name.removeprefix(BACKBONE): it.float() for name, it in weights.items()}
    # ImageNet's head is of no use here.
    return {k: v.float() for k, v in weights.items() if not k.startswith("fc.")}


def start_from(net: torch.nn.Module, weights: dict[str, Tensor], init: Path, base: str) -> None:
    """Load the weights; the head's may be missing. Raises SystemExit for another network's."""
    shapes, given = (
        {name: it.shape for name, it in its.items() if not name.endswith("num_batches_tracked")}
        for its in (net.state_dict(), weights)
    )
    odd = sorted(
        name
        for name in shapes.keys() | given.keys()
        if given.get(name) != shapes.get(name) and (name in given or not name.startswith("fc."))
    )
    if odd:
        raise SystemExit(
            f"{init} is not a {base}: of its tensors {len(odd)} do not fit, as {odd[0]}"
        )
    net.load_state_dict(weights, strict=False)


def named(init: Path) -> str:
    """What a card calls the weights: the file of all masters has one name."""
    master = init.name == "master.safetensors"
    return f"{init.resolve().parent.name}/{init.name}" if master else init.name
