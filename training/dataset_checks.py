"""What is wrong with rated photos: what was not read, has no face, or is there twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pipeline.types import Pixels
from training.crops import Sight
from training.doubles import Double, find_doubles
from training.ratings import SPLIT, Example, parts

SMALL = 40
"""Pixels: a smaller face is magnified more than four times to fill its crop."""
CROSS_SET = "cross-set"
"""What leaks between two sets: training on one of them, testing on the other."""


@dataclass(frozen=True)
class Pair:
    """A double, with whose it is."""

    double: Double
    one: Example
    other: Example
    leaks: tuple[str, ...]
    """Protocols that train on one of them and test on the other."""


@dataclass(frozen=True)
class Repeat:
    """A photo that its ratings file lists more than once."""

    examples: tuple[Example, ...]
    leaks: tuple[str, ...]


@dataclass(frozen=True)
class Findings:
    """What was seen in each photo, in the order of the ratings files, and what is there twice."""

    sights: list[Sight]
    pairs: list[Pair]
    repeats: list[Repeat]

    @cached_property
    def cut(self) -> list[Sight]:
        """Those of which there are crops, in their order."""
        return [sight for sight in self.sights if not sight.problem]

    @property
    def missing(self) -> list[Sight]:
        """Those whose file is not there."""
        return [sight for sight in self.sights if sight.missing]

    @property
    def unreadable(self) -> list[Sight]:
        """Those whose file is no photo, or a damaged one."""
        return [sight for sight in self.sights if sight.problem and not sight.missing]

    @property
    def faceless(self) -> list[Sight]:
        """Those in which no face was found, which are cut around their middle."""
        return [sight for sight in self.cut if not sight.faces]

    @property
    def several(self) -> list[Sight]:
        """Those with more faces than one, of which the largest is cut."""
        return [sight for sight in self.cut if sight.faces > 1]

    @property
    def small(self) -> list[Sight]:
        """Those with a face smaller than SMALL."""
        return [sight for sight in self.cut if sight.faces and sight.side < SMALL]

    @property
    def leaking(self) -> list[Pair | Repeat]:
        """Photos that a protocol both trains and tests on."""
        twice: list[Pair | Repeat] = [*self.pairs, *self.repeats]
        return [its for its in twice if its.leaks]

    @property
    def harmful(self) -> bool:
        """Whether photos are lost or leak, so that figures measured on the set would mislead."""
        return bool(self.missing or self.unreadable or self.leaking)


def check(sights: list[Sight], crops: Pixels) -> Findings:
    """Look for what is there twice; `crops` (n, side, side, 3) are of the sights that were read."""
    read = [sight for sight in sights if not sight.problem]
    examples = [sight.example for sight in read]
    tests = rows_tested(examples)
    pairs = [
        Pair(double, one, other, leaks((double.one, double.other), examples, tests))
        for double in find_doubles(crops, [sight.fingerprint for sight in read])
        for one, other in [(examples[double.one], examples[double.other])]
        # A photo that is listed twice is no second photo.
        if one.image != other.image
    ]
    # Those that do harm first, and each kind as it was: the likest first.
    pairs.sort(key=lambda pair: not pair.leaks)
    return Findings(sights, pairs, repeats(sights, tests))


def repeats(sights: Sequence[Sight], tests: Mapping[str, frozenset[int]]) -> list[Repeat]:
    """Photos that are listed more than once; `tests` as of `rows_tested`, of what was read."""
    listed: dict[object, list[Sight]] = defaultdict(list)
    rows: dict[object, list[int]] = defaultdict(list)
    for sight in sights:
        listed[sight.example.image].append(sight)
    read = [sight.example for sight in sights if not sight.problem]
    for row, example in enumerate(read):
        rows[example.image].append(row)
    return [
        Repeat(tuple(sight.example for sight in its), leaks(rows[image], read, tests))
        for image, its in listed.items()
        if len(its) > 1
    ]


def rows_tested(examples: list[Example]) -> dict[str, frozenset[int]]:
    """The rows that are tested on, by protocol: the published split, and each fold."""
    folds = sorted({example.fold for example in examples} - {0})
    protocols = [SPLIT, *(f"fold-{fold}" for fold in folds)]
    return {protocol: frozenset(parts(examples, protocol)[1]) for protocol in protocols}


def leaks(
    rows: Sequence[int], examples: Sequence[Example], tests: Mapping[str, frozenset[int]]
) -> tuple[str, ...]:
    """The protocols that train on one of the rows and test on another one; all show one picture."""
    leaking = [
        protocol
        for protocol, tested in tests.items()
        if 0 < sum(row in tested for row in rows) < len(rows)
    ]
    crossing = len({examples[row].source for row in rows}) > 1
    return (*leaking, *([CROSS_SET] if crossing else []))
