"""The evaluation from its command line, on models whose scores can be read off the crops."""

from __future__ import annotations

import argparse
import json
import re
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from safetensors.torch import save_file

import training.evaluate
from pipeline.models import Model
from pipeline.network import RatingNet, SpreadLaw
from pipeline.settings import ROOT
from pipeline.types import Pixels
from training.cards import write_card
from training.crop_set import CropSet
from training.measure import rate_served
from training.metrics import metrics
from training.ratings import Example
from training.recipe import Recipe

SCUT, OTHER = "scut-fbp5500", "other"
SCORES = 1 + 9 * np.arange(256) / 255
"""The score of a crop with that much red."""
RECIPE = Recipe(base="resnet18", validation=0.25)


@dataclass(frozen=True)
class Workshop:
    """A folder with crops, and what is rated in them."""

    folder: Path
    crops: CropSet

    def scores(self, rows: list[int]) -> Any:
        """What the models of `add_model` give these crops, off by nothing."""
        return SCORES[self.crops.served[rows, 0, 0, 0]]

    def rows(self, chosen: Callable[[Example], bool]) -> list[int]:
        return [row for row, example in enumerate(self.crops.examples) if chosen(example)]


def graph(off: float, spreads: bool) -> bytes:
    """From crops to `scores` by their mean red, plus `off`, and `spreads` by their mean blue."""
    names = ["scores", "spreads"] if spreads else ["scores"]
    constants = {"rows": [1, 2], "red": 0, "blue": 2}
    weights = {"scores": (9 / 255, 1 + off), "spreads": (1 / 100, 0.0)}
    nodes = [
        helper.make_node("Cast", ["crops"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["values", "rows"], ["means"], keepdims=0),
    ]
    initializers = [
        numpy_helper.from_array(np.array(value, np.int64), name)
        for name, value in constants.items()
    ]
    for name, channel in zip(names, ("red", "blue"), strict=False):
        gain, start = weights[name]
        for part, value in ((f"{name} gain", gain), (f"{name} start", start)):
            initializers.append(numpy_helper.from_array(np.array(value, np.float32), part))
        nodes += [
            helper.make_node("Gather", ["means", channel], [channel + "s"], axis=1),
            helper.make_node("Mul", [channel + "s", f"{name} gain"], [f"{name} scaled"]),
            helper.make_node("Add", [f"{name} scaled", f"{name} start"], [name]),
        ]
    shape = helper.make_tensor_value_info("crops", TensorProto.UINT8, ["n", 224, 224, 3])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in names]
    made = helper.make_graph(nodes, "scorer", [shape], outputs, initializers)
    opset = [helper.make_opsetid("", 18)]
    return bytes(helper.make_model(made, opset_imports=opset, ir_version=8).SerializeToString())


def add_model(
    workshop: Workshop, name: str, off: float = 0.0, spreads: bool = True, **recipe: Any
) -> Path:
    """A model that is off by that many points, and was trained by a recipe with these changes."""
    folder = workshop.folder / name
    folder.mkdir()
    (folder / "int8.onnx").write_bytes(graph(off, spreads))
    told = json.loads(replace(RECIPE, **recipe).to_json())
    view = {"context": 1.2, "size": 224}
    write_card(folder, {"kind": "scorer", "served": "int8.onnx", "view": view, "recipe": told})
    return folder


def add_master(model: Path) -> RatingNet:
    """Give a model a master of random weights."""
    torch.manual_seed(1)
    law = SpreadLaw(0.6, 1.2)
    net = RatingNet("resnet18", law).eval()
    save_file({k: v.contiguous() for k, v in net.state_dict().items()}, model / "m.safetensors")
    write_card(model, {**card(model), "master": "m.safetensors", "spread": asdict(law)})
    return net


def card(model: Path) -> dict[str, Any]:
    return Model.open(model).card


