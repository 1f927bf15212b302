"""Rated photo sets, their parts, and the figures of the field."""

from __future__ import annotations

import csv
import statistics
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pipeline.settings import ROOT
from training.metrics import SCUT_STEP, metrics
from training.ratings import BadRatings, Example, hold_out, parts, read_set, score_of_rating

SCUT = ROOT.parent / "shared" / "data" / "scut-fbp5500"
COLUMNS = ("image", "rating_1_to_5", "group", "fold_5cv", "split_60_40")
GROUPS = {"AF": 2000, "AM": 1000, "CF": 500}
"""How many examples of each group `rated` makes; a fifth of them to test on."""


@pytest.fixture(scope="module")
def rated() -> list[Example]:
    rng = np.random.default_rng(5)
    return [
        Example(Path(f"{group}{number}.jpg"), float(score), group, split)
        for group, count in GROUPS.items()
        for number, score in enumerate(rng.normal(5, 1.5, count).clip(1, 10))
        for split in ["test" if number % 5 == 0 else "train"]
    ]


def scores(examples: list[Example], indices: list[int], group: str) -> list[float]:
    return [examples[i].score for i in indices if examples[i].group == group]


def training(examples: list[Example]) -> list[int]:
    return parts(examples, "split")[0]


def assert_spread_alike(examples: list[Example], train: list[int], held_out: list[int]) -> None:
    for group in {example.group for example in examples}:
        ours, theirs = scores(examples, held_out, group), scores(examples, train, group)
        assert statistics.mean(ours) == pytest.approx(statistics.mean(theirs), abs=0.15)
        assert statistics.stdev(ours) == pytest.approx(statistics.stdev(theirs), rel=0.15)


@pytest.mark.parametrize(("rating", "score"), [(1, 1), (2, 3.25), (3, 5.5), (4.6, 9.1), (5, 10)])
def test_ratings_from_1_to_5_become_scores_from_1_to_10(rating: float, score: float) -> None:
    assert score_of_rating(rating, 1, 5) == pytest.approx(score)


def test_a_scale_that_is_ours_already_stays_as_it_is() -> None:
    assert score_of_rating(7.3, 1, 10) == pytest.approx(7.3)


def test_reads_scuts_columns(tmp_path: Path) -> None:
    rows = [("AF1.jpg", "2.333333", "AF", "2", "test"), ("CM7.jpg", "5.0", "CM", "4", "train")]
    with (tmp_path / "ratings.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    first, second = read_set(tmp_path)
    assert first.image == tmp_path / "AF1.jpg"
    assert first.score == pytest.approx(4.0, abs=1e-5)
    assert (first.group, first.split) == ("AF", "test")
    name = tmp_path.name
    assert second == Example(tmp_path / "CM7.jpg", 10.0, "CM", "train", 4, name, 1.0, 5.0)
    assert second.unit == pytest.approx(SCUT_STEP)


def test_reads_the_published_set() -> None:
    if not SCUT.exists():
        pytest.skip(f"no {SCUT.relative_to(ROOT.parent)}, which no clone of this repository holds")
    examples = read_set(SCUT)
    assert Counter(example.split for example in examples) == {"train": 3300, "test": 2200}
    assert Counter(e.group for e in examples) == {"AF": 2000, "AM": 2000, "CF": 750, "CM": 750}
    assert all(1 < example.score < 10 for example in examples)
    assert len({example.image for example in examples}) == 5500
    assert all(example.image.is_file() for example in examples[::500])
    train, held_out = hold_out(examples, parts(examples, "split")[0], 0.1, seed=1)
    assert len(train) + len(held_out) == 3300
    assert len(held_out) == pytest.approx(330, abs=4)
    assert_spread_alike(examples, train, held_out)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2, 0.25, 0.5])
def test_holds_out_about_the_share_in_every_group(rated: list[Example], share: float) -> None:
    train, held_out = hold_out(rated, training(rated), share, seed=1)
    for group, count in GROUPS.items():
        both = len(scores(rated, train, group)), len(scores(rated, held_out, group))
        assert sum(both) == count * 4 // 5
        assert both[1] == pytest.approx(share * sum(both), abs=1)


def test_parts_are_disjoint_and_leave_the_test_part_alone(rated: list[Example]) -> None:
    train, held_out = hold_out(rated, training(rated), 0.1, seed=1)
    assert len(set(train)) == len(train)
    assert len(set(held_out)) == len(held_out)
    assert not set(train) & set(held_out)
    assert {rated[index].split for index in train + held_out} == {"train"}
    assert len(train) + len(held_out) == sum(example.split == "train" for example in rated)


def test_both_parts_have_the_same_spread_of_scores(rated: list[Example]) -> None:
    for seed in range(5):
        assert_spread_alike(rated, *hold_out(rated, training(rated), 0.1, seed))


