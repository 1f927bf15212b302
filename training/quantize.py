"""Turns a float32 graph into the int8 graph that serves.

Static quantisation as QDQ, per channel (Jacob et al., "Quantization and Training of Neural
Networks for Efficient Integer-Arithmetic-Only Inference", CVPR 2018), calibrated on crops of the
training part. The first layer with its pooling and the head stay in float32, and the head is
fitted anew to the features that the int8 layers give: what they shift alike in all photos, it
takes back.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from pipeline.models import onnx_session
from pipeline.types import Pixels
from training.graphs import strip

Float64 = npt.NDArray[np.float64]

CALIBRATION = 256
"""Crops that show the quantiser what activations look like."""
MOVING = 0.05
"""Weight of a new batch in the range of an activation: a lone outlier does not widen it."""
FITTED = 1024
"""Crops that the head is fitted on."""
RIDGE = 5.0
"""How many crops' worth of features hold the head where it was trained to be."""


class Crops(CalibrationDataReader):  # type: ignore[misc]
    """Feeds crops to the calibration, a few at a time."""

    def __init__(self, crops: Pixels) -> None:
        self._batches: Iterator[Pixels] = iter(np.array_split(crops, -(-len(crops) // 16)))

    def get_next(self) -> dict[str, Pixels] | None:
        """The next batch, None after the last."""
        batch = next(self._batches, None)
        return None if batch is None else {"crops": batch}


def quantize(fp32: Path, path: Path, crops: Pixels) -> None:
    """The graph `fp32` with int8 convolutions, calibrated on some of `crops` (n, size, size, 3)."""
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(fp32, prepared, skip_symbolic_shape=True)
        nodes = onnx.load(prepared).graph.node
        # The first convolution sees the picture itself: in int8 it alone doubles the drift.
        first = next(node.name for node in nodes if node.op_type == "Conv")
        its_relu = next(node.name for node in nodes if node.op_type == "Relu")
        heads = [node.name for node in nodes if node.op_type == "Gemm"]
        quantize_static(
            prepared,
            path,
            Crops(crops[:CALIBRATION]),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            op_types_to_quantize=["Conv", "Add", "Relu"],
            nodes_to_exclude=[first, its_relu, *heads],
            extra_options={"CalibMovingAverage": True, "CalibMovingAverageConstant": MOVING},
        )
    _fit_head(fp32, path, crops[:FITTED])
    strip(path)


def _fit_head(fp32: Path, int8: Path, crops: Pixels) -> None:
    """Least squares from the int8 features to the float32 logits, ridged towards the old head."""
    _, wanted = _head_runs(fp32, crops)
    features, logits = _head_runs(int8, crops)
    model = onnx.load(int8)
    head = _head(model)
    weight, bias = (
        next(each for each in model.graph.initializer if each.name == name)
        for name in head.input[1:3]
    )
    inputs = np.hstack([features, np.ones((len(features), 1))])
    penalty = np.full(inputs.shape[1], RIDGE * np.mean(features**2))
    penalty[-1] = 0
    change = np.linalg.solve(
        inputs.T @ inputs + np.diag(penalty), inputs.T @ (wanted - logits)
    ).astype(np.float32)
    # PyTorch's exporter lays the weight out as (bins, features).
    weight.CopyFrom(
        numpy_helper.from_array(numpy_helper.to_array(weight) + change[:-1].T, weight.name)
    )
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + change[-1], bias.name))
    onnx.save(model, int8)


def _head(model: onnx.ModelProto) -> onnx.NodeProto:
    heads: list[onnx.NodeProto] = [node for node in model.graph.node if node.op_type == "Gemm"]
    return heads[-1]


def _head_runs(path: Path, crops: Pixels) -> tuple[Float64, Float64]:
    """What goes into the head (n, features) and what comes out (n, bins) for each crop."""
    model = onnx.load(path)
    head = _head(model)
    names = [head.input[0], head.output[0]]
    model.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names
    )
    session = onnx_session(model.SerializeToString(), threads=2)
    batches = np.array_split(crops, -(-len(crops) // 16))
    runs = [session.run(names, {"crops": batch}) for batch in batches]
    features, logits = (np.concatenate(part).astype(np.float64) for part in zip(*runs, strict=True))
    return features, logits
