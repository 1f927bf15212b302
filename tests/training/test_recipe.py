"""A recipe: what it keeps, what it reads of older ones, and its place on the command line."""

from __future__ import annotations

import argparse
import json
from dataclasses import fields, replace
from typing import Any

import pytest

import training.train
from training.recipe import Recipe, as_text, parse_sets, parse_sizes

OTHER = Recipe(
    protocol="fold-3",
    sets=("one", "other"),
    base="resnet50",
    sizes=((96, 3), (224, 1)),
    batch=7,
    learning_rate=1e-5,
    weight_decay=0.5,
    ema=0.9,
    loss="expectation",
    label_spread=0.4,
    expectation_weight=2.0,
    stochastic_depth=0.1,
    augmentation=0.3,
    mixup=0.2,
    validation=0.25,
    seed=9,
)
"""A recipe that is of the default in nothing."""


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    training.train.add_arguments(parser)
    return parser.parse_args(["crops", "--init", "torchvision", "--out", "run", *arguments])


def chosen(options: argparse.Namespace) -> Recipe:
    return Recipe(**{field.name: getattr(options, field.name) for field in fields(Recipe)})


def text_of(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(
            ":".join(map(str, one)) if isinstance(one, tuple) else str(one) for one in value
        )
    return str(value)


@pytest.mark.parametrize("recipe", [Recipe(), OTHER], ids=["default", "other"])
def test_a_recipe_is_the_same_after_its_json(recipe: Recipe) -> None:
    text = recipe.to_json()
    assert "\n" not in text
    assert Recipe.from_json(text) == recipe
    assert hash(Recipe.from_json(text)) == hash(recipe)


def test_the_other_recipe_differs_in_every_choice() -> None:
    assert all(getattr(OTHER, f.name) != getattr(Recipe(), f.name) for f in fields(Recipe))


@pytest.mark.parametrize("lacking", [f.name for f in fields(Recipe) if f.name != "sizes"])
def test_an_older_recipe_takes_the_default_of_what_it_does_not_know(lacking: str) -> None:
    told = json.loads(OTHER.to_json())
    del told[lacking]
    expected = replace(OTHER, **{lacking: getattr(Recipe(), lacking)})
    assert Recipe.from_json(json.dumps(told)) == expected


def test_choices_that_are_no_more_are_left_out() -> None:
    told = {**json.loads(OTHER.to_json()), "patience": 3}
    assert Recipe.from_json(json.dumps(told)) == OTHER


def test_sizes_say_the_side_of_each_epoch() -> None:
    assert parse_sizes("128:2,224:1") == ((128, 2), (224, 1))
    assert Recipe(sizes=parse_sizes("128:2,224:1")).epochs == [128, 128, 224]


@pytest.mark.parametrize("text", ["", "128", "128:", "128:a", "128:1,", "128:1:1", "128;1"])
def test_sizes_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"unpack|invalid literal"):
        parse_sizes(text)


@pytest.mark.parametrize(
    ("text", "sets"),
    [("one", ("one",)), ("one,other", ("one", "other")), (" one , other,", ("one", "other"))],
)
def test_sets_are_named_between_commas(text: str, sets: tuple[str, ...]) -> None:
    assert parse_sets(text) == sets


def test_no_set_named_means_them_all() -> None:
    assert parse_sets("") == Recipe().sets == ()


@pytest.mark.parametrize("name", ["sizes", "sets", "batch"])
def test_the_help_writes_a_default_as_it_may_be_given(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parsed("--help")
    default = as_text(getattr(Recipe(), name))
    assert chosen(parsed(f"--{name}", default)) == Recipe()
    assert not default or f"({default})" in capsys.readouterr().out


def test_the_command_line_leaves_every_default() -> None:
    assert chosen(parsed()) == Recipe()


@pytest.mark.parametrize("name", [field.name for field in fields(Recipe)])
def test_the_command_line_offers_every_choice(name: str) -> None:
    value = getattr(OTHER, name)
    options = parsed(f"--{name.replace('_', '-')}", text_of(value))
    assert chosen(options) == replace(Recipe(), **{name: value})


@pytest.mark.parametrize(
    "wrong",
    [
        ["--base", "vgg16"],
        ["--loss", "l2"],
        ["--sizes", "128"],
        ["--batch", "many"],
        ["--patience", "1"],
    ],
    ids=" ".join,
)
def test_the_command_line_refuses_what_is_no_choice(
    wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        parsed(*wrong)
    assert exit_.value.code == 2
    assert wrong[0] in capsys.readouterr().err
