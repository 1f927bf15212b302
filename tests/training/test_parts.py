"""What is trained, tested and validated on: protocols, sets, and the part that is held out."""

from __future__ import annotations

import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.settings import ROOT
from training.ratings import Example, hold_out, parts, read_set

DATA = ROOT.parent / "shared" / "data"
GROUPS = {"AF": 2000, "AM": 1000, "CF": 500}
"""How many examples of each group `rated` makes; a fifth of them to test on."""


@pytest.fixture(scope="module")
def rated() -> list[Example]:
    rng = np.random.default_rng(5)
    return [
        Example(Path(f"{group}{number}.jpg"), float(score), group, split, 1 + number % 5, "studio")
        for group, count in GROUPS.items()
        for number, score in enumerate(rng.normal(5, 1.5, count).clip(1, 10))
        for split in ["test" if number % 5 == 3 else "train"]
    ]


@pytest.fixture(scope="module")
def both(rated: list[Example]) -> list[Example]:
    """The same and a set without folds, every fourth of it for testing."""
    street = [
        Example(Path(f"{n}.jpg"), 5.0, "", "train" if n % 4 else "test", 0, "street")
        for n in range(100)
    ]
    return rated[:50] + street[:50] + rated[50:] + street[50:]


def scores(examples: list[Example], indices: list[int], group: str) -> list[float]:
    return [examples[i].score for i in indices if examples[i].group == group]


def assert_spread_alike(examples: list[Example], train: list[int], held_out: list[int]) -> None:
    for group in {example.group for example in examples}:
        ours, theirs = scores(examples, held_out, group), scores(examples, train, group)
        assert statistics.mean(ours) == pytest.approx(statistics.mean(theirs), abs=0.15)
        assert statistics.stdev(ours) == pytest.approx(statistics.stdev(theirs), rel=0.15)


def assert_parted(examples: list[Example], train: list[int], test: list[int]) -> None:
    assert train == sorted(train)
    assert test == sorted(test)
    assert sorted(train + test) == list(range(len(examples)))


def test_the_split_is_the_published_one(both: list[Example]) -> None:
    train, test = parts(both, "split")
    assert_parted(both, train, test)
    assert {both[index].split for index in test} == {"test"}
    assert {both[index].split for index in train} == {"train"}


@pytest.mark.parametrize("fold", range(1, 6))
def test_a_fold_is_tested_on_and_sets_without_folds_keep_their_split(
    both: list[Example], fold: int
) -> None:
    train, test = parts(both, f"fold-{fold}")
    assert_parted(both, train, test)
    studio = {index for index in test if both[index].source == "studio"}
    assert studio == {i for i, example in enumerate(both) if example.fold == fold}
    assert {both[i].split for i in set(test) - studio} == {"test"}
    assert {both[i].split for i in train if both[i].source == "street"} == {"train"}


def test_all_leaves_nothing_to_test_on(both: list[Example]) -> None:
    assert parts(both, "all") == (list(range(len(both))), [])


@pytest.mark.parametrize("protocol", ["split", "fold-2", "all"])
def test_sets_that_are_not_trained_on_are_all_for_testing(
    both: list[Example], protocol: str
) -> None:
    everything, tested = parts(both, protocol)
    train, test = parts(both, protocol, ("street",))
    assert_parted(both, train, test)
    assert train == [index for index in everything if both[index].source == "street"]
    assert {index for index in test if both[index].source == "street"} <= set(tested)
    assert parts(both, protocol, ("studio", "street")) == (everything, tested)


@pytest.mark.parametrize("protocol", ["fold-6", "fold-0", "fold-", "fold-two", "Split", "", "val"])
def test_an_unknown_protocol_is_named_with_those_there_are(
    both: list[Example], protocol: str
) -> None:
    with pytest.raises(ValueError, match=r"there are: split, fold-1, .*fold-5, all") as error:
        parts(both, protocol)
    assert repr(protocol) in str(error.value)


def test_without_folds_there_is_no_protocol_of_one(rated: list[Example]) -> None:
    without = [replace(example, fold=0) for example in rated]
    with pytest.raises(ValueError, match="there are: split, all"):
        parts(without, "fold-1")


