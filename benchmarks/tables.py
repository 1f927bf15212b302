"""How figures are written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.parity import Parity
from benchmarks.stages import Pair

NOTHING = "-"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; figures to the right, the first column to the left."""
    rule = [":--", *["--:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *rows))


def pair_cell(pair: Pair) -> str:
    """Milliseconds of ours and of the usual stack, and how many times faster ours is."""
    if pair.ours < 0.05 and pair.usual < 0.05:
        return NOTHING
    return f"{pair.ours:.1f} / {pair.usual:.1f} ({pair.ratio:.1f}x)"


def parity_cells(parity: Parity) -> tuple[str, ...]:
    """Unmatched faces, least IoU, and the largest differences in pixels and points."""
    shown = f"{parity.least_iou:.4f}", f"{parity.most_pixels:.3f}", f"{parity.most_points:.2f}"
    return str(parity.unmatched), *shown


def share_cell(share: float | None) -> str:
    """A share in per cent."""
    return NOTHING if share is None else f"{share:.1%}"
