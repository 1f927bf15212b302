"""The int8 graph: what is in int8, what it is calibrated on, and the head that is fitted to it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import training.export
import training.quantize
from pipeline.models import onnx_session
from pipeline.types import Pixels
from training.crop_set import CropSet
from training.export import calibration_and_check
from training.ratings import hold_out, parts
from training.recipe import Recipe

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def shown(crops: CropSet) -> Pixels:
    """Every third crop, that the quantiser sees."""
    return crops.seen(range(0, 60, 3), 32)


@pytest.fixture(scope="module")
def unseen(crops: CropSet) -> Pixels:
    return crops.seen(range(1, 60, 3), 32)


@pytest.fixture(scope="module")
def fp32(tiny_model: Path) -> Path:
    return tiny_model / "fp32.onnx"


@pytest.fixture(scope="module")
def unfitted(fp32: Path, scratch: Path, shown: Pixels) -> Path:
    """The int8 graph with the head of the float32 graph."""
    path = scratch / "unfitted.onnx"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.quantize, "_fit_head", lambda *_: None)
        training.quantize.quantize(fp32, path, shown)
    return path


@pytest.fixture
def int8(unfitted: Path, tmp_path: Path) -> Path:
    """The same, to be spoilt."""
    return Path(shutil.copy(unfitted, tmp_path / "int8.onnx"))


def head_of(path: Path) -> tuple[Any, Any]:
    model = onnx.load(path)
    (head,) = (node for node in model.graph.node if node.op_type == "Gemm")
    values = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    weight, bias = (values[name] for name in head.input[1:])
    assert (weight.shape, bias.shape) == ((37, 512), (37,))
    return weight, bias


def logits(path: Path, crops: Pixels) -> Any:
    return training.quantize._head_runs(path, crops)[1]


def scores(path: Path, crops: Pixels) -> Any:
    return onnx_session(path.read_bytes(), threads=1).run(["scores"], {"crops": crops})[0]


def test_all_but_the_first_layer_and_the_head_is_in_int8(unfitted: Path, fp32: Path) -> None:
    graph = onnx.load(unfitted).graph
    makers = {output: node.op_type for node in graph.node for output in node.output}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    sources = [[makers.get(name, "a constant") for name in node.input[:2]] for node in convolutions]
    assert sources[0][1] == "a constant"
    assert sources[1:] == [["DequantizeLinear"] * 2] * 19
    np.testing.assert_array_equal(head_of(unfitted)[0], head_of(fp32)[0])
    assert unfitted.stat().st_size < 0.3 * fp32.stat().st_size


def test_a_channel_has_its_own_scale(unfitted: Path) -> None:
    graph = onnx.load(unfitted).graph
    values = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    for node in graph.node:
        weight = node.op_type == "DequantizeLinear" and values.get(node.input[0])
        if isinstance(weight, np.ndarray) and weight.ndim == 4:
            assert values[node.input[1]].shape == weight.shape[:1]


def test_the_fitted_head_comes_nearer_to_the_float32_graph(
    fp32: Path, int8: Path, unfitted: Path, shown: Pixels, unseen: Pixels
) -> None:
    training.quantize._fit_head(fp32, int8, shown)
    # Twenty crops teach 512 weights little of others; those must not be worse for it.
    for crops, share in ((shown, 0.5), (unseen, 1.2)):
        wanted, exact = logits(fp32, crops), scores(fp32, crops)
        before, after = (np.square(logits(it, crops) - wanted).mean() for it in (unfitted, int8))
        assert after < share * before
        before, after = (np.abs(scores(it, crops) - exact).mean() for it in (unfitted, int8))
        assert after < max(share, 0.9) * before


def test_a_shift_of_every_logit_is_taken_back(fp32: Path, int8: Path, shown: Pixels) -> None:
    model = onnx.load(int8)
    (head,) = (node for node in model.graph.node if node.op_type == "Gemm")
    (bias,) = (each for each in model.graph.initializer if each.name == head.input[2])
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(3), bias.name))
    onnx.save(model, int8)
    assert (logits(int8, shown) - logits(fp32, shown)).mean() == pytest.approx(3, abs=0.2)
    training.quantize._fit_head(fp32, int8, shown)
    shift = (logits(int8, shown) - logits(fp32, shown)).mean(axis=0)
    np.testing.assert_allclose(shift, 0, atol=1e-4)


def test_the_ridge_holds_the_weights_where_they_were(
    fp32: Path, int8: Path, shown: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight, bias = head_of(int8)
    off = (logits(fp32, shown) - logits(int8, shown)).mean(axis=0)
    monkeypatch.setattr(training.quantize, "RIDGE", 1e12)
    training.quantize._fit_head(fp32, int8, shown)
    held, moved = head_of(int8)
    np.testing.assert_allclose(held, weight, atol=1e-6)
    np.testing.assert_allclose(moved - bias, off, atol=1e-4)


def test_calibrates_on_the_first_crops_and_fits_on_more(
    fp32: Path, tmp_path: Path, shown: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    fed: list[Any] = []

    def quantize_static(_model: Path, path: Path, reader: Any, **_options: Any) -> None:
        while (batch := reader.get_next()) is not None:
            fed.append(batch["crops"])
        shutil.copy(fp32, path)

    fitted: list[Any] = []
    monkeypatch.setattr(training.quantize, "quantize_static", quantize_static)
    monkeypatch.setattr(training.quantize, "_fit_head", lambda *told: fitted.append(told[2]))
    monkeypatch.setattr(training.quantize, "CALIBRATION", 18)
    monkeypatch.setattr(training.quantize, "FITTED", 19)
    training.quantize.quantize(fp32, tmp_path / "int8.onnx", shown)
    np.testing.assert_array_equal(np.concatenate(fed), shown[:18])
    assert max(len(batch) for batch in fed) <= 16
    np.testing.assert_array_equal(fitted[0], shown[:19])


@pytest.mark.parametrize("validation", [0.0, 0.25])
def test_calibration_is_on_half_the_training_part_in_no_order_and_checks_are_on_others(
    crops: CropSet, monkeypatch: pytest.MonkeyPatch, validation: float
) -> None:
    recipe = Recipe(validation=validation)
    part, _ = parts(crops.examples, "split")
    training_part, held_out = hold_out(crops.examples, part, validation, recipe.seed)
    shown, checked = calibration_and_check(crops, recipe)
    assert len(shown) == len(training_part) // 2
    assert set(shown) <= set(training_part)
    assert not set(shown) & set(checked)
    assert set(checked) == set(held_out or training_part) - set(shown)
    # The quantiser looks at the first ones: they are to be of every set.
    assert {crops.examples[row].source for row in shown[:8]} == {"studio", "street"}
    assert calibration_and_check(crops, recipe) == (shown, checked)
    monkeypatch.setattr(training.export, "CHECKED", 5)
    fewer = calibration_and_check(crops, recipe)[1]
    assert 3 <= len(fewer) <= 5
    assert {crops.examples[row].source for row in fewer} == {"studio", "street"}
