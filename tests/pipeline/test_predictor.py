"""Loading: models that are what their cards say, engines that are there."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import ModelError, SettingsError, UnknownModel
from pipeline.models import Model, onnx_session
from pipeline.predictor import Predictor, load_predictor
from pipeline.settings import ROOT, EngineSettings, PipelineSettings, ScorerSettings
from tests.conftest import SCORER

MODELS = ROOT / "models"


def settings_for(folder: Path, **engine: str) -> PipelineSettings:
    return PipelineSettings(engine=EngineSettings(models_dir=folder, **engine))  # type: ignore[arg-type]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A copy of the models that a test may spoil."""
    return Path(shutil.copytree(MODELS, tmp_path / "models"))


def test_both_engines_agree(photo: bytes, predictor: Predictor) -> None:
    torch = load_predictor(replace(PipelineSettings(), engine=EngineSettings(engine="torch")))
    ours, reference = predictor.predict(photo), torch.predict(photo)
    assert len(ours.faces) == len(reference.faces) == 1
    a, b = ours.faces[0], reference.faces[0]
    assert a.face.box.x1 == pytest.approx(b.face.box.x1, abs=0.01)
    assert a.rating.score == pytest.approx(b.rating.score, abs=0.25)
    assert reference.scorer.sha256 == torch.models[SCORER].sha256("master.safetensors")


def test_the_torch_engine_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pipeline.reference", None)
    monkeypatch.delattr("pipeline.reference", raising=False)
    with pytest.raises(SettingsError, match="torch extra"):
        load_predictor(replace(PipelineSettings(), engine=EngineSettings(engine="torch")))


def test_an_unknown_model_is_named_with_those_there_are(photo: bytes, predictor: Predictor) -> None:
    with pytest.raises(UnknownModel, match=rf"'other'.*{SCORER}"):
        predictor.predict(photo, model="other")


def test_a_file_that_is_not_its_cards_is_refused(models: Path) -> None:
    graph = models / SCORER / "int8.onnx"
    spoilt = bytearray(graph.read_bytes())
    spoilt[1000] ^= 1
    graph.write_bytes(bytes(spoilt))
    with pytest.raises(ModelError, match=r"int8\.onnx.*not the file"):
        load_predictor(settings_for(models))


@pytest.mark.parametrize("engine", ["native", "onnx"])
def test_a_missing_file_is_named(models: Path, engine: str) -> None:
    for name in ("rnet.onnx", "weights.npz"):
        (models / "mtcnn" / name).unlink()
    with pytest.raises(ModelError, match=r"mtcnn.*(rnet\.onnx|weights\.npz)"):
        load_predictor(settings_for(models, engine=engine))


@pytest.mark.parametrize("card", ["", "[]", "{}", '{"name": "other", "files": {}}'])
def test_a_card_that_says_nothing_is_refused(models: Path, card: str) -> None:
    (models / "mtcnn" / "card.json").write_text(card)
    with pytest.raises(ModelError, match="mtcnn"):
        load_predictor(settings_for(models))


def test_a_model_that_is_not_there_is_named() -> None:
    with pytest.raises(ModelError, match="nobody"):
        load_predictor(PipelineSettings(scorer=ScorerSettings(model="nobody")))


def test_bytes_that_are_no_graph_are_refused() -> None:
    with pytest.raises(ModelError, match="cannot load"):
        onnx_session(b"no graph", 1)


def test_cuda_without_a_gpu_is_refused() -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    settings = replace(PipelineSettings(), engine=EngineSettings(engine="torch", device="cuda"))
    with pytest.raises(SettingsError, match="CUDA"):
        load_predictor(settings)


@pytest.mark.parametrize("folder", sorted(path.name for path in MODELS.iterdir() if path.is_dir()))
def test_every_card_describes_its_files(folder: str) -> None:
    model = Model.open(MODELS / folder)
    assert {path.name for path in model.folder.iterdir()} == {"card.json", *model.card["files"]}
    for file in model.card["files"]:
        model.read(file)
    for fact in ("title", "source", "licence"):
        assert model.card[fact]
    text = json.dumps(model.card)
    assert str(Path.home()) not in text
    assert str(ROOT) not in text


def test_models_stay_under_100_megabytes() -> None:
    assert sum(path.stat().st_size for path in MODELS.rglob("*") if path.is_file()) < 100e6
