from __future__ import annotations

import io
from itertools import pairwise

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage.data import astronaut

from pipeline.errors import PhotoTooLarge
from pipeline.render import (
    Colour,
    Integers,
    annotate,
    colour_for,
    draw,
    encode,
    ink_for,
    place_labels,
)
from pipeline.settings import RenderSettings
from pipeline.types import Box, Face, Pixels, RatedFace, Rating

ASTRONAUT = (176.0, 62.0, 267.0, 184.0)
SCORES = [tenths / 10 for tenths in range(10, 101)]


def portrait() -> Pixels:
    return np.asarray(astronaut(), np.uint8)  # type: ignore[no-untyped-call]


def rated(x1: float, y1: float, x2: float, y2: float, score: float = 6.4) -> RatedFace:
    return RatedFace(Face(Box(x1, y1, x2, y2), 0.99, ()), Rating(score))


def flat(width: int, height: int, grey: int = 128) -> Pixels:
    return np.full((height, width, 3), grey, np.uint8)


def astronaut_at(side: int) -> tuple[Pixels, RatedFace]:
    pixels = np.asarray(cv2.resize(portrait(), (side, side)), np.uint8)
    return pixels, rated(*(edge * side / 512 for edge in ASTRONAUT))


def changed(before: Pixels, after: Pixels) -> Integers:
    """The bounding rectangle of the pixels that differ."""
    ys, xs = np.nonzero((before != after).any(axis=2))
    return np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])


def is_colour(pixels: Pixels, colour: Colour) -> NDArray[np.bool_]:
    return np.asarray((pixels == np.array(colour, np.uint8)).all(axis=-1))


def luminance(colour: Colour) -> float:
    linear = [
        channel / 255 / 12.92
        if channel / 255 <= 0.04045
        else ((channel / 255 + 0.055) / 1.055) ** 2.4
        for channel in colour
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: Colour, other: Colour) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def covered(one: Integers, other: Integers) -> int:
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    return int(np.maximum(high - low, 0).prod())


def assert_inside(labels: Integers, width: int, height: int) -> None:
    assert (labels[:, :2] >= 0).all()
    assert (labels[:, 2:] <= (width, height)).all()


def assert_disjoint(labels: Integers) -> None:
    for index, label in enumerate(labels):
        assert not any(covered(label, other) for other in labels[:index])


# Colour


@pytest.mark.parametrize("score", SCORES)
def test_a_label_is_readable_on_its_colour(score: float) -> None:
    colour = colour_for(score)
    assert contrast(colour, ink_for(colour)) >= 4.5


@pytest.mark.parametrize("grey", range(0, 256, 5))
def test_ink_is_the_better_of_black_and_white(grey: int) -> None:
    colour = (grey, grey, grey)
    best = max(contrast(colour, (0, 0, 0)), contrast(colour, (255, 255, 255)))
    assert contrast(colour, ink_for(colour)) == pytest.approx(best)


def test_colours_differ_by_score_and_lighten_with_it() -> None:
    colours = [colour_for(score) for score in SCORES]
    assert len(set(colours)) == len(SCORES)
    assert all(luminance(low) < luminance(high) for low, high in pairwise(colours))


def test_a_score_outside_takes_the_nearer_end() -> None:
    assert colour_for(0.2) == colour_for(1)
    assert colour_for(11) == colour_for(10)


# Layout


def test_a_label_prefers_to_stand_on_its_box() -> None:
    assert place_labels(np.array([[50, 50, 90, 90]]), [(30, 12)], 200, 200).tolist() == [
        [50, 38, 80, 50]
    ]


