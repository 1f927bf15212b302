"""The photos of the benchmark."""

from __future__ import annotations

import io
from itertools import islice
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.photos import chosen, varied
from pipeline.predictor import Predictor


def test_made_photos_have_the_faces_and_sizes_that_their_names_say(predictor: Predictor) -> None:
    photos = chosen(None, quick=True)
    sizes = [f"{photo.megapixels:.1f}" for photo in photos]
    faces = [len(predictor.predict(photo.data).faces) for photo in photos]
    assert sizes == ["0.5", "12.0", "1.0"]
    assert faces == [1, 1, 6]


def test_made_photos_are_the_same_in_every_run() -> None:
    assert chosen(None, quick=True) == chosen(None, quick=True)


def test_a_folder_is_sampled_over_its_sizes(tmp_path: Path) -> None:
    for side in range(20, 120, 4):
        Image.effect_noise((side, side), 50).save(tmp_path / f"{side:03}.jpg")
    (tmp_path / "notes.txt").write_text("no photo")
    photos = chosen(tmp_path, quick=False)
    assert len(photos) == 10
    assert (photos[0].width, photos[-1].width) == (20, 116)
    assert [photo.width for photo in photos] == sorted(photo.width for photo in photos)


def test_a_folder_without_photos_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no JPEG, PNG or WebP"):
        chosen(tmp_path, quick=True)


def test_varied_photos_begin_with_large_ones_and_come_in_every_format() -> None:
    sizes, formats = [], set()
    for data in islice(varied(60, 300), 60):
        with Image.open(io.BytesIO(data)) as image:
            sizes.append(image.size)
            formats.add(image.format)
    assert min(min(size) for size in sizes[:40]) >= 250
    assert min(min(size) for size in sizes[40:]) < 150
    assert formats == {"JPEG", "PNG", "WEBP"}
