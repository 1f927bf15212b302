"""Writes a trained network as a model of `models/`: the int8 graph that serves, and its master.

    python -m training.export runs/resnet34-1 --crops runs/scut --out models/resnet34-1

The graph is quantised statically, per channel, as QDQ (Jacob et al., "Quantization and Training
of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR 2018), calibrated on
crops of the training part; the first layer and the head stay
in float32. `--fp32` keeps the float32 graph too. Every
graph is checked against PyTorch on real crops before it is kept.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from safetensors import safe_open
from safetensors.torch import load_file, save

from pipeline.crops import SIZE
from pipeline.models import onnx_session
from pipeline.network import RatingNet
from pipeline.types import Pixels
from training.cards import write_card
from training.crop_set import CropSet
from training.graphs import strip
from training.ratings import hold_out

CALIBRATION = 256
"""Crops that show the quantiser what activations look like."""
TOLERANCE = {"fp32": 0.001, "int8": 0.25}
"""How far, in points, a graph's scores may lie from PyTorch's on any crop of the check."""


class Crops(CalibrationDataReader):  # type: ignore[misc]
    """Feeds crops to the calibration, a few at a time."""

    def __init__(self, crops: Pixels) -> None:
        self._batches: Iterator[Pixels] = iter(np.array_split(crops, -(-len(crops) // 16)))

    def get_next(self) -> dict[str, Pixels] | None:
        """The next batch, None after the last."""
        batch = next(self._batches, None)
        return None if batch is None else {"crops": batch}


def export_fp32(net: RatingNet, path: Path) -> None:
    """The network as a graph from `crops`, uint8 (n, 224, 224, 3), to `scores`, float32 (n,)."""
    torch.onnx.export(
        net,
        (torch.zeros(2, SIZE, SIZE, 3, dtype=torch.uint8),),
        path,
        input_names=["crops"],
        output_names=["scores"],
        dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
        external_data=False,
        verbose=False,
    )
    strip(path)


def export_int8(fp32: Path, path: Path, calibration: Pixels) -> None:
    """The same graph with int8 convolutions."""
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(fp32, prepared, skip_symbolic_shape=True)
        nodes = onnx.load(prepared).graph.node
        # The first convolution sees the picture itself: in int8 it alone doubles the drift.
        first = next(node for node in nodes if node.op_type == "Conv")
        heads = [node.name for node in nodes if node.op_type == "Gemm"]
        quantize_static(
            prepared,
            path,
            Crops(calibration),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            op_types_to_quantize=["Conv", "Add", "Relu", "MaxPool"],
            nodes_to_exclude=[first.name, *heads],
        )
    strip(path)


def check(name: str, path: Path, net: RatingNet, crops: Pixels) -> None:
    """Print how far the graph's scores are from PyTorch's; stop if that is too far."""
    session = onnx_session(path.read_bytes(), threads=2)
    drifts = []
    for batch in np.array_split(crops, -(-len(crops) // 16)):
        with torch.inference_mode():
            expected = net(torch.from_numpy(batch)).numpy()
        drifts.append(np.abs(session.run(None, {"crops": batch})[0] - expected))
    drift = np.concatenate(drifts)
    print(f"{name}: mean drift {drift.mean():.4f}, largest {drift.max():.4f} of a point")
    if drift.max() > TOLERANCE[name]:
        raise SystemExit(f"{name} strays by more than {TOLERANCE[name]}")


def save_master(net: RatingNet, path: Path) -> None:
    """The weights in float16; counters and the like as they are."""
    weights = {
        name: tensor.half().contiguous() if tensor.is_floating_point() else tensor
        for name, tensor in net.state_dict().items()
    }
    path.write_bytes(save(weights))


def main() -> None:
    """Export, check, and write the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="what training.train wrote")
    parser.add_argument("--crops", type=Path, required=True, help="what training.crops wrote")
    parser.add_argument("--out", type=Path, required=True, help="a folder of models/")
    parser.add_argument("--facts", type=Path, help="JSON with the card's words: title, licence, …")
    parser.add_argument("--fp32", action="store_true", help="keep the float32 graph too")
    arguments = parser.parse_args()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    best = arguments.run / "best.safetensors"
    with safe_open(best, "pt") as file:
        told: dict[str, str] = file.metadata()
    recipe: dict[str, Any] = json.loads(told["recipe"])
    net = RatingNet().eval()
    save_master(_loaded(net, best), out / "master.safetensors")
    # What is served is the float16 master, so that both engines run the same weights.
    _loaded(net, out / "master.safetensors")
    crops = CropSet.open(arguments.crops)
    training, validation = hold_out(crops.examples, recipe["validation"], recipe["seed"])
    count = min(CALIBRATION, len(training))
    chosen = np.random.default_rng(recipe["seed"]).choice(training, count, replace=False)
    export_fp32(net, out / "fp32.onnx")
    export_int8(out / "fp32.onnx", out / "int8.onnx", crops.served[np.sort(chosen)])
    for name in ("fp32", "int8"):
        check(name, out / f"{name}.onnx", net, crops.served[validation])
    if not arguments.fp32:
        (out / "fp32.onnx").unlink()
    facts = json.loads(arguments.facts.read_text(encoding="utf-8")) if arguments.facts else {}
    write_card(
        out,
        {
            "kind": "scorer",
            "init": told.get("init"),
            **facts,
            "served": "int8.onnx",
            "master": "master.safetensors",
            "recipe": recipe,
            "epoch": told["epoch"],
        },
    )


def _loaded(net: RatingNet, weights: Path) -> RatingNet:
    net.load_master(load_file(weights))
    return net


if __name__ == "__main__":
    main()
