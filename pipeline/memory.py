"""Memory that is free goes back to the system, where the C library is glibc.

glibc keeps what is freed for later. Left alone, it also learns from the largest photo so far that
tens of megabytes are worth keeping, and a worker never gets small again.
"""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""mallopt(3): how much may lie free at the heap's end, and what gets a mapping of its own."""
_LARGE = 16 * 1024 * 1024
"""In bytes: more than a photo of any size is decoded to for its faces, at most twice the working
side. That is to stay in the heap: pages that come anew with every photo take 4 to 8 ms of it."""


def return_large_blocks() -> None:
    """From now on, blocks of more than 16 MB go back to the system as soon as they are freed."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGE)
        mallopt(_TRIM_THRESHOLD, _LARGE)


def trim() -> None:
    """Give back all that is free now. Takes a few milliseconds."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
