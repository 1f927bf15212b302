"""All that one run found, and the figures that sum it up."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.floors import Step
from benchmarks.growth import GrowthCase
from benchmarks.rates import Rates
from benchmarks.serving import OverheadCase, ServerCase
from benchmarks.stacks import BEHIND_NGINX, OURS
from benchmarks.stages import StageCase, WholeCase


@dataclass
class Results:
    """Of the parts that were run; the others are empty."""

    about: dict[str, str]
    """Machine, versions, date and revision, in words."""
    cores: int
    quick: bool
    stages: list[StageCase] = field(default_factory=list)
    whole: list[WholeCase] = field(default_factory=list)
    servers: list[ServerCase] = field(default_factory=list)
    overhead: list[OverheadCase] = field(default_factory=list)
    growth: list[GrowthCase] = field(default_factory=list)
    rates: Rates | None = None
    steps: list[Step] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Every figure, as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    def server(self, name: str, workers: int) -> ServerCase | None:
        """That server's figures, if it has any."""
        for case in self.servers:
            if (case.name, case.workers) == (name, workers) and case.rates:
                return case
        return None

    def best_peer(self, workers: int) -> ServerCase | None:
        """Of the servers that are not ours, the one with the most answers a second."""
        peers = [
            case
            for case in self.servers
            if case.workers == workers and case.rates and case.name not in (OURS, BEHIND_NGINX)
        ]
        return max(peers, key=lambda case: case.rate, default=None)


@dataclass(frozen=True)
class Summary:
    """Of several ratios."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.1f}x ({self.least:.1f} to {self.most:.1f})"


def summary(ratios: Iterable[float]) -> Summary:
    """Median, least and most; there must be one at least."""
    found = list(ratios)
    return Summary(statistics.median(found), min(found), max(found))
