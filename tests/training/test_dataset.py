"""The check of rated photos: what is wrong with them, and what leaks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.types import Pixels
from training.__main__ import main
from training.crop_set import CropSet


@pytest.fixture
def rated(astronaut: Pixels, tmp_path: Path) -> Path:
    """Two photos of one face in train and test, another, a broken one, and one that is missing."""
    folder = tmp_path / "rated"
    folder.mkdir()
    Image.fromarray(astronaut).save(folder / "one.jpg", quality=95)
    Image.fromarray(astronaut).resize((400, 400)).save(folder / "again.jpg", quality=80)
    noise = np.random.default_rng(1).integers(0, 256, (200, 200, 3), np.uint8)
    Image.fromarray(noise).save(folder / "noise.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff not a photo")
    names = ("one.jpg", "again.jpg", "noise.png", "broken.jpg", "gone.jpg")
    rows = [
        f"{name},{rating},{'test' if name == 'again.jpg' else 'train'}"
        for rating, name in enumerate(names, start=1)
    ]
    (folder / "ratings.csv").write_text("image,rating_1_to_5,split\n" + "\n".join(rows))
    return folder


def test_says_what_is_wrong_with_the_photos(
    rated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["dataset", str(rated), "--out", str(tmp_path / "out")])
    said = capsys.readouterr().out
    assert "5 photos in 1 set, of which 3 can be read" in said
    for name in ("gone.jpg", "broken.jpg", "noise.png"):
        assert name in said
    assert "pairs of doubles: 1 (one.jpg and again.jpg)" in said
    assert "leak from testing into training under split: 1" in said
    crops = CropSet.open(tmp_path / "out")
    assert [example.image.name for example in crops.examples] == [
        "one.jpg",
        "again.jpg",
        "noise.png",
    ]
    assert len(crops.served) == 3
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "gone.jpg" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_strict_fails_where_a_protocol_would_be_harmed(rated: Path, tmp_path: Path) -> None:
    arguments = ["dataset", str(rated), "--out", str(tmp_path / "out"), "--check", "--strict"]
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 1
    assert not (tmp_path / "out" / "served.npy").exists()
    kept = (rated / "ratings.csv").read_text().splitlines()
    (rated / "ratings.csv").write_text("\n".join([kept[0], kept[1], kept[3]]))
    main(arguments)


def test_ratings_that_cannot_be_read_stop_it(rated: Path, tmp_path: Path) -> None:
    (rated / "ratings.csv").write_text("image,rating_1_to_5\none.jpg,9\n")
    with pytest.raises(SystemExit, match="line 2"):
        main(["dataset", str(rated), "--out", str(tmp_path / "out")])
