"""The page of a dataset's report: what the photos are, what is wrong with them, what they lack."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, pstdev

from training.balance_page import balance_section, collect_section
from training.crops import Sight
from training.dataset_checks import CROSS_SET, SMALL, Findings, Pair, Repeat
from training.dataset_plots import score_plot, size_plot
from training.dataset_report import PROBLEMS, Report, count_of, leak_counts, problems
from training.doubles import LIKENESS, clusters
from training.pages import Page
from training.ratings import Example
from training.views import VIEW

LISTED = 50
"""Photos named of each kind of problem; report.json names all."""
SHOWN = 24
"""Pairs and faceless crops shown."""


def write_page(report: Report, path: Path) -> None:
    """Write the page."""
    page = Page("Dataset " + ", ".join(report.by_set))
    page.paragraph(
        "All scores are on the scale from 1 to 10, to which the ends of a panel's own are moved."
    )
    _overview(page, report)
    balance_section(page, report.tables)
    collect_section(page, report.tables)
    _problems(page, report.findings)
    _twice(page, report)
    _faces(page, report)
    page.write(path)


def overview(source: str, sights: Sequence[Sight]) -> dict[str, str]:
    """A set's row in the table of sets."""
    its = Findings(list(sights), [], [])
    read = [sight.example for sight in its.cut]
    first = sights[0].example
    folds = Counter(example.fold for example in read if example.fold)
    scores = [example.score for example in read]
    return {
        "set": source,
        "scale": f"{first.lowest:g} to {first.highest:g}",
        "listed": f"{len(sights):,}",
        "read": f"{len(read):,}",
        "with a face": f"{len(read) - len(its.faceless):,}",
        "train": f"{sum(example.split == 'train' for example in read):,}",
        "test": f"{sum(example.split == 'test' for example in read):,}",
        "folds": _folds(folds),
        "groups": str(len({example.group for example in read})),
        "mean score": f"{fmean(scores):.2f}" if scores else "none",
        "deviation": f"{pstdev(scores):.2f}" if scores else "none",
    }


def _overview(page: Page, report: Report) -> None:
    page.heading("Overview")
    page.table([overview(source, sights) for source, sights in report.by_set.items()])
    page.paragraph(
        "Without a split of its own, a set is tested on a fifth of its photos, chosen by their "
        "names."
    )
    findings = report.findings
    counts = [f"{len(its):,} {PROBLEMS[kind]}" for kind, its in problems(findings).items()]
    page.bullets(
        [
            "; ".join(counts) + ".",
            f"Listed more than once: {len(findings.repeats):,}; pairs of doubles: "
            f"{len(findings.pairs):,}, of which {len(findings.leaking):,} leak from testing into "
            "training.",
        ]
    )
    read = {
        source: [sight.example for sight in sights if not sight.problem]
        for source, sights in report.by_set.items()
    }
    page.figure(
        score_plot({source: its for source, its in read.items() if its}),
        "Photos by score and split.",
    )


def _problems(page: Page, findings: Findings) -> None:
    page.heading("Problems with photos")
    page.paragraph(
        "Missing and unreadable photos are left out of the crops. A photo without a face found is "
        "cut around its middle, for a test may not lose its hard cases. Of several faces the "
        f"largest is cut. A face under {SMALL} pixels is magnified more than four times."
    )
    kinds = {PROBLEMS[kind]: its for kind, its in problems(findings).items() if its}
    if not kinds:
        page.paragraph("None.")
    for kind, its in kinds.items():
        page.subheading(f"{count_of(len(its), 'photo')} {kind}")
        page.bullets(_some([_about(sight) for sight in its]))


