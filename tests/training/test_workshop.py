"""The workshop from end to end on a tiny set: crops, training, export, evaluation."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torchvision.models import resnet34

import training.export
import training.quantize
import training.run
import training.train
from pipeline.crops import CONTEXT, SIZE, crop
from pipeline.detector import OnnxDetector
from pipeline.models import Model, onnx_session
from pipeline.photo import read_photo
from pipeline.reference import TorchScorer
from pipeline.scorer import OnnxScorer
from pipeline.settings import ROOT, DetectorSettings, PhotoSettings
from pipeline.types import Box, Face, Pixels
from training.__main__ import main
from training.crop_set import CropSet
from training.crops import WIDE_CONTEXT, WIDE_SIZE
from training.metrics import SCUT_STEP, metrics
from training.ratings import hold_out, parts
from training.recipe import Recipe

# torch.onnx's exporter asks torch's own pytree in a way that torch has deprecated, and
# torch.export reads the program that it wrote through a buffer that nothing may write to.
pytestmark = [
    pytest.mark.filterwarnings(
        r"ignore:`isinstance\(treespec, LeafSpec\)` is deprecated:FutureWarning"
    ),
    pytest.mark.filterwarnings("ignore:The given buffer is not writable:UserWarning"),
]

PARTS = [(group, split) for group in ("AF", "CM") for split in ["train"] * 16 + ["test"] * 6]
FACELESS = 3
"""The photo without a face."""
CHOICES = ["--sizes", "32:1,40:2", "--batch", "8", "--validation", "0.25", "--ema", "0.5"]


class PowerCut(Exception):
    """What stops a run in these tests."""


def call(*arguments: str | Path) -> None:
    """Run `python -m training` with those arguments."""
    main([str(argument) for argument in arguments])


def cut_short(during: str, call_number: int, workshop: Path, out: Path) -> None:
    """Train until that function of `training.train` is called for that time."""
    real = getattr(training.train, during)
    calls = count(1)

    def stops(*arguments: Any) -> Any:
        if next(calls) == call_number:
            raise PowerCut
        return real(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.train, during, stops)
        with pytest.raises(PowerCut):
            train(workshop, out)


def train(workshop: Path, out: Path, *more: str) -> None:
    init = workshop / "init.safetensors"
    where: list[str | Path] = [workshop / "crops", "--init", init, "--out", out, "--device", "cpu"]
    call("train", *where, *CHOICES, *more)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that wait for one another crawl on a machine that has more to do."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def workshop(astronaut: Pixels) -> Iterator[Path]:
    """A folder with a rated set, its crops, and weights to start from."""
    # Not tmp_path: pytest keeps the last runs' folders, and checkpoints are large.
    with tempfile.TemporaryDirectory(prefix="workshop-") as name:
        folder = Path(name)
        rng = np.random.default_rng(1)
        (folder / "set" / "images").mkdir(parents=True)
        rows = []
        for number, (group, split) in enumerate(PARTS):
            light = rng.uniform(0.4, 1.2)
            side = int(rng.integers(200, 240))
            picture = cv2.resize(astronaut, (side, side), interpolation=cv2.INTER_AREA) * light
            if number == FACELESS:
                picture[:] = np.linspace(0, 255, side)[:, None, None]
            image = f"{group}{number}.jpg"
            pixels = picture.clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "set" / "images" / image, quality=95)
            rows.append((image, f"{1 + 3 * light:.6f}", group, 1 + number % 5, split))
        header = ("image", "rating_1_to_5", "group", "fold_5cv", "split_60_40")
        with (folder / "set" / "ratings.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *rows])
        torch.manual_seed(2)
        start = resnet34().state_dict()
        save_file(
            {name: tensor for name, tensor in start.items() if not name.startswith("fc.")},
            folder / "init.safetensors",
        )
        call("dataset", folder / "set", "--out", folder / "crops")
        yield folder


@pytest.fixture(scope="module")
def crops(workshop: Path) -> CropSet:
    return CropSet.open(workshop / "crops")


@pytest.fixture(scope="module")
def run(workshop: Path) -> Path:
    """A run that nothing disturbed."""
    train(workshop, workshop / "run")
    return workshop / "run"


@pytest.fixture(scope="module")
def model(workshop: Path, run: Path) -> Path:
    """The run as a model's folder, float32 graph included."""
    out, facts = workshop / "models" / "tiny-1", workshop / "facts.json"
    facts.write_text(json.dumps({"title": "A tiny scorer"}), encoding="utf-8")
    where: list[str | Path] = [run, "--crops", workshop / "crops", "--out", out]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.quantize, "CALIBRATION", 16)
        call("export", *where, "--facts", facts)
    return out


