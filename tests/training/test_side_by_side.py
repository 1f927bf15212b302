"""Two models on one folder of photos: the lines, the summary, and the page."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import training.side_by_side
from pipeline.models import Model
from pipeline.settings import ROOT
from pipeline.types import Pixels, Rating
from tests.conftest import SCORER
from tests.training.conftest import call
from training.cards import write_card
from training.side_by_side import Pair, page_of, summary, told

SERVED = ROOT / "models" / SCORER
NAMES = ["old", "new"]


@pytest.fixture(scope="module")
def album(astronaut: Pixels, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two portraits, one of them deeper down, among what shows no face."""
    folder = tmp_path_factory.mktemp("album")
    (folder / "trip").mkdir()
    Image.fromarray(astronaut[:300, 80:380]).save(folder / "portrait.jpg", quality=95)
    dark = cv2.convertScaleAbs(astronaut[:256, 100:356], alpha=0.4)
    Image.fromarray(dark).save(folder / "trip" / "dark.png")
    Image.new("RGB", (200, 160), "teal").save(folder / "sea.webp")
    (folder / "broken.jpg").write_text("no photo at all")
    (folder / "notes.txt").write_text("no photo either")
    return folder


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The served model as if it had been trained on wider crops."""
    folder = tmp_path_factory.mktemp("models") / "wider-1"
    folder.mkdir()
    shutil.copy(SERVED / "int8.onnx", folder)
    view = {**Model.open(SERVED).card["view"], "context": 2.2}
    write_card(folder, {"kind": "scorer", "served": "int8.onnx", "view": view})
    return folder


def pair(photo: str, first: float, second: float, spread: float | None = None) -> Pair:
    grey = np.full((8, 8, 3), 99, np.uint8)
    return Pair(photo, 1, grey, (Rating(first), Rating(second, spread)))


def test_every_face_has_a_line_and_what_shows_none_is_named(
    album: Path, other: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call(training.side_by_side, album, "--models", SERVED, other, "--out", tmp_path / "out")
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert lines[0] == "broken.jpg: the photo is not a JPEG, PNG or WebP"
    found = [
        re.fullmatch(
            r"(.+), face 1: ([\d.]+)(?: ± [\d.]+)? \| ([\d.]+)(?: ± [\d.]+)?  \((.+)\)", lines[i]
        )
        for i in (1, 3)
    ]
    assert lines[2] == "sea.webp: no face"
    faces = [it.groups() for it in found if it]
    assert [face[0] for face in faces] == ["portrait.jpg", "trip/dark.png"]
    scores = [[float(it) for it in face[1:]] for face in faces]
    for first, second, apart in scores:
        assert apart == pytest.approx(second - first, abs=0.11)
        assert apart != 0
    for place, name in ((0, SCORER), (1, "wider-1")):
        its = [score[place] for score in scores]
        assert f"{name}: mean " in lines[4 + place]
        assert f"from {min(its):.1f} to {max(its):.1f}" in lines[4 + place]
    mean = np.mean([abs(score[2]) for score in scores])
    (summed,) = re.findall(r"2 faces; on average ([\d.]+) of a point apart, wider-1", lines[6])
    assert float(summed) == pytest.approx(mean, abs=0.06)
    assert lines[7] == f"{tmp_path / 'out' / 'report.html'} shows them all"
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count('src="data:image/jpeg') == 2
    assert not re.search(r"https?:|href=|url\(|<script", page)
    assert str(album) not in page


def test_without_out_no_page_is_written(
    album: Path, other: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("training.pages.Page.write", lambda *_: pytest.fail("a page is written"))
    before = {path: path.stat().st_mtime_ns for path in album.rglob("*")}
    call(training.side_by_side, album, "--models", other, SERVED)
    assert "shows them all" not in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in album.rglob("*")} == before


def test_a_model_beside_itself_is_nothing_apart(
    album: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call(training.side_by_side, album / "portrait.jpg", "--models", SERVED, SERVED)
    printed = capsys.readouterr().out
    assert "(+0.0)" in printed
    assert "1 face; on average 0.00 of a point apart" in printed


def test_a_spread_stands_behind_its_score() -> None:
    assert told(Rating(6.44, 0.52)) == "6.4 ± 0.5"
    assert told(Rating(6.44)) == "6.4"


def test_the_summary_is_of_all_faces() -> None:
    pairs = [pair("a", 4.0, 5.5), pair("b", 6.0, 5.5), pair("c", 8.0, 10.0)]
    assert summary(pairs, NAMES) == [
        "old: mean 6.00, from 4.0 to 8.0",
        "new: mean 7.00, from 5.5 to 10.0",
        "3 faces; on average 1.33 of a point apart, new 1.00 higher",
        "correlation 0.866",
    ]
    turned = [replace(it, ratings=it.ratings[::-1]) for it in pairs[:2]]
    assert summary(turned, NAMES)[2:] == [
        "2 faces; on average 1.00 of a point apart, new 0.50 lower"
    ]


def test_there_is_no_correlation_of_scores_that_are_all_one() -> None:
    pairs = [pair(name, 5.0, second) for name, second in zip("abc", (4, 5, 6), strict=True)]
    assert len(summary(pairs, NAMES)) == 3


def test_the_page_begins_with_the_faces_most_apart() -> None:
    pairs = [pair("a", 5.0, 5.2), pair("b", 7.0, 4.0, 0.61), pair("c", 2.0, 4.0)]
    page = page_of(pairs, NAMES).html()
    assert "<h1>old and new side by side</h1>" in page
    assert re.findall(r"<figcaption>(.*?)</figcaption>", page) == [
        "7.0 | 4.0 ± 0.6, b",
        "2.0 | 4.0, c",
        "5.0 | 5.2, a",
    ]
    assert all(f"<li>{line}</li>" in page for line in summary(pairs, NAMES))


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_without_a_face_is_refused(
    album: Path, tmp_path: Path, there: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "photos"
    if there:
        folder.mkdir()
        shutil.copy(album / "sea.webp", folder)
    with pytest.raises(SystemExit, match=r"there is no face in the photos of .*photos"):
        call(training.side_by_side, folder, "--models", SERVED, SERVED, "--out", tmp_path / "o")
    assert ("sea.webp: no face" if there else "photos: ") in capsys.readouterr().out
    assert not (tmp_path / "o").exists()


def test_a_file_name_that_is_no_unicode_is_written_all_the_same(
    album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = os.fsencode(tmp_path / "photos") + b"/a\xff.jpg"
    (tmp_path / "photos").mkdir()
    shutil.copy(os.fsencode(album / "portrait.jpg"), target)
    call(training.side_by_side, tmp_path / "photos", "--models", SERVED, SERVED, "--out", tmp_path)
    assert "a\ufffd.jpg, face 1" in capsys.readouterr().out
    assert "a\ufffd.jpg" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "reason"), [("nobody", "no usable card"), ("mtcnn", "names no 'served' file")]
)
def test_a_folder_that_is_no_scorer_is_refused(album: Path, name: str, reason: str) -> None:
    with pytest.raises(SystemExit, match=rf"'{name}'.*{reason}"):
        call(training.side_by_side, album, "--models", SERVED, ROOT / "models" / name)
