"""Builds the kernel: `python -m pipeline.native.build`. Needs a C compiler, nothing else.

GCC 12 or Clang 12 and newer know all that it is written in. CC and CFLAGS have their usual meaning.
"""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pipeline.native.library import LIBRARY, SOURCES, sources_sha256

VARIANTS = {"x86_64": {"v4": 16, "v3": 8, "v2": 4}}
"""Levels of the x86-64 psABI and the floats in a vector of each; elsewhere one of 4 floats."""
EXACT = ("suppress.c", "shrink.c")
"""Sources that round after each operation, as NumPy and OpenCV do."""
FLAGS = ("-std=gnu11", "-O3", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra")


def build(to: Path = LIBRARY, flags: Sequence[str] = ()) -> None:
    """Compile and link the library. Raises CalledProcessError or OSError if that fails."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    always = [*FLAGS, *shlex.split(os.environ.get("CFLAGS", "")), *flags]
    variants = VARIANTS.get(platform.machine())

    def run(*options: str) -> None:
        subprocess.run([*compiler, *always, *options], check=True)  # noqa: S603

    with tempfile.TemporaryDirectory() as folder:
        objects: list[str] = []

        def compile_(source: str, *options: str) -> None:
            objects.append(f"{folder}/{len(objects)}.o")
            run(*options, "-c", str(SOURCES / source), "-o", objects[-1])

        compile_("choose.c", f'-DSOURCES="{sources_sha256()}"')
        for name, lanes in (variants or {"generic": 4}).items():
            options = [f"-DVARIANT={name}", f"-DLANES={lanes}"]
            if variants:
                options.append(f"-march=x86-64-{name}")
            compile_("variant.c", *options)
            for source in EXACT:
                compile_(source, *options, "-ffp-contract=off")
        # Beside its place first, so that whoever has the old one open keeps it whole.
        new = to.with_suffix(f".{os.getpid()}")
        run("-shared", *objects, "-lm", "-o", str(new))
        new.replace(to)


if __name__ == "__main__":
    try:
        build()
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"the native kernel was not built, ONNX Runtime will do its work: {error}")
