"""Writes a trained network as a model: graphs that serve, its master, and a card.

    python -m training export runs/resnet34-2 --crops runs/both --out models/resnet34-2 --lean

`int8.onnx` serves on CPUs, `fp32.onnx` is the same graph unquantised, `program.pt2` is a
torch.export program for engines that take one, `master.safetensors` holds the weights in float16.
Each is checked against PyTorch on real crops, and nothing is written unless all of them pass.
`--lean` keeps what the service needs: the int8 graph and the master.
"""

from __future__ import annotations

import argparse
import copy
import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from pipeline.crops import View
from pipeline.models import onnx_session
from pipeline.network import RatingNet, SpreadLaw
from pipeline.types import Pixels
from training.cards import own_words, read_facts, write_card
from training.crop_set import CropSet
from training.graphs import strip
from training.quantize import FITTED, quantize
from training.ratings import hold_out, parts
from training.recipe import Recipe

CHECKED = 256
"""Crops, at most, that each form is checked on."""
TOLERANCE = {"fp32.onnx": 0.002, "program.pt2": 0.002, "int8.onnx": 0.4}
"""How far, in points, scores may lie from PyTorch's on any crop of the check."""
LEAN = ("int8.onnx", "master.safetensors")

Rater = Callable[[Pixels], Any]
"""From crops (n, size, size, 3) to scores (n,)."""


def example_crops(size: int) -> Tensor:
    """What an exporter traces the network with."""
    return torch.zeros(2, size, size, 3, dtype=torch.uint8)


class ScoresAlone(torch.nn.Module):
    """A network whose spreads mean nothing, for it was not taught any, without them."""

    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net = net
        self.train(net.training)

    def forward(self, crops: Tensor) -> tuple[Tensor]:
        """`crops`, uint8 (n, size, size, 3), to scores from 1 to 10, float32 (n,)."""
        return (self.net(crops)[0],)


class Folded(torch.nn.Module):
    """A network as a graph serves it: what is done to every pixel is done in the first layer."""

    def __init__(self, net: RatingNet) -> None:
        super().__init__()
        self.net = copy.deepcopy(net)
        stem: Any = self.net.backbone
        with torch.no_grad():
            stem.conv1.weight /= net.deviation[:, None, None]
        # The largest of what ReLU leaves is what ReLU leaves of the largest: of four times fewer,
        # and ONNX Runtime does not pull the quantising before the pooling, which it slows down.
        stem.relu, stem.maxpool = stem.maxpool, stem.relu
        self.train(net.training)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """As RatingNet's."""
        # The mean stays outside: the layer's border of zeros stands for it.
        pixels = crops.permute(0, 3, 1, 2).float() - self.net.mean[:, None, None]
        return self.net.read(self.net.backbone(pixels))


