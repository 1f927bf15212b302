"""The forms that a network is exported in: an ONNX graph, a torch.export program, its master."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from pipeline.models import onnx_session
from pipeline.network import RatingNet
from pipeline.types import Pixels
from training.graphs import strip

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


def rater_of(path: Path) -> Rater:
    """What a form, ONNX graph or program, rates crops with."""
    if path.suffix == ".pt2":
        with _quiet_torch():
            program = torch.export.load(path).module()
        return lambda batch: program(torch.from_numpy(batch))[0].detach().numpy()
    session = onnx_session(path.read_bytes(), threads=torch.get_num_threads())
    return lambda batch: session.run(["scores"], {"crops": batch})[0]
