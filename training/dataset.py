"""Checks rated photos, cuts their faces, and reports how balanced they are.

    python -m training dataset ../shared/data/scut-fbp5500 ../shared/data/mebeauty --out runs/both

A set is a folder with photos and a `ratings.csv`, with the columns `image` and, say,
`rating_1_to_5`; `group` (or `gender` and `ethnicity`), `split` and `fold` if there are any. In the
out folder, `report.html` is for reading, `report.json` has the same figures; both hold names of
photos, and the page some faces. The rest are the crops, for `train` and `evaluate`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from training.balance import evenness, overall, tables, wanted
from training.crops import cut
from training.dataset_checks import Findings, check
from training.dataset_page import write_page
from training.dataset_report import PROBLEMS, Report, count_of, figures, leak_counts, problems, said
from training.ratings import BadRatings, Example, read_set

NAMED = 3
"""Photos named on the terminal of each kind of problem."""


class NoPhotos(ValueError):
    """Not one of the photos that are rated can be read; says why of the first."""


def read_sets(folders: Sequence[Path]) -> list[Example]:
    """The rated photos of all sets. Raises BadRatings, also for two sets of one name."""
    examples: list[Example] = []
    for folder in folders:
        its = read_set(folder)
        if any(example.source == its[0].source for example in examples):
            raise BadRatings(f"two sets are called {its[0].source}; rename the folder of one")
        examples += its
    return examples


def report_on(examples: list[Example], folder: Path) -> Report:
    """Cut the photos' crops into the folder and look at them. Raises NoPhotos."""
    sights = cut(examples, folder)
    count = sum(not sight.problem for sight in sights)
    if not count:
        first = sights[0]
        raise NoPhotos(
            f"none of the {len(sights)} photos can be read; {first.example.image}: {first.problem}"
        )
    crops = np.load(folder / "served.npy", mmap_mode="r")[:count]
    findings = check(sights, crops)
    return Report(findings, tables([sight.example for sight in findings.cut]), crops)


def summary(report: Report) -> list[str]:
    """The report in short, as lines for a terminal."""
    findings = report.findings
    lines = [
        f"{count_of(len(findings.sights), 'photo')} in {count_of(len(report.by_set), 'set')},"
        f" of which {len(findings.cut):,} can be read"
    ]
    for kind, its in problems(findings).items():
        if its:
            lines.append(
                f"  {PROBLEMS[kind]}: {len(its):,} ({_names([sight.example for sight in its])})"
            )
    if findings.repeats:
        names = _names([repeat.examples[0] for repeat in findings.repeats])
        lines.append(f"  listed more than once: {len(findings.repeats):,} ({names})")
    if findings.pairs:
        pair, more = findings.pairs[0], ", …" if len(findings.pairs) > 1 else ""
        names = f"{pair.one.image.name} and {pair.other.image.name}{more}"
        lines.append(f"  pairs of doubles: {len(findings.pairs):,} ({names})")
    for protocol, count in leak_counts(findings).items():
        lines.append(f"  leak from testing into training under {protocol}: {count:,}")
    several = ", ".join(f"{t.source} {evenness(t.cells):.2f}" for t in report.tables)
    lines.append(f"balance, from 0 to 1: {evenness(overall(report.tables)):.2f} ({several})")
    lines += [f"  collect {said(want)}" for want in wanted(report.tables)[:NAMED]]
    return lines


def _names(examples: Sequence[Example]) -> str:
    more = ["…"] if len(examples) > NAMED else []
    return ", ".join([*(example.image.name for example in examples[:NAMED]), *more])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line's options."""
    parser.add_argument("sets", type=Path, nargs="+", help="folders with photos and ratings.csv")
    parser.add_argument("--out", type=Path, required=True, help="crops and report")
    parser.add_argument("--check", action="store_true", help="report only, leave no crops")
    parser.add_argument(
        "--strict",
        action="store_true",
        help="exit 1 if photos are missing, unreadable, or leak from testing into training",
    )


def main(options: argparse.Namespace) -> None:
    """Check and cut the sets that the command line names."""
    try:
        examples = read_sets(options.sets)
        options.out.mkdir(parents=True, exist_ok=True)
        if options.check:
            with TemporaryDirectory(prefix="crops-", dir=options.out) as folder:
                findings = _write(report_on(examples, Path(folder)), options.out)
        else:
            findings = _write(report_on(examples, options.out), options.out)
    except (BadRatings, NoPhotos) as error:
        raise SystemExit(str(error)) from error
    if options.strict and findings.harmful:
        print("strict: photos are missing, unreadable, or leak", file=sys.stderr)
        sys.exit(1)


def _write(report: Report, out: Path) -> Findings:
    write_page(report, out / "report.html")
    text = json.dumps(figures(report), indent=2, ensure_ascii=False)
    (out / "report.json").write_text(text + "\n", encoding="utf-8")
    print("\n".join([*summary(report), f"{out / 'report.html'} is written"]))
    return report.findings
