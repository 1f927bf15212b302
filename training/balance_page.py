"""The part of a dataset's page on balance: what there is, what is rare, what to collect next."""

from __future__ import annotations

from collections.abc import Sequence

from training.balance import (
    EXPECTED,
    FEWEST,
    Table,
    collected,
    effective,
    evenness,
    overall,
    rare_cells,
    wanted,
)
from training.dataset_plots import cell_plot
from training.dataset_report import said, where
from training.pages import Page

WANTED, RARE = 12, 12
"""Wants and rare cells shown; report.json has all."""


def balance_section(page: Page, tables: Sequence[Table]) -> None:
    """The score, the cells, and which of them are rare."""
    page.heading("Balance")
    cells = overall(tables)
    page.paragraph(
        f"Balance score: {evenness(cells):.2f}. It is Pielou's evenness (1966), the entropy of the "
        "photos over the cells of group and one point of score, divided by the most that it could "
        "be: 1 if all cells hold equally many photos, 0 if one cell holds them all."
    )
    page.table([*map(_balance_row, tables)])
    page.paragraph(
        "Effective cells: how many equally filled ones would be as even (Hill's number, the "
        "exponential of the entropy). By group and by score: the evenness of the groups alone, and "
        "of the points of the scale alone."
    )
    page.paragraph(
        "Only the panel's range counts, between the dashed lines: the points that hold the 1st to "
        "the 99th percentile of the set's scores. A mean of many ratings hardly ever reaches the "
        "ends of a scale, and photos that nobody would rate so are not asked for."
    )
    for table in tables:
        page.figure(cell_plot(table), f"Photos of {table.source} by group and score.")
    page.subheading("What is rare")
    page.paragraph("The ends of each panel's range, and what lies beyond, in photos:")
    page.table([*map(_ends, tables)])
    rare = sorted(
        (cell for table in tables for cell in rare_cells(table)),
        key=lambda cell: (cell.photos - cell.expected) / cell.expected**0.5,
    )
    if not rare:
        page.paragraph("No group lacks scores that the others of its set have.")
        return
    page.paragraph(
        "Cells with under half of the photos that they would have if scores were alike in all "
        f"groups, the most conspicuous first; where that is {EXPECTED:g} photos or more."
    )
    page.table(
        [
            {
                "group": where(cell.source, cell.group),
                "score": f"{cell.low} to {cell.low + 1}",
                "photos": f"{cell.photos:,}",
                "expected": f"{cell.expected:.1f}",
            }
            for cell in rare[:RARE]
        ]
    )


def collect_section(page: Page, tables: Sequence[Table]) -> None:
    """What would even the cells out."""
    page.heading("What to collect next")
    wants = wanted(tables)
    if not wants:
        page.paragraph("Nothing in particular: no cell has under half of its set's median cell.")
        return
    page.bullets([f"{said(want)}." for want in wants[:WANTED]])
    if len(wants) > WANTED:
        page.paragraph(f"And {len(wants) - WANTED} more, which report.json names.")
    page.paragraph(
        "Named are cells with under half of the photos of their set's median cell, of which "
        f"{FEWEST} is the least; neighbours are named together, and those that lack most of it "
        "come first. What a panel will say of a photo is known only afterwards: collect more of "
        "the group, have a scorer rate them, and show the panel those that it puts in the range."
    )


def _balance_row(table: Table) -> dict[str, str]:
    cells = table.cells
    return {
        "set": table.source,
        "balance": f"{evenness(cells):.2f}",
        "effective cells": f"{effective(cells):.1f} of {cells.size}",
        "by group": f"{evenness(cells.sum(axis=1)):.2f}",
        "by score": f"{evenness(cells.sum(axis=0)):.2f}",
        "range": f"{table.first + 1} to {table.last + 2}",
        "if collected": f"{evenness(collected(table)):.2f}",
    }


def _ends(table: Table) -> dict[str, str]:
    by_bin = table.counts.sum(axis=0)
    low, high = table.first + 1, table.last + 2
    ends = {
        "below": (f"below {low}", by_bin[: table.first].sum()),
        "lowest": (f"{low} to {low + 1}", by_bin[table.first]),
        "highest": (f"{high - 1} to {high}", by_bin[table.last]),
        "above": (f"above {high}", by_bin[table.last + 1 :].sum()),
    }
    return {"set": table.source, **{end: f"{its[0]}: {its[1]:,}" for end, its in ends.items()}}
