"""Reading a rated set: the published layouts, a user's own, and what is wrong with a file."""

from __future__ import annotations

import csv
import random
from collections import Counter
from pathlib import Path

import pytest

from pipeline.settings import ROOT
from training.ratings import BadRatings, Example, read_set, score_of_rating

DATA = ROOT.parent / "shared" / "data"
SCUT = ("image", "rating_1_to_5", "group", "fold_5cv", "split_60_40")
MEBEAUTY = ("image", "rating_1_to_10", "gender", "ethnicity", "split")
OWN = ("image", "rating_1_to_100")


def write(folder: Path, *rows: tuple[str, ...], encoding: str = "utf-8") -> Path:
    folder.mkdir(exist_ok=True)
    with (folder / "ratings.csv").open("w", encoding=encoding, newline="") as file:
        csv.writer(file).writerows(rows)
    return folder


@pytest.mark.parametrize(("rating", "score"), [(1, 1), (2, 3.25), (3, 5.5), (4.6, 9.1), (5, 10)])
def test_ratings_from_1_to_5_become_scores_from_1_to_10(rating: float, score: float) -> None:
    assert score_of_rating(rating, 1, 5) == pytest.approx(score)


def test_a_scale_that_is_ours_already_stays_as_it_is() -> None:
    assert score_of_rating(7.3, 1, 10) == pytest.approx(7.3)


def test_reads_scuts_columns(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "faces",
        SCUT,
        ("AF1.jpg", "2.333333", "AF", "2", "test"),
        ("CM7.jpg", "5.0", "CM", "4", "train"),
    )
    (folder / "images").mkdir()
    first, second = read_set(folder)
    assert first.score == pytest.approx(4.0, abs=1e-5)
    assert (first.group, first.split, first.fold) == ("AF", "test", 2)
    assert second == Example(
        folder / "images" / "CM7.jpg", 10.0, "CM", "train", 4, "faces", 1.0, 5.0
    )
    assert second.unit == pytest.approx(4 / 9)


def test_reads_mebeautys_columns_and_tests_on_its_val(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "faces",
        MEBEAUTY,
        ("a.jpg", "6.0320", "female", "asian", "train"),
        ("b.jpg", "7.5", "male", "", "val"),
    )
    first, second = read_set(folder)
    assert first == Example(folder / "a.jpg", 6.032, "female-asian", "train", 0, "faces", 1.0, 10.0)
    assert (second.group, second.split, second.unit) == ("male", "test", 1.0)


def test_a_name_and_a_rating_are_enough(tmp_path: Path) -> None:
    folder = write(tmp_path / "mine", OWN, ("sub/a.jpg", "1"), ("b.jpg", "100"), ("c.jpg", "34"))
    examples = read_set(folder)
    assert [example.image for example in examples] == [
        folder / name for name in ("sub/a.jpg", "b.jpg", "c.jpg")
    ]
    assert [example.score for example in examples] == pytest.approx([1, 10, 4])
    assert {(it.group, it.fold, it.source, it.unit) for it in examples} == {("", 0, "mine", 11)}


def test_a_scale_may_start_at_nought_and_end_between_numbers(tmp_path: Path) -> None:
    folder = write(tmp_path, ("rating_0_to_2.5", "image"), ("0", "a.jpg"), ("1.25", "b.jpg"))
    assert [example.score for example in read_set(folder)] == pytest.approx([1, 5.5])


def test_photos_are_in_the_images_folder_if_there_is_one(tmp_path: Path) -> None:
    folder = write(tmp_path / "mine", OWN, ("a.jpg", "50"))
    assert read_set(folder)[0].image == folder / "a.jpg"
    (folder / "images").mkdir()
    assert read_set(folder)[0].image == folder / "images" / "a.jpg"


def test_without_a_split_a_stable_fifth_is_for_testing(tmp_path: Path) -> None:
    rows = [(f"photo {number}.jpg", "50") for number in range(1000)]

    def tested(*chosen: tuple[str, str]) -> set[str]:
        examples = read_set(write(tmp_path, OWN, *chosen))
        return {example.image.name for example in examples if example.split == "test"}

    fifth = tested(*rows)
    assert len(fifth) == pytest.approx(200, abs=40)
    shuffled = random.Random(1).sample(rows, len(rows))
    assert tested(*shuffled) == fifth
    assert tested(*rows[:500]) == {name for name, _ in rows[:500]} & fifth


def test_a_photo_that_the_split_column_leaves_open_goes_by_its_name(tmp_path: Path) -> None:
    names = [f"{number}.jpg" for number in range(50)]
    open_ones = write(tmp_path, (*OWN, "split"), *((name, "50", "") for name in names))
    by_name = [example.split for example in read_set(open_ones)]
    assert set(by_name) == {"train", "test"}
    assert by_name == [
        it.split for it in read_set(write(tmp_path, OWN, *((n, "5") for n in names)))
    ]


