"""In one process: each stage, and the whole way through, against the usual stack's."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from PIL import Image

from benchmarks.parity import Parity, compare
from benchmarks.photos import TestPhoto
from benchmarks.timing import interleaved
from benchmarks.usual_stack import UsualStack, png
from pipeline.photo import read_full, read_photo
from pipeline.predictor import Predictor, load_predictor
from pipeline.render import annotate, encode
from pipeline.report import report
from pipeline.settings import PipelineSettings

SIDES = (640, 1024, 1280)
MIN_FACES = (20, 40)
STAGES = ("decode", "detect", "score")


@dataclass(frozen=True)
class Pair:
    """Median milliseconds of the same work by ours and by the usual stack."""

    ours: float
    usual: float

    @property
    def ratio(self) -> float:
        """How many times faster ours is; nan where there was nothing to do."""
        return self.usual / self.ours if self.ours else float("nan")

    def __add__(self, other: Pair) -> Pair:
        return Pair(self.ours + other.ours, self.usual + other.usual)


@dataclass(frozen=True)
class StageCase:
    """One photo at one setting. `detect` and `score` get the same pixels and the same faces."""

    photo: str
    megapixels: float
    side: int
    min_face: int
    decode: Pair
    detect: Pair
    score: Pair
    parity: Parity

    @property
    def total(self) -> Pair:
        """All that a JSON answer takes."""
        return self.decode + self.detect + self.score


@dataclass(frozen=True)
class WholeCase:
    """One photo, bytes in and bytes out, at the default settings."""

    photo: str
    megapixels: float
    faces: int
    json: Pair
    png: Pair
    encode: Pair
    """The encoder alone: ours against PIL's at its default."""
    pil_level_1: float
    """Milliseconds of PIL's encoder at level 1 of zlib."""
    bytes_ours: int
    bytes_usual: int
    parity: Parity
    """Whole way against whole way: the two decoders and resamplers differ as well."""


def stage_cases(photos: Sequence[TestPhoto], *, quick: bool) -> Iterator[StageCase]:
    """Every photo at every working side and least face size."""
    rounds = 3 if quick else 5
    sides, min_faces = ((1024,), (20, 40)) if quick else (SIDES, MIN_FACES)
    defaults = PipelineSettings()
    for side in sides:
        for min_face in min_faces:
            settings = replace(
                defaults,
                photo=replace(defaults.photo, working_side=side),
                detector=replace(defaults.detector, min_face_size=min_face),
            )
            ours, usual = load_predictor(settings), UsualStack(settings)
            for photo in photos:
                smaller = [s for s in sides if s < side]
                if smaller and max(photo.width, photo.height) <= max(smaller):
                    continue  # not larger than at the side before
                yield _stage_case(photo, settings, ours, usual, rounds)


def _stage_case(
    photo: TestPhoto, settings: PipelineSettings, ours: Predictor, usual: UsualStack, rounds: int
) -> StageCase:
    data, scorer = photo.data, ours.predict(photo.data).scorer
    pixels = read_photo(data, settings.photo).pixels
    faces, expected = ours.detector.detect(pixels), usual.detector.detect(pixels)
    calls = {
        "decode": (lambda: read_photo(data, settings.photo), lambda: usual.decode(data)),
        "detect": (lambda: ours.detector.detect(pixels), lambda: usual.detector.detect(pixels)),
        "score": (lambda: scorer.rate(pixels, faces), lambda: usual.scorer.rate(pixels, faces)),
    }
    pairs = {}
    for stage, (our_call, usual_call) in calls.items():
        pairs[stage] = Pair(**interleaved({"ours": our_call, "usual": usual_call}, rounds))
    parity = compare(
        faces, expected, scorer.rate(pixels, faces), usual.scorer.rate(pixels, expected)
    )
    side, min_face = settings.photo.working_side, settings.detector.min_face_size
    return StageCase(photo.name, photo.megapixels, side, min_face, **pairs, parity=parity)


def whole_cases(photos: Sequence[TestPhoto], *, quick: bool) -> Iterator[WholeCase]:
    """Every photo from its bytes to those of the JSON and of the PNG."""
    settings = PipelineSettings()
    ours, usual = load_predictor(settings), UsualStack(settings)
    for photo in photos:
        yield _whole_case(photo, settings, ours, usual, rounds=2 if quick else 5)


def _whole_case(
    photo: TestPhoto, settings: PipelineSettings, ours: Predictor, usual: UsualStack, rounds: int
) -> WholeCase:
    data = photo.data
    prediction = ours.predict(data)
    drawn = annotate(read_full(data, settings.photo), prediction.faces)
    image = Image.fromarray(drawn)
    whole_json = interleaved(
        {
            "ours": lambda: json.dumps(report(ours.predict(data))),
            "usual": lambda: json.dumps(usual.predict(data)),
        },
        rounds,
    )
    whole_png = interleaved(
        {
            "ours": lambda: ours.picture(data, ours.predict(data), "png"),
            "usual": lambda: usual.picture(data),
        },
        rounds,
    )
    encoded = interleaved(
        {
            "ours": lambda: encode(drawn, "png", settings.render),
            "usual": lambda: png(image),
            "level 1": lambda: png(image, 1),
        },
        2 if photo.megapixels > 4 else rounds,
    )
    faces = [rated.face for rated in prediction.faces]
    return WholeCase(
        photo.name,
        photo.megapixels,
        len(faces),
        Pair(**whole_json),
        Pair(**whole_png),
        Pair(encoded["ours"], encoded["usual"]),
        encoded["level 1"],
        len(encode(drawn, "png", settings.render)),
        len(png(image)),
        _end_to_end(data, settings, ours, usual),
    )


def _end_to_end(
    data: bytes, settings: PipelineSettings, ours: Predictor, usual: UsualStack
) -> Parity:
    own = read_photo(data, settings.photo).pixels
    theirs = usual.shrink(Image.open(io.BytesIO(data)))
    faces, expected = ours.detector.detect(own), usual.detector.detect(theirs)
    scorer = ours.predict(data).scorer
    return compare(faces, expected, scorer.rate(own, faces), usual.scorer.rate(theirs, expected))