def test_the_seed_and_nothing_else_decides_who_is_held_out(rated: list[Example]) -> None:
    assert hold_out(rated, training(rated), 0.1, seed=1) == hold_out(
        list(rated), training(rated), 0.1, seed=1
    )
    chosen = [set(hold_out(rated, training(rated), 0.1, seed)[1]) for seed in range(4)]
    assert all(
        len(one & other) < 0.4 * len(one)
        for number, one in enumerate(chosen)
        for other in chosen[:number]
    )


def test_metrics_are_those_of_the_textbook() -> None:
    rng = np.random.default_rng(1)
    rated = rng.uniform(1, 10, 200)
    predicted = 0.7 * rated + rng.normal(1, 0.8, 200)
    errors = [p - r for p, r in zip(predicted, rated, strict=True)]
    assert metrics(predicted, rated) == {
        "pc": pytest.approx(statistics.correlation(list(predicted), list(rated)), abs=1e-4),
        "mae": pytest.approx(statistics.fmean(map(abs, errors)), abs=1e-4),
        "rmse": pytest.approx(statistics.fmean(e * e for e in errors) ** 0.5, abs=1e-4),
    }


def test_errors_in_scuts_unit_are_those_of_its_own_scale() -> None:
    rng = np.random.default_rng(2)
    rated, predicted = rng.uniform(1, 5, (2, 200))
    figures = metrics(1 + 9 * (predicted - 1) / 4, 1 + 9 * (rated - 1) / 4, SCUT_STEP)
    assert figures == {
        "pc": pytest.approx(metrics(predicted, rated)["pc"], abs=1e-4),
        "mae": pytest.approx(np.abs(predicted - rated).mean(), abs=1e-4),
        "rmse": pytest.approx(np.sqrt(((predicted - rated) ** 2).mean()), abs=1e-4),
    }


def test_perfect_and_reversed_predictions() -> None:
    rated = np.array([2.0, 4.0, 7.0])
    assert metrics(rated, rated) == {"pc": 1, "mae": 0, "rmse": 0}
    assert metrics(-rated, rated)["pc"] == -1
    assert metrics(rated + 1, rated) == {"pc": 1, "mae": 1, "rmse": 1}


def test_protocols_part_the_examples() -> None:
    rated = [
        Example(Path(f"{number}.jpg"), 5, split="test" if number % 4 == 0 else "train",
                fold=1 + number % 5 if number < 20 else 0, source="a" if number < 20 else "b")
        for number in range(40)
    ]  # fmt: skip
    by_split, by_fold, whole = (parts(rated, name) for name in ("split", "fold-2", "all"))
    assert by_split[1] == list(range(0, 40, 4))
    assert by_fold[1] == [*range(1, 20, 5), *range(20, 40, 4)]
    assert whole == (list(range(40)), [])
    for train, test in (by_split, by_fold):
        assert sorted(train + test) == list(range(40))
    assert parts(rated, "split", ("a",))[1] == [*range(0, 20, 4), *range(20, 40)]
    for bad in (("fold-6", ()), ("halves", ()), ("split", ("c",))):
        with pytest.raises(ValueError, match="there is no"):
            parts(rated, *bad)


def test_a_set_without_a_split_gets_a_lasting_fifth_to_test_on(tmp_path: Path) -> None:
    names = [f"photo{number}.jpg" for number in range(200)]

    def split(listed: list[str]) -> dict[str, str]:
        rows = "".join(f"{name},{number % 100 + 1}\n" for number, name in enumerate(listed))
        (tmp_path / "ratings.csv").write_text(f"image,rating_1_to_100\n{rows}", encoding="utf-8")
        return {example.image.name: example.split for example in read_set(tmp_path)}

    first = split(names)
    assert split(names[::-1]) == first
    assert split(names[50:]) == {name: first[name] for name in names[50:]}
    assert 20 <= Counter(first.values())["test"] <= 60


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("image,rating_1_to_5\n", "no ratings"),
        ("image,rating\na.jpg,3\n", "needs the columns"),
        ("photo,rating_1_to_5\na.jpg,3\n", "needs the columns"),
        ("image,rating_1_to_5\na.jpg,3\nb.jpg,six\n", "line 3"),
        ("image,rating_1_to_5\na.jpg,5.1\n", "not from 1 to 5"),
        ("image,rating_1_to_5\na.jpg,nan\n", "not from 1 to 5"),
        ("image,rating_1_to_5\n../a.jpg,3\n", "not the name of a photo"),
        ("image,rating_1_to_5,fold\na.jpg,3,x\n", "line 2"),
        ("image,rating_1_to_5,split\na.jpg,3,elsewhere\n", "none of"),
    ],
)
def test_ratings_that_cannot_be_are_refused_with_their_place(
    tmp_path: Path, text: str, why: str
) -> None:
    (tmp_path / "ratings.csv").write_text(text, encoding="utf-8")
    with pytest.raises(BadRatings, match=why):
        read_set(tmp_path)


def test_a_folder_without_ratings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRatings, match="No such file"):
        read_set(tmp_path)