def evaluate(workshop: Workshop, *arguments: str | Path) -> dict[str, Any]:
    """Run the command, but for its page, which takes longest; the figures that it wrote."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training.evaluate, "write_page", lambda *_: None)
        return evaluate_with_page(workshop, *arguments)[0]


def evaluate_with_page(workshop: Workshop, *arguments: str | Path) -> tuple[dict[str, Any], str]:
    """Run the command; the figures and the page that it wrote."""
    out = workshop.folder / "report"
    parser = argparse.ArgumentParser()
    training.evaluate.add_arguments(parser)
    where = ["--crops", workshop.folder / "crops", "--out", out, "--threads", "1"]
    training.evaluate.main(parser.parse_args([str(it) for it in (*arguments, *where)]))
    page = out / "report.html"
    figures: dict[str, Any] = json.loads((out / "figures.json").read_text(encoding="utf-8"))
    return figures, page.read_text(encoding="utf-8") if page.exists() else ""


@pytest.fixture
def workshop(tmp_path: Path, astronaut: Pixels) -> Workshop:
    """A set of SCUT's scale with two groups and five folds, and one of ours without folds."""
    rng = np.random.default_rng(7)
    rated = [
        Example(
            Path(f"{source}{number}.jpg"),
            float(rng.uniform(2, 9)),
            "AF" if number % 3 else "CM",
            "test" if number % 5 < 2 else "train",
            1 + number % 5 if source == SCUT else 0,
            source,
            1.0,
            highest,
        )
        for source, count, highest in ((SCUT, 40, 5.0), (OTHER, 20, 10.0))
        for number in range(count)
    ]
    served = np.tile(astronaut[:224, :224], (len(rated), 1, 1, 1))
    served[..., 0] = [[[rng.integers(40, 240)]] for _ in rated]
    served[..., 2] = [[[rng.integers(50, 200)]] for _ in rated]
    crops = tmp_path / "crops"
    crops.mkdir()
    np.save(crops / "served.npy", served)
    np.save(crops / "wide.npy", np.zeros((len(rated), 1, 1, 3), np.uint8))
    rows = [{**asdict(example), "image": example.image.name} for example in rated]
    index = {"context": 1.2, "examples": rows}
    (crops / "index.json").write_text(json.dumps(index), encoding="utf-8")
    return Workshop(tmp_path, CropSet.open(crops))


