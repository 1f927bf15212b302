"""The values that travel through the pipeline: Photo -> Face -> Rating."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
"""An RGB picture: uint8, shape (height, width, 3)."""

LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
"""A face's five landmarks in the order of `Face.landmarks`; left as the viewer sees it."""


@dataclass(frozen=True, eq=False)
class Photo:
    """A decoded, upright photo.

    `pixels` is what the models see: its long side is at most the configured working side.
    `width` and `height` are those of the whole upright photo, in pixels.
    """

    pixels: Pixels
    width: int
    height: int


@dataclass(frozen=True)
class Box:
    """Corners of a rectangle in pixels, x right and y down; may reach outside the picture."""

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def width(self) -> float:
        """In pixels."""
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        """In pixels."""
        return self.y2 - self.y1

    @property
    def area(self) -> float:
        """In square pixels."""
        return self.width * self.height

    def scaled(self, fx: float, fy: float) -> Box:
        """The same box in a picture whose sides are `fx` and `fy` times as long."""
        return Box(self.x1 * fx, self.y1 * fy, self.x2 * fx, self.y2 * fy)


@dataclass(frozen=True)
class Face:
    """One detected face: its box, the detector's confidence in 0..1, and five (x, y) landmarks."""

    box: Box
    confidence: float
    landmarks: tuple[tuple[float, float], ...]

    def scaled(self, fx: float, fy: float) -> Face:
        """The same face in a picture whose sides are `fx` and `fy` times as long."""
        points = tuple((x * fx, y * fy) for x, y in self.landmarks)
        return Face(self.box.scaled(fx, fy), self.confidence, points)


@dataclass(frozen=True)
class Rating:
    """What the panel is expected to say of a face: `score` from 1 to 10."""

    score: float
    spread: float | None = None
    """Expected standard deviation of the score's error, in points; None if the model has none."""


@dataclass(frozen=True)
class RatedFace:
    """A face in the pixels of the whole upright photo, with its rating."""

    face: Face
    rating: Rating
