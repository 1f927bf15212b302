"""The pipeline's settings: frozen dataclasses whose fields carry their default, range and reason.

The same table serves the code, `attrai.ini` and the README; tests hold the three together.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from pipeline.errors import SettingsError

T = TypeVar("T")

ROOT = Path(__file__).resolve().parent.parent


def setting(
    default: Any,
    why: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """A dataclass field that is a setting: its default, why it is there, and what it may be."""
    metadata = {"why": why, "low": low, "high": high, "choices": choices}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True)
class PhotoSettings:
    """`[photo]`: what is accepted, and how much of it is decoded."""

    max_bytes: int = setting(
        16 * 1024 * 1024, "largest photo accepted, in bytes; nginx's body limit follows it", low=1
    )
    max_pixels: int = setting(
        50_000_000,
        "largest width x height accepted, read from the header",
        low=256,
        high=89_478_485,
    )
    min_side: int = setting(
        16, "shortest side accepted, in pixels; a face needs more than that", low=12
    )
    working_side: int = setting(
        1024, "long side, in pixels, that the models see; larger finds smaller faces, slower",
        low=64, high=2800,
    )  # fmt: skip


@dataclass(frozen=True)
class DetectorSettings:
    """`[detector]`: the MTCNN cascade; the defaults are facenet-pytorch's."""

    min_face_size: int = setting(
        20, "shortest side of a face to look for, in pixels of the working photo", low=12, high=2800
    )
    thresholds: tuple[float, float, float] = setting(
        (0.6, 0.7, 0.7), "face probability to pass P-Net, R-Net and O-Net", low=0.01, high=0.999
    )
    scale_factor: float = setting(
        0.709, "step between the sizes of the image pyramid", low=0.3, high=0.95
    )


@dataclass(frozen=True)
class ScorerSettings:
    """`[scorer]`: which ratings are served."""

    model: str = setting("resnet34-2", "the default scorer, a folder of models_dir")
    also: tuple[str, ...] = setting((), "further scorers that ?model= may name, comma-separated")
    batch_size: int = setting(
        2,
        "faces that go through the network at once; more take memory, not less time",
        low=1,
        high=256,
    )


@dataclass(frozen=True)
class EngineSettings:
    """`[engine]`: what runs the models."""

    engine: str = setting(
        "native",
        "native: faces by the kernel that `make native` builds; onnx: all on ONNX Runtime;"
        " torch (needs the torch extra)",
        choices=("native", "onnx", "torch"),
    )
    device: str = setting("cpu", "cpu, or cuda with engine = torch", choices=("cpu", "cuda"))
    threads: int = setting(1, "threads a worker computes with", low=1, high=64)
    models_dir: Path = setting(
        Path("models"), "folder of the models; relative to the folder of app.py"
    )


@dataclass(frozen=True)
class RenderSettings:
    """`[render]`: the picture with boxes and scores on it."""

    jpeg_quality: int = setting(90, "quality of a JPEG answer", low=1, high=100)
    webp_quality: int = setting(85, "quality of a WebP answer", low=1, high=100)
    png_compression: int = setting(
        1, "effort for a PNG answer, 0 to 2: a little smaller, a little slower", low=0, high=2
    )


@dataclass(frozen=True)
class PipelineSettings:
    """All that the pipeline may be told."""

    photo: PhotoSettings = PhotoSettings()
    detector: DetectorSettings = DetectorSettings()
    scorer: ScorerSettings = ScorerSettings()
    engine: EngineSettings = EngineSettings()
    render: RenderSettings = RenderSettings()


def load(path: Path, table: type[T], *, others: bool = False) -> T:
    """Read `path`, an INI file with a section for each field of the dataclass `table`.

    A missing key takes its default; `others` allows sections that the table does not have, which
    belong to somebody else. Raises SettingsError for an unreadable file, an unknown
    section or key, and a value that is malformed or out of range.
    """
    # No section's keys leak into the others: [DEFAULT] is as unknown as any.
    parser = ConfigParser(interpolation=None, default_section="")
    try:
        with path.open(encoding="utf-8") as file:
            parser.read_file(file)
    except (OSError, UnicodeDecodeError, ConfigParserError) as error:
        raise SettingsError(f"cannot read the settings in {path}: {error}") from error
    sections = get_type_hints(table)
    for name in parser.sections():
        if name not in sections and not others:
            raise SettingsError(f"{path}: unknown section [{name}]; there are {list(sections)}")
    return table(
        **{
            name: _read_section(name, parser[name] if parser.has_section(name) else {}, kind)
            for name, kind in sections.items()
        }
    )


def _read_section(section: str, values: Mapping[str, str], table: Any) -> Any:
    fields = {field.name: field for field in dataclasses.fields(table)}
    hints = get_type_hints(table)
    read: dict[str, Any] = {}
    for key, text in values.items():
        if key not in fields:
            raise SettingsError(f"[{section}] has no setting {key!r}; it has {sorted(fields)}")
        try:
            read[key] = _convert(text.strip(), hints[key], fields[key].metadata)
        except ValueError as error:
            raise SettingsError(f"[{section}] {key} = {text!r}: {error}") from error
    return table(**read)


def _convert(text: str, kind: Any, limits: Mapping[str, Any]) -> Any:
    if kind is bool:
        try:
            return ConfigParser.BOOLEAN_STATES[text.lower()]
        except KeyError:
            raise ValueError("must be yes or no") from None
    if kind is Path:
        return Path(text)
    if kind is str:
        if limits["choices"] and text not in limits["choices"]:
            raise ValueError(f"must be one of {', '.join(limits['choices'])}")
        return text
    if kind in (int, float):
        return _in_range(kind(text), limits)
    return _convert_tuple(text, kind.__args__, limits)


def _convert_tuple(text: str, kinds: tuple[Any, ...], limits: Mapping[str, Any]) -> tuple[Any, ...]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if kinds[-1] is not ... and len(parts) != len(kinds):
        raise ValueError(f"must be {len(kinds)} values, comma-separated")
    return tuple(_convert(part, kinds[0], limits) for part in parts)


def _in_range(value: float, limits: Mapping[str, Any]) -> float:
    low, high = limits["low"], limits["high"]
    if low is not None and not value >= low:
        raise ValueError(f"must be at least {low}")
    if high is not None and not value <= high:
        raise ValueError(f"must be at most {high}")
    return value
