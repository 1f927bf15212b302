"""Stochastic depth: how often blocks are gone around, and that nothing else ever is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import get_model
from torchvision.models.resnet import ResNet

from training.depth import make_depth_stochastic
from training.recipe import Recipe
from training.run import Run

INNER = {
    "resnet18": [],
    "resnet34": ["1.1", "2.1", "2.2", "3.1", "3.2", "3.3", "3.4", "4.1"],
    "resnet50": ["1.1", "2.1", "2.2", "3.1", "3.2", "3.3", "3.4", "4.1"],
}
"""Blocks that are neither the first nor the last of their layer."""

pytestmark = pytest.mark.usefixtures("one_thread")


def network(base: str, chance: float) -> ResNet:
    torch.manual_seed(3)
    net: ResNet = get_model(base, num_classes=5)
    make_depth_stochastic(net, chance)
    return net


def blocks_of(net: ResNet) -> dict[str, nn.Module]:
    return {
        f"{number}.{place}": block
        for number in range(1, 5)
        for place, block in enumerate(getattr(net, f"layer{number}"))
    }


@pytest.fixture
def pictures() -> Tensor:
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize("base", ["resnet18", "resnet34", "resnet50"])
def test_steps_go_around_inner_blocks_alone_about_as_often_as_told(
    base: str, pictures: Tensor
) -> None:
    net, runs, steps = network(base, 0.3).train(), Counter[str](), 40
    for name, block in blocks_of(net).items():
        block.conv1.register_forward_hook(  # type: ignore[union-attr]
            lambda *_, name=name: runs.update([name])
        )
    torch.manual_seed(7)
    with torch.no_grad():
        for _ in range(steps):
            net(pictures)
    around = {name: 1 - runs[name] / steps for name in blocks_of(net)}
    assert [name for name, share in around.items() if share > 0] == INNER[base]
    if INNER[base]:
        shares = [around[name] for name in INNER[base]]
        assert sum(shares) / len(shares) == pytest.approx(0.3, abs=0.1)
        assert max(shares) < 0.6


@pytest.mark.parametrize("base", ["resnet34", "resnet50"])
def test_a_block_that_runs_has_its_branch_weighed_up(base: str) -> None:
    chance = 0.6
    plain, block = (network(base, c).layer2[1].train() for c in (0.0, chance))
    channels = 128 if base == "resnet34" else 512
    x = torch.rand(2, channels, 8, 8, generator=torch.Generator().manual_seed(5))
    branch: list[Tensor] = []
    last = plain.bn3 if base == "resnet50" else plain.bn2
    # A clone: the block goes on in place.
    last.register_forward_hook(lambda _module, _inputs, output: branch.append(output.clone()))
    torch.manual_seed(1)
    with torch.no_grad():
        plain(x)
        outputs = [block(x) for _ in range(30)]
    around = [output for output in outputs if torch.equal(output, x)]
    through = [output for output in outputs if not torch.equal(output, x)]
    assert len(around) > len(through) > 3
    for output in through:
        torch.testing.assert_close(output, torch.relu(x + branch[0] / (1 - chance)))


@pytest.mark.parametrize("base", ["resnet34", "resnet50"])
def test_inference_is_the_plain_network(base: str, pictures: Tensor) -> None:
    plain, net = network(base, 0.0), network(base, 0.7)
    assert plain.state_dict().keys() == net.state_dict().keys()
    with torch.no_grad():
        expected = plain.eval()(pictures)
        for _ in range(4):
            assert torch.equal(net.eval()(pictures), expected)


def test_without_a_chance_training_is_that_of_the_plain_network(pictures: Tensor) -> None:
    plain = get_model("resnet34", num_classes=5)
    net = network("resnet34", 0.0)
    plain.load_state_dict(net.state_dict())
    with torch.no_grad():
        assert torch.equal(net.train()(pictures), plain.train()(pictures))


def test_a_step_that_goes_around_a_block_leaves_it_as_it_is(pictures: Tensor) -> None:
    net = network("resnet34", 0.5).train()
    torch.manual_seed(1)
    net(pictures).sum().backward()
    moved = {
        name: block.conv1.weight.grad is not None  # type: ignore[union-attr]
        for name, block in blocks_of(net).items()
    }
    assert all(moved[name] for name in moved if name not in INNER["resnet34"])
    assert 0 < sum(moved[name] for name in INNER["resnet34"]) < 8
    for name, block in blocks_of(net).items():
        assert (block.bn1.num_batches_tracked.item() == 1) == moved[name]  # type: ignore[union-attr, operator]


@pytest.mark.parametrize("chance", [-0.1, 0.81, 1.0, float("nan")])
def test_a_chance_that_is_none_is_refused(chance: float) -> None:
    with pytest.raises(ValueError, match=r"is not from 0 to 0\.8"):
        network("resnet18", chance)


def test_the_average_runs_all_its_own_blocks_with_its_own_weights(
    init: Callable[[str], Path],
) -> None:
    recipe = Recipe(base="resnet34", stochastic_depth=0.8)
    run = Run(recipe, 10, init("resnet34"), torch.device("cpu"))
    average: Any = run.average.module
    crops = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)
    ran: list[int] = []
    for block in blocks_of(average.backbone).values():
        block.register_forward_hook(lambda module, *_: ran.append(id(module)))
    with torch.no_grad():
        before, _ = average.eval()(crops)
        assert ran == [id(block) for block in blocks_of(average.backbone).values()]
        # A copy made after the blocks were wrapped would run the trained network's.
        for weight in run.net.backbone.parameters():
            weight.normal_()
        assert torch.equal(average(crops)[0], before)
        for block in blocks_of(average.backbone).values():
            block.bn2.weight.mul_(1.5)  # type: ignore[union-attr, operator]
        assert not torch.equal(average(crops)[0], before)
        # In training as well: the average never goes around a block, nor weighs one up.
        average.train()
        assert torch.equal(average(crops)[0], average(crops)[0])
