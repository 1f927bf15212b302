"""The command `dataset`, as a person with rated photos uses it."""

from __future__ import annotations

import csv
import json
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image

import training.crops
import training.dataset
from pipeline.crops import crop
from pipeline.detector import fastest_detector
from pipeline.models import Model
from pipeline.photo import read_photo
from pipeline.settings import ROOT, DetectorSettings, PhotoSettings
from pipeline.types import Pixels
from tests.training.conftest import call
from training.crop_set import CropSet
from training.views import VIEW, WIDE

Row = tuple[str, float, str, str]
HEADER = ("image", "rating_1_to_5", "group", "split")
ROWS: list[Row] = [
    ("a.jpg", 3.2, "f", "train"),
    ("mirror.jpg", 3.4, "f", "test"),
    ("two.jpg", 4.0, "f", "train"),
    ("note.jpg", 3.0, "<b>", "train"),
    ("tiny.jpg", 2.0, "<b>", "train"),
    ("gone.jpg", 3.0, "<b>", "test"),
    ("coffee.jpg", 1.5, "<b>", "test"),
    ("cat.png", 4.5, "<b>", "train"),
    ("a.jpg", 2.9, "f", "test"),
]
READ = [name for name, *_ in ROWS if name not in {"note.jpg", "gone.jpg"}]


