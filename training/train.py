"""Trains a scorer on a folder of crops; goes on where it was interrupted.

    python -m training.train runs/scut --init ../shared/data/init/resnet34.safetensors \\
        --out runs/resnet34-1

Curves: `tensorboard --logdir runs`. The epoch that serves is the best of the last size on a
validation part cut from the training part; the test part is not looked at.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.tensorboard import SummaryWriter
from torchvision.models import ResNet34_Weights
from tqdm import tqdm

from pipeline.network import RatingNet
from pipeline.types import Pixels
from training.augment import resized
from training.crop_set import CropSet, batches
from training.metrics import SCUT_STEP, metrics
from training.ratings import hold_out
from training.recipe import Recipe, parse_sizes

TORCHVISION = "torchvision"
"""As --init: torchvision's ImageNet weights, where they can be downloaded."""


def loss_of(net: RatingNet, logits: Tensor, rated: Tensor, recipe: Recipe) -> Tensor:
    """Divergence from the label distribution plus the error of the mean (DLDL-v2)."""
    distance = (net.bins[None] - rated[:, None]) / recipe.label_spread
    label = torch.softmax(-(distance**2) / 2, dim=1)
    divergence = functional.kl_div(
        torch.log_softmax(logits.float(), dim=1), label, reduction="batchmean"
    )
    return divergence + recipe.expectation_weight * functional.l1_loss(
        net.expectation(logits), rated
    )


def rate(net: torch.nn.Module, crops: Pixels, side: int, device: torch.device) -> Any:
    """Scores of served crops (n, size, size, 3) at another side, float32 (n,)."""
    net.eval()
    scores = []
    with torch.inference_mode(), precision(device):
        for start in range(0, len(crops), 64):
            chunk = crops[start : start + 64]
            if chunk.shape[1] != side:
                chunk = np.stack([resized(crop, side) for crop in chunk])
            scores.append(net(torch.from_numpy(np.array(chunk)).to(device)).float().cpu())
    return torch.cat(scores).numpy()


def precision(device: torch.device) -> torch.autocast:
    """bfloat16 where the processor multiplies it, float32 elsewhere."""
    capable = device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=capable)


def starting_weights(init: Path) -> dict[str, Tensor]:
    """A ResNet-34's weights in float32, without a head, from a file or from torchvision's hub."""
    if str(init) == TORCHVISION:
        weights = dict(ResNet34_Weights.IMAGENET1K_V1.get_state_dict(progress=True))
    else:
        weights = load_file(init)
    # ImageNet's head is of no use here.
    return {k: v.float() for k, v in weights.items() if not k.startswith("fc.")}


class Run:
    """The state of a training run, which a checkpoint holds whole."""

    def __init__(self, recipe: Recipe, steps: int, init: Path, device: torch.device) -> None:
        torch.manual_seed(recipe.seed)
        self.net = RatingNet()
        missing, unexpected = self.net.backbone.load_state_dict(
            starting_weights(init), strict=False
        )
        if unexpected or set(missing) != {"fc.weight", "fc.bias"}:
            raise SystemExit(f"{init} is not a ResNet-34: {missing=} {unexpected=}")
        self.net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        average = get_ema_multi_avg_fn(recipe.ema)  # type: ignore[no-untyped-call]
        self.average = AveragedModel(self.net, multi_avg_fn=average, use_buffers=True)
        self.optimizer = torch.optim.AdamW(
            self.net.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, recipe.learning_rate, total_steps=steps, pct_start=0.2
        )
        self.epoch = 0
        self.best = -1.0

    def state(self) -> dict[str, Any]:
        """All that it takes to go on."""
        parts = ("net", "average", "optimizer", "schedule")
        state = {part: getattr(self, part).state_dict() for part in parts}
        return {**state, "epoch": self.epoch, "best": self.best}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint's state."""
        for part in ("net", "average", "optimizer", "schedule"):
            getattr(self, part).load_state_dict(state[part])
        self.epoch, self.best = state["epoch"], state["best"]