@contextmanager
def _quiet_torch() -> Iterator[None]:
    """Where torch's exporter and loader do what torch itself warns of."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec", FutureWarning)
        warnings.filterwarnings("ignore", "The given buffer is not writable", UserWarning)
        yield


def save_fp32(net: torch.nn.Module, path: Path, size: int) -> None:
    """The network as an ONNX graph from `crops` to `scores` and, if it has them, `spreads`."""
    names = ["scores"] if isinstance(net, ScoresAlone) else ["scores", "spreads"]
    with _quiet_torch():
        torch.onnx.export(
            net,
            (example_crops(size),),
            path,
            input_names=["crops"],
            output_names=names,
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
            external_data=False,
            verbose=False,
        )
    strip(path)


def save_program(net: torch.nn.Module, path: Path, size: int) -> None:
    """The network as a torch.export program, crops to scores and spreads, any number at once."""
    dynamic = ({0: torch.export.Dim("crops", min=1, max=1024)},)
    with _quiet_torch():
        program = torch.export.export(net, (example_crops(size),), dynamic_shapes=dynamic)
    for node in program.graph.nodes:
        # It holds paths of the machine that exported.
        node.meta.pop("stack_trace", None)
    torch.export.save(program, path)


def save_master(net: RatingNet, path: Path) -> None:
    """The weights in float16; counters and the like as they are."""
    weights = {
        name: tensor.half().contiguous() if tensor.is_floating_point() else tensor
        for name, tensor in net.state_dict().items()
    }
    path.write_bytes(save(weights))


def check(path: Path, crops: Pixels, expected: Pixels) -> None:
    """Print how far the scores of a form are from PyTorch's; stop if that is too far."""
    rater = _rater(path)
    batches = np.array_split(crops, -(-len(crops) // 16))
    drift = np.abs(np.concatenate([rater(batch) for batch in batches]) - expected)
    print(f"{path.name}: mean drift {drift.mean():.4f}, largest {drift.max():.4f} of a point")
    if not drift.max() <= TOLERANCE[path.name]:  # so that no number is too far, too
        raise SystemExit(f"{path.name} strays by more than {TOLERANCE[path.name]}")


def _rater(path: Path) -> Rater:
    if path.suffix == ".pt2":
        with _quiet_torch():
            program = torch.export.load(path).module()
        return lambda batch: program(torch.from_numpy(batch))[0].detach().numpy()
    session = onnx_session(path.read_bytes(), threads=torch.get_num_threads())
    return lambda batch: session.run(["scores"], {"crops": batch})[0]


def rate_all(net: RatingNet, crops: Pixels) -> Any:
    """PyTorch's scores of crops (n, size, size, 3), float32 (n,)."""
    with torch.inference_mode():
        batches = np.array_split(crops, -(-len(crops) // 16))
        return np.concatenate([net(torch.from_numpy(batch))[0].numpy() for batch in batches])


def load_run(folder: Path, gain: float | None = None) -> tuple[RatingNet, Recipe, dict[str, str]]:
    """The network that a run left behind, its recipe, and what else it tells.

    `gain` outranks the run's own factor of the spread.
    """
    weights = folder / "weights.safetensors"
    with safe_open(weights, "pt") as file:
        told: dict[str, str] = file.metadata()
    recipe = Recipe.from_json(told["recipe"])
    law = SpreadLaw(recipe.label_spread, gain or json.loads(told["spread_gain"]))
    net = RatingNet(recipe.base, law).eval()
    net.load_state_dict(load_file(weights))
    return net, recipe, told


def export(net: RatingNet, recipe: Recipe, crops: CropSet, out: Path) -> None:
    """Write every form of the network to `out`, each checked. Raises SystemExit for one astray."""
    save_master(net, out / "master.safetensors")
    # What is served is the float16 master, so that both engines run the same weights.
    net.load_master(load_file(out / "master.safetensors"))
    folded = Folded(net)
    served = folded if recipe.loss == "distribution" else ScoresAlone(folded)
    training, shown = (
        crops.seen(rows, recipe.size) for rows in calibration_and_check(crops, recipe)
    )
    expected = rate_all(net, shown)
    save_fp32(served, out / "fp32.onnx", recipe.size)
    check(out / "fp32.onnx", shown, expected)
    save_program(served, out / "program.pt2", recipe.size)
    check(out / "program.pt2", shown, expected)
    quantize(out / "fp32.onnx", out / "int8.onnx", training)
    check(out / "int8.onnx", shown, expected)


def calibration_and_check(crops: CropSet, recipe: Recipe) -> tuple[list[int], list[int]]:
    """Crops of the training part for the quantiser, and others to check on."""
    part, _ = parts(crops.examples, recipe.protocol, recipe.sets)
    training, validation = hold_out(crops.examples, part, recipe.validation, recipe.seed)
    # In no order: the quantiser takes the first ones, which are to be of every set and group.
    drawn = [int(i) for i in np.random.default_rng(recipe.seed).permutation(training)]
    # Without a validation part, crops that at least the quantiser has not seen.
    others = validation or drawn[len(drawn) // 2 :]
    return drawn[: len(drawn) // 2][:FITTED], others[:: -(-len(others) // CHECKED)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line's options."""
    parser.add_argument("run", type=Path, help="what `train` wrote")
    parser.add_argument("--crops", type=Path, required=True, help="what `dataset` wrote")
    parser.add_argument("--out", type=Path, required=True, help="the model's folder")
    parser.add_argument(
        "--facts", type=Path, help="JSON with the card's words: title, licence, limits, …"
    )
    parser.add_argument(
        "--spread-of", type=Path, metavar="RUN",
        help="a run of the same recipe whose held-out part measured the spread",
    )  # fmt: skip
    parser.add_argument("--lean", action="store_true", help=f"only {' and '.join(LEAN)}")


def main(options: argparse.Namespace) -> None:
    """Export, check, and write the card."""
    out: Path = options.out
    try:
        gain = load_run(options.spread_of)[0].spread.gain if options.spread_of else None
        net, recipe, told = load_run(options.run, gain)
        crops = CropSet.open(options.crops)
        rows, _ = parts(crops.examples, recipe.protocol, recipe.sets)
        facts = read_facts(options.facts) if options.facts else {}
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        export(net, recipe, crops, Path(folder))
        out.mkdir(parents=True, exist_ok=True)
        for file in sorted(Path(folder).iterdir()):
            if not options.lean or file.name in LEAN:
                shutil.copyfile(file, out / file.name)
            else:
                # One of an earlier export would be of other weights.
                (out / file.name).unlink(missing_ok=True)
    learnt = [crops.examples[row] for row in rows]
    law = {"spread": asdict(net.spread)} if recipe.loss == "distribution" else {}
    write_card(
        out,
        {
            "kind": "scorer",
            "init": told["init"],
            **own_words(recipe.base, learnt),
            **facts,
            "served": "int8.onnx",
            "master": "master.safetensors",
            "view": asdict(View(crops.context, recipe.size)),
            "recipe": json.loads(recipe.to_json()),
            "sets": sorted({example.source for example in learnt}),
            **law,
        },
    )
