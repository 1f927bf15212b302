"""The kernel as a library that Python calls: what `kernel.h` says, in ctypes."""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

SOURCES = Path(__file__).resolve().parent
LIBRARY = SOURCES / "kernel.so"

CELL = np.dtype(
    [
        ("level", "i4"),
        ("row", "i4"),
        ("column", "i4"),
        ("logit", "f4"),
        ("offsets", "f4", 4),
    ]
)
"""A window of P-Net that may hold a face: `struct cell`."""


class KernelMissing(Exception):
    """The kernel was not built here, or is not that of these sources."""


def _array(dtype: Any) -> Any:
    return np.ctypeslib.ndpointer(dtype, flags="C_CONTIGUOUS")


_INT, _FLOATS, _INTS, _PIXELS = ctypes.c_int32, _array("f4"), _array("i4"), _array("u1")
_ON_WINDOWS = ctypes.CFUNCTYPE(_INT, _FLOATS, _PIXELS, _INT, _INT, _INT, _INTS, _FLOATS)


class Kernel(ctypes.Structure):
    """`struct kernel`: one variant's functions."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("propose", ctypes.CFUNCTYPE(
            ctypes.c_int64, _FLOATS, _PIXELS, _INT, _INT, _INT, _INTS, ctypes.c_float, _array(CELL)
        )),
        ("refine", _ON_WINDOWS),
        ("output", _ON_WINDOWS),
        ("suppress", ctypes.CFUNCTYPE(
            None, _INT, _FLOATS, _FLOATS, _INTS, ctypes.c_float, ctypes.c_float, _INT, _PIXELS
        )),
        ("shrink", ctypes.CFUNCTYPE(_INT, _PIXELS, _INT, _INT, _INT, _INT, _PIXELS)),
    )  # fmt: skip
    name: bytes
    propose: Any
    refine: Any
    output: Any
    suppress: Any
    shrink: Any


def sources_sha256() -> str:
    """Of all that the library is built from."""
    sources = sorted([*SOURCES.glob("*.c"), *SOURCES.glob("*.h")])
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def open_library(path: Path = LIBRARY) -> ctypes.CDLL:
    """The library. Raises KernelMissing if it was not built, or from other sources."""
    try:
        library = ctypes.CDLL(str(path))
        built_from = ctypes.c_char_p.in_dll(library, "attrai_sources")
    except (OSError, ValueError) as error:
        raise KernelMissing(f"it was not built: {error}") from error
    library.attrai_kernel.restype = ctypes.POINTER(Kernel)
    library.attrai_kernel.argtypes = [_INT]
    if ctypes.string_at(ctypes.addressof(built_from)).decode() != sources_sha256():
        raise KernelMissing("it was built from other sources")
    return library


def variants(library: ctypes.CDLL) -> Iterator[Kernel]:
    """The variants that this processor can run, the fastest first."""
    index = 0
    while found := library.attrai_kernel(index):
        yield found.contents
        index += 1


def choose(name: str | None = None) -> Kernel:
    """The variant of that name, or the fastest that runs here. Raises KernelMissing."""
    offered = {kernel.name.decode(): kernel for kernel in variants(open_library())}
    name = name or next(iter(offered), "")
    if name not in offered:
        raise KernelMissing(f"it has no variant {name!r} for this processor: {list(offered)}")
    return offered[name]


def struct_sizes(library: ctypes.CDLL) -> tuple[int, ...]:
    """Bytes of struct pnet, rnet, onet and cell."""
    return tuple((ctypes.c_int64 * 4).in_dll(library, "attrai_sizes"))
