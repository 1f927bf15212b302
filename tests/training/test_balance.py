"""How even a set is, what is rare in it, and what would even it out."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from training.balance import (
    BINS,
    FEWEST,
    Table,
    bin_of,
    collected,
    effective,
    entropy,
    evenness,
    overall,
    rare_cells,
    tables,
    wanted,
)
from training.ratings import Example


def examples(counts: dict[tuple[str, int], int], source: str = "studio") -> list[Example]:
    """So many photos of each group and each whole score."""
    return [
        Example(Path(f"{group}-{score}-{number}.jpg"), score + 0.5, group, source=source)
        for (group, score), count in counts.items()
        for number in range(count)
    ]


def table(*counts: list[int], first: int = 0, last: int = BINS - 1) -> Table:
    groups = tuple("ABCD"[: len(counts)])
    return Table("studio", groups, np.array(counts), first, last)


@pytest.mark.parametrize(
    ("score", "bin_"), [(1.0, 0), (1.99, 0), (2.0, 1), (5.5, 4), (8.999, 7), (9.0, 8), (10.0, 8)]
)
def test_a_bin_is_a_point_wide_and_the_last_holds_the_end(score: float, bin_: int) -> None:
    assert bin_of(score) == bin_


def test_evenness_is_that_of_the_textbook() -> None:
    shares = [0.5, 0.25, 0.25]
    expected = -sum(share * math.log(share) for share in shares)
    counts = np.array([20, 10, 10])
    assert entropy(counts) == pytest.approx(expected)
    assert evenness(counts) == pytest.approx(expected / math.log(3))
    assert effective(counts) == pytest.approx(2 ** (0.5 + 0.25 * 2 * 2))


def test_evenness_goes_from_0_to_1() -> None:
    assert evenness(np.full((3, 4), 7)) == pytest.approx(1)
    assert effective(np.full((3, 4), 7)) == pytest.approx(12)
    assert evenness(np.array([0, 9, 0])) == 0
    assert effective(np.array([0, 9, 0])) == 1
    assert evenness(np.array([9])) == 1


def test_an_empty_cell_counts_as_unevenness() -> None:
    assert evenness(np.array([5, 5])) > evenness(np.array([5, 5, 0])) > 0


def test_counts_by_set_group_and_bin() -> None:
    both = examples({("B", 3): 2, ("A", 3): 1, ("B", 5): 4}) + examples({("", 6): 3}, "street")
    studio, street = tables(both)
    assert (studio.source, studio.groups) == ("studio", ("A", "B"))
    assert studio.counts.tolist() == [[0, 0, 1, *[0] * 6], [0, 0, 2, 0, 4, *[0] * 4]]
    assert studio.cells.tolist() == [[1, 0, 0], [2, 0, 4]]
    assert (street.groups, street.cells.tolist()) == (("",), [[3]])
    assert sorted(overall([studio, street])) == [0, 0, 0, 1, 2, 3, 4]


def test_the_range_leaves_out_what_hardly_anyone_gives() -> None:
    most = {("A", score): 100 for score in range(3, 8)}
    (bounded,) = tables(examples({**most, ("A", 9): 2, ("A", 1): 2}))
    assert (bounded.first, bounded.last) == (2, 6)
    assert bounded.cells.tolist() == [[100] * 5]
    (wider,) = tables(examples({**most, ("A", 9): 20, ("A", 1): 2}))
    assert (wider.first, wider.last) == (2, 8)


def test_the_rare_is_what_the_other_groups_have() -> None:
    rows = [40, 40, 40, 40, 2], [40, 40, 40, 40, 40], [40, 40, 40, 9, 40]
    bounded = table(*([0, 0, *row, 0, 0] for row in rows), first=2, last=6)
    first, second = rare_cells(bounded)
    assert (first.group, first.low, first.photos) == ("A", 7, 2)
    assert first.expected == pytest.approx(82 * 162 / 531)
    assert (second.group, second.low, second.photos) == ("C", 6, 9)


def test_a_small_group_with_the_scores_of_the_others_is_not_rare_in_each_of_them() -> None:
    assert rare_cells(table([60, 90, 60], [10, 15, 10], last=2)) == []
    # Nor does an empty cell say anything where hardly one photo is to be expected.
    assert rare_cells(table([60, 90, 6], [10, 15, 0], last=2)) == []


def test_asks_for_neighbouring_cells_together_up_to_the_median() -> None:
    bounded = table(
        [0, 40, 40, 40, 3, 1, 0, 0, 0], [9, 40, 60, 80, 40, 50, 0, 0, 0], first=1, last=5
    )
    (want,) = wanted([bounded])
    assert (want.source, want.group, want.low, want.high) == ("studio", "A", 5, 7)
    assert (want.photos, want.missing, want.target) == (4, 76, 40)


def test_asks_for_nothing_beyond_the_range_and_nothing_of_the_even() -> None:
    assert wanted([table([0, 0, 30, 30, 30, 0, 0, 0, 0], first=2, last=4)]) == []
    assert wanted([table([30, 16, 30], last=2)]) == []
    assert [want.low for want in wanted([table([30, 14, 30], last=2)])] == [2]


def test_asks_a_small_set_for_a_few_photos_in_each_cell() -> None:
    (want,) = wanted([table([1, 0, 2], last=2)])
    assert (want.low, want.high, want.target) == (1, 4, FEWEST)
    assert want.missing == 3 * FEWEST - 3


def test_what_lacks_most_comes_first_whatever_the_size_of_its_set() -> None:
    large = Table("large", ("A",), np.array([[400, 400, 180]]), 0, 2)
    small = Table("small", ("A",), np.array([[20, 20, 20, 0, 0]]), 0, 4)
    assert [want.source for want in wanted([large, small])] == ["small", "large"]
    assert [want.missing for want in wanted([large, small])] == [40, 220]


def test_what_is_asked_for_evens_the_set_out() -> None:
    bounded = table([50, 40, 3, 0], [60, 45, 38, 41], last=3)
    after = collected(bounded)
    assert evenness(after) > evenness(bounded.cells)
    assert after.sum() - bounded.cells.sum() == sum(want.missing for want in wanted([bounded]))