def test_the_test_part_of_every_set_is_measured_on_its_own_scale(
    workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    (one,) = evaluate(workshop, add_model(workshop, "tiny-1", off=0.3))["measured"]
    assert (one["name"], one["protocol"], one["models"]) == ("tiny-1", "split", ["tiny-1"])
    assert set(one["sets"]) == {SCUT, OTHER}
    printed = capsys.readouterr().out
    for source, unit in ((SCUT, 4 / 9), (OTHER, 1.0)):
        rows = workshop.rows(lambda it, s=source: it.source == s and it.split == "test")  # type: ignore[misc]
        expected = metrics(workshop.scores(rows) + 0.3, workshop.crops.scores[rows], unit)
        figures = one["sets"][source]
        assert figures["examples"] == len(rows)
        assert figures["served"] == pytest.approx(expected, abs=2e-4)
        assert figures["cross_set"] is False
        assert "drift" not in figures
        assert sum(its["count"] for its in figures["deciles"]) == len(rows)
        assert f"tiny-1 (split) on {source}, {len(rows)} photos: pc" in printed


def test_groups_and_spreads_are_those_of_the_graph(workshop: Workshop) -> None:
    (one,) = evaluate(workshop, add_model(workshop, "tiny-1"))["measured"]
    rows = workshop.rows(lambda it: it.source == SCUT and it.split == "test" and it.group == "CM")
    errors = np.abs(workshop.scores(rows) - workshop.crops.scores[rows])
    spreads = workshop.crops.served[rows, :, :, 2].mean(axis=(1, 2)) / 100
    figures = one["sets"][SCUT]["groups"]["CM"]
    assert figures["examples"] == len(rows)
    assert figures["mae"] == pytest.approx(errors.mean() * 4 / 9, abs=2e-4)
    assert figures["spread"]["mean"] == pytest.approx(spreads.mean(), abs=2e-4)
    assert figures["spread"]["coverage_1"] == round(float((errors <= spreads).mean()), 4)


def test_a_set_that_was_not_trained_on_is_all_test_and_said_to_be(workshop: Workshop) -> None:
    figures, page = evaluate_with_page(workshop, add_model(workshop, "tiny-1", sets=(SCUT,)))
    (one,) = figures["measured"]
    assert one["sets"][SCUT]["cross_set"] is False
    assert one["sets"][SCUT]["examples"] == 16
    assert one["sets"][OTHER]["cross_set"] is True
    assert one["sets"][OTHER]["examples"] == 20
    assert f"tiny-1 was trained without {OTHER}: cross-set" in page
    own, other = page.index(f"tiny-1 on {SCUT}"), page.index(f"tiny-1 on {OTHER}")
    assert own < other < page.index("Cross-set: the model was trained without this set")


@pytest.mark.parametrize(
    ("protocol", "met", "examples"),
    [("all", set(), {SCUT: 40, OTHER: 20}), ("split", {SCUT}, {SCUT: 16, OTHER: 20})],
)
def test_a_set_that_the_card_does_not_name_is_all_test(
    workshop: Workshop, protocol: str, met: set[str], examples: dict[str, int]
) -> None:
    """As photos of one's own are to a model that was trained, whole, on other people's."""
    model = add_model(workshop, "tiny-1", protocol=protocol)
    write_card(model, {**card(model), "sets": sorted({"elsewhere", *met})})
    (one,) = evaluate(workshop, model)["measured"]
    assert {source: its["examples"] for source, its in one["sets"].items()} == examples
    assert {source for source, its in one["sets"].items() if not its["cross_set"]} == met


def test_an_early_graph_has_no_spreads(workshop: Workshop) -> None:
    model = add_model(workshop, "early-1", spreads=False)
    scores, spreads = rate_served(Model.open(model), workshop.crops, [3, 1, 30], 1)
    assert scores == pytest.approx(workshop.scores([3, 1, 30]), abs=1e-4)
    assert spreads is None
    figures, page = evaluate_with_page(workshop, model)
    assert "spread" not in figures["measured"][0]["sets"][SCUT]
    assert "The model tells no spread" in page


def test_drift_is_against_the_master_in_float32(workshop: Workshop) -> None:
    model = add_model(workshop, "tiny-1", validation=0.5)
    net = add_master(model)
    (one,) = evaluate(workshop, model, "--part", "validation")["measured"]
    figures = one["sets"][OTHER]
    photos = {its["photo"] for its in figures["worst"]}
    rows = workshop.rows(lambda it: it.image.name in photos)
    assert len(rows) == figures["examples"] < 10
    with torch.inference_mode():
        exact = net(torch.from_numpy(workshop.crops.served[rows]))[0].numpy()
    drift = np.abs(exact - workshop.scores(rows)).mean()
    assert figures["drift"]["mean_of_a_point"] == pytest.approx(drift, abs=2e-4)
    assert figures["float32"] == pytest.approx(
        metrics(exact, workshop.crops.scores[rows]), abs=2e-4
    )


def test_the_folds_of_one_recipe_are_averaged(workshop: Workshop) -> None:
    models = [
        add_model(workshop, f"tiny-2-fold-{fold}", off=fold / 10, protocol=f"fold-{fold}")
        for fold in range(1, 6)
    ]
    other = add_model(workshop, "tiny-3", seed=2)
    folds, alone = evaluate(workshop, *models, other)["measured"]
    assert (folds["name"], folds["protocol"]) == ("tiny-2", "folds")
    assert folds["models"] == [model.name for model in models]
    assert (alone["name"], alone["protocol"]) == ("tiny-3", "split")
    expected = []
    for fold in range(1, 6):
        rows = workshop.rows(lambda it, f=fold: it.fold == f)  # type: ignore[misc]
        scores = workshop.scores(rows) + fold / 10
        expected.append(metrics(scores, workshop.crops.scores[rows], 4 / 9))
    figures = folds["sets"][SCUT]
    assert figures["examples"] == 40
    assert list(figures["folds"]) == [f"fold-{fold}" for fold in range(1, 6)]
    for told, its in zip(figures["folds"].values(), expected, strict=True):
        assert told == pytest.approx(its, abs=2e-4)
    for name in ("pc", "mae", "rmse"):
        mean = statistics.fmean(its[name] for its in expected)
        assert figures["served"][name] == pytest.approx(mean, abs=2e-4)
    # Without folds of its own, the other set has one test part, which every model rated.
    assert folds["sets"][OTHER]["examples"] == 8
    assert sum(its["count"] for its in folds["sets"][OTHER]["deciles"]) == 40


def test_figures_go_into_the_card_of_the_model_that_was_trained_on_everything(
    workshop: Workshop,
) -> None:
    released = add_model(workshop, "tiny-4", protocol="all", validation=0.0)
    write_card(released, {**card(released), "title": "T", "figures": {"folds": {"kept": 1}}})
    split = add_model(workshop, "tiny-4-split")
    before = {model: card(model) for model in (released, split)}
    (one,) = evaluate(workshop, split, "--card", released)["measured"]
    assert card(split) == before[split]
    after = card(released)
    figures = after.pop("figures")
    assert after == {k: v for k, v in before[released].items() if k != "figures"}
    assert figures["folds"] == {"kept": 1}
    details = {"deciles", "spread_quintiles", "worst"}
    for source, its in figures["split"].items():
        full = one["sets"][source]
        for group in full["groups"].values():
            del group["deciles"]
        assert its == {name: it for name, it in full.items() if name not in details}
    text = json.dumps(figures["split"])
    assert not any(example.image.name in text for example in workshop.crops.examples)


@pytest.mark.parametrize(
    ("change", "part", "reason"),
    [
        ({"seed": 2}, "test", "tiny-5-split has another recipe than tiny-5"),
        ({"sets": (SCUT,)}, "test", "tiny-5-split has another recipe than tiny-5"),
        ({"protocol": "fold-1"}, "test", "all folds or none, not of fold-1"),
        ({}, "validation", "test part alone"),
    ],
)
def test_a_card_refuses_figures_that_are_not_its_own(
    workshop: Workshop, change: dict[str, Any], part: str, reason: str
) -> None:
    released = add_model(workshop, "tiny-5", protocol="all", validation=0.0)
    measured = add_model(workshop, "tiny-5-split", **change)
    before = (released / "card.json").read_bytes()
    with pytest.raises(SystemExit, match=reason):
        evaluate(workshop, measured, "--card", released, "--part", part)
    assert (released / "card.json").read_bytes() == before


def test_two_models_of_one_protocol_do_not_share_a_place_in_a_card(workshop: Workshop) -> None:
    models = [add_model(workshop, f"tiny-{number}") for number in range(2)]
    with pytest.raises(SystemExit, match="of one model of a protocol"):
        evaluate(workshop, *models, "--card", models[0])
    assert "figures" not in card(models[0])


def test_two_models_of_one_fold_are_refused(workshop: Workshop) -> None:
    models = [add_model(workshop, f"tiny-{number}", protocol="fold-2") for number in range(2)]
    with pytest.raises(SystemExit, match="one recipe and one fold"):
        evaluate(workshop, *models)


@pytest.mark.parametrize(
    ("change", "part", "reason"),
    [
        ({"protocol": "all"}, "test", "tiny-1, of protocol 'all', has no test part"),
        ({"validation": 0.0}, "validation", "has no validation part"),
        ({"protocol": "fold-9"}, "test", "there is no protocol 'fold-9'"),
        ({"sets": ("elsewhere",)}, "validation", "has no validation part"),
    ],
)
def test_a_model_without_such_a_part_is_refused(
    workshop: Workshop, change: dict[str, Any], part: str, reason: str
) -> None:
    with pytest.raises(SystemExit, match=reason):
        evaluate(workshop, add_model(workshop, "tiny-1", **change), "--part", part)


def test_crops_that_show_more_than_the_model_sees_are_refused(workshop: Workshop) -> None:
    index = workshop.folder / "crops" / "index.json"
    told = json.loads(index.read_text(encoding="utf-8"))
    index.write_text(json.dumps({**told, "context": 1.4}), encoding="utf-8")
    with pytest.raises(SystemExit, match=r"sees 1\.2 times a face, these crops show 1\.4"):
        evaluate(workshop, add_model(workshop, "tiny-1"))


def test_a_model_that_is_no_scorer_is_refused(workshop: Workshop) -> None:
    with pytest.raises(SystemExit, match="has no recipe"):
        evaluate(workshop, ROOT / "models" / "mtcnn")


def test_a_graph_that_the_card_does_not_describe_is_refused(workshop: Workshop) -> None:
    model = add_model(workshop, "tiny-1")
    (model / "int8.onnx").write_bytes(graph(1.0, True))
    with pytest.raises(SystemExit, match="is not the file its card describes"):
        evaluate(workshop, model)


def test_the_validation_part_is_what_training_held_out(workshop: Workshop) -> None:
    (one,) = evaluate(workshop, add_model(workshop, "tiny-1"), "--part", "validation")["measured"]
    assert one["sets"][SCUT]["examples"] == pytest.approx(24 / 4, abs=1)
    photos = {its["photo"] for its in one["sets"][SCUT]["worst"]}
    rows = workshop.rows(lambda it: it.image.name in photos)
    assert {workshop.crops.examples[row].split for row in rows} == {"train"}


def test_the_page_shows_the_worst_misses_and_loads_nothing(workshop: Workshop) -> None:
    model = add_model(workshop, "tiny-1")
    figures, page = evaluate_with_page(workshop, model)
    for source, its in figures["measured"][0]["sets"].items():
        assert f"tiny-1 on {source}" in page
        assert len(its["worst"]) == (10 if source == SCUT else 8)
        misses = [abs(miss["rated"] - miss["predicted"]) for miss in its["worst"]]
        assert misses == sorted(misses, reverse=True)
        for miss in its["worst"]:
            told = re.search(
                rf"rated ([\d.]+), predicted ([\d.]+) ± ([\d.]+); {miss['photo']}", page
            )
            assert told
            assert [float(it) for it in told.groups()] == pytest.approx(
                [miss["rated"], miss["predicted"], miss["spread"]], abs=0.051
            )
        assert f"{its['served']['pc']:.4f}" in page
    sources = re.findall(r'src="([^"]*)"', page)
    assert sum(source.startswith("data:image/jpeg") for source in sources) == 18
    assert sum(source.startswith("data:image/svg+xml") for source in sources) == 6
    assert all(source.startswith("data:") for source in sources)
    assert not re.search(r"https?:|href=|@import|url\(|<script", page)
    assert str(workshop.folder) not in page
    assert evaluate_with_page(workshop, model)[1] == page


def test_published_results_stand_beside_their_own_set_alone(workshop: Workshop) -> None:
    both = add_model(workshop, "tiny-1")
    assert "ComboLoss" in evaluate_with_page(workshop, both)[1]
    other = add_model(workshop, "tiny-2", protocol="all", sets=(SCUT,))
    assert "ComboLoss" not in evaluate_with_page(workshop, other)[1]