def test_an_unknown_set_is_named_with_those_there_are(both: list[Example]) -> None:
    with pytest.raises(ValueError, match="no set 'streets'; there are: street, studio"):
        parts(both, "split", ("studio", "streets"))


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2, 0.25, 0.5])
def test_holds_out_about_the_share_in_every_group(rated: list[Example], share: float) -> None:
    part, _ = parts(rated, "split")
    train, held_out = hold_out(rated, part, share, seed=1)
    for group, count in GROUPS.items():
        both = len(scores(rated, train, group)), len(scores(rated, held_out, group))
        assert sum(both) == count * 4 // 5
        assert both[1] == pytest.approx(share * sum(both), abs=1)


def test_groups_of_one_name_in_two_sets_are_held_out_alike() -> None:
    rated = [
        Example(Path(f"{number}.jpg"), 1 + number % 9, "AF", source=source)
        for source, count in (("one", 400), ("two", 40))
        for number in range(count)
    ]
    _, held_out = hold_out(rated, range(len(rated)), 0.1, seed=3)
    assert [sum(rated[i].source == source for i in held_out) for source in ("one", "two")] == [
        40,
        4,
    ]


def test_what_is_held_out_is_of_the_part_given_and_no_other(rated: list[Example]) -> None:
    part, test = parts(rated, "fold-4")
    train, held_out = hold_out(rated, reversed(part), 0.1, seed=1)
    assert sorted(train + held_out) == part
    assert train == sorted(train)
    assert held_out == sorted(held_out)
    assert not set(test) & set(train + held_out)


def test_a_share_of_0_holds_out_none(rated: list[Example]) -> None:
    part, _ = parts(rated, "split")
    assert hold_out(rated, reversed(part), 0, seed=1) == (part, [])


@pytest.mark.parametrize("share", [-0.1, 0.51, 1, float("nan")])
def test_a_share_that_leaves_too_little_is_refused(rated: list[Example], share: float) -> None:
    with pytest.raises(ValueError, match="leaves nothing to train or to validate on"):
        hold_out(rated, range(len(rated)), share, seed=1)


def test_both_parts_have_the_same_spread_of_scores(rated: list[Example]) -> None:
    part, _ = parts(rated, "split")
    for seed in range(5):
        assert_spread_alike(rated, *hold_out(rated, part, 0.1, seed))


def test_the_seed_and_nothing_else_decides_who_is_held_out(rated: list[Example]) -> None:
    part, _ = parts(rated, "split")
    assert hold_out(rated, part, 0.1, seed=1) == hold_out(list(rated), set(part), 0.1, seed=1)
    chosen = [set(hold_out(rated, part, 0.1, seed)[1]) for seed in range(4)]
    assert all(
        len(one & other) < 0.4 * len(one)
        for number, one in enumerate(chosen)
        for other in chosen[:number]
    )


def test_the_published_sets_fall_into_their_published_parts() -> None:
    if not DATA.exists():
        pytest.skip(f"no {DATA.relative_to(ROOT.parent)}, which no clone of this repository holds")
    examples = [*read_set(DATA / "scut-fbp5500"), *read_set(DATA / "mebeauty")]

    def sizes(protocol: str, *sets: str) -> tuple[int, int]:
        train, test = parts(examples, protocol, sets)
        return len(train), len(test)

    assert sizes("split") == (3300 + 1763, 2200 + 226)
    assert sizes("all") == (7489, 0)
    assert sizes("split", "scut-fbp5500") == (3300, 2200 + 1989)
    assert sizes("all", "mebeauty") == (1989, 5500)
    tested = [parts(examples, f"fold-{fold}", ("scut-fbp5500",))[1] for fold in range(1, 6)]
    assert [len(test) for test in tested] == [1100 + 1989] * 5
    assert len({index for test in tested for index in test}) == 7489
    train, held_out = hold_out(examples, parts(examples, "split")[0], 0.1, seed=1)
    assert len(train) + len(held_out) == 5063
    scut = [[i for i in part if i < 5500] for part in (train, held_out)]
    assert len(scut[1]) == pytest.approx(330, abs=4)
    assert_spread_alike(examples[:5500], *scut)
