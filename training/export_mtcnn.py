"""Writes `models/mtcnn`: the three networks of facenet-pytorch's MTCNN, as ONNX graphs and plain.

    python -m training.export_mtcnn

Each graph takes `pixels`, float32 (n, height, width, 3) in 0..255, and gives what the cascade
reads: box offsets, (O-Net: landmarks,) and the probability of a face. The native kernel reads
`weights.npz`: float32 arrays by their names in facenet-pytorch, as `pnet.conv1.weight`.
"""

from __future__ import annotations

import argparse
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from facenet_pytorch import MTCNN
from torch import Tensor, nn

from pipeline.settings import ROOT
from training.cards import write_card
from training.graphs import strip


class Net(nn.Module):
    """One of MTCNN's networks with its normalisation before it and the face's column after it."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """`pixels` (n, height, width, 3) to the network's outputs, probabilities last."""
        *rest, probability = self.net((pixels.permute(0, 3, 1, 2) - 127.5) * 0.0078125)
        return (*rest, probability[:, 1])


def export(net: nn.Module, path: Path, size: int, dynamic: dict[int, Any]) -> None:
    """Write one network, with the axes in `dynamic` left open."""
    torch.onnx.export(
        Net(net).eval(),
        (torch.zeros(3, size, size + 2 * (1 in dynamic), 3),),
        path,
        input_names=["pixels"],
        dynamic_shapes=({0: torch.export.Dim.DYNAMIC, **dynamic},),
        external_data=False,
        verbose=False,
    )
    strip(path)


def main() -> None:
    """Export the three networks and write their card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "models" / "mtcnn")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    mtcnn = MTCNN()
    auto = torch.export.Dim.DYNAMIC
    export(mtcnn.pnet, out / "pnet.onnx", 40, {1: auto, 2: auto})
    export(mtcnn.rnet, out / "rnet.onnx", 24, {})
    export(mtcnn.onet, out / "onet.onnx", 48, {})
    nets = {"pnet": mtcnn.pnet, "rnet": mtcnn.rnet, "onet": mtcnn.onet}
    arrays = {
        f"{name}.{tensor}": values.numpy()
        for name, net in nets.items()
        for tensor, values in net.state_dict().items()
    }
    np.savez(out / "weights.npz", **arrays)
    write_card(
        out,
        {
            "kind": "detector",
            "title": "MTCNN (P-Net, R-Net, O-Net), float32",
            "source": f"the weights in the wheel of facenet-pytorch {version('facenet-pytorch')}",
            "paper": "https://doi.org/10.1109/LSP.2016.2603342",
            "weights": "weights.npz",
            "licence": "MIT (facenet-pytorch); trained on WIDER FACE and CelebA by MTCNN's authors",
        },
    )


if __name__ == "__main__":
    main()
