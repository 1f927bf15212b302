"""The rating network: its scale, its spread, its names, and the loss that it learns by."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torchvision.models import get_model, resnet34

from pipeline.network import HIGHEST, LEAST_SPREAD, LOWEST, RatingNet, SpreadLaw
from pipeline.settings import ROOT
from training.forms import save_master
from training.recipe import BASES, Recipe
from training.run import Run, loss_of, named

INIT = ROOT.parent / "shared" / "data" / "init" / "resnet34.safetensors"
CPU = torch.device("cpu")
FEATURES = {"resnet18": 512, "resnet34": 512, "resnet50": 2048}

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def net() -> RatingNet:
    torch.manual_seed(3)
    return RatingNet("resnet18").eval()


@pytest.fixture(scope="module")
def crops() -> Tensor:
    generator = torch.Generator().manual_seed(4)
    return torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8, generator=generator)


def one_hot(net: RatingNet, score: float) -> Tensor:
    return torch.where(net.bins == score, 50.0, -50.0)[None]


def bell(net: RatingNet, score: float, width: float) -> Tensor:
    """Logits of a normal distribution."""
    return -(((net.bins - score) / width) ** 2)[None] / 2


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
    scores, spreads = net.read(torch.cat([logits, one_hot(net, 1), one_hot(net, 10)]))
    # float32 sums may end a last bit beyond.
    assert scores.min() >= LOWEST - 1e-5
    assert scores.max() <= HIGHEST + 1e-5
    assert scores.max() - scores.min() > 8
    assert spreads.isfinite().all()
    # No distribution is wider than one with half of it at either end.
    assert LEAST_SPREAD <= spreads.min() < spreads.max() < 4.5


@pytest.mark.parametrize("law", [SpreadLaw(), SpreadLaw(0.5, 2.0), SpreadLaw(1.0, 0.4)])
def test_a_distribution_like_a_label_has_the_least_spread(net: RatingNet, law: SpreadLaw) -> None:
    reader = RatingNet("resnet18", law)
    scores, spreads = reader.read(torch.cat([bell(net, 5.6, law.label), one_hot(net, 4)]))
    assert scores.tolist() == pytest.approx([5.6, 4.0], abs=1e-3)
    assert spreads.tolist() == pytest.approx([LEAST_SPREAD * law.gain] * 2)


@pytest.mark.parametrize("law", [SpreadLaw(), SpreadLaw(0.5, 2.0), SpreadLaw(1.0, 0.4)])
@pytest.mark.parametrize("doubt", [0.2, 0.5, 0.8])
def test_what_is_wider_than_a_label_is_doubt(net: RatingNet, law: SpreadLaw, doubt: float) -> None:
    wider = bell(net, 5.5, math.hypot(law.label, doubt))
    _, spreads = RatingNet("resnet18", law).read(wider)
    assert spreads.item() == pytest.approx(law.gain * doubt, rel=0.015)


def test_forward_reads_the_logits(net: RatingNet, crops: Tensor) -> None:
    with torch.inference_mode():
        scores, spreads = net(crops)
        logits = net.logits(crops)
    assert torch.equal(scores, net.expectation(logits))
    assert torch.equal(spreads, net.read(logits)[1])
    assert scores.shape == spreads.shape == (3,)
    assert scores.dtype == spreads.dtype == torch.float32


def test_half_precision_logits_are_read_in_full(net: RatingNet) -> None:
    logits = bell(net, 7.1, 1.2).bfloat16()
    for ours, theirs in zip(net.read(logits), net.read(logits.float()), strict=True):
        assert torch.equal(ours, theirs)


def test_crops_are_normalised_as_the_starting_weights_expect(net: RatingNet, crops: Tensor) -> None:
    mean, deviation = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])
    pixels = ((crops / 255 - mean) / deviation).permute(0, 3, 1, 2)
    with torch.inference_mode():
        assert torch.allclose(net.logits(crops), net.backbone(pixels), atol=1e-4)


@pytest.mark.parametrize("base", BASES)
def test_the_weights_are_those_of_torchvisions_network_and_nothing_else(base: str) -> None:
    with torch.device("meta"):
        theirs = get_model(base).state_dict()
        ours = RatingNet(base).state_dict() if base != "resnet34" else RatingNet().state_dict()
    shapes = {f"backbone.{name}": tensor.shape for name, tensor in theirs.items()}
    shapes["backbone.fc.weight"] = torch.Size((37, FEATURES[base]))
    shapes["backbone.fc.bias"] = torch.Size((37,))
    assert {name: tensor.shape for name, tensor in ours.items()} == shapes


@pytest.mark.parametrize("base", ["resnet18", "resnet50"])
def test_other_bases_rate_too(base: str, crops: Tensor) -> None:
    with torch.inference_mode():
        scores, spreads = RatingNet(base).eval()(crops)
    assert scores.shape == spreads.shape == (3,)
    assert all(LOWEST < score < HIGHEST for score in scores)


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


@pytest.mark.parametrize("change", ["lacks a tensor", "has one too many", "of another shape"])
def test_refuses_to_start_from_another_network(tmp_path: Path, change: str) -> None:
    weights = resnet34().state_dict()
    del weights["fc.weight"], weights["fc.bias"]
    if change == "lacks a tensor":
        del weights["layer4.2.conv2.weight"]
    elif change == "of another shape":
        weights["layer4.2.conv2.weight"] = torch.zeros(1)
    else:
        weights["layer5.0.conv1.weight"] = torch.zeros(1)
    save_file(weights, tmp_path / "init.safetensors")
    with pytest.raises(SystemExit, match=r"init\.safetensors is not a resnet34"):
        Run(Recipe(), 10, tmp_path / "init.safetensors", CPU)


def test_a_file_that_holds_no_weights_is_named(tmp_path: Path) -> None:
    (tmp_path / "init.safetensors").write_text("no weights", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"init\.safetensors holds no safetensors"):
        Run(Recipe(), 10, tmp_path / "init.safetensors", CPU)


def test_starts_without_the_head_that_a_file_may_hold(
    init: Callable[[str], Path], tmp_path: Path
) -> None:
    weights = load_file(init("resnet18"))
    head = {"fc.weight": torch.ones(1000, 512), "fc.bias": torch.ones(1000)}
    save_file({**weights, **head}, tmp_path / "init.safetensors")
    run = Run(Recipe(base="resnet18"), 10, tmp_path / "init.safetensors", CPU)
    assert torch.equal(run.net.backbone.conv1.weight, weights["conv1.weight"])
    assert run.net.backbone.fc.weight.shape == (37, 512)


def test_starts_with_the_head_of_a_scorers_master(tmp_path: Path, net: RatingNet) -> None:
    save_master(net, tmp_path / "master.safetensors")
    run = Run(Recipe(base="resnet18"), 10, tmp_path / "master.safetensors", CPU)
    state = run.net.state_dict()
    for name, tensor in load_file(tmp_path / "master.safetensors").items():
        assert torch.equal(state[name], tensor.to(state[name].dtype))


def test_the_card_names_a_master_with_its_model() -> None:
    assert named(Path("models/mine-1/master.safetensors")) == "mine-1/master.safetensors"
    assert named(Path("somewhere/resnet34.safetensors")) == "resnet34.safetensors"


def test_a_float16_master_gives_the_same_scores_again(
    net: RatingNet, crops: Tensor, tmp_path: Path
) -> None:
    save_master(net, tmp_path / "master.safetensors")
    master = load_file(tmp_path / "master.safetensors")
    other = RatingNet("resnet18").eval()
    other.load_master(master)
    save_master(other, tmp_path / "again.safetensors")
    again = load_file(tmp_path / "again.safetensors")
    assert {tensor.dtype for tensor in master.values()} == {torch.float16, torch.int64}
    assert master.keys() == again.keys()
    assert all(torch.equal(tensor, again[name]) for name, tensor in master.items())
    with torch.inference_mode():
        for ours, theirs in zip(net(crops), other(crops), strict=True):
            assert torch.allclose(ours, theirs, atol=0.02)
    assert all(tensor.is_floating_point() for tensor in other.parameters())


def test_the_loss_is_least_for_the_distribution_around_the_rating(net: RatingNet) -> None:
    recipe = Recipe()
    rated = torch.tensor([5.5])
    label = bell(net, 5.5, recipe.label_spread)
    assert loss_of(net, label, rated, recipe).item() == pytest.approx(0, abs=1e-5)
    shifted = bell(net, 6.5, recipe.label_spread)
    worse = loss_of(net, shifted, rated, recipe).item()
    # The divergence of two normal distributions a point apart, and that point.
    assert worse == pytest.approx(1 / (2 * recipe.label_spread**2) + 1, abs=0.02)
    shape_alone = loss_of(net, shifted, rated, replace(recipe, expectation_weight=0.0)).item()
    assert worse - shape_alone == pytest.approx(1, abs=0.01)


def test_the_loss_of_the_mean_alone_does_not_see_the_shape(net: RatingNet) -> None:
    recipe, rated = Recipe(loss="expectation"), torch.tensor([5.5])
    for logits in (bell(net, 6.5, 0.3), bell(net, 6.5, 0.9), one_hot(net, 6.5)):
        assert loss_of(net, logits, rated, recipe).item() == pytest.approx(1, abs=1e-3)


def test_training_moves_every_weight(net: RatingNet, crops: Tensor) -> None:
    net.zero_grad()
    rated = torch.tensor([2.0, 5.0, 8.0])
    loss_of(net, net.logits(crops), rated, Recipe()).backward()  # type: ignore[no-untyped-call]
    still = [name for name, weight in net.named_parameters() if not weight.grad.any()]  # type: ignore[union-attr]
    net.zero_grad()
    assert still == []
