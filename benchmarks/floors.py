"""Where the time goes at the default settings: each step against what its arithmetic must take.

The floor of a step is its products over the products a second that this core was measured to do,
or its bytes over the bytes a second that it was measured to copy.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from benchmarks.photos import TestPhoto
from benchmarks.rates import Rates
from pipeline.boxes import Bool
from pipeline.detector import Cascade
from pipeline.models import Model
from pipeline.native.nets import NativeNets
from pipeline.nets import Cells
from pipeline.photo import read_full, read_photo
from pipeline.pooling import Float, Int
from pipeline.predictor import DETECTOR, load_predictor
from pipeline.render import annotate, encode
from pipeline.scorer import view_of
from pipeline.settings import ROOT, PipelineSettings
from pipeline.types import Pixels

T = TypeVar("T")

PNET = (4 * 27 * 10 + 90 * 16 + 144 * 32 + 32, 16 * (3 * 10 + (10 * 16 + 16 * 32) / 4) + 32)
"""Products of a window of P-Net: as its definition says, and as the kernel does them."""
RNET = (
    22 * 22 * 27 * 28 + 9 * 9 * 252 * 48 + 9 * 192 * 64 + 576 * 128 + 128 * 6,
    22 * 22 * 27 * 32 + 25 * 16 * 28 * 48 + 9 * 192 * 64 + 576 * 128 + 128 * 16,
)
"""Of a window of R-Net."""
ONET = (
    46 * 46 * 27 * 32 + 21 * 21 * 288 * 64 + 8 * 8 * 576 * 64 + 9 * 256 * 128 + 1152 * 256
    + 256 * 16,
    46 * 46 * 27 * 32 + 121 * 16 * 32 * 64 + 16 * 16 * 64 * 64 + 9 * 256 * 128 + 1152 * 256
    + 256 * 16,
)  # fmt: skip
"""Of a window of O-Net."""
RESNET = 3.66e9 / 224**2
"""Of ResNet-34, for each pixel of a crop: its convolutions grow with the area."""
ROUNDS = 25


@dataclass(frozen=True)
class Step:
    """One step of the way."""

    name: str
    ms: float
    work: str
    """How much there is to do, in words."""
    plain_ms: float
    """The floor of doing it as the network is defined; the same as floor_ms where it is done so."""
    floor_ms: float
    """The floor of doing it as it is done."""
    rest: str
    """What takes the time beyond that."""
    in_json: bool = True
    """Whether a JSON answer takes it; else only a PNG does."""


@dataclass
class _Timed:
    """Nets that note how long each step took, and on how much."""

    nets: NativeNets
    engine: str = "timed"
    ms: dict[str, list[float]] = field(default_factory=dict)
    count: dict[str, int] = field(default_factory=dict)

    def picture(self, pixels: Pixels) -> Pixels:
        return self.nets.picture(pixels)

    def propose(self, picture: Pixels, sizes: Sequence[tuple[int, int]], threshold: float) -> Cells:
        windows = sum(((h - 1) // 2 - 4) * ((w - 1) // 2 - 4) for h, w in sizes)
        return self._note("pnet", windows, lambda: self.nets.propose(picture, sizes, threshold))

    def refine(self, picture: Pixels, windows: Int) -> tuple[Float, Float]:
        return self._note("rnet", len(windows), lambda: self.nets.refine(picture, windows))

    def output(self, picture: Pixels, windows: Int) -> tuple[Float, Float, Float]:
        return self._note("onet", len(windows), lambda: self.nets.output(picture, windows))

    def suppress(self, *arguments: Any, **named: Any) -> Bool:
        return self.nets.suppress(*arguments, **named)

    def _note(self, step: str, count: int, call: Callable[[], T]) -> T:
        start = time.perf_counter()
        found = call()
        self.ms.setdefault(step, []).append((time.perf_counter() - start) * 1000)
        self.count[step] = count
        return found


def steps(photo: TestPhoto, rates: Rates) -> list[Step]:
    """Every step of one photo's way to JSON, and to a PNG. Raises KernelMissing without it."""
    settings = PipelineSettings()
    predictor = load_predictor(settings)
    timed = _Timed(NativeNets(Model.open(ROOT / settings.engine.models_dir / DETECTOR)))
    cascade = Cascade(DETECTOR, timed, settings.detector)
    prediction = predictor.predict(photo.data)
    pixels = read_photo(photo.data, settings.photo).pixels
    full = read_full(photo.data, settings.photo)
    scorer, faces = prediction.scorer, cascade.detect(pixels)
    size = view_of(predictor.models[scorer.name]).size
    drawn = annotate(full, prediction.faces)
    timed.ms.clear()
    whole: dict[str, list[float]] = {}
    calls: dict[str, Callable[[], object]] = {
        "decode": lambda: read_photo(photo.data, settings.photo),
        "detect": lambda: cascade.detect(pixels),
        "score": lambda: scorer.rate(pixels, faces),
        "decode in full": lambda: read_full(photo.data, settings.photo),
        "encode": lambda: encode(drawn, "png", settings.render),
    }
    for _ in range(ROUNDS):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            whole.setdefault(name, []).append((time.perf_counter() - start) * 1000)
    ms = {name: statistics.median(taken) for name, taken in (whole | timed.ms).items()}
    coded = "entropy coding, inverse DCT"
    found = [_copied("decode", ms["decode"], pixels, rates, f"{coded}, shrinking")]
    for net, (defined, done_as) in (("pnet", PNET), ("rnet", RNET), ("onet", ONET)):
        count = timed.count[net]
        plain, done = (count * each / rates.float32 * 1000 for each in (defined, done_as))
        work = f"{count} windows, {count * defined / 1e6:.0f} M products"
        rest = "resizing, the way into tiles and back" if net == "pnet" else "crops, pooling"
        found.append(Step(_NAMES[net], ms[net], work, plain, done, rest))
    between = ms["detect"] - ms["pnet"] - ms["rnet"] - ms["onet"]
    found.append(Step("between them", between, "boxes, suppression", 0, 0, "Python, NumPy"))
    products = len(faces) * RESNET * size**2
    floor = products / rates.int8 * 1000
    work = f"{len(faces)} faces of {size} px, {products / 1e6:.0f} M products in int8"
    found.append(Step("ResNet-34", ms["score"], work, floor, floor, "crops, float32 first layer"))
    for name, rest in (("decode in full", coded), ("encode", "filter, deflate")):
        found.append(_copied(f"PNG: {name}", ms[name], full, rates, rest, in_json=False))
    return found


_NAMES = {"pnet": "P-Net", "rnet": "R-Net", "onet": "O-Net"}


def _copied(
    name: str, ms: float, pixels: Pixels, rates: Rates, rest: str, *, in_json: bool = True
) -> Step:
    floor = pixels.nbytes / rates.copied * 1000
    return Step(name, ms, f"{pixels.nbytes / 1e6:.1f} MB of pixels", floor, floor, rest, in_json)
