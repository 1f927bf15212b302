"""Measures a model of `models/`, as it serves, on a rated set's test part; the card keeps it.

    python -m training.evaluate models/resnet34-1 --crops runs/scut

Figures are those of the served graph on the crops that the service would cut. `--part validation`
looks at the part that chose the epoch instead, and leaves the card alone.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file
from tqdm import tqdm

from pipeline.models import Model, onnx_session
from pipeline.network import RatingNet
from pipeline.types import Pixels
from training.cards import write_card
from training.crop_set import CropSet
from training.metrics import SCUT_STEP, metrics
from training.ratings import hold_out

Scores = npt.NDArray[np.float32]


def rate_served(model: Model, crops: Pixels) -> Scores:
    """Scores (n,) of crops (n, 224, 224, 3) by the graph that serves."""
    session = onnx_session(model.read(model.file("served")), threads=2)
    batches = tqdm(np.array_split(crops, -(-len(crops) // 16)), desc="served", disable=None)
    return np.concatenate([session.run(None, {"crops": batch})[0] for batch in batches])


def rate_master(model: Model, crops: Pixels) -> Scores:
    """Scores (n,) of the same crops by the master in PyTorch, float32."""
    net = RatingNet().eval()
    net.load_master(load_file(model.folder / model.file("master")))
    batches = tqdm(np.array_split(crops, -(-len(crops) // 16)), desc="master", disable=None)
    with torch.inference_mode():
        return np.concatenate([net(torch.from_numpy(batch)).numpy() for batch in batches])


def evaluate(model: Model, crops: CropSet, indices: list[int]) -> dict[str, Any]:
    """The figures of those examples: overall, by group, and what int8 changes."""
    pictures, rated = crops.served[indices], crops.scores[indices]
    groups = np.array([crops.examples[index].group for index in indices])
    served, master = rate_served(model, pictures), rate_master(model, pictures)
    exact = metrics(master, rated, SCUT_STEP)
    figures: dict[str, Any] = {
        "examples": len(indices),
        "scale": "errors in points of the panel's own scale, 1 to 5",
        "served": metrics(served, rated, SCUT_STEP),
        "float32": exact,
        "drift": {
            "pc": round(exact["pc"] - float(np.corrcoef(served, rated)[0, 1]), 4),
            "mean_of_a_point": round(float(np.abs(served - master).mean()), 4),
        },
        "groups": {
            str(group): metrics(served[groups == group], rated[groups == group], SCUT_STEP)
            for group in np.unique(groups)
        },
    }
    return figures


def main() -> None:
    """Evaluate, print, and write the figures into the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="a folder of models/")
    parser.add_argument("--crops", type=Path, required=True, help="what training.crops wrote")
    parser.add_argument("--part", choices=("test", "validation"), default="test")
    arguments = parser.parse_args()
    model = Model.open(arguments.model)
    crops = CropSet.open(arguments.crops)
    if arguments.part == "test":
        indices = [i for i, example in enumerate(crops.examples) if example.split == "test"]
    else:
        recipe = model.card["recipe"]
        _, indices = hold_out(crops.examples, recipe["validation"], recipe["seed"])
    figures = evaluate(model, crops, indices)
    print(json.dumps(figures, indent=2))
    if arguments.part == "test":
        write_card(model.folder, {**model.card, "figures": {"scut-fbp5500 60/40": figures}})


if __name__ == "__main__":
    main()
