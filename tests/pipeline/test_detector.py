"""The cascade against its oracle: facenet-pytorch's MTCNN on the same pixels."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.detector import Detector, native_detector, onnx_detector
from pipeline.models import Model
from pipeline.native.library import KernelMissing
from pipeline.photo import read_full
from pipeline.reference import TorchDetector, torch_device
from pipeline.settings import ROOT, DetectorSettings, PhotoSettings
from pipeline.types import Face, Pixels

MODEL = Model.open(ROOT / "models" / "mtcnn")
TOLERANCE = 0.01
"""Pixels by which a corner or landmark may differ."""
SIDES = (160, 256, 350, 512, 700, 1024)


Pair = Callable[[DetectorSettings], tuple[Detector, TorchDetector]]


@pytest.fixture(params=["native", "onnx"])
def detectors(request: pytest.FixtureRequest) -> Pair:
    """One of ours, and the reference."""

    def load(settings: DetectorSettings) -> tuple[Detector, TorchDetector]:
        if request.param == "onnx":
            ours = onnx_detector(MODEL, settings, 1)
        else:
            try:
                ours = native_detector(MODEL, settings)
            except KernelMissing as error:
                pytest.skip(f"no native kernel: {error}")
        return ours, TorchDetector(MODEL, settings, torch_device("cpu", 1))

    return load


def figures(faces: list[Face]) -> np.ndarray:
    """Each face as a row: corners, landmarks, confidence."""
    rows = [
        [f.box.x1, f.box.y1, f.box.x2, f.box.y2, *np.ravel(f.landmarks), f.confidence]
        for f in faces
    ]
    return np.array(rows).reshape(-1, 15)


def assert_same(ours: list[Face], reference: list[Face]) -> None:
    assert len(ours) == len(reference)
    table, expected = figures(ours), figures(reference)
    # Faces of one size may come in any order: each is held against the nearest.
    distance = np.abs(table[:, None, :4] - expected[None, :, :4]).max(axis=2)
    nearest = distance.argmin(axis=1) if len(table) else np.empty(0, int)
    assert len(set(nearest)) == len(expected)
    difference = np.abs(table - expected[nearest])
    assert difference[:, :14].max(initial=0) <= TOLERANCE
    assert difference[:, 14].max(initial=0) <= 1e-4


def resized(pixels: Pixels, side: int) -> Pixels:
    scale = side / max(pixels.shape[:2])
    return np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale), np.uint8)


def composites(astronaut: Pixels) -> Iterator[tuple[str, Pixels]]:
    """Photos made of one face: many of it, tiny ones, cut, turned, dark, and none."""
    rng = np.random.default_rng(7)
    face = astronaut[20:220, 120:320]
    for count in (2, 5, 9):
        tile = resized(face, 900 // count)
        many = np.tile(tile, (count, count, 1))
        # Slightly unlike each other: among equals, which box survives is a matter of rounding.
        light = np.kron(rng.uniform(0.8, 1, (count, count)), np.ones(tile.shape[:2]))
        yield f"{count} x {count} faces", (many * light[..., None]).astype(np.uint8)
    crowd = rng.integers(90, 160, (700, 1000, 3), dtype=np.uint8)
    for _ in range(25):
        small = resized(face, int(rng.integers(30, 180)))
        height, width = small.shape[:2]
        top, left = rng.integers(0, 700 - height), rng.integers(0, 1000 - width)
        crowd[top : top + height, left : left + width] = small
    yield "a crowd", crowd
    for left in (170, 200, 225, 250):
        yield f"cut at x {left}", np.ascontiguousarray(astronaut[:, left:])
    for top in (80, 110, 140):
        yield f"cut at y {top}", np.ascontiguousarray(astronaut[top:])
    yield "a tall sliver", np.ascontiguousarray(astronaut[:, 205:245])
    yield "grey", np.repeat(astronaut.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    yield "dark", (astronaut // 4).astype(np.uint8)
    yield "upside down", np.ascontiguousarray(astronaut[::-1])
    yield "turned", np.ascontiguousarray(np.rot90(astronaut))
    yield "noise", rng.integers(0, 256, (300, 400, 3), dtype=np.uint8)
    yield "black", np.zeros((240, 320, 3), np.uint8)
    yield "smaller than any face", np.ascontiguousarray(astronaut[:16, :16])
    for side in SIDES:
        yield f"at {side} px", resized(astronaut, side)


def test_finds_the_faces_of_the_reference_in_composites(detectors: Pair, astronaut: Pixels) -> None:
    ours, reference = detectors(DetectorSettings())
    found = {}
    for name, pixels in composites(astronaut):
        faces = ours.detect(pixels)
        assert_same(faces, reference.detect(pixels))
        found[name] = len(faces)
    assert found["9 x 9 faces"] >= 60
    assert found["a crowd"] >= 8
    assert found["noise"] == found["black"] == found["smaller than any face"] == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"min_face_size": 12},
        {"min_face_size": 40},
        {"thresholds": (0.3, 0.4, 0.5)},
        {"thresholds": (0.9, 0.9, 0.9)},
        {"scale_factor": 0.5},
    ],
)
def test_settings_mean_what_they_mean_in_the_reference(
    detectors: Pair, astronaut: Pixels, changed: dict[str, object]
) -> None:
    ours, reference = detectors(replace(DetectorSettings(), **changed))  # type: ignore[arg-type]
    for _, pixels in list(composites(astronaut))[:4]:
        assert_same(ours.detect(pixels), reference.detect(pixels))


def test_finds_the_faces_of_the_reference_in_rated_photos(
    detectors: Pair, rated_photos: list[Path]
) -> None:
    ours, reference = detectors(DetectorSettings())
    chosen = random.Random(11).sample(rated_photos, 204)
    faces = 0
    for number, path in enumerate(chosen):
        pixels = read_full(path.read_bytes(), PhotoSettings())
        pixels = resized(pixels, SIDES[number % len(SIDES)])
        found = ours.detect(pixels)
        assert_same(found, reference.detect(pixels))
        faces += len(found)
    assert faces >= 200


def test_the_largest_face_comes_first_and_landmarks_lie_where_they_belong(
    detectors: Pair,
    astronaut: Pixels,
) -> None:
    ours, _ = detectors(DetectorSettings())
    pair = np.hstack([resized(astronaut, 256), np.zeros((256, 512, 3), np.uint8)])
    pair = np.vstack([pair, np.zeros((256, 768, 3), np.uint8)])
    pair[:512, 256:] = astronaut
    faces = ours.detect(pair)
    assert len(faces) == 2
    assert faces[0].box.area > 3 * faces[1].box.area
    for face in faces:
        left_eye, right_eye, nose, mouth_left, mouth_right = face.landmarks
        assert left_eye[0] < nose[0] < right_eye[0]
        assert mouth_left[0] < mouth_right[0]
        assert max(left_eye[1], right_eye[1]) < nose[1] < min(mouth_left[1], mouth_right[1])
        assert 0.7 < face.confidence <= 1