def words(graph: Path) -> bytes:
    """A graph without its weights, in which any run of letters may turn up by chance."""
    proto = onnx.load(graph)
    for tensor in proto.graph.initializer:
        tensor.ClearField("raw_data")
    return bytes(proto.SerializeToString())


def test_crops_are_those_that_the_service_cuts(workshop: Path, crops: CropSet) -> None:
    detector = OnnxDetector(Model.open(ROOT / "models" / "mtcnn"), DetectorSettings(), threads=1)
    for row in (0, len(PARTS) - 1):
        file = workshop / "set" / "images" / crops.examples[row].image
        pixels = read_photo(file.read_bytes(), PhotoSettings()).pixels
        (face,) = detector.detect(pixels)
        assert np.array_equal(crops.served[row], crop(pixels, face.box))
        assert np.array_equal(crops.wide[row], crop(pixels, face.box, WIDE_CONTEXT, WIDE_SIZE))
    assert crops.served.shape == (len(PARTS), SIZE, SIZE, 3)
    assert crops.wide.shape == (len(PARTS), WIDE_SIZE, WIDE_SIZE, 3)


def test_crops_keep_every_photo_with_its_rating(workshop: Path, crops: CropSet) -> None:
    with (workshop / "set" / "ratings.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [str(example.image) for example in crops.examples] == [row["image"] for row in rows]
    assert [(example.group, example.split) for example in crops.examples] == PARTS
    ratings = 1 + (crops.scores - 1) * SCUT_STEP
    assert ratings == pytest.approx([float(row["rating_1_to_5"]) for row in rows], abs=1e-5)


def test_a_photo_without_a_face_is_cut_around_its_middle_and_counted(
    workshop: Path, crops: CropSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = crops.examples[FACELESS].image
    (tmp_path / "images").mkdir()
    shutil.copy(workshop / "set" / "images" / photo, tmp_path / "images")
    lines = (workshop / "set" / "ratings.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "ratings.csv").write_text(f"{lines[0]}\n{lines[1 + FACELESS]}\n", encoding="utf-8")
    call("dataset", tmp_path, "--out", tmp_path / "crops")
    assert "1 photo in 1 set" in capsys.readouterr().out
    rows = crops.served[FACELESS].mean(axis=(1, 2))
    assert (np.diff(rows) >= -1).all()
    assert rows[0] < 10
    assert rows[-1] > 245


def test_an_interrupted_run_ends_in_the_same_weights(workshop: Path, run: Path) -> None:
    out = workshop / "interrupted"
    # The second epoch is trained by then, but no checkpoint knows of it.
    cut_short("validate", 2, workshop, out)
    assert torch.load(out / "checkpoint.pt")["run"]["epoch"] == 1
    cut_short("batches", 2, workshop, out)
    assert torch.load(out / "checkpoint.pt")["run"]["epoch"] == 2
    train(workshop, out)
    ours, theirs = (load_file(folder / "weights.safetensors") for folder in (out, run))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())
    ours, theirs = (torch.load(folder / "checkpoint.pt")["run"] for folder in (out, run))
    assert ours["epoch"] == theirs["epoch"] == 3
    for part in ("net", "average"):
        assert all(torch.equal(tensor, theirs[part][name]) for name, tensor in ours[part].items())


def test_keeps_the_average_after_the_last_epoch(workshop: Path, run: Path, crops: CropSet) -> None:
    weights = load_file(run / "weights.safetensors")
    average = torch.load(run / "checkpoint.pt")["run"]["average"]
    assert all(torch.equal(tensor, average[f"module.{name}"]) for name, tensor in weights.items())
    start = load_file(workshop / "init.safetensors")["conv1.weight"]
    assert not torch.equal(weights["backbone.conv1.weight"], start)
    assert list(run.glob("events.out.tfevents.*"))


def test_the_gain_fits_the_spread_to_the_errors_of_what_was_held_out(
    run: Path, crops: CropSet
) -> None:
    net, recipe, _ = training.export.load_run(run)
    part, _ = parts(crops.examples, recipe.protocol)
    _, held_out = hold_out(crops.examples, part, recipe.validation, recipe.seed)
    scores, spreads = training.run.rate(net, crops.served[held_out], 40, torch.device("cpu"))
    in_spreads = (scores - crops.scores[held_out]) / spreads
    assert np.sqrt((in_spreads**2).mean()) == pytest.approx(1, abs=0.02)


def test_a_folder_goes_on_with_its_own_recipe_alone(workshop: Path, run: Path) -> None:
    before = (run / "checkpoint.pt").stat().st_mtime_ns
    with pytest.raises(SystemExit, match="another recipe"):
        train(workshop, run, "--learning-rate", "0.001")
    assert (run / "checkpoint.pt").stat().st_mtime_ns == before


def test_the_exported_card_describes_the_files(model: Path, run: Path) -> None:
    opened = Model.open(model)
    files = {"fp32.onnx", "int8.onnx", "master.safetensors", "program.pt2"}
    assert set(opened.card["files"]) == files
    assert {path.name for path in model.iterdir()} == {*files, "card.json"}
    for name in files:
        assert len(opened.read(name)) == opened.card["files"][name]["bytes"]
        assert (model / name).stat().st_mode == (model / "card.json").stat().st_mode
    assert opened.card["title"] == "A tiny scorer"
    assert opened.card["recipe"]["sizes"] == [[32, 1], [40, 2]]
    assert opened.card["spread"]["label"] == Recipe().label_spread
    assert opened.card["context"] == CONTEXT
    best, master = load_file(run / "weights.safetensors"), load_file(model / "master.safetensors")
    assert all(
        torch.equal(tensor.to(master[name].dtype), master[name]) for name, tensor in best.items()
    )
    assert master["backbone.conv1.weight"].dtype == torch.float16


def test_the_int8_graph_is_a_quantised_one_and_smaller(model: Path) -> None:
    kinds = {node.op_type for node in onnx.load(model / "int8.onnx").graph.node}
    assert {"QuantizeLinear", "DequantizeLinear", "Conv"} <= kinds
    sizes = [(model / name).stat().st_size for name in ("int8.onnx", "fp32.onnx")]
    assert sizes[0] < 0.3 * sizes[1]


def test_nothing_exported_names_a_path_of_this_machine(workshop: Path, model: Path) -> None:
    told = {path.name: words(path) for path in model.glob("*.onnx")}
    told["card.json"] = (model / "card.json").read_bytes()
    assert len(told) == 3
    for text in told.values():
        for path in (ROOT, workshop, Path(sys.prefix), Path(tempfile.gettempdir())):
            assert str(path).encode() not in text
        assert not re.search(rb"site-packages|\.py\b|/home/", text)
        assert os.fsencode(Path.home()) not in text


def test_both_engines_rate_a_face_alike(model: Path, astronaut: Pixels) -> None:
    opened = Model.open(model)
    faces = [Face(Box(170, 60 + by, 275, 180 + by), 1.0, ()) for by in (0, 10, 40)]
    served = OnnxScorer(opened, 2, 1).rate(astronaut, faces)
    master = TorchScorer(opened, 2, torch.device("cpu")).rate(astronaut, faces)
    assert [rating.score for rating in served] == pytest.approx(
        [rating.score for rating in master], abs=0.25
    )


def test_the_figures_of_the_test_part_go_into_the_card_that_is_named(
    model: Path, workshop: Path, crops: CropSet
) -> None:
    before = json.loads((model / "card.json").read_text(encoding="utf-8"))
    report = workshop / "report"
    call("evaluate", model, "--crops", workshop / "crops", "--out", report, "--card", model)
    opened = Model.open(model)
    figures = opened.card.pop("figures")["split"]["set"]
    before.pop("figures", None)
    assert opened.card == before
    test = [row for row, (_, split) in enumerate(PARTS) if split == "test"]
    session = onnx_session(opened.read("int8.onnx"), threads=1)
    scores = session.run(["scores"], {"crops": crops.served[test]})[0]
    assert figures["examples"] == len(test) == 12
    assert figures["served"] == pytest.approx(
        metrics(scores, crops.scores[test], SCUT_STEP), abs=2e-4
    )
    assert 0 < figures["drift"]["mean_of_a_point"] < 0.25
    assert "report.html" in {path.name for path in report.iterdir()}


def test_two_models_rate_new_photos_side_by_side(
    model: Path, workshop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = workshop / "set" / "images"
    out = workshop / "try"
    models = [ROOT / "models" / "resnet34-1", model]
    call("try", photos, "--models", *models, "--out", out)
    said = capsys.readouterr().out
    assert f"{len(PARTS) - 1} faces; on average" in said
    assert " ± " in said
    assert "no face" in said
    assert "resnet34-1 and tiny-1" in (out / "report.html").read_text(encoding="utf-8")