def test_a_label_stands_out_with_the_halo_of_its_box() -> None:
    boxes = np.array([[50, 50, 90, 90]])
    assert place_labels(boxes, [(30, 12)], 200, 200, 2).tolist() == [[48, 38, 78, 50]]


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        pytest.param((50, 4, 90, 90), (50, 90, 80, 102), id="below, at the upper border"),
        pytest.param((185, 50, 200, 90), (170, 38, 200, 50), id="pushed in, at the right border"),
        pytest.param((0, 50, 10, 90), (0, 38, 30, 50), id="at the left border"),
        pytest.param((50, 0, 90, 200), (90, 0, 120, 12), id="right, over the full height"),
        pytest.param((150, 0, 190, 200), (120, 0, 150, 12), id="left, if there is no room right"),
        pytest.param((0, 0, 200, 200), (0, 0, 30, 12), id="within, if the box is the picture"),
        pytest.param((200, 200, 200, 200), (170, 188, 200, 200), id="an empty box in the corner"),
    ],
)
def test_a_label_stays_inside_the_picture(box: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert tuple(place_labels(np.array([box]), [(30, 12)], 200, 200)[0]) == expected


def test_a_label_avoids_the_box_of_another_face() -> None:
    boxes = np.array([[50, 100, 90, 140], [40, 60, 100, 98]])
    labels = place_labels(boxes, [(30, 12)] * 2, 300, 300)
    assert labels[0].tolist() == [50, 140, 80, 152]
    assert not covered(labels[0], boxes[1])
    assert not covered(labels[1], boxes[0])


def test_a_label_covers_its_own_face_rather_than_another() -> None:
    around = [[50, 60, 90, 95], [50, 145, 90, 180], [5, 60, 45, 180], [95, 60, 135, 180]]
    boxes = np.array([[50, 100, 90, 140], *around])
    assert place_labels(boxes, [(30, 12)] * 5, 300, 300)[0].tolist() == [50, 100, 80, 112]


def test_a_label_covers_a_box_rather_than_a_label() -> None:
    boxes = np.array([[50, 100, 90, 140]] * 6)
    labels = place_labels(boxes, [(30, 12)] * 6, 300, 300)
    assert_disjoint(labels)


def test_the_labels_of_a_grid_are_disjoint_and_cover_no_face() -> None:
    boxes = np.array([[x, y, x + 36, y + 44] for y in range(0, 360, 60) for x in range(0, 480, 40)])
    labels = place_labels(boxes, [(34, 14)] * len(boxes), 480, 360)
    assert_inside(labels, 480, 360)
    assert_disjoint(labels)
    assert not any(covered(label, box) for label in labels for box in boxes)


@pytest.mark.parametrize("seed", range(5))
def test_the_labels_of_a_crowd_with_overlaps_are_disjoint(seed: int) -> None:
    random = np.random.default_rng(seed)
    corners = random.integers(-20, (1004, 748), (100, 2))
    boxes = np.hstack((corners, corners + random.integers((20, 25), (50, 60), (100, 2))))
    boxes = boxes.clip(0, (1024, 768, 1024, 768))
    labels = place_labels(boxes, [(34, 18)] * 100, 1024, 768)
    assert_inside(labels, 1024, 768)
    assert_disjoint(labels)


def test_labels_without_room_stay_inside_and_spread() -> None:
    boxes = np.array([[0, 0, 16, 16]] * 4)
    labels = place_labels(boxes, [(14, 8)] * 4, 16, 16)
    assert_inside(labels, 16, 16)
    assert covered(labels[0], labels[1]) == 0


def test_no_boxes_have_no_labels() -> None:
    assert place_labels(np.empty((0, 4), np.int64), [], 100, 100).shape == (0, 4)


# The picture


def test_the_input_is_untouched_and_not_shared() -> None:
    pixels = portrait()
    pixels.flags.writeable = False
    before = pixels.copy()
    for faces in ([], [rated(*ASTRONAUT)]):
        after = annotate(pixels, faces)
        assert (pixels == before).all()
        assert not np.shares_memory(pixels, after)
        assert after.shape == pixels.shape
        assert after.dtype == np.uint8
        after[:] = 0  # it may be written to


def test_no_face_changes_no_pixel() -> None:
    assert (annotate(portrait(), []) == portrait()).all()


def test_what_is_drawn_in_place_is_what_is_drawn_on_a_copy() -> None:
    for faces in ([], [rated(*ASTRONAUT)]):
        pixels = portrait().copy()
        draw(pixels, faces)
        assert (pixels == annotate(portrait(), faces)).all()


@pytest.mark.parametrize("side", [200, 512, 4000])
def test_the_box_is_drawn_on_the_edges_of_the_face(side: int) -> None:
    pixels, face = astronaut_at(side)
    after = annotate(pixels, [face])
    box, colour = face.face.box, colour_for(face.rating.score)
    x1, y1, x2, y2 = (round(edge) for edge in (box.x1, box.y1, box.x2, box.y2))
    assert is_colour(after[y1, x1:x2], colour).all()
    assert is_colour(after[y2 - 1, x1:x2], colour).all()
    assert is_colour(after[y1:y2, x1], colour).all()
    assert is_colour(after[y1:y2, x2 - 1], colour).all()
    # A halo of the opposite lightness on both sides; above, the label's frame takes its place.
    for beside in (after[y2, x1:x2], after[y1:y2, x1 - 1], after[y1:y2, x2]):
        assert is_colour(beside, ink_for(colour)).all()


@pytest.mark.parametrize("side", [200, 512, 4000])
def test_nothing_is_drawn_on_the_face_or_far_from_it(side: int) -> None:
    pixels, face = astronaut_at(side)
    after = annotate(pixels, [face])
    box = face.face.box
    margin = max(4, side // 100)
    inner = (
        slice(round(box.y1) + margin, round(box.y2) - margin),
        slice(round(box.x1) + margin, round(box.x2) - margin),
    )
    assert (after[inner] == pixels[inner]).all()
    x1, y1, x2, y2 = changed(pixels, after)
    assert x1 >= box.x1 - margin
    assert x2 <= box.x2 + margin
    assert y2 <= box.y2 + margin
    assert y1 >= box.y1 - max(24, side // 20)


@pytest.mark.parametrize(("side", "low", "high"), [(200, 10, 14), (1000, 18, 30), (4000, 50, 120)])
def test_digits_are_legible_and_proportionate(side: int, low: int, high: int) -> None:
    pixels = flat(side, side)
    edge = 0.4 * side
    face = rated(edge, edge, 1.5 * edge, 1.5 * edge, score=8.8)
    label = annotate(pixels, [face])[: round(edge)]
    colour = colour_for(8.8)
    rows, columns = np.nonzero(is_colour(label, colour))
    inside = label[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    digits = np.flatnonzero(is_colour(inside, ink_for(colour)).any(axis=1))
    assert low <= digits.max() + 1 - digits.min() <= high


def test_digits_stay_proportionate_above_a_small_face() -> None:
    pixels = flat(4000, 4000)
    top = changed(pixels, annotate(pixels, [rated(2000, 2000, 2040, 2050)]))[1]
    assert 2000 - top > 0.015 * 4000


def test_the_text_is_the_score_with_one_decimal() -> None:
    def text(score: float) -> NDArray[np.bool_]:
        label = annotate(flat(300, 300), [rated(100, 100, 200, 200, score)])[:98]
        return is_colour(label, ink_for(colour_for(score)))

    assert (text(6.4) == text(6.44)).all()
    assert (text(6.4) != text(6.3)).any()
    assert np.nonzero(text(10.0))[1].max() > np.nonzero(text(9.0))[1].max() + 5


def test_the_label_is_flush_with_the_halo_of_the_box() -> None:
    after = annotate(flat(300, 300), [rated(100, 100, 200, 200, 9.0)])
    assert is_colour(after[90:200, 99], (0, 0, 0)).all()
    assert is_colour(after[90:200, 98], (128, 128, 128)).all()


def test_lines_widen_with_the_picture() -> None:
    def line(side: int) -> int:
        row = annotate(flat(side, side), [rated(0.2 * side, 0.2 * side, 0.8 * side, 0.8 * side)])[
            side // 2
        ]
        return int(is_colour(row, colour_for(6.4)).sum()) // 2

    assert line(200) >= 2
    assert 4 <= line(4000) / line(1000) <= 5


def test_lines_leave_most_of_a_small_face_visible() -> None:
    after = annotate(flat(4000, 4000), [rated(2000, 2000, 2024, 2030)])
    assert is_colour(after[2008:2022, 2008:2016], (128, 128, 128)).all()


@pytest.mark.parametrize("grey", [0, 60, 128, 200, 255])
@pytest.mark.parametrize("score", [1, 3, 5, 7, 10])
def test_a_box_stands_out_from_any_background(grey: int, score: float) -> None:
    after = annotate(flat(300, 300, grey), [rated(100, 100, 200, 200, score)])
    best = max(
        contrast((grey, grey, grey), (int(r), int(g), int(b))) for r, g, b in after[150, 95:110]
    )
    assert best >= 2.1  # the square root of 4.5: halo and line are 4.5 apart


def test_faces_with_other_scores_are_drawn_in_other_colours() -> None:
    faces = [rated(20, 60, 80, 120, 2.0), rated(120, 60, 180, 120, 9.0)]
    after = annotate(flat(200, 200), faces)
    assert is_colour(after[90, 20:22], colour_for(2.0)).all()
    assert is_colour(after[90, 120:122], colour_for(9.0)).all()


def test_a_box_that_reaches_outside_is_drawn_along_the_border() -> None:
    after = annotate(flat(200, 160), [rated(-30, -1e6, 260.5, 400, 9.0)])
    for border in (after[-1], after[20:, 0], after[20:, -1]):
        assert is_colour(border, colour_for(9.0)).all()


@pytest.mark.parametrize("box", [(-50, -50, -10, -10), (20, 20, 60, 60), (8, 8, 8, 8)])
def test_a_box_outside_or_empty_does_no_harm(box: tuple[float, float, float, float]) -> None:
    assert annotate(flat(16, 16), [rated(*box)]).shape == (16, 16, 3)


@pytest.mark.parametrize("order", [1, -1])
def test_a_small_face_is_drawn_over_a_large_one(order: int) -> None:
    faces = [rated(100, 150, 140, 200, 9.5), rated(100, 100, 300, 300, 3.0)]
    after = annotate(flat(400, 400), faces[::order])
    assert is_colour(after[150:200, 100], colour_for(9.5)).all()


def test_overlapping_faces_each_show_their_line_and_label() -> None:
    faces = [rated(150, 140, 190, 190, 9.5), rated(100, 100, 300, 300, 3.0)]
    after = annotate(flat(400, 400), faces)
    assert is_colour(after[160, 150], colour_for(9.5))
    assert is_colour(after[250, 100], colour_for(3.0))
    for score in (9.5, 3.0):  # more of its colour than the lines take: the label's ground
        assert is_colour(after, colour_for(score)).sum() > 2 * (40 + 50) * 2 + 100


@pytest.mark.parametrize(
    ("width", "height"),
    [(12, 12), (16, 16), (16, 400), (400, 16), (30_000, 16), (16, 30_000), (47, 31), (200, 200)],
)
@pytest.mark.parametrize("count", [1, 3, 100])
def test_any_shape_and_number_of_faces_can_be_drawn(width: int, height: int, count: int) -> None:
    random = np.random.default_rng(count)
    corners = random.uniform(-0.2, 0.9, (count, 2)) * (width, height)
    ends = corners + random.uniform(0.1, 0.5, (count, 2)) * (width, height)
    boxes = np.hstack((corners, ends)).tolist()
    faces = [rated(x1, y1, x2, y2, score=10.0) for x1, y1, x2, y2 in boxes]
    pixels = flat(width, height)
    after = annotate(pixels, faces)
    assert after.shape == pixels.shape
    assert is_colour(after, colour_for(10.0)).any()


def test_a_hundred_small_faces_stay_visible_behind_their_labels() -> None:
    faces = [
        rated(x + 30, y + 35, x + 62, y + 75, 1 + (x + y) / 250)
        for x in range(0, 1000, 100)
        for y in range(0, 1000, 100)
    ]
    pixels = flat(1000, 1000)
    after = annotate(pixels, faces)
    for face in faces:
        box = face.face.box
        inner = (
            slice(int(box.y1) + 6, int(box.y2) - 6),
            slice(int(box.x1) + 6, int(box.x2) - 6),
        )
        assert (after[inner] == pixels[inner]).all()
    assert (after != pixels).any(axis=2).mean() < 0.2


# The encoded image


@pytest.mark.parametrize("format", ["png", "jpeg", "webp"])  # the formats of `encode`
@pytest.mark.parametrize(("width", "height"), [(16, 16), (512, 300)])
def test_an_image_decodes_to_the_same_picture(format: str, width: int, height: int) -> None:  # noqa: A002
    pixels = np.asarray(cv2.resize(portrait(), (width, height)), np.uint8)
    with Image.open(io.BytesIO(encode(pixels, format, RenderSettings()))) as image:
        assert (image.format, image.mode, image.size) == (format.upper(), "RGB", (width, height))
        difference = np.abs(np.asarray(image).astype(int) - pixels)
    assert difference.max() == 0 if format == "png" else difference.mean() < 12


def test_red_stays_red() -> None:
    red = np.full((32, 32, 3), (250, 10, 10), np.uint8)
    for name in ("png", "jpeg", "webp"):
        with Image.open(io.BytesIO(encode(red, name, RenderSettings()))) as image:
            assert np.abs(np.asarray(image).astype(int) - red).max() < 12


def test_the_settings_have_effect() -> None:
    def size(name: str, settings: RenderSettings) -> int:
        return len(encode(portrait(), name, settings))

    assert size("jpeg", RenderSettings(jpeg_quality=30)) < 0.5 * size("jpeg", RenderSettings())
    assert size("webp", RenderSettings(webp_quality=30)) < 0.7 * size("webp", RenderSettings())
    plain, packed = RenderSettings(png_compression=0), RenderSettings(png_compression=2)
    assert size("png", packed) < 0.9 * size("png", plain)


@pytest.mark.parametrize("name", ["gif", "JPEG", ".png", ""])
def test_an_unknown_format_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="png, jpeg, webp"):
        encode(flat(16, 16), name, RenderSettings())


@pytest.mark.parametrize(("name", "width"), [("webp", 16_384), ("jpeg", 65_501)])
def test_a_picture_larger_than_the_format_is_refused(name: str, width: int) -> None:
    with pytest.raises(PhotoTooLarge, match=f"{name} cannot hold {width} x 16 pixels"):
        encode(flat(width, 16), name, RenderSettings())
    assert encode(flat(width, 16), "png", RenderSettings())
