"""The kernel, in every variant that this processor runs."""

from __future__ import annotations

import pytest

from pipeline.native.library import KernelMissing, open_library, variants


def names() -> list[str]:
    """The variants' names; none where the kernel was not built."""
    try:
        return [kernel.name.decode() for kernel in variants(open_library())]
    except KernelMissing:
        return []


@pytest.fixture(params=names() or [""])
def variant(request: pytest.FixtureRequest) -> str:
    """One after the other."""
    if not request.param:
        pytest.skip("the kernel was not built here: make native")
    return str(request.param)
