"""What a worker keeps of the photos it has seen: a thousand varied ones, ours and the usual's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.load import Client, request
from benchmarks.photos import TestPhoto, varied
from benchmarks.processes import Memory, memory, worker
from benchmarks.serving import served
from benchmarks.stacks import Stack

LARGEST = 1024
"""Pixels of a varied photo's longest side."""
STEP = 10


@dataclass(frozen=True)
class GrowthCase:
    """One worker's memory, in bytes."""

    name: str
    first: Memory
    """After its first answer."""
    warm: int
    """RSS after the photos that warm up."""
    rss: list[int]
    """RSS after every tenth photo from then on."""
    photos: int
    failed: int

    @property
    def grown(self) -> int:
        """From warm to the end."""
        return self.rss[-1] - self.warm

    @property
    def peak(self) -> int:
        """From warm to the most that was seen."""
        return max(self.rss) - self.warm


def growth_cases(
    servers: Sequence[Stack], photo: TestPhoto, *, quick: bool, tell: Callable[[str], None]
) -> list[GrowthCase]:
    """Each server with one worker, the same photos for all, side by side: nobody counts time."""
    warming, count = (50, 50) if quick else (100, 1000)
    found: dict[str, GrowthCase] = {}

    def run(stack: Stack) -> None:
        found[stack.name] = _grow(stack, photo, warming, count, tell)

    threads = [threading.Thread(target=run, args=(stack,)) for stack in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[stack.name] for stack in servers if stack.name in found]


def _grow(
    stack: Stack, photo: TestPhoto, warming: int, count: int, tell: Callable[[str], None]
) -> GrowthCase:
    rss, failed, warm = [], 0, 0
    with served(stack, 1, photo) as server:
        pid, client = worker(server.pids), Client(server.port)
        first = memory(pid)
        for number, data in enumerate(varied(warming + count, LARGEST), start=1):
            status, _ = client.ask(request(data, form=stack.form))
            failed += status != 200
            if number == warming:
                warm = memory(pid).rss
            if number > warming and number % STEP == 0:
                rss.append(memory(pid).rss)
            if number % 100 == 0:
                tell(f"{stack.name}: {number} photos, {memory(pid).rss / 2**20:.0f} MB")
        client.close()
    return GrowthCase(stack.name, first, warm, rss, count, failed)
