"""The served graph against PyTorch, and the crops that both see."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.crops import View, crop
from pipeline.errors import ModelError
from pipeline.models import Model
from pipeline.photo import read_photo
from pipeline.predictor import Predictor
from pipeline.reference import TorchScorer, torch_device
from pipeline.scorer import OnnxScorer
from pipeline.settings import ROOT, PhotoSettings
from pipeline.types import Box, Face, Pixels
from tests.conftest import SCORER

MODEL = Model.open(ROOT / "models" / SCORER)
VIEW = View(context=1.2, size=224)
NOWHERE = ((0.0, 0.0),) * 5


def face(x1: float, y1: float, x2: float, y2: float) -> Face:
    return Face(Box(x1, y1, x2, y2), 1.0, NOWHERE)


@pytest.mark.parametrize(("panel", "bound"), [("scut-fbp5500", 0.04), ("mebeauty", 0.1)])
def test_int8_stays_near_the_master(
    rated_photos: list[Path], predictor: Predictor, panel: str, bound: float
) -> None:
    photos = [path for path in rated_photos if panel in path.parts]
    served = OnnxScorer(MODEL, 16, 1)
    master = TorchScorer(MODEL, 16, torch_device("cpu", 1))
    drifts = []
    for path in photos[:: len(photos) // 40]:
        pixels = read_photo(path.read_bytes(), PhotoSettings()).pixels
        faces = predictor.detector.detect(pixels)
        pairs = zip(served.rate(pixels, faces), master.rate(pixels, faces), strict=True)
        drifts += [abs(ours.score - theirs.score) for ours, theirs in pairs]
    assert len(drifts) >= 40
    assert np.mean(drifts) <= bound


def test_the_default_scorer_keeps_its_floors() -> None:
    figures = MODEL.card["figures"]["split"]
    floors = {"scut-fbp5500": (2200, 0.9, 0.22), "mebeauty": (226, 0.69, 0.73)}
    for panel, (examples, pc, mae) in floors.items():
        assert figures[panel]["examples"] == examples
        assert figures[panel]["served"]["pc"] >= pc
        assert figures[panel]["served"]["mae"] <= mae
        assert figures[panel]["drift"]["mean_of_a_point"] <= 0.03
        assert 0.6 <= figures[panel]["spread"]["coverage_1"] <= 0.8
        assert figures[panel]["spread"]["coverage_2"] >= 0.9
    folds = MODEL.card["figures"]["folds"]["scut-fbp5500"]
    assert (folds["examples"], len(folds["folds"])) == (5500, 5)
    assert folds["served"]["pc"] >= 0.915
    assert min(its["pc"] for its in folds["groups"].values()) >= 0.88


def test_int8_keeps_the_astronauts_score(astronaut: Pixels) -> None:
    faces = [face(181, 61, 268, 172), face(150, 30, 300, 200)]
    served = OnnxScorer(MODEL, 16, 1).rate(astronaut, faces)
    master = TorchScorer(MODEL, 16, torch_device("cpu", 1)).rate(astronaut, faces)
    for ours, theirs in zip(served, master, strict=True):
        assert ours.score == pytest.approx(theirs.score, abs=0.25)


def test_a_hundred_faces_go_through_in_chunks_and_each_gets_its_own_score(
    astronaut: Pixels,
) -> None:
    rng = np.random.default_rng(5)
    faces = [face(x, y, x + 90, y + 110) for x, y in rng.integers(0, 400, (100, 2))]
    together = OnnxScorer(MODEL, 16, 1).rate(astronaut, faces)
    assert len(together) == 100
    one_by_one = OnnxScorer(MODEL, 1, 1)
    for index in (0, 15, 16, 63, 99):
        (alone,) = one_by_one.rate(astronaut, [faces[index]])
        assert alone.score == pytest.approx(together[index].score, abs=1e-3)
    assert all(1 <= rating.score <= 10 for rating in together)


def test_no_face_never_reaches_the_network(
    astronaut: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = OnnxScorer(MODEL, 16, 1)
    monkeypatch.setattr(scorer, "_session", None)
    assert scorer.rate(astronaut, []) == []


@pytest.mark.parametrize("view", [None, {"context": 1.2}, {"context": "wide", "size": 224}])
def test_a_card_must_say_what_the_scorer_sees(view: object) -> None:
    model = Model("blind-1", {**MODEL.card, "view": view}, MODEL.folder)
    with pytest.raises(ModelError, match="gives no view of a face"):
        OnnxScorer(model, 16, 1)


def test_a_crop_is_the_square_around_the_box(astronaut: Pixels) -> None:
    side = 160
    cut = crop(astronaut, Box(200, 100, 200 + 90, 100 + side / VIEW.context), VIEW)
    left, top = 245 - side // 2, round(100 + side / VIEW.context / 2 - side / 2)
    expected = cv2.resize(astronaut[top : top + side, left : left + side], (VIEW.size, VIEW.size))
    np.testing.assert_array_equal(cut, expected)


def test_a_crop_repeats_the_border_where_the_photo_ends(astronaut: Pixels) -> None:
    cut = crop(astronaut, Box(-60, -60, 100, 100), VIEW)
    corner = cut[: VIEW.size // 4, : VIEW.size // 4].reshape(-1, 3)
    assert (corner == corner[0]).all()
    np.testing.assert_array_equal(corner[0], astronaut[0, 0])


@pytest.mark.parametrize(
    "box",
    [
        Box(-300, -300, -200, -200),
        Box(600, 600, 900, 900),
        Box(-2000, -2000, 3000, 3000),
        Box(100, 100, 100.2, 100.4),
        Box(511.7, 0, 512.4, 0.3),
    ],
)
def test_any_box_gives_a_crop(astronaut: Pixels, box: Box) -> None:
    assert crop(astronaut, box, VIEW).shape == (VIEW.size, VIEW.size, 3)