def train_epoch(
    run: Run, recipe: Recipe, batched: Iterator[tuple[Tensor, Tensor]], total: int, side: int
) -> float:
    """One pass over the training part; the mean loss."""
    device = next(run.net.parameters()).device
    run.net.train()
    losses = []
    title = f"epoch {run.epoch + 1}, {side} px"
    progress = tqdm(batched, total=total, unit="batch", desc=title, disable=None)
    for crops, rated in progress:
        with precision(device):
            logits = run.net.logits(crops.to(device))
        loss = loss_of(run.net, logits, rated.to(device), recipe)
        run.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        run.optimizer.step()
        run.schedule.step()
        run.average.update_parameters(run.net)
        losses.append(loss.item())
        if not np.isfinite(losses[-1]):
            raise SystemExit("the loss is no longer a number: try a lower --learning-rate")
        progress.set_postfix(loss=f"{np.mean(losses):.4f}")
    return float(np.mean(losses))


def keep(net: torch.nn.Module, out: Path, recipe: Recipe, init: Path, epoch: str) -> None:
    """Write the best weights so far, with what led to them."""
    weights = {name: tensor.contiguous() for name, tensor in net.state_dict().items()}
    told = {"epoch": epoch, "init": init.name, "recipe": json.dumps(asdict(recipe))}
    save_file(weights, out / "best.safetensors", told)


def train(crops: CropSet, recipe: Recipe, init: Path, out: Path, device: torch.device) -> None:
    """Train by the recipe; leaves `best.safetensors`, `checkpoint.pt` and curves in `out`."""
    out.mkdir(parents=True, exist_ok=True)
    training, validation = hold_out(crops.examples, recipe.validation, recipe.seed)
    steps = -(-len(training) // recipe.batch)
    run = Run(recipe, steps * len(recipe.epochs), init, device)
    checkpoint = out / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, map_location=device, weights_only=True)
        if saved["recipe"] != json.dumps(asdict(recipe)):
            raise SystemExit(f"{checkpoint} is of another recipe; choose another --out")
        run.restore(saved["run"])
        print(f"goes on after epoch {run.epoch}")
    held_out, rated = crops.served[validation], crops.scores[validation]
    last_side = recipe.epochs[-1]
    with SummaryWriter(str(out)) as curves:
        for epoch in range(run.epoch, len(recipe.epochs)):
            side = recipe.epochs[epoch]
            batched = batches(crops, training, recipe, epoch, side)
            loss = train_epoch(run, recipe, batched, steps, side)
            run.epoch = epoch + 1
            curves.add_scalar("loss", loss, run.epoch)
            for weights, net in (("latest", run.net), ("averaged", run.average.module)):
                figures = metrics(rate(net, held_out, side, device), rated, SCUT_STEP)
                print(f"epoch {run.epoch}, {weights}: {figures}, loss {loss:.4f}", flush=True)
                for name, figure in figures.items():
                    curves.add_scalar(f"validation {weights}/{name}", figure, run.epoch)
                if side == last_side and figures["pc"] > run.best:
                    run.best = figures["pc"]
                    keep(net, out, recipe, init, f"{run.epoch}, {weights} weights")
            partial = checkpoint.with_suffix(".part")
            torch.save({"run": run.state(), "recipe": json.dumps(asdict(recipe))}, partial)
            partial.replace(checkpoint)


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("crops", type=Path, help="what training.crops wrote")
    parser.add_argument(
        "--init", type=Path, required=True, help=f"a ResNet-34 as safetensors, or {TORCHVISION}"
    )
    parser.add_argument("--out", type=Path, required=True, help="checkpoint, curves, weights")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    for field in fields(Recipe):
        kind: Any = parse_sizes if field.name == "sizes" else type(field.default)
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=kind, default=field.default)
    arguments = vars(parser.parse_args())
    choices = {field.name: arguments[field.name] for field in fields(Recipe)}
    recipe = replace(Recipe(), **choices)
    train(
        CropSet.open(arguments["crops"]),
        recipe,
        arguments["init"],
        arguments["out"],
        torch.device(arguments["device"]),
    )


if __name__ == "__main__":
    main()
