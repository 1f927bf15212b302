"""What one core can do at best: products a second in float32 and int8, bytes copied a second."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from pipeline.models import onnx_session

SOURCE = Path(__file__).with_name("rates.c")
SIDE = 1024


@dataclass(frozen=True)
class Rates:
    """The best of several tries, on one core."""

    float32: float
    """Products, each with its sum, a second."""
    int8: float
    """The same in int8, by ONNX Runtime's matrix product."""
    copied: float
    """Bytes a second, each read and written, out of the caches."""


def measure() -> Rates:
    """This core's rates. Raises CalledProcessError or OSError without a C compiler."""
    return Rates(_float32(), _int8(), _copied())


def _best(call: Callable[[], object], tries: int = 15) -> float:
    taken = []
    for _ in range(tries):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return min(taken)


def _float32() -> float:
    with tempfile.TemporaryDirectory() as folder:
        library = f"{folder}/rates.so"
        flags = ["-O3", "-march=native", "-shared", "-fPIC"]
        subprocess.run(["cc", *flags, str(SOURCE), "-o", library], check=True)  # noqa: S607
        rate = ctypes.CDLL(library).products_a_second
        rate.restype = ctypes.c_double
        return max(float(rate()) for _ in range(15))


def _int8() -> float:
    rng = np.random.default_rng(0)
    weights = rng.integers(-127, 128, (SIDE, SIDE), dtype=np.int8)
    node = helper.make_node("MatMulInteger", ["a", "weights"], ["c"])
    graph = helper.make_graph(
        [node],
        "product",
        [helper.make_tensor_value_info("a", TensorProto.UINT8, [SIDE, SIDE])],
        [helper.make_tensor_value_info("c", TensorProto.INT32, [SIDE, SIDE])],
        [onnx.numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    session = onnx_session(model.SerializeToString(), 1)
    matrix = rng.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
    return SIDE**3 / _best(lambda: session.run(None, {"a": matrix}))


def _copied() -> float:
    there = np.ones(1 << 26, np.uint8)
    here = np.empty_like(there)
    return there.nbytes / _best(lambda: np.copyto(here, there))
