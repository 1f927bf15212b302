"""What every exported ONNX graph goes through before it is kept."""

from __future__ import annotations

from pathlib import Path

import onnx


def strip(path: Path) -> None:
    """Take out what the exporter leaves for its own debugging: it holds paths and no weights."""
    model = onnx.load(path)
    graph = model.graph
    del model.metadata_props[:], graph.metadata_props[:], graph.value_info[:]
    for node in graph.node:
        del node.metadata_props[:]
    for value in [*graph.input, *graph.output]:
        del value.metadata_props[:]
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            # The exporter's symbolic sizes round a ceil-mode pool down, which is not so.
            if not dim.HasField("dim_value"):
                dim.dim_param = f"{value.name}_{axis}"
    onnx.checker.check_model(model)
    onnx.save(model, path)