def test_a_spreadsheets_mark_of_utf_8_is_no_part_of_a_name(tmp_path: Path) -> None:
    folder = write(tmp_path / "mine", OWN, ("Zoë.jpg", "50"), encoding="utf-8-sig")
    assert (folder / "ratings.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    (example,) = read_set(folder)
    assert example.image.name == "Zoë.jpg"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "holds no ratings"),
        ("image,rating_1_to_5\n", "holds no ratings"),
        ("photo,rating_1_to_5\na.jpg,3\n", r"needs the columns image.*has \['photo', 'rating_1_to"),
        ("image,score\na.jpg,3\n", "needs the columns image and, say, rating_1_to_5"),
        ("image,rating_1_to_5,rating_1_to_10\na.jpg,3,7\n", "needs the columns image"),
        ("image,rating_5_to_5\na.jpg,5\n", "rating_5_to_5 does not go from a lower"),
        ("image,rating_5_to_1\na.jpg,3\n", "rating_5_to_1 does not go from a lower"),
        ("image,rating_1_to_5\na.jpg,3\nb.jpg,\n", r"ratings\.csv, line 3: could not convert"),
        ("image,rating_1_to_5\na.jpg,good\n", r"line 2: could not convert.*'good'"),
        ("image,rating_1_to_5\na.jpg\n", r"ratings\.csv, line 2: "),
        ("image,rating_1_to_5\na.jpg,5.1\n", r"line 2: a rating of 5\.1 is not from 1 to 5"),
        ("image,rating_1_to_5\na.jpg,0\n", r"line 2: a rating of 0\.0 is not from 1 to 5"),
        ("image,rating_1_to_5\na.jpg,nan\n", "line 2: a rating of nan is not from 1 to 5"),
        ("image,rating_1_to_5\na.jpg,inf\n", "line 2: a rating of inf is not from 1 to 5"),
        ("image,rating_1_to_5\n../a.jpg,3\n", r"line 2: '\.\./a\.jpg' is not the name of a photo"),
        ("image,rating_1_to_5\nb/../../a.jpg,3\n", "is not the name of a photo in the folder"),
        ("image,rating_1_to_5\n/a.jpg,3\n", "line 2: '/a.jpg' is not the name of a photo"),
        ("image,rating_1_to_5\n,3\n", "line 2: '' is not the name of a photo"),
        ("image,rating_1_to_5,fold\na.jpg,3,one\n", "line 2: invalid literal.*'one'"),
        ("image,rating_1_to_5,fold\na.jpg,3,0\n", "line 2: there is no fold 0"),
        ("image,rating_1_to_5,fold\na.jpg,3,-1\n", "line 2: there is no fold -1"),
        ("image,rating_1_to_5,split\na.jpg,3,Train\n", "line 2: a split of 'Train' is none of tr"),
        # Lines as an editor counts them.
        ("image,rating_1_to_5\na.jpg,3\n\nb.jpg,9\n", "line 4: a rating of 9"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong_and_where(
    tmp_path: Path, text: str, reason: str
) -> None:
    (tmp_path / "ratings.csv").write_text(text, encoding="utf-8")
    with pytest.raises(BadRatings, match=reason) as error:
        read_set(tmp_path)
    assert str(error.value).startswith(str(tmp_path / "ratings.csv"))


def test_a_folder_without_ratings_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRatings, match=r"nowhere/ratings\.csv: No such file"):
        read_set(tmp_path / "nowhere")


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_file_in_another_encoding_is_refused(tmp_path: Path, encoding: str) -> None:
    write(tmp_path, OWN, ("Zoë.jpg", "50"), encoding=encoding)
    with pytest.raises(BadRatings, match=r"ratings\.csv is no CSV in UTF-8"):
        read_set(tmp_path)


@pytest.mark.parametrize(
    ("name", "count", "splits", "groups"),
    [
        ("scut-fbp5500", 5500, (3300, 2200), {"AF": 2000, "AM": 2000, "CF": 750, "CM": 750}),
        ("mebeauty", 1989, (1763, 226), None),
    ],
)
def test_reads_the_published_sets(
    name: str, count: int, splits: tuple[int, int], groups: dict[str, int] | None
) -> None:
    folder = DATA / name
    if not folder.exists():
        pytest.skip(
            f"no {folder.relative_to(ROOT.parent)}, which no clone of this repository holds"
        )
    examples = read_set(folder)
    assert len({example.image for example in examples}) == len(examples) == count
    assert {example.source for example in examples} == {name}
    found = Counter(example.split for example in examples)
    assert (found["train"], found["test"]) == splits
    counted = Counter(example.group for example in examples)
    folds = Counter(example.fold for example in examples)
    if groups:
        assert counted == groups
        assert folds == dict.fromkeys(range(1, 6), 1100)
    else:
        assert len(counted) == 12
        assert folds == {0: count}
    assert all(1 <= example.score <= 10 for example in examples)
    assert all(example.image.is_file() for example in examples[::500])
