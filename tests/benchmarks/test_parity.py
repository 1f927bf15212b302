"""How far two sets of faces are apart."""

from __future__ import annotations

import pytest

from benchmarks.parity import compare, iou
from pipeline.types import Box, Face, Rating

POINTS = ((0.0, 0.0),) * 5


def face(x1: float, y1: float, x2: float, y2: float) -> Face:
    return Face(Box(x1, y1, x2, y2), 1.0, POINTS)


def test_overlap_is_that_over_both() -> None:
    assert iou(Box(0, 0, 10, 10), Box(0, 0, 10, 10)) == 1
    assert iou(Box(0, 0, 10, 10), Box(5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert iou(Box(0, 0, 10, 10), Box(20, 20, 30, 30)) == 0


def test_faces_are_matched_in_any_order() -> None:
    ours = [face(100, 0, 120, 20), face(0, 0, 10, 10.5)]
    reference = [face(0, 0, 10, 10), face(100, 0, 120, 20)]
    found = compare(ours, reference, [Rating(3.0), Rating(5.25)], [Rating(5.0), Rating(3.0)])
    assert (found.faces, found.unmatched) == (2, 0)
    assert found.least_iou == pytest.approx(10 / 10.5)
    assert found.most_pixels == pytest.approx(0.5)
    assert found.most_points == pytest.approx(0.25)


def test_a_face_that_only_one_has_is_counted() -> None:
    one, other = face(0, 0, 10, 10), face(50, 50, 60, 60)
    rating = [Rating(5.0)]
    assert compare([one], [other], rating, rating).unmatched == 2
    assert compare([], [other], [], rating).unmatched == 1
    assert compare([one], [], rating, []).unmatched == 1
    assert compare([], [], [], []).unmatched == 0
