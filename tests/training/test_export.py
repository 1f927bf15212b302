"""Export: every form rates as PyTorch does, and the card says what they are."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import tempfile
import zipfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import training.export
from pipeline.models import Model, onnx_session
from pipeline.network import RatingNet
from pipeline.reference import TorchScorer
from pipeline.scorer import OnnxScorer
from pipeline.settings import ROOT
from pipeline.types import Box, Face, Pixels
from service.openapi import describe_service
from service.settings import Settings
from tests.training.conftest import STUDIO, call
from training.crop_set import CropSet
from training.export import check, load_run
from training.forms import ScoresAlone, save_fp32
from training.recipe import Recipe

FORMS = {"fp32.onnx", "int8.onnx", "master.safetensors", "program.pt2"}

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def without_forms(monkeypatch: pytest.MonkeyPatch) -> list[RatingNet]:
    """Each network that is exported; its forms, which take longest, are empty files."""
    exported: list[RatingNet] = []

    def export(net: RatingNet, _recipe: Recipe, _crops: CropSet, out: Path) -> None:
        exported.append(net)
        for name in FORMS:
            (out / name).write_text(f"{name} {len(exported)}")

    monkeypatch.setattr(training.export, "export", export)
    return exported


def words(form: Path) -> bytes:
    """A form without its weights, in which any run of letters may turn up by chance."""
    if form.suffix == ".pt2":
        with zipfile.ZipFile(form) as archive:
            return b"".join(
                archive.read(name) for name in archive.namelist() if name.endswith(".json")
            )
    if form.suffix != ".onnx":
        return form.read_bytes()
    proto = onnx.load(form)
    for tensor in proto.graph.initializer:
        tensor.ClearField("raw_data")
    return bytes(proto.SerializeToString())


def rated_by(graph: Path, crops: Pixels) -> list[Any]:
    return list(onnx_session(graph.read_bytes(), threads=1).run(None, {"crops": crops}))


def retold(run: Path, folder: Path, **told: str) -> Path:
    """A run of the same weights that tells other things."""
    with safe_open(run / "weights.safetensors", "pt") as file:
        before = file.metadata()
    folder.mkdir()
    weights = load_file(run / "weights.safetensors")
    save_file(weights, folder / "weights.safetensors", {**before, **told})
    return folder


def test_writes_the_four_forms_and_a_card_of_them(tiny_model: Path, tiny_run: Path) -> None:
    assert {path.name for path in tiny_model.iterdir()} == {*FORMS, "card.json"}
    card = Model.open(tiny_model).card
    for name in FORMS - {"program.pt2"}:
        data = (tiny_model / name).read_bytes()
        assert card["files"][name] == {
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        assert (tiny_model / name).stat().st_mode == (tiny_model / "card.json").stat().st_mode
    assert (card["name"], card["kind"], card["title"]) == ("tiny-1", "scorer", "A tiny scorer")
    assert (card["served"], card["master"]) == ("int8.onnx", "master.safetensors")
    assert card["init"] == "resnet18.safetensors"
    assert card["view"] == {"context": 1.2, "size": 32}
    net, recipe, told = load_run(tiny_run)
    assert Recipe.from_json(json.dumps(card["recipe"])) == recipe
    assert (card["recipe"]["protocol"], card["recipe"]["sets"]) == ("split", [])
    assert card["sets"] == ["street", "studio"]
    assert card["spread"] == {"label": 0.7, "gain": json.loads(told["spread_gain"])}
    assert card["spread"] == asdict(net.spread)


def test_a_card_says_what_the_contract_promises_without_facts(
    tiny_run: Path, crop_folder: Path, tmp_path: Path, without_forms: list[RatingNet]
) -> None:
    call(training.export, tiny_run, "--crops", crop_folder, "--out", tmp_path / "own-1")
    card = Model.open(tmp_path / "own-1").card
    schemas = describe_service(Settings(), ["own-1"])["components"]["schemas"]
    assert set(schemas["Model"]["required"]) <= set(card)
    assert card["title"] == "resnet18 that rates a face from 1 to 10"
    assert card["data"] == (
        "street: 16 photos, rated from 1 to 10; studio: 32 photos, rated from 1 to 5"
    )


@pytest.mark.parametrize("text", [None, "{", "[1]", "3"])
def test_words_that_cannot_be_read_stop_the_export_before_it_begins(
    tiny_run: Path, crop_folder: Path, tmp_path: Path, without_forms: list[RatingNet],
    text: str | None,
) -> None:  # fmt: skip
    facts = tmp_path / "facts.json"
    if text is not None:
        facts.write_text(text, encoding="utf-8")
    where = ("--crops", crop_folder, "--out", tmp_path / "own-2", "--facts", facts)
    with pytest.raises(SystemExit, match=r"facts\.json"):
        call(training.export, tiny_run, *where)
    assert not without_forms
    assert not (tmp_path / "own-2").exists()


def test_nothing_exported_names_a_path_of_this_machine(tiny_model: Path, scratch: Path) -> None:
    told = {
        path.name: words(path) for path in tiny_model.iterdir() if path.suffix != ".safetensors"
    }
    assert set(told) == {"fp32.onnx", "int8.onnx", "program.pt2", "card.json"}
    for name, text in told.items():
        for path in (ROOT, scratch, Path(sys.prefix), Path(tempfile.gettempdir())):
            assert str(path).encode() not in text, name
        assert not re.search(rb"site-packages|\.py\b|/home/", text), name
        assert os.fsencode(Path.home()) not in text, name


def test_the_master_is_the_run_in_float16(tiny_model: Path, tiny_run: Path) -> None:
    weights = load_file(tiny_run / "weights.safetensors")
    master = load_file(tiny_model / "master.safetensors")
    assert weights.keys() == master.keys()
    assert all(torch.equal(it.to(master[name].dtype), master[name]) for name, it in weights.items())
    assert master["backbone.conv1.weight"].dtype == torch.float16


@pytest.mark.parametrize("count", [1, 5])
def test_graph_and_program_rate_as_the_master_does(
    tiny_model: Path, tiny_run: Path, crops: CropSet, count: int
) -> None:
    net, _, _ = load_run(tiny_run)
    net.load_master(load_file(tiny_model / "master.safetensors"))
    pictures = crops.seen(range(7, 7 + count), 32)
    with torch.inference_mode():
        expected = [it.numpy() for it in net(torch.from_numpy(pictures))]
        program = torch.export.load(tiny_model / "program.pt2").module()
        told = [it.numpy() for it in program(torch.from_numpy(pictures))]
    for ours in (rated_by(tiny_model / "fp32.onnx", pictures), told):
        for one, other in zip(ours, expected, strict=True):
            assert (one.shape, one.dtype) == ((count,), np.float32)
            np.testing.assert_allclose(one, other, atol=0.002)


def test_both_engines_rate_a_face_alike(tiny_model: Path, astronaut: Pixels) -> None:
    opened = Model.open(tiny_model)
    faces = [Face(Box(170, 60 + by, 275, 180 + by), 1.0, ()) for by in (0, 10, 40)]
    served = OnnxScorer(opened, 2, 1).rate(astronaut, faces)
    master = TorchScorer(opened, 2, torch.device("cpu")).rate(astronaut, faces)
    for ours, theirs in zip(served, master, strict=True):
        assert ours.score == pytest.approx(theirs.score, abs=0.25)
        assert ours.spread == pytest.approx(theirs.spread, rel=0.25)
        assert 0 < (ours.spread or 0) < 10


def test_lean_leaves_what_the_service_needs_and_nothing_of_before(
    tiny_run: Path, crop_folder: Path, tmp_path: Path, without_forms: list[RatingNet]
) -> None:
    out = tmp_path / "tiny-2"
    call(training.export, tiny_run, "--crops", crop_folder, "--out", out)
    assert set(Model.open(out).card["files"]) == FORMS
    call(training.export, tiny_run, "--crops", crop_folder, "--out", out, "--lean")
    assert len(without_forms) == 2
    assert {path.name for path in out.iterdir()} == {*training.export.LEAN, "card.json"}
    opened = Model.open(out)
    assert set(opened.card["files"]) == {"int8.onnx", "master.safetensors"}
    assert opened.read("int8.onnx") == b"int8.onnx 2"


def test_the_spread_may_be_that_of_another_run(
    tiny_run: Path, crop_folder: Path, tmp_path: Path, without_forms: list[RatingNet]
) -> None:
    other = retold(tiny_run, tmp_path / "other", spread_gain="1.75")
    where = ("--crops", crop_folder, "--out", tmp_path / "tiny-3", "--spread-of", other)
    call(training.export, tiny_run, *where)
    assert Model.open(tmp_path / "tiny-3").card["spread"] == {"label": 0.7, "gain": 1.75}
    (net,) = without_forms
    assert net.spread.gain == 1.75


def test_a_network_of_the_mean_alone_tells_no_spread(
    tiny_run: Path,
    crop_folder: Path,
    crops: CropSet,
    tmp_path: Path,
    without_forms: list[RatingNet],
) -> None:
    recipe = replace(load_run(tiny_run)[1], loss="expectation", protocol="fold-1", sets=(STUDIO,))
    run = retold(tiny_run, tmp_path / "run", recipe=recipe.to_json(), spread_gain="1.0")
    call(training.export, run, "--crops", crop_folder, "--out", tmp_path / "tiny-4")
    card = Model.open(tmp_path / "tiny-4").card
    assert "spread" not in card
    assert (card["recipe"]["protocol"], card["recipe"]["sets"]) == ("fold-1", [STUDIO])
    assert card["sets"] == [STUDIO]
    (net,) = without_forms
    save_fp32(ScoresAlone(net), tmp_path / "fp32.onnx", 32)
    pictures = crops.seen([0, 1], 32)
    (scores,) = rated_by(tmp_path / "fp32.onnx", pictures)
    with torch.inference_mode():
        np.testing.assert_allclose(scores, net(torch.from_numpy(pictures))[0], atol=0.002)


def test_nothing_is_written_if_a_form_strays(
    tiny_run: Path,
    crop_folder: Path,
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    graph = (tiny_model / "fp32.onnx").read_bytes()
    monkeypatch.setattr(
        training.export, "save_fp32", lambda _, path, _size: path.write_bytes(graph)
    )
    monkeypatch.setitem(training.export.TOLERANCE, "fp32.onnx", -1.0)
    out = tmp_path / "models" / "tiny-5"
    with pytest.raises(SystemExit, match=r"fp32\.onnx strays by more than -1\.0"):
        call(training.export, tiny_run, "--crops", crop_folder, "--out", out)
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.parametrize(("off", "stops"), [(0.1, False), (0.5, True), (float("nan"), True)])
def test_a_form_may_stray_by_its_tolerance_and_no_more(
    tiny_model: Path, crops: CropSet, off: float, stops: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = crops.seen(range(20), 32)
    (scores, _), path = rated_by(tiny_model / "int8.onnx", pictures), tiny_model / "int8.onnx"
    scores[17] += off
    if stops:
        with pytest.raises(SystemExit, match=r"int8\.onnx strays by more than 0\.4"):
            check(path, pictures, scores)
    else:
        check(path, pictures, scores)
    assert f"mean drift {off / 20:.4f}, largest {off:.4f}" in capsys.readouterr().out


def test_a_run_that_is_not_there_is_named(crop_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"weights\.safetensors"):
        call(training.export, tmp_path, "--crops", crop_folder, "--out", tmp_path / "model")
    assert list(tmp_path.iterdir()) == []
