"""The figures that a run comes to, in a few lines."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

from benchmarks.results import Results, summary
from benchmarks.stacks import BEHIND_NGINX, OURS
from benchmarks.tables import table


def headlines(results: Results) -> Iterator[str]:
    """A heading and a table, or nothing where nothing was run that gives a ratio."""
    rows: list[Sequence[str]] = []
    if results.stages:
        found = summary(case.detect.ratio for case in results.stages)
        rows.append(("detection, same pixels in", str(found)))
    if results.whole:
        rows.append(("whole pipeline, JSON", str(summary(c.json.ratio for c in results.whole))))
        rows.append(("whole pipeline, PNG", str(summary(c.png.ratio for c in results.whole))))
    for workers in (1, 2):
        best = results.best_peer(workers)
        for name in (OURS, BEHIND_NGINX):
            ours = results.server(name, workers)
            if best and ours:
                what = f"requests/s, {name}, workers: {workers}, against {best.name}"
                rows.append((what, f"{ours.rate / best.rate:.1f}x"))
    for what, adds in (("uWSGI + Flask", "direct_adds"), ("nginx + uWSGI + Flask", "nginx_adds")):
        for form in ("json", "png"):
            cases = [case for case in results.overhead if case.format == form]
            shares = [share for case in cases if (share := getattr(case, adds)) is not None]
            if shares:
                share = f"{statistics.median(shares):.1%}"
                rows.append((f"what {what} add to the pipeline, {form.upper()}", share))
    if rows:
        yield "## In short"
        yield table(("median (least to most of the photos and settings)", "ours"), rows)