def write_set(folder: Path, rows: Sequence[Row], pictures: dict[str, Pixels]) -> Path:
    (folder / "images").mkdir(parents=True)
    with (folder / "ratings.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    for name, pixels in pictures.items():
        Image.fromarray(pixels).save(folder / "images" / name, quality=90)
    return folder


@pytest.fixture(scope="module")
def pictures(astronaut: Pixels) -> dict[str, Pixels]:
    def small(width: int, height: int) -> Pixels:
        size = (width, height)
        return np.asarray(cv2.resize(astronaut, size, interpolation=cv2.INTER_AREA), np.uint8)

    return {
        "a.jpg": astronaut,
        "mirror.jpg": astronaut[:, ::-1],
        "two.jpg": np.hstack([astronaut, small(256, 512)]),
        "tiny.jpg": np.pad(small(128, 128), ((100, 100), (100, 100), (0, 0))),
        "coffee.jpg": skimage.data.coffee(),  # type: ignore[no-untyped-call]
        "cat.png": skimage.data.chelsea(),  # type: ignore[no-untyped-call]
    }


@pytest.fixture(scope="module")
def rated(pictures: dict[str, Pixels]) -> Iterator[Path]:
    """A set with all that can be wrong with one."""
    with tempfile.TemporaryDirectory() as name:
        folder = write_set(Path(name) / "mine", ROWS, pictures)
        (folder / "images" / "note.jpg").write_text("no photo", encoding="utf-8")
        yield folder


@pytest.fixture(scope="module")
def out(rated: Path) -> Path:
    """What the command wrote for it."""
    call(training.dataset, rated, "--out", rated.parent / "out")
    return rated.parent / "out"


@pytest.fixture(scope="module")
def told(out: Path) -> Any:
    return json.loads((out / "report.json").read_text(encoding="utf-8"))


@pytest.fixture
def clean(tmp_path: Path, pictures: dict[str, Pixels]) -> Path:
    """A set with nothing wrong: one photo to train on, another to test on."""
    kept = {name: pictures[name] for name in ("a.jpg", "coffee.jpg")}
    rows = [("a.jpg", 3.2, "f", "train"), ("coffee.jpg", 1.5, "m", "test")]
    return write_set(tmp_path / "clean", rows, kept)


def names(photos: list[dict[str, Any]]) -> list[str]:
    return [photo["image"] for photo in photos]


def test_crops_are_of_the_photos_that_can_be_read(out: Path) -> None:
    crops = CropSet.open(out)
    assert [str(example.image) for example in crops.examples] == READ
    assert len(crops.served) == len(crops.wide) == len(READ)
    assert crops.served.reshape(len(READ), -1).max(axis=1).min() > 100
    assert {example.source for example in crops.examples} == {"mine"}


def test_crops_are_those_that_the_service_cuts(out: Path, rated: Path) -> None:
    crops = CropSet.open(out)
    model = Model.open(ROOT / "models" / "mtcnn")
    detector = fastest_detector(model, DetectorSettings(), threads=1)
    for row in (READ.index("a.jpg"), READ.index("tiny.jpg")):
        file = rated / "images" / crops.examples[row].image
        pixels = read_photo(file.read_bytes(), PhotoSettings()).pixels
        box = detector.detect(pixels)[0].box
        assert np.array_equal(crops.served[row], crop(pixels, box, VIEW))
        assert np.array_equal(crops.wide[row], crop(pixels, box, WIDE))


def test_names_what_is_wrong_with_each_photo(told: Any) -> None:
    problems = told["problems"]
    assert {kind: names(photos) for kind, photos in problems.items()} == {
        "missing": ["gone.jpg"],
        "unreadable": ["note.jpg"],
        "faceless": ["coffee.jpg", "cat.png"],
        "several": ["two.jpg"],
        "small": ["tiny.jpg"],
    }
    assert "not a JPEG" in problems["unreadable"][0]["why"]
    assert problems["several"][0]["faces"] == 2
    assert 20 < problems["small"][0]["side"] < 40


def test_counts_the_set(told: Any) -> None:
    figures = told["sets"]["mine"]
    assert [figures[name] for name in ("listed", "read", "faces", "train", "test")] == [
        9,
        7,
        5,
        4,
        3,
    ]
    assert figures["counts"]["f"] == [0, 0, 0, 0, 2, 1, 1, 0, 0]
    assert figures["counts"]["<b>"] == [0, 1, 1, 0, 0, 0, 0, 1, 0]
    assert sum(figures["face_sides"].values()) == 5
    assert 0 < told["balance"] == figures["balance"] < 1
    assert {want["group"] for want in told["collect"]} == {"f", "<b>"}


def test_finds_doubles_and_says_whether_they_leak(told: Any) -> None:
    pairs = {tuple(names(pair["photos"])): pair for pair in told["doubles"]}
    # Listed twice, a.jpg is in two pairs with each of the others, of which one keeps to a split.
    assert pairs.keys() >= {("a.jpg", "mirror.jpg"), ("a.jpg", "two.jpg"), ("two.jpg", "a.jpg")}
    assert ("a.jpg", "a.jpg") not in pairs
    assert pairs["a.jpg", "mirror.jpg"]["mirrored"]
    assert pairs["two.jpg", "a.jpg"]["leaks"] == ["split"]
    assert pairs["a.jpg", "two.jpg"]["leaks"] == []
    assert not {"coffee.jpg", "cat.png"} & {name for pair in pairs for name in pair}
    (repeat,) = told["listed_twice"]
    assert [photo["score"] for photo in repeat["photos"]] == pytest.approx([5.95, 5.275])
    assert repeat["leaks"] == ["split"]
    leaking = sum(bool(its["leaks"]) for its in [*told["doubles"], *told["listed_twice"]])
    assert told["leaks"] == {"split": leaking}


def test_the_page_holds_all_it_shows(out: Path) -> None:
    page = (out / "report.html").read_text(encoding="utf-8")
    sources = re.findall(r'(?:src|href)="([^"]{5})', page)
    assert len(sources) > 8
    assert set(sources) == {"data:"}
    assert "url(" not in page
    assert "<script" not in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert str(out.parent) not in page
    for name in {*(name for name, *_ in ROWS)} - {"cat.png"}:
        assert f"mine/{name}" in page


def test_says_in_short_what_it_found(
    rated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call(training.dataset, rated, "--out", tmp_path / "out", "--check")
    said = capsys.readouterr().out
    assert "9 photos in 1 set, of which 7 can be read" in said
    assert "missing: 1 (gone.jpg)" in said
    assert "without a face found: 2 (coffee.jpg, cat.png)" in said
    assert "leak from testing into training under split" in said
    assert str(tmp_path / "out" / "report.html") in said
    # Checked only: the report, and not a crop.
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"report.html", "report.json"}


def test_strict_fails_what_would_mislead(
    rated: Path, clean: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call(training.dataset, clean, "--out", clean.parent / "out", "--strict")
    with pytest.raises(SystemExit) as failed:
        call(training.dataset, rated, "--out", clean.parent / "out", "--strict", "--check")
    assert failed.value.code == 1
    assert "missing, unreadable, or leak" in capsys.readouterr().err


def test_two_sets_with_a_photo_in_common_leak_into_each_other(
    clean: Path, pictures: dict[str, Pixels]
) -> None:
    other = write_set(
        clean.parent / "b", [("b.jpg", 3, "f", "train")], {"b.jpg": pictures["a.jpg"]}
    )
    call(training.dataset, clean, other, "--out", clean.parent / "out")
    told = json.loads((clean.parent / "out" / "report.json").read_text(encoding="utf-8"))
    assert told["sets"].keys() == {"clean", "b"}
    assert told["leaks"] == {"cross-set": 1}
    assert len(CropSet.open(clean.parent / "out").examples) == 3


def lacks_its_ratings(folder: Path) -> None:
    (folder / "ratings.csv").write_text("image,stars\na.jpg,4\n", encoding="utf-8")


def lacks_its_photos(folder: Path) -> None:
    (folder / "images").rename(folder / "elsewhere")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lacks_its_ratings, "needs the columns image and"),
        (lacks_its_photos, "none of the 2 photos"),
    ],
)
def test_a_set_that_cannot_be_used_ends_with_its_reason(
    spoil: Callable[[Path], None], why: str, clean: Path
) -> None:
    spoil(clean)
    with pytest.raises(SystemExit, match=why):
        call(training.dataset, clean, "--out", clean.parent / "out")
    assert not (clean.parent / "out" / "report.html").exists()


def test_sets_of_one_name_cannot_be_told_apart(clean: Path) -> None:
    with pytest.raises(SystemExit, match="two sets are called clean"):
        call(training.dataset, clean, clean, "--out", clean.parent / "out")


def test_a_cut_that_stops_half_way_leaves_no_index(
    clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(training.dataset, clean, "--out", clean.parent / "out")
    assert (clean.parent / "out" / "index.json").exists()

    def stops(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(training.crops, "read_photo", stops)
    with pytest.raises(KeyboardInterrupt):
        call(training.dataset, clean, "--out", clean.parent / "out")
    assert not (clean.parent / "out" / "index.json").exists()
