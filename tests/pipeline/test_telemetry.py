"""A service that keeps photos to itself does not phone home either."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.settings import ROOT

# What ONNX Runtime reads when it is first imported, whoever does it.
PROBE = """
import importlib, os, sys
from importlib.abc import MetaPathFinder
class Witness(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "onnxruntime":
            print("telemetry:", os.environ.get("ORT_DISABLE_TELEMETRY"))
        return None
sys.meta_path.insert(0, Witness())
for module in sys.argv[1:]:
    importlib.import_module(module)
"""


@pytest.mark.parametrize(
    "module", ["pipeline.models", "pipeline.__main__", "service.application", "training.quantize"]
)
def test_onnx_runtime_is_told_not_to_report_before_it_loads(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROBE, module],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["telemetry: 1"]


def test_loading_a_graph_leaves_nothing_in_the_home_folder(tmp_path: Path) -> None:
    load = (
        "from pipeline.models import Model, onnx_session; from pathlib import Path;"
        "onnx_session(Model.open(Path('models/mtcnn')).read('pnet.onnx'), 1)"
    )
    # Where it counts on being seen, as in CI, it would not report anyway.
    home = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    subprocess.run([sys.executable, "-W", "ignore", "-c", load], cwd=ROOT, env=home, check=True)
    assert list(tmp_path.iterdir()) == []
