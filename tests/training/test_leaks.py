"""Which photos a protocol both trains and tests on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from training.dataset_checks import leaks, rows_tested
from training.ratings import Example


def test_a_leak_is_what_a_protocol_trains_and_tests_on() -> None:
    one = Example(Path("1.jpg"), 5, "f", "train", 1, "studio")
    examples = [
        one,
        replace(one, fold=2),
        replace(one, fold=2, split="test"),
        replace(one, fold=0, source="street"),
        replace(one, fold=0, source="street", split="test"),
    ]
    tests = rows_tested(examples)
    assert leaks((0, 1), examples, tests) == ("fold-1", "fold-2")
    assert leaks((1, 2), examples, tests) == ("split",)
    assert leaks((0, 2), examples, tests) == ("split", "fold-1", "fold-2")
    # Without folds, a set keeps its split under those of another one.
    assert leaks((0, 3), examples, tests) == ("fold-1", "cross-set")
    assert leaks((3, 4), examples, tests) == ("split", "fold-1", "fold-2")
    assert leaks((0, 0), examples, tests) == ()
