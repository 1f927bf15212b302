"""The results as one picture: stages, requests/s, latency, memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.results import Results
from benchmarks.stages import STAGES

COLOURS = {"decode": "#440154", "detect": "#31688e", "score": "#35b779", "ours": "#31688e",
           "peer": "#a0a0a0", "second": "#fde725"}  # fmt: skip
SIDE, MIN_FACE = 1024, 20


def draw(results: Results, path: Path) -> None:
    """Write what there is to show to `path`, whose suffix says in which format."""
    panels: list[Callable[[Axes, Results], None]] = []
    panels += [_stages] if results.stages else []
    panels += [_rates, _latency] if any(case.rates for case in results.servers) else []
    panels += [_growth] if results.growth else []
    rows = (len(panels) + 1) // 2
    figure = Figure(figsize=(13, 4.5 * max(rows, 1)), layout="constrained")
    for place, panel in enumerate(panels, start=1):
        panel(figure.add_subplot(rows, min(2, len(panels)), place), results)
    about = results.about
    figure.suptitle(f"AttrAI, {about['revision']}, {about['machine'].partition(',')[0]}")
    with mpl.rc_context({"svg.hashsalt": "attrai"}):  # the same figures make the same file
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _stages(axes: Axes, results: Results) -> None:
    cases = [c for c in results.stages if c.side == SIDE and c.min_face == MIN_FACE]
    names = [name for case in cases for name in (f"{case.photo[:24]}: usual", "ours")]
    left = [0.0] * len(names)
    for stage in STAGES:
        pairs = [getattr(case, stage) for case in cases]
        widths = [ms for pair in pairs for ms in (pair.usual, pair.ours)]
        axes.barh(range(len(names)), widths, left=left, color=COLOURS[stage], label=stage)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(f"ms a photo, working side {SIDE}, min face {MIN_FACE}")
    axes.set_title("In one process, one thread")
    axes.legend()


def _rates(axes: Axes, results: Results) -> None:
    names = [c.name for c in results.servers if c.workers == 1 and c.rates]
    for offset, workers, colour in ((-0.2, 1, "ours"), (0.2, 2, "second")):
        found = [results.server(name, workers) for name in names]
        rates = [case.rate if case else 0.0 for case in found]
        places = [place + offset for place in range(len(names))]
        bars = axes.barh(places, rates, 0.38, color=COLOURS[colour], label=f"workers: {workers}")
        axes.bar_label(bars, fmt="%.1f", fontsize=8, padding=2)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.1)  # room for the figures
    axes.set_xlabel("requests/s, at the best number of clients")
    axes.set_title("Over HTTP")
    axes.legend()


def _latency(axes: Axes, results: Results) -> None:
    cases = [case for case in results.servers if case.workers == 1 and 1 in case.times]
    for mark, percent in (("o", 50), ("|", 95), ("x", 99)):
        values = [case.percentile(1, percent) for case in cases]
        axes.plot(values, range(len(cases)), mark, color=COLOURS["ours"], label=f"p{percent}")
    axes.set_yticks(range(len(cases)), [case.name for case in cases], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel("ms an answer, one client, one worker")
    axes.set_title("Latency")
    axes.legend()


def _growth(axes: Axes, results: Results) -> None:
    for case, colour in zip(results.growth, ("ours", "peer", "second"), strict=False):
        photos = [case.photos * (i + 1) / len(case.rss) for i in range(len(case.rss))]
        sizes = [rss / 2**20 for rss in case.rss]
        axes.plot(photos, sizes, color=COLOURS[colour], label=case.name)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("varied photos")
    axes.set_ylabel("MB of a worker (RSS)")
    axes.set_title("Memory")
    axes.legend()
