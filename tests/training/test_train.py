"""Training runs: that they can be told apart, taken up again, and what they leave behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
    EventAccumulator,
)

import training.train
from tests.training.conftest import STREET, STUDIO, Train, call
from training.crop_set import CropSet, batches
from training.export import load_run
from training.ratings import hold_out, parts
from training.recipe import Recipe
from training.run import Run, averaging, rate

CPU = torch.device("cpu")
METRICS = ("pc", "mae", "rmse")


class PowerCut(Exception):
    """What stops a run in these tests."""


def cut_short(owner: Any, name: str, number: int, train: Callable[[], object]) -> None:
    """Train until that method is called for that time."""
    real, calls = getattr(owner, name), count(1)

    def stops(*arguments: Any) -> Any:
        if next(calls) == number:
            raise PowerCut
        return real(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, stops)
        with pytest.raises(PowerCut):
            train()


def told_by(run: Path) -> dict[str, str]:
    with safe_open(run / "weights.safetensors", "pt") as file:
        return dict(file.metadata())


def same_weights(one: Path, other: Path) -> bool:
    ours, theirs = (load_file(run / "weights.safetensors") for run in (one, other))
    assert ours.keys() == theirs.keys()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def curves(run: Path) -> dict[str, list[float]]:
    events = EventAccumulator(str(run)).Reload()
    return {tag: [event.value for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[int]]:
    """The crops that a run trains on and validates on, filled in as it does."""
    shown: dict[str, set[int]] = {"training": set(), "validation": set()}
    validate = training.train.validate

    def spy_batches(crops: CropSet, indices: list[int], *rest: Any) -> Iterator[Any]:
        shown["training"] |= set(indices)
        return batches(crops, indices, *rest)

    def spy_validate(run: Run, crops: CropSet, indices: list[int], side: int) -> Any:
        shown["validation"] |= set(indices)
        return validate(run, crops, indices, side)

    monkeypatch.setattr("training.train.batches", spy_batches)
    monkeypatch.setattr("training.train.validate", spy_validate)
    return shown


def test_an_interrupted_run_ends_in_the_same_weights(
    train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    # Stochastic depth is on by default, and goes around blocks of this network.
    options = ("--sizes", "32:1,40:2", "--mixup", "0.3")
    undisturbed = train("undisturbed", *options, base="resnet34")

    def again() -> Path:
        return train("interrupted", *options, base="resnet34")

    checkpoint = undisturbed.with_name("interrupted") / "checkpoint.pt"
    cut_short(training.train.Bar, "step", 7, again)  # amid the second epoch
    assert torch.load(checkpoint)["run"]["epoch"] == 1
    cut_short(Run, "train_epoch", 2, again)  # right after its checkpoint
    assert torch.load(checkpoint)["run"]["epoch"] == 2
    capsys.readouterr()
    resumed = again()
    assert "goes on after epoch 2" in capsys.readouterr().out
    assert same_weights(resumed, undisturbed)
    assert told_by(resumed) == told_by(undisturbed)
    ours, theirs = (torch.load(run / "checkpoint.pt")["run"] for run in (resumed, undisturbed))
    assert ours["epoch"] == theirs["epoch"] == 3
    for part in ("net", "average"):
        assert all(torch.equal(tensor, theirs[part][name]) for name, tensor in ours[part].items())


def test_one_seed_one_set_of_weights(train: Train, tiny_run: Path) -> None:
    assert same_weights(train("same-seed", "--seed", "1"), tiny_run)
    assert not same_weights(train("other-seed", "--seed", "2"), tiny_run)


def test_a_folder_goes_on_with_its_own_recipe_alone(train: Train, tiny_run: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in tiny_run.iterdir()}
    with pytest.raises(SystemExit, match="another recipe"):
        train(tiny_run.name, "--learning-rate", "0.001")
    assert {path: path.stat().st_mtime_ns for path in tiny_run.iterdir()} == before


def test_a_folder_goes_on_with_its_own_crops_alone(
    train: Train, tiny_run: Path, crop_folder: Path, tmp_path: Path
) -> None:
    for name in ("served.npy", "wide.npy"):
        (tmp_path / name).symlink_to(crop_folder / name)
    index = json.loads((crop_folder / "index.json").read_text(encoding="utf-8"))
    index["examples"][0]["score"] += 0.5
    (tmp_path / "index.json").write_text(json.dumps(index), encoding="utf-8")
    before = {path: path.stat().st_mtime_ns for path in tiny_run.iterdir()}
    with pytest.raises(SystemExit, match="other crops"):
        train(tiny_run.name, crops=tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tiny_run.iterdir()} == before


def test_what_is_kept_is_the_average_with_what_led_to_it(tiny_run: Path) -> None:
    weights = load_file(tiny_run / "weights.safetensors")
    state = torch.load(tiny_run / "checkpoint.pt")["run"]
    assert all(torch.equal(it, state["average"][f"module.{name}"]) for name, it in weights.items())
    trained = state["net"]
    assert not torch.equal(weights["backbone.conv1.weight"], trained["backbone.conv1.weight"])
    told = told_by(tiny_run)
    assert set(told) == {"recipe", "init", "spread_gain"}
    assert Recipe.from_json(told["recipe"]) == Recipe(
        base="resnet18", sizes=((32, 2),), batch=8, validation=0.25, ema=0.5
    )
    assert told["init"] == "resnet18.safetensors"


def test_the_gain_makes_the_spreads_fit_the_errors_on_what_was_held_out(
    tiny_run: Path, crops: CropSet
) -> None:
    net, recipe, told = load_run(tiny_run)
    _, held_out = hold_out(crops.examples, parts(crops.examples, "split")[0], 0.25, recipe.seed)
    scores, spreads = rate(net, crops.seen(held_out, 32), CPU)
    errors = scores - crops.scores[held_out]
    assert np.mean((errors / spreads) ** 2) == pytest.approx(1, abs=1e-3)
    assert net.spread.gain == json.loads(told["spread_gain"]) != 1


@pytest.mark.parametrize(("enough", "warned"), [(12, False), (13, True)])
def test_a_spread_that_few_photos_told_is_said_to_be(
    train: Train, tiny_run: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, enough: int, warned: bool,
) -> None:  # fmt: skip
    monkeypatch.setattr("training.train.ENOUGH", enough)
    train(tiny_run.name)  # which is done, and measured once more
    printed = capsys.readouterr().out
    assert "as measured on 12 photos" in printed
    assert ("a larger --validation" in printed) == warned


def test_the_mean_alone_teaches_no_spread(train: Train) -> None:
    run = train("expectation", "--loss", "expectation", "--sizes", "32:1")
    assert json.loads(told_by(run)["spread_gain"]) == 1


def test_trains_on_everything_without_a_validation_part(
    train: Train, crops: CropSet, seen: dict[str, set[int]]
) -> None:
    options = ("--protocol", "all", "--validation", "0", "--sizes", "32:1")
    run = train("all", *options)
    assert seen == {"training": set(range(len(crops.examples))), "validation": set()}
    assert set(curves(run)) == {"loss", "learning rate"}
    assert json.loads(told_by(run)["spread_gain"]) == 1


def test_curves_are_drawn_for_every_set(tiny_run: Path) -> None:
    drawn = curves(tiny_run)
    figures = {f"validation {source}/{f}" for source in (STUDIO, STREET) for f in METRICS}
    assert set(drawn) == {"loss", "learning rate", *figures}
    assert {len(values) for values in drawn.values()} == {2}
    assert all(0 < value < 10 for tag in drawn if tag.endswith("mae") for value in drawn[tag])


def test_the_test_part_is_not_looked_at(
    train: Train, crops: CropSet, seen: dict[str, set[int]]
) -> None:
    train("fold", "--protocol", "fold-2", "--sets", STUDIO, "--sizes", "32:1")
    rows = set(range(len(crops.examples)))
    tested = {r for r in rows if crops.examples[r].fold == 2 or crops.examples[r].source == STREET}
    assert seen["training"] | seen["validation"] == rows - tested
    assert not seen["training"] & seen["validation"]
    assert len(seen["validation"]) == len(rows - tested) / 4


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--protocol", "fold-9"], "no protocol 'fold-9'; there are: split, fold-1"),
        (["--sets", "elsewhere"], "no set 'elsewhere'; there are: street, studio"),
        (["--validation", "0.7"], "share of 0.7 leaves nothing"),
        (["--stochastic-depth", "0.9"], "stochastic depth of 0.9 is not from 0 to 0.8"),
        (["--init", "nowhere.safetensors"], r"nowhere\.safetensors"),
        (["--ema", "1.5"], "decay value 1.5"),
        (["--batch", "0"], "a batch of 0"),
        (["--sizes", "64:1,0:1"], "sizes of 64:1,0:1: a side or a count"),
        (["--sizes", "64:0"], "sizes of 64:0: a side or a count"),
        (["--device", "gpu"], "no device 'gpu' can be used"),
    ],
)
def test_a_choice_that_cannot_be_is_named(
    train: Train, scratch: Path, options: list[str], reason: str
) -> None:
    with pytest.raises(SystemExit, match=reason):
        train("not-begun", *options)
    assert not (scratch / "not-begun").exists()


@pytest.mark.parametrize("threads", ["0", "-1", "all"])
def test_a_number_of_threads_that_cannot_be_is_named(
    train: Train, capsys: pytest.CaptureFixture[str], threads: str
) -> None:
    with pytest.raises(SystemExit):
        train("not-begun", "--threads", threads)
    assert f"--threads: invalid parse_threads value: '{threads}'" in capsys.readouterr().err


def test_a_folder_that_holds_no_crops_is_named(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"index\.json"):
        call(training.train, tmp_path, "--init", "torchvision", "--out", tmp_path / "run")


def test_sets_without_a_training_part_are_refused(
    crops: CropSet, init: Callable[[str], Path], tmp_path: Path
) -> None:
    tested = [row for row, example in enumerate(crops.examples) if example.split == "test"]
    rest = CropSet(crops.served[tested], crops.wide[tested], [crops.examples[r] for r in tested])
    with pytest.raises(ValueError, match="'split' there is nothing to train on"):
        training.train.train(rest, Recipe(), init("resnet34"), tmp_path / "run", CPU)


@pytest.mark.parametrize("steps", [1, 2, 4, 5, 6])
def test_a_run_may_be_as_short_as_a_step(steps: int, init: Callable[[str], Path]) -> None:
    schedule = Run(Recipe(base="resnet18"), steps, init("resnet18"), CPU).schedule
    for _ in range(steps - 1):
        schedule.optimizer.step()
        schedule.step()
    assert 0 < schedule.get_last_lr()[0] < 1e-3


def test_the_average_of_a_short_run_forgets_where_it_began() -> None:
    average, update = [torch.zeros(1)], averaging(0.99)
    for done in range(1, 28):
        update(average, [torch.ones(1)], torch.tensor(done))
    assert average[0].item() > 0.95


def test_the_average_of_a_long_run_decays_as_it_was_told() -> None:
    average = [torch.zeros(1)]
    averaging(0.99)(average, [torch.ones(1)], torch.tensor(1000))
    assert average[0].item() == pytest.approx(0.01)


def test_a_loss_that_is_no_number_stops_the_run(train: Train, scratch: Path) -> None:
    with pytest.raises(SystemExit, match="try a lower --learning-rate"):
        train("wild", "--learning-rate", "1e30")
    assert not (scratch / "wild" / "weights.safetensors").exists()
