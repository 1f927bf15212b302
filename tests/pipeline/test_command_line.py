"""`python -m pipeline`: what it prints, what it writes, and what it leaves alone."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image

from pipeline.__main__ import main
from pipeline.predictor import Predictor
from pipeline.report import report
from pipeline.settings import ROOT
from pipeline.types import Pixels

Captured = pytest.CaptureFixture[str]
Run = Callable[..., int]
HEADER = ["file", "face", "x", "y", "width", "height", "confidence", "score", "spread"]


@pytest.fixture
def run(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command line over the models that are loaded already; gives the exit status."""
    monkeypatch.setattr("pipeline.__main__.load_predictor", lambda _settings: predictor)
    return status_of


def status_of(*arguments: object) -> int:
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as exit_:
        return int(exit_.code or 0)


def flat(colour: str) -> Image.Image:
    return Image.new("RGB", (64, 48), colour)


@pytest.fixture(scope="module")
def album(astronaut: Pixels, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of photos in all formats and at several depths, amid other things."""
    folder = tmp_path_factory.mktemp("album")
    portrait = Image.fromarray(astronaut[:300, 80:380])
    (folder / "trip" / "day 2").mkdir(parents=True)
    (folder / "folder.jpg").mkdir()
    portrait.save(folder / "portrait.jpg")
    portrait.save(folder / "trip" / "portrait.png")
    flat("navy").save(folder / "trip" / "portrait.jpeg")
    flat("olive").save(folder / "trip" / "day 2" / "SEA.WEBP", "WEBP")
    flat("red").save(folder / "trip" / "moving.gif")
    (folder / "notes.txt").write_text("no photo")
    return folder


@pytest.fixture
def portrait(album: Path) -> Path:
    return album / "portrait.jpg"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.jpg"
    path.write_text("no photo at all")
    return path


def photos_of(album: Path) -> list[Path]:
    names = ("portrait.jpg", "trip/day 2/SEA.WEBP", "trip/portrait.jpeg", "trip/portrait.png")
    return [album / name for name in names]


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def expected(album: Path, predictor: Predictor) -> list[dict[str, Any]]:
    """What JSON must say of the album."""
    reports = [
        {"file": str(path), **report(predictor.predict(path.read_bytes()))}
        for path in photos_of(album)
    ]
    assert [len(result["faces"]) for result in reports] == [1, 0, 0, 1]
    return reports


def test_prints_a_line_a_face(
    run: Run, album: Path, expected: list[dict[str, Any]], capsys: Captured
) -> None:
    assert run(album) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    printed = captured.out.splitlines()
    assert len(printed) == len(expected)
    for line, result in zip(printed, expected, strict=True):
        assert line.startswith(f"{result['file']}: ")
        if not result["faces"]:
            assert line.endswith(": no face")
        for face in result["faces"]:
            box = face["box"]
            assert f" {face['score']:.1f} " in line
            assert f"x {box['x']}, y {box['y']}, {box['width']} x {box['height']} " in line


def test_json_holds_the_figures_of_the_report(
    run: Run, album: Path, expected: list[dict[str, Any]], tmp_path: Path, capsys: Captured
) -> None:
    out = tmp_path / "out.json"
    assert run(album, "--json", out) == 0
    assert capsys.readouterr() == ("", "")
    assert json.loads(out.read_text(encoding="utf-8")) == expected
    assert run(album, "--json") == 0
    assert json.loads(capsys.readouterr().out) == expected


def test_csv_has_a_row_a_face_and_one_for_a_photo_without(
    run: Run, album: Path, expected: list[dict[str, Any]], tmp_path: Path, capsys: Captured
) -> None:
    rows = [
        [result["file"], str(number), *map(str, figures)]
        for result in expected
        for number, figures in [
            (
                index,
                [*face["box"].values(), face["confidence"], face["score"], face["spread"] or ""],
            )
            for index, face in enumerate(result["faces"], start=1)
        ]
        or [(0, [""] * 7)]
    ]
    out = tmp_path / "out.csv"
    assert run(album, "--csv", out) == 0
    assert capsys.readouterr() == ("", "")
    with out.open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [HEADER, *rows]
    assert run(album, "--csv") == 0
    assert list(csv.reader(io.StringIO(capsys.readouterr().out))) == [HEADER, *rows]


def test_takes_photos_and_folders_in_the_order_given(
    run: Run, album: Path, portrait: Path, capsys: Captured
) -> None:
    other = album / "trip" / "portrait.jpeg"
    assert run(other, album / "trip" / "day 2", portrait, "--json") == 0
    files = [result["file"] for result in json.loads(capsys.readouterr().out)]
    assert files == [str(other), str(album / "trip" / "day 2" / "SEA.WEBP"), str(portrait)]


def test_a_folder_without_photos_is_no_failure(run: Run, tmp_path: Path, capsys: Captured) -> None:
    assert run(tmp_path, "--json") == 0
    assert json.loads(capsys.readouterr().out) == []


def test_renders_every_photo_at_its_place_in_its_format(
    run: Run, album: Path, tmp_path: Path, capsys: Captured
) -> None:
    before = contents(album)
    assert run(album, "--render", tmp_path / "new" / "rated") == 0
    assert len(capsys.readouterr().out.splitlines()) == 4
    written = {}
    for path in (tmp_path / "new" / "rated").rglob("*.*"):
        with Image.open(path) as image:
            written[str(path.relative_to(tmp_path))] = image.format, image.size
    assert written == {
        "new/rated/portrait-rated.jpg": ("JPEG", (300, 300)),
        "new/rated/trip/portrait-rated.png": ("PNG", (300, 300)),
        "new/rated/trip/portrait-rated.jpeg": ("JPEG", (64, 48)),
        "new/rated/trip/day 2/SEA-rated.WEBP": ("WEBP", (64, 48)),
    }
    assert contents(album) == before


def test_a_rendered_photo_has_its_full_size_upright_and_a_box_on_the_face(
    run: Run, astronaut: Pixels, tmp_path: Path, capsys: Captured
) -> None:
    # Twice the working side, on its side, lossless: all that changes is what was drawn.
    upright = np.asarray(cv2.resize(astronaut, (1600, 2048)), np.uint8)
    tags = Image.Exif()
    tags[ExifTags.Base.Orientation] = 6
    photo = tmp_path / "large.png"
    Image.fromarray(np.rot90(upright)).save(photo, exif=tags, compress_level=1)
    assert run(photo, "--render", tmp_path / "out", "--json") == 0
    (result,) = json.loads(capsys.readouterr().out)
    assert result["image"] == {"width": 1600, "height": 2048}
    with Image.open(tmp_path / "out" / "large-rated.png") as image:
        drawn = (np.asarray(image) != upright).any(axis=2)
    box = result["faces"][0]["box"]
    middle = box["y"] + box["height"] // 2
    changed = np.flatnonzero(drawn[middle])
    assert abs(int(changed[0]) - box["x"]) < 12
    assert abs(int(changed[-1]) - box["x"] - box["width"]) < 12


def test_photos_of_the_same_name_do_not_overwrite_each_other(
    run: Run, tmp_path: Path, capsys: Captured
) -> None:
    colours = ["red", "green", "blue"]
    for colour in colours:
        (tmp_path / colour).mkdir()
        flat(colour).save(tmp_path / colour / "same.png")
    paths = [tmp_path / "red", tmp_path / "green" / "same.png", tmp_path / "blue"]
    assert run(*paths, "--render", tmp_path / "out") == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    pictures = set(contents(tmp_path / "out").values())
    assert pictures == {
        data for name, data in contents(tmp_path / "out").items() if name.startswith("same-rated")
    }
    shown = set()
    for data in pictures:
        with Image.open(io.BytesIO(data)) as image:
            shown.add(image.convert("RGB").getpixel((5, 5)))
    assert shown == {flat(colour).getpixel((5, 5)) for colour in colours}


@pytest.mark.parametrize("others", [[], ["a-rated.png"], ["a-rated.png", "a-rated-2.png"]])
def test_rendering_into_the_photos_own_folder_overwrites_none(
    run: Run, others: list[str], tmp_path: Path, capsys: Captured
) -> None:
    for name, colour in zip(["a.png", *others], ["red", "green", "blue"], strict=False):
        flat(colour).save(tmp_path / name, compress_level=9)
    before = contents(tmp_path)
    assert run(tmp_path, "--render", tmp_path) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(before)
    after = contents(tmp_path)
    assert {name: after[name] for name in before} == before
    assert len(after) == 2 * len(before)


def test_a_photo_without_a_suffix_is_rendered_as_png(
    run: Run, portrait: Path, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "upload").write_bytes(portrait.read_bytes())
    assert run(tmp_path / "upload", "--render", tmp_path / "out") == 0
    assert "upload: " in capsys.readouterr().out
    with Image.open(tmp_path / "out" / "upload-rated.png") as image:
        assert (image.format, image.size) == ("PNG", (300, 300))


def test_what_cannot_be_read_is_named_and_the_others_are_done(
    run: Run, album: Path, portrait: Path, broken: Path, tmp_path: Path, capsys: Captured
) -> None:
    missing = tmp_path / "missing.jpg"
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(portrait.read_bytes()[:2000])
    text = album / "notes.txt"
    arguments = [broken, missing, cut, text, portrait]
    assert run(*arguments, "--json", "--render", tmp_path / "out") == 1
    captured = capsys.readouterr()
    assert [result["file"] for result in json.loads(captured.out)] == [str(portrait)]
    assert list(contents(tmp_path / "out")) == ["portrait-rated.jpg"]
    for line, path, reason in zip(
        captured.err.splitlines(),
        arguments[:-1],
        ["not a JPEG, PNG or WebP", "No such file", "cannot be decoded", "not a JPEG"],
        strict=True,
    ):
        assert line.startswith(f"{path}: ")
        assert reason in line


def test_the_report_is_written_though_no_photo_could_be_read(
    run: Run, broken: Path, tmp_path: Path, capsys: Captured
) -> None:
    out = tmp_path / "out.csv"
    assert run(broken, "--csv", out) == 1
    assert str(broken) in capsys.readouterr().err
    assert out.read_text(encoding="utf-8").splitlines() == [",".join(HEADER)]


@pytest.mark.parametrize("option", ["--json", "--csv"])
@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "b.png", "c.webp", "."])
def test_a_photo_or_folder_in_the_place_of_out_is_refused(
    option: str, name: str, portrait: Path, tmp_path: Path, capsys: Captured
) -> None:
    photo = tmp_path / name
    if not photo.is_dir():
        photo.write_bytes(b"precious")
    before = contents(tmp_path)
    assert status_of(option, photo, portrait) == 2
    assert str(photo) in capsys.readouterr().err
    assert contents(tmp_path) == before


def test_out_must_not_be_a_photo_to_be_rated_whatever_its_name(
    run: Run, portrait: Path, tmp_path: Path
) -> None:
    upload = tmp_path / "upload"
    upload.write_bytes(portrait.read_bytes())
    assert run(upload, "--json", upload) == 2
    assert upload.read_bytes() == portrait.read_bytes()


@pytest.mark.parametrize("out", ["no/such/folder/out.json", "file/out.json"])
def test_an_out_that_cannot_be_written_is_named(
    run: Run, portrait: Path, out: str, tmp_path: Path, capsys: Captured
) -> None:
    (tmp_path / "file").touch()
    assert run(portrait, "--json", tmp_path / out) != 0
    assert str(tmp_path / out) in capsys.readouterr().err


@pytest.mark.parametrize("options", [[], ["--json"], ["--csv"]], ids=" ".join)
def test_a_file_name_that_is_no_unicode_does_not_stop_the_run(
    run: Run, options: list[str], tmp_path: Path, capsys: Captured
) -> None:
    for name in (b"a\xff.png", b"b.png"):
        with open(os.fsencode(tmp_path) + b"/" + name, "wb") as file:  # noqa: PTH123
            flat("teal").save(file, "PNG")
    assert run(tmp_path, *options) == 0
    assert "b.png" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "PHOTO"),
        (["a.jpg", "--json", "--csv"], "--csv"),
        (["a.jpg", "--csv", "x.csv", "--json", "x.json"], "--json"),
        (["a.jpg", "--render"], "--render"),
        (["a.jpg", "--xml"], "--xml"),
        (["a.jpg", "--config", "missing.ini"], "missing.ini"),
    ],
)
def test_wrong_usage_is_status_2_and_says_what_is_wrong(
    arguments: list[str], named: str, capsys: Captured
) -> None:
    assert status_of(*arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert named in captured.err


def test_the_settings_that_config_names_are_obeyed(
    portrait: Path, tmp_path: Path, capsys: Captured
) -> None:
    config = tmp_path / "some.ini"
    config.write_text("[photo]\nmin_side = 301\n[a section of others]\nkey = 1\n")
    assert status_of(portrait, "--config", config) == 1
    assert "301" in capsys.readouterr().err
    config.write_text("[scorer]\nmodel = none-such\n")
    assert status_of(portrait, "--config", config) == 2
    assert "none-such" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("terminal", "count", "shown"), [(True, 2, True), (True, 1, False), (False, 2, False)]
)
def test_progress_shows_for_several_photos_on_a_terminal(
    run: Run,
    broken: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
    *,
    terminal: bool,
    count: int,
    shown: bool,
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    assert run(*[broken] * count, "--json") == 1
    captured = capsys.readouterr()
    assert ("2/2" in captured.err) == shown
    assert captured.err.count(str(broken)) == count
    assert json.loads(captured.out) == []


def test_runs_as_a_module_from_anywhere(album: Path, portrait: Path, broken: Path) -> None:
    command = [sys.executable, "-m", "pipeline", str(portrait), str(broken), "--csv"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=album, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    header, face = csv.reader(io.StringIO(done.stdout))
    assert header == HEADER
    assert face[:2] == [str(portrait), "1"]
    assert f"{broken}: the photo is not a JPEG, PNG or WebP\n" in done.stderr
