"""Reads rated photo sets: a folder with photos and a `ratings.csv`.

The columns: `image`, a file of the folder or of its `images/`; the mean rating, in a column that
names the panel's scale, such as `rating_1_to_5`. Where there are any: `group`, else `gender` and
`ethnicity`; a `split…` (train, or val or test, which are both for testing); a `fold…`, from 1.
"""

from __future__ import annotations

import csv
import random
import re
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

RATING = re.compile(r"rating_(\d+(?:\.\d+)?)_to_(\d+(?:\.\d+)?)")
GROUP_COLUMNS = ("gender", "ethnicity")
SPLITS = ("train", "val", "test")
WHOLE, SPLIT = "all", "split"
"""Protocols beside `fold-1`, `fold-2`, …: train on everything, or on the published split."""


@dataclass(frozen=True)
class Example:
    """One rated photo. `score` is its panel's mean on our scale from 1 to 10."""

    image: Path
    score: float
    group: str = ""
    split: str = "train"
    """train or test."""
    fold: int = 0
    """The fold whose test part it is in, from 1; 0 without folds."""
    source: str = ""
    """The name of its set's folder."""
    lowest: float = 1.0
    highest: float = 10.0
    """The ends of its panel's own scale."""

    @property
    def unit(self) -> float:
        """A point of our scale in points of the panel's own."""
        return (self.highest - self.lowest) / 9


class BadRatings(ValueError):
    """A ratings file that cannot be read as one; says where and why."""


def score_of_rating(rating: float, lowest: float, highest: float) -> float:
    """A rating on a panel's own scale as a score from 1 to 10: the ends of the scales meet."""
    return 1 + 9 * (rating - lowest) / (highest - lowest)


def read_set(folder: Path) -> list[Example]:
    """Every rated photo of a set, whether its file is there or not.

    Raises BadRatings for a file that lacks a column, or has a rating outside its scale.
    """
    file = folder / "ratings.csv"
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            rows = [(reader.line_num, row) for row in reader]
    except OSError as error:
        raise BadRatings(f"{file}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadRatings(f"{file} is no CSV in UTF-8: {error}") from error
    if not rows:
        raise BadRatings(f"{file} holds no ratings")
    columns = [name for name in rows[0][1] if name]
    ratings = [name for name in columns if RATING.fullmatch(name)]
    if "image" not in columns or len(ratings) != 1:
        raise BadRatings(f"{file} needs the columns image and, say, rating_1_to_5; has {columns}")
    photos = folder / "images" if (folder / "images").is_dir() else folder
    return [
        _example(row, ratings[0], photos, folder.resolve().name, f"{file}, line {line}")
        for line, row in rows
    ]


def _example(row: Mapping[str, str], rating: str, photos: Path, source: str, at: str) -> Example:
    lowest, highest = map(float, RATING.fullmatch(rating).groups())  # type: ignore[union-attr]
    if lowest >= highest:
        raise BadRatings(f"{at}: {rating} does not go from a lower rating to a higher one")
    try:
        value = float(row[rating])
        fold = _column(row, "fold")
        number = int(fold or 0)
    except (TypeError, ValueError) as error:
        raise BadRatings(f"{at}: {error}") from error
    if not lowest <= value <= highest:
        raise BadRatings(f"{at}: a rating of {value} is not from {lowest:g} to {highest:g}")
    if fold and number < 1:
        raise BadRatings(f"{at}: there is no fold {fold}; they are counted from 1")
    image = row["image"] or ""
    if Path(image).is_absolute() or ".." in Path(image).parts or not image:
        raise BadRatings(f"{at}: {image!r} is not the name of a photo in the folder")
    split = _column(row, "split")
    if not split:
        # A fifth to test on, the same one however the file is sorted and whatever joins it.
        split = "test" if zlib.crc32(image.encode()) % 5 == 0 else "train"
    if split not in SPLITS:
        raise BadRatings(f"{at}: a split of {split!r} is none of {', '.join(SPLITS)}")
    return Example(
        image=photos / image,
        score=score_of_rating(value, lowest, highest),
        group=row.get("group")
        or "-".join(filter(None, (row.get(column) for column in GROUP_COLUMNS))),
        split="train" if split == "train" else "test",
        fold=number,
        source=source,
        lowest=lowest,
        highest=highest,
    )


def _column(row: Mapping[str, str], start: str) -> str:
    return next((row[name] or "" for name in row if name and name.startswith(start)), "")


def parts(
    examples: list[Example], protocol: str, sets: Sequence[str] = ()
) -> tuple[list[int], list[int]]:
    """Indices to train and to test on: by the published `split`, a `fold-2`, or `all` to train on.

    Only the examples of `sets`, where any are named, are trained on; the others are all for
    testing. Under a fold, sets without folds keep their split. Raises ValueError for a protocol
    or a set that there is not.
    """
    sources = {example.source for example in examples}
    if unknown := [name for name in sets if name not in sources]:
        raise ValueError(f"there is no set {unknown[0]!r}; there are: {', '.join(sorted(sources))}")
    training, test = _by_protocol(examples, protocol)
    strange = [i for i in training if sets and examples[i].source not in sets]
    return sorted(set(training) - set(strange)), sorted(test + strange)


def _by_protocol(examples: list[Example], protocol: str) -> tuple[list[int], list[int]]:
    if protocol == WHOLE:
        return list(range(len(examples))), []
    fold = 0
    if protocol != SPLIT:
        folds = {example.fold for example in examples} - {0}
        known = [SPLIT, *(f"fold-{number}" for number in sorted(folds)), WHOLE]
        if protocol not in known:
            raise ValueError(f"there is no protocol {protocol!r}; there are: {', '.join(known)}")
        fold = int(protocol.removeprefix("fold-"))
    test = [
        index
        for index, example in enumerate(examples)
        if (example.fold == fold if fold and example.fold else example.split == "test")
    ]
    return sorted(set(range(len(examples))) - set(test)), test


def hold_out(
    examples: list[Example], part: Iterable[int], share: float, seed: int
) -> tuple[list[int], list[int]]:
    """Indices to train and to validate on: `share` of `part`, alike in every group of every set.

    The share is rounded to one in n, and at most a half; 0 holds out none.
    """
    if not 0 <= share <= 0.5:
        raise ValueError(f"a share of {share} leaves nothing to train or to validate on")
    if share == 0:
        return sorted(part), []
    groups = defaultdict(list)
    for index in part:
        groups[examples[index].source, examples[index].group].append(index)
    rng = random.Random(seed)  # noqa: S311 - a reproducible split, not a secret
    train: list[int] = []
    validation: list[int] = []
    for _, indices in sorted(groups.items()):
        # Neighbours in score, one of them at random: both parts get the same spread of scores.
        indices.sort(key=lambda index: (examples[index].score, index))
        stride = round(1 / share)
        for start in range(0, len(indices), stride):
            chunk = indices[start : start + stride]
            chosen = rng.choice(chunk) if len(chunk) == stride else None
            validation += [index for index in chunk if index == chosen]
            train += [index for index in chunk if index != chosen]
    return sorted(train), sorted(validation)
