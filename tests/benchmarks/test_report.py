"""What is made of the figures: ratios, tables and a picture."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.growth import GrowthCase
from benchmarks.parity import Parity
from benchmarks.plot import draw
from benchmarks.processes import Memory
from benchmarks.report import markdown
from benchmarks.results import Results
from benchmarks.serving import OverheadCase, ServerCase
from benchmarks.stacks import BEHIND_NGINX, OURS, USUAL
from benchmarks.stages import Pair, StageCase, WholeCase

MB = 2**20
SAME = Parity(faces=1, unmatched=0, least_iou=0.9991, most_pixels=0.004, most_points=0.02)
ABOUT = {"machine": "a test, cores: 2", "revision": "0123456789ab"}


def server(name: str, workers: int, rate: float) -> ServerCase:
    return ServerCase(
        name,
        workers,
        starts=[1.0, 3.0, 2.0],
        rates={1: [rate / 2], 4: [rate, rate * 2, rate / 2]},
        times={1: [10.0, 20.0, 30.0], 4: [40.0] * 99 + [400.0]},
        processor=[90.0, 100.0, 400.0],
        worker=Memory(200 * MB, 150 * MB),
        all=Memory(300 * MB, 220 * MB),
        answer={"faces": [{"score": 6.5}]},
    )


@pytest.fixture
def results() -> Results:
    return Results(
        ABOUT,
        2,
        quick=True,
        stages=[
            StageCase("a", 1.0, 1024, 20, Pair(2, 4), Pair(10, 80), Pair(8, 36), SAME),
            StageCase("none", 1.0, 1024, 20, Pair(2, 4), Pair(10, 60), Pair(0, 0), SAME),
        ],
        whole=[WholeCase("a", 1.0, 1, Pair(20, 120), Pair(30, 300), Pair(5, 50), 9, 9, 8, SAME)],
        servers=[
            *(server(OURS, workers, 10.0 * workers) for workers in (1, 2)),
            *(server(USUAL, workers, 2.0 * workers) for workers in (1, 2)),
            server("a better peer", 1, 2.5),
            ServerCase(BEHIND_NGINX, 1, problem="nginx is not installed"),
        ],
        overhead=[OverheadCase("a", "json", 20.0, 21.0, None)],
        growth=[GrowthCase(OURS, Memory(MB, MB), 180 * MB, [181 * MB, 183 * MB, 182 * MB], 30, 0)],
    )


def test_ratios_are_to_the_usual_stack_and_to_the_best_peer(results: Results) -> None:
    page = markdown(results, "plot.svg")
    for line in (
        "| detection, same pixels in | 7.0x (6.0 to 8.0) |",
        "| whole pipeline, PNG | 10.0x (10.0 to 10.0) |",
        "| requests/s, AttrAI, workers: 1, against a better peer | 4.0x |",
        "| what uWSGI + Flask add to the pipeline, JSON | 5.0% |",
        "| a | 1024 | 20 | 1 | 2.0 / 4.0 (2.0x) | 10.0 / 80.0 (8.0x) | 8.0 / 36.0 (4.5x)"
        " | 20.0 / 120.0 (6.0x) | 0 | 0.9991 | 0.004 | 0.02 |",
        "| AttrAI | 1 | 4 | 10.00 | 4.00x | 40 | 40 | 40 | 100 | 0 | 2.0 s |",
        "| AttrAI | 10.00 | 20.00 | 2.00x | 36000 | 5.0x | 100 |",
        "| AttrAI | 1 | 1 | 180 | +2.0 | +3.0 | 0 |",
        "- AttrAI behind nginx: nginx is not installed",
    ):
        assert line in page
    assert "plot.svg" in page


def test_parts_that_were_not_run_leave_no_trace() -> None:
    page = markdown(Results(ABOUT, 2, quick=False), "plot.svg")
    assert "##" not in page
    assert "|" not in page


def test_every_figure_is_kept(results: Results, tmp_path: Path) -> None:
    results.write(tmp_path / "figures.json")
    document = json.loads((tmp_path / "figures.json").read_text())
    assert document["stages"][0]["detect"] == {"ours": 10, "usual": 80}
    assert document["growth"][0]["rss"][-1] == 182 * MB


@pytest.mark.parametrize("part", ["stages", "servers", "growth", "all", "none"])
def test_there_is_a_picture_of_whatever_was_run(
    results: Results, tmp_path: Path, part: str
) -> None:
    shown = results if part == "all" else Results(ABOUT, 2, quick=True)
    if part not in ("all", "none"):
        setattr(shown, part, getattr(results, part))
    draw(shown, tmp_path / "plot.svg")
    assert "</svg>" in (tmp_path / "plot.svg").read_text()