def _twice(page: Page, report: Report) -> None:
    findings = report.findings
    page.heading("Photos that are there twice")
    page.paragraph(
        "A double is the same picture again, also mirrored, resized, recoloured a little or "
        "compressed anew, or another shot of the same moment that can hardly be told from it. "
        "Candidates have close perceptual hashes (256-bit pHash) of the photo or of the crop; they "
        "count if the two faces, laid on one another by an affine map, correlate in their details "
        f"with {LIKENESS} or more. Missed are most retouched copies, and about one in five of "
        "those whose margins were cut away. Other photos of a person are not looked for. Nothing "
        "is left out of the crops: take out of the ratings file what should not be there."
    )
    leaks = leak_counts(findings)
    if leaks:
        page.bullets(f"{count:,} leak under {protocol}." for protocol, count in leaks.items())
        page.paragraph(
            "A double leaks under a protocol that trains on one of the two and tests on the other, "
            "and flatters its figures."
            + (
                f" {CROSS_SET}: one set is trained on, another tested."
                if CROSS_SET in leaks
                else ""
            )
        )
    if findings.repeats:
        page.subheading(f"Listed more than once: {len(findings.repeats):,}")
        page.bullets(_some([_repeat(repeat) for repeat in findings.repeats]))
    if not findings.pairs:
        page.paragraph("No doubles were found.")
        return
    pictures = clusters([pair.double for pair in findings.pairs])
    page.subheading(
        f"Doubles: {count_of(len(findings.pairs), 'pair')} of {count_of(pictures, 'picture')}"
    )
    gap = fmean(abs(pair.one.score - pair.other.score) for pair in findings.pairs)
    page.paragraph(
        f"The two scores of one picture are {gap:.2f} points apart in the mean, which says how "
        "repeatable the ratings are."
    )
    for pair in findings.pairs[:SHOWN]:
        page.paragraph(f"{_pair(pair)}.")
        page.faces(
            (report.crops[row], f"{_photo(example)}: {example.score:.2f}, {_part(example)}")
            for row, example in (
                (pair.double.one, pair.one),
                (pair.double.other, pair.other),
            )
        )
    if len(findings.pairs) > SHOWN:
        page.subheading("The other pairs")
        page.bullets(
            _some(
                [
                    f"{_photo(pair.one)} and {_photo(pair.other)}: {_pair(pair)}"
                    for pair in findings.pairs[SHOWN:]
                ]
            )
        )


def _faces(page: Page, report: Report) -> None:
    page.heading("Faces")
    sides = {
        source: [sight.side for sight in sights if sight.faces]
        for source, sights in report.by_set.items()
    }
    sides = {source: its for source, its in sides.items() if its}
    if sides:
        page.figure(
            size_plot(sides),
            f"Sizes of faces. Left of {VIEW.size / VIEW.context:.0f} pixels one is magnified "
            f"to fill its crop, left of {SMALL} more than four times.",
        )
    faceless = [
        (row, sight.example) for row, sight in enumerate(report.findings.cut) if not sight.faces
    ]
    if faceless:
        page.subheading("Cut around their middle, for no face was found")
        page.faces((report.crops[row], _photo(example)) for row, example in faceless[:SHOWN])


def _folds(photos: Mapping[int, int]) -> str:
    if not photos:
        return "none"
    ends = sorted({min(photos.values()), max(photos.values())})
    return f"{len(photos)} of {' to '.join(f'{end:,}' for end in ends)}"


def _about(sight: Sight) -> str:
    if sight.problem:
        return f"{_photo(sight.example)}: {sight.problem}"
    if sight.faces > 1:
        return f"{_photo(sight.example)}: {sight.faces} faces, the largest {sight.side:.0f} pixels"
    return _photo(sight.example) + (f": {sight.side:.0f} pixels" if sight.faces else "")


def _pair(pair: Pair) -> str:
    mirrored = ", mirrored" if pair.double.mirrored else ""
    harm = f"leaks under {', '.join(pair.leaks)}" if pair.leaks else "leaks under no protocol"
    return f"Likeness {pair.double.likeness:.3f}{mirrored}; {harm}"


def _repeat(repeat: Repeat) -> str:
    ratings = ", ".join(f"{its.score:.2f} ({_part(its)})" for its in repeat.examples)
    harm = f"; leaks under {', '.join(repeat.leaks)}" if repeat.leaks else ""
    return f"{_photo(repeat.examples[0])}: {ratings}{harm}"


def _part(example: Example) -> str:
    return example.split + (f", fold {example.fold}" if example.fold else "")


def _photo(example: Example) -> str:
    return f"{example.source}/{example.image.name}"


def _some(items: Iterable[str]) -> list[str]:
    lines = list(items)
    more = [f"and {len(lines) - LISTED:,} more"] if len(lines) > LISTED else []
    return lines[:LISTED] + more
