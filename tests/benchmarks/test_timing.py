"""How calls are timed against each other."""

from __future__ import annotations

import time

from benchmarks.timing import interleaved


def test_calls_take_turns_and_every_other_round_goes_in_reverse() -> None:
    made: list[str] = []
    interleaved({"a": lambda: made.append("a"), "b": lambda: made.append("b")}, 3)
    assert "".join(made) == "ab" + "ab" + "ba" + "ab"


def test_the_median_leaves_out_the_first_time_and_a_single_hitch() -> None:
    waits = iter([0.2, 0, 0.2, 0])  # warming up, then three rounds
    found = interleaved({"call": lambda: time.sleep(next(waits))}, 3)
    assert found["call"] < 100
