"""The rating network: its scale, its names, and what training asks of it."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torchvision.models import resnet34

from pipeline.network import HIGHEST, LEAST_SPREAD, LOWEST, RatingNet, SpreadLaw
from pipeline.settings import ROOT
from training.crop_set import CropSet, batches
from training.depth import make_depth_stochastic
from training.export import save_master
from training.ratings import Example
from training.recipe import Recipe, parse_sizes
from training.run import Run, loss_of

INIT = ROOT.parent / "shared" / "data" / "init" / "resnet34.safetensors"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def net() -> RatingNet:
    torch.manual_seed(3)
    return RatingNet().eval()


@pytest.fixture(scope="module")
def crops() -> Tensor:
    generator = torch.Generator().manual_seed(4)
    return torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8, generator=generator)


def one_hot(net: RatingNet, score: float) -> Tensor:
    return torch.where(net.bins == score, 50.0, -50.0)[None]


def test_bins_span_the_scale_evenly(net: RatingNet) -> None:
    assert (net.bins[0].item(), net.bins[-1].item()) == (LOWEST, HIGHEST) == (1, 10)
    assert torch.allclose(net.bins.diff(), torch.tensor(0.25))


def test_uniform_logits_mean_the_middle_of_the_scale(net: RatingNet) -> None:
    assert net.expectation(torch.zeros(1, len(net.bins))).item() == pytest.approx(5.5)


@pytest.mark.parametrize("score", [1.0, 3.25, 10.0])
def test_a_certain_head_gives_its_bin(net: RatingNet, score: float) -> None:
    assert net.expectation(one_hot(net, score)).item() == pytest.approx(score)


def test_scores_never_leave_the_scale(net: RatingNet) -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2000, len(net.bins), generator=generator)
    logits *= torch.logspace(-2, 3, 2000)[:, None]
    scores = net.expectation(torch.cat([logits, one_hot(net, 1), one_hot(net, 10)]))
    # float32 sums may end a last bit beyond.
    assert scores.min() >= LOWEST - 1e-5
    assert scores.max() <= HIGHEST + 1e-5
    assert scores.max() - scores.min() > 8


def test_forward_is_the_expectation_of_the_logits(net: RatingNet, crops: Tensor) -> None:
    with torch.inference_mode():
        scores, spreads = net(crops)
        assert torch.equal(scores, net.expectation(net.logits(crops)))
    assert scores.shape == spreads.shape == (3,)
    assert (spreads > 0).all()
    assert scores.dtype == torch.float32


def test_crops_are_normalised_as_the_starting_weights_expect(net: RatingNet, crops: Tensor) -> None:
    mean, deviation = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
    pixels = ((crops / 255 - mean) / deviation).permute(0, 3, 1, 2)
    with torch.inference_mode():
        assert torch.allclose(net.logits(crops), net.backbone(pixels), atol=1e-4)


def test_the_weights_are_those_of_torchvisions_resnet34_and_nothing_else(net: RatingNet) -> None:
    theirs = resnet34().state_dict()
    shapes = {f"backbone.{name}": tensor.shape for name, tensor in theirs.items()}
    shapes["backbone.fc.weight"], shapes["backbone.fc.bias"] = torch.Size((37, 512)), (37,)
    assert {name: tensor.shape for name, tensor in net.state_dict().items()} == shapes


def test_takes_the_starting_weights() -> None:
    if not INIT.exists():
        pytest.skip(f"no {INIT.relative_to(ROOT.parent)}, which no clone of this repository holds")
    run = Run(Recipe(), steps=10, init=INIT, device=CPU)
    weights = load_file(INIT)
    state = run.net.backbone.state_dict()
    assert {name for name in state if not name.endswith("num_batches_tracked")} == {
        "fc.weight",
        "fc.bias",
        *weights,
    }
    assert all(torch.equal(state[name], tensor.float()) for name, tensor in weights.items())


@pytest.mark.parametrize("change", ["lacks a tensor", "has one too many"])
def test_refuses_to_start_from_another_network(tmp_path: Path, change: str) -> None:
    weights = resnet34().state_dict()
    del weights["fc.weight"], weights["fc.bias"]
    if change == "lacks a tensor":
        del weights["layer4.2.conv2.weight"]
    else:
        weights["layer5.0.conv1.weight"] = torch.zeros(1)
    save_file(weights, tmp_path / "init.safetensors")
    with pytest.raises(SystemExit, match="is not a resnet34"):
        Run(Recipe(), 10, tmp_path / "init.safetensors", CPU)


def test_a_float16_master_gives_the_same_scores_again(
    net: RatingNet, crops: Tensor, tmp_path: Path
) -> None:
    save_master(net, tmp_path / "master.safetensors")
    master = load_file(tmp_path / "master.safetensors")
    other = RatingNet().eval()
    other.load_master(master)
    save_master(other, tmp_path / "again.safetensors")
    again = load_file(tmp_path / "again.safetensors")
    assert {tensor.dtype for tensor in master.values()} == {torch.float16, torch.int64}
    assert master.keys() == again.keys()
    assert all(torch.equal(tensor, again[name]) for name, tensor in master.items())
    with torch.inference_mode():
        assert torch.allclose(net(crops)[0], other(crops)[0], atol=0.02)
    assert all(tensor.is_floating_point() for tensor in other.parameters())


def test_the_loss_is_least_for_the_distribution_around_the_rating(net: RatingNet) -> None:
    recipe = Recipe()
    rated = torch.tensor([5.5])
    label = -(((net.bins - rated) / recipe.label_spread) ** 2)[None] / 2
    assert loss_of(net, label, rated, recipe).item() == pytest.approx(0, abs=1e-5)
    shifted = -(((net.bins - rated - 1) / recipe.label_spread) ** 2)[None] / 2
    worse = loss_of(net, shifted, rated, recipe).item()
    # The divergence of two normal distributions a point apart, and that point.
    assert worse == pytest.approx(1 / (2 * recipe.label_spread**2) + 1, abs=0.02)
    shape_alone = loss_of(net, shifted, rated, replace(recipe, expectation_weight=0.0)).item()
    assert worse - shape_alone == pytest.approx(1, abs=0.01)


def test_training_moves_every_weight(net: RatingNet, crops: Tensor) -> None:
    net.zero_grad()
    rated = torch.tensor([2.0, 5.0, 8.0])
    loss_of(net, net.logits(crops), rated, Recipe()).backward()  # type: ignore[no-untyped-call]
    still = [name for name, weight in net.named_parameters() if not weight.grad.any()]  # type: ignore[union-attr]
    net.zero_grad()
    assert still == []


def test_an_epoch_shows_every_example_once_and_anew() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (24, 288, 288, 3), np.uint8)
    rated = [Example(Path(f"{number}.jpg"), 1 + number / 4, "AF", "train") for number in range(24)]
    crops = CropSet(noise[:, 32:256, 32:256], noise, rated)
    part = list(range(20))

    def epoch(number: int) -> tuple[list[Tensor], list[float]]:
        pairs = list(batches(crops, part, Recipe(batch=8, mixup=0), number, 32))
        return [pictures for pictures, _ in pairs], torch.cat([pair[1] for pair in pairs]).tolist()

    pictures, scores = epoch(0)
    assert [tuple(batch.shape) for batch in pictures] == [(n, 32, 32, 3) for n in (8, 8, 4)]
    assert sorted(scores) == [rated[index].score for index in part]
    again, same_scores = epoch(0)
    assert torch.equal(torch.cat(pictures), torch.cat(again))
    assert scores == same_scores
    following, other_scores = epoch(1)
    assert scores != other_scores
    shown = {picture.numpy().tobytes() for picture in torch.cat(pictures)}
    assert not shown & {picture.numpy().tobytes() for picture in torch.cat(following)}


def test_sizes_say_the_side_of_each_epoch() -> None:
    assert Recipe(sizes=parse_sizes("128:2,224:1")).epochs == [128, 128, 224]


def test_the_spread_is_what_the_distribution_is_wider_than_its_label() -> None:
    net = RatingNet(spread=SpreadLaw(label=0.7, gain=1.5))

    def spread(width: float) -> float:
        logits = -(((net.bins - 5.5) / width) ** 2)[None] / 2
        return float(net.read(logits)[1])

    assert spread(0.7) == pytest.approx(1.5 * LEAST_SPREAD, rel=1e-3)
    assert spread((0.7**2 + 0.8**2) ** 0.5) == pytest.approx(1.5 * 0.8, rel=1e-3)


def test_the_average_runs_its_own_blocks_whatever_the_steps_go_around(tmp_path: Path) -> None:
    weights = {k: v for k, v in resnet34().state_dict().items() if not k.startswith("fc.")}
    save_file(weights, tmp_path / "init.safetensors")
    run = Run(Recipe(stochastic_depth=0.5), 10, tmp_path / "init.safetensors", CPU)
    crops = torch.zeros(1, 32, 32, 3, dtype=torch.uint8)
    average = cast(RatingNet, run.average.module).eval()
    with torch.inference_mode():
        before = average.logits(crops)
        assert torch.equal(before, run.net.eval().logits(crops))
        run.net.backbone.layer3[2].conv1.weight.zero_()
        assert torch.equal(average.logits(crops), before)
        assert not torch.equal(run.net.logits(crops), before)


@pytest.mark.parametrize("chance", [0.0, 0.5])
def test_steps_go_around_inner_blocks_by_chance_and_inference_never(chance: float) -> None:
    torch.manual_seed(1)
    net = resnet34()
    plain = copy.deepcopy(net).eval()
    make_depth_stochastic(net, chance)
    runs: list[int] = []
    net.layer3[2].bn2.register_forward_hook(lambda *_: runs.append(1))
    with torch.no_grad():
        for _ in range(40):
            net(torch.zeros(2, 3, 32, 32))
    assert (len(runs) == 40) == (chance == 0)
    assert len(runs) >= 8
    net.load_state_dict(plain.state_dict())
    pictures = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(net.eval()(pictures), plain(pictures))


def test_a_recipe_survives_its_json_and_old_ones_take_defaults() -> None:
    recipe = Recipe(sets=("a", "b"), sizes=((64, 1),), stochastic_depth=0.2)
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert Recipe.from_json('{"sizes": [[64, 2]], "batch": 8}') == Recipe(sizes=((64, 2),), batch=8)
