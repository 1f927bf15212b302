from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.memory import return_large_blocks, trim

ROOT = Path(__file__).parents[2]
BLOCKS = """
import ctypes
from pipeline.memory import return_large_blocks, trim

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 // 2**20

def hold(size):
    block = libc.malloc(ctypes.c_size_t(size))
    ctypes.memset(block, 1, size)
    return block
"""
LARGE = """
libc.free(hold(30 * 2**20))
first, pin = hold(25 * 2**20), hold(1000)
before = resident()
libc.free(first)
print(before - resident())
"""
MANY = """
blocks = [hold(2**16) for _ in range(800)]
before = resident()
for block in blocks[:-1]:
    libc.free(block)
kept = resident()
trim()
print(before - kept, before - resident())
"""
glibc = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="needs glibc")


def run(code: str) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKS + code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [int(word) for word in done.stdout.split()]


@glibc
def test_a_large_block_goes_back_when_it_is_freed_though_a_larger_one_came_before() -> None:
    (unhelped,) = run(LARGE)
    (returned,) = run(f"return_large_blocks(){LARGE}")
    assert unhelped <= 2
    assert returned >= 20


@glibc
def test_trimming_gives_back_what_lies_free_between_what_is_in_use() -> None:
    kept, returned = run(MANY)
    assert kept <= 5
    assert returned >= 45


def test_another_c_library_does_as_it_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    return_large_blocks()
    trim()
