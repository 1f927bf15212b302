"""Runs a kernel over awkward pictures and windows: `python hold.py LIBRARY`.

For a build with sanitizers, which end the process at the first thing that is wrong.
"""

from __future__ import annotations

import sys
from pathlib import Path
from unittest import mock

import numpy as np

from pipeline.models import Model
from pipeline.native import library, nets
from pipeline.settings import ROOT
from pipeline.shrinking import shrink_by


def hold(path: Path) -> int:
    """Run every variant; the number of windows that P-Net gave."""
    opened = library.open_library(path)
    found = 0
    with mock.patch.object(library, "open_library", return_value=opened):
        for kernel in library.variants(opened):
            kernel_nets = nets.NativeNets(Model.open(ROOT / "models/mtcnn"), kernel.name.decode())
            rng = np.random.default_rng(6)
            for height, width in ((12, 12), (13, 47), (80, 66), (31, 300)):
                pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
                sizes = [(height, width), (12, 12), (17, 12), (25, 130)]
                found += len(kernel_nets.propose(pixels, sizes, 1e-9).scores)
                windows = np.array([[0, 0, width, height], [width - 1, height - 1, width, height]])
                for _ in range(2):
                    kernel_nets.refine(pixels, windows)
                    kernel_nets.output(pixels, windows)
                    windows = np.repeat(windows, 9, axis=0)
            for rows, columns in ((1, 1), (79, 2), (80, 66), (41, 65)):
                shrink_by(kernel, rng.integers(0, 256, (80, 66, 3), np.uint8), columns, rows)
            kernel_nets.suppress(
                np.ones((40, 4), np.float32), np.ones(40, np.float32), np.arange(40) // 7,
                np.float32(0.5), np.float32(0), by_smaller=False,
            )  # fmt: skip
    return found


if __name__ == "__main__":
    print(hold(Path(sys.argv[1])))  # noqa: T201
