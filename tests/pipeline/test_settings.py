"""Settings files, good and bad, and the `attrai.ini` of this repository."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import SettingsError
from pipeline.settings import ROOT, PhotoSettings, PipelineSettings, load
from service.settings import Settings

INI = ROOT / "attrai.ini"
FIELDS = {
    f"{section.name}.{field.name}": field
    for section in dataclasses.fields(Settings)
    for field in dataclasses.fields(section.default)  # type: ignore[arg-type]
}
LIMITS = [
    (name, end, field.metadata[end])
    for name, field in FIELDS.items()
    for end in ("low", "high")
    if field.metadata[end] is not None
]
Read = Callable[..., Any]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Loads settings from what the file is to hold."""

    def read_(content: str | bytes, table: Any = Settings, **options: Any) -> Any:
        path = tmp_path / "some.ini"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return load(path, table, **options)

    return read_


def written(value: Any) -> str:
    """A value as a settings file spells it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(written, value))
    return str(value)


def line(name: str, value: Any) -> str:
    """A settings file with the one setting `name`, a section and a key."""
    section, key = name.split(".")
    default = FIELDS[name].default
    if isinstance(default, tuple) and not isinstance(value, tuple):
        value = (value,) * len(default)
    return f"[{section}]\n{key} = {written(value)}\n"


def commented(path: Path) -> Iterator[tuple[str, str]]:
    """Each setting of a settings file as section.key, with the comment right above it."""
    section, comment = "", list[str]()
    for text in map(str.strip, path.read_text(encoding="utf-8").splitlines()):
        if text.startswith(";"):
            comment.append(text.lstrip("; "))
            continue
        if text.startswith("["):
            section = text.strip("[]")
        elif text:
            yield f"{section}.{text.partition('=')[0].strip()}", " ".join(comment)
        comment = []


def test_an_empty_file_means_the_defaults(read: Read) -> None:
    assert read("") == Settings()


def test_what_is_not_named_keeps_its_default(read: Read) -> None:
    settings = read("[photo]\nmax_bytes = 5\n")
    assert settings.photo == PhotoSettings(max_bytes=5)
    assert settings == dataclasses.replace(Settings(), photo=settings.photo)


@pytest.mark.parametrize("name", FIELDS)
def test_a_default_is_a_value_that_the_file_may_give(read: Read, name: str) -> None:
    assert read(line(name, FIELDS[name].default)) == Settings()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("photo.max_bytes", "123", 123),
        ("detector.scale_factor", "0.5", 0.5),
        ("detector.scale_factor", ".5", 0.5),
        ("fetch.timeout", "7", 7.0),
        ("fetch.enabled", "no", False),
        ("fetch.enabled", "Off", False),
        ("fetch.enabled", "true", True),
        ("scorer.model", "other-2", "other-2"),
        ("scorer.model", "100%", "100%"),
        ("engine.engine", "torch", "torch"),
        ("engine.models_dir", "/srv/some models", Path("/srv/some models")),
        ("detector.thresholds", "0.1,0.2 , 0.3", (0.1, 0.2, 0.3)),
        ("scorer.also", "a, b,c", ("a", "b", "c")),
        ("scorer.also", "", ()),
        ("fetch.ports", "8080", (8080,)),
    ],
)
def test_reads_each_type(read: Read, name: str, text: str, value: Any) -> None:
    section, key = name.split(".")
    found = getattr(getattr(read(f"[{section}]\n{key} = {text}\n"), section), key)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "content",
    [
        "; a comment\n[photo]\n# another\n\n; a third\nmax_bytes = 5\n",
        "[photo]\r\nmax_bytes = 5\r\n",
        "[photo]\nmax_bytes=5",
        "[photo]\nMax_Bytes = 5\n",
    ],
    ids=["comments", "CRLF", "no newline at the end", "capitals"],
)
def test_reads_what_people_write(read: Read, content: str) -> None:
    assert read(content).photo.max_bytes == 5


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("[foto]\nmax_bytes = 5\n", "[foto]"),
        ("[PHOTO]\nmax_bytes = 5\n", "[PHOTO]"),
        ("[photo]\nmax_byte = 5\n", "max_byte"),
        ("[photo]\nthreads = 1\n", "threads"),
    ],
)
def test_what_there_is_not_is_refused_by_name(read: Read, content: str, named: str) -> None:
    with pytest.raises(SettingsError, match="photo") as caught:
        read(content)
    assert named in str(caught.value)


@pytest.mark.parametrize("content", ["", "[photo]\n"])
def test_a_default_section_which_no_table_has_is_refused(read: Read, content: str) -> None:
    with pytest.raises(SettingsError, match="DEFAULT"):
        read(f"[DEFAULT]\nmax_bytes = 5\n{content}")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("photo.max_bytes", ""),
        ("photo.max_bytes", "many"),
        ("photo.max_bytes", "5.0"),
        ("photo.max_bytes", "5 ; five"),
        ("photo.max_bytes", "5\n  6"),
        ("detector.scale_factor", "half"),
        ("detector.scale_factor", "nan"),
        ("detector.scale_factor", "inf"),
        ("fetch.enabled", "maybe"),
        ("fetch.enabled", ""),
        ("fetch.enabled", "2"),
        ("engine.engine", "Onnx"),
        ("engine.device", "gpu"),
        ("detector.thresholds", ""),
        ("detector.thresholds", "0.6, 0.7"),
        ("detector.thresholds", "0.6, 0.7, 0.7, 0.8"),
        ("detector.thresholds", "0.6, 0.7, high"),
        ("detector.thresholds", "0.6, 0.7, 1.5"),
        ("fetch.ports", "80, http"),
        ("fetch.ports", "80, 65536"),
        ("fetch.allowed_networks", "10.0.0.0/8, home"),
    ],
)
def test_a_bad_value_is_refused_by_the_settings_name(read: Read, name: str, text: str) -> None:
    section, key = name.split(".")
    with pytest.raises(SettingsError) as caught:
        read(f"[{section}]\n{key} = {text}\n")
    assert f"[{section}] {key}" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("engine.engine", "tf", "native, onnx, torch"),
        ("photo.working_side", 0, "at least "),
        ("photo.working_side", 1_000_000, "at most "),
        ("detector.thresholds", (0.6,), "3 values"),
        ("fetch.enabled", "perhaps", "yes or no"),
    ],
)
def test_a_refusal_says_what_would_do(read: Read, name: str, value: Any, hint: str) -> None:
    with pytest.raises(SettingsError, match=hint):
        read(line(name, value))


@pytest.mark.parametrize(("name", "end", "limit"), LIMITS)
def test_a_range_includes_its_ends_and_no_more(
    read: Read, name: str, end: str, limit: float
) -> None:
    default = FIELDS[name].default
    first = default[0] if isinstance(default, tuple) else default
    outwards = -1 if end == "low" else 1
    beyond = limit + outwards if type(first) is int else math.nextafter(limit, outwards * math.inf)
    read(line(name, limit))
    with pytest.raises(SettingsError, match=name.split(".")[1]):
        read(line(name, beyond))


@pytest.mark.parametrize(
    "content",
    [
        "[photo]\nmax_bytes = 5\nmax_bytes = 5\n",
        "[photo]\nmax_bytes = 5\nMAX_BYTES = 6\n",
        "[photo]\n[engine]\n[photo]\n",
        "[photo]\nmax_bytes\n",
        "[photo\nmax_bytes = 5\n",
        "max_bytes = 5\n",
        "\ufeff[photo]\nmax_bytes = 5\n",
        bytes(range(256)),
        "[photo]\nmax_bytes = 5\n".encode("utf-16"),
        b"\0" * 64,
    ],
    ids=[
        "key twice", "key twice in another case", "section twice", "no value", "open bracket",
        "no section", "byte order mark", "every byte", "UTF-16", "zeros",
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_parsed_is_refused_by_name(read: Read, content: str | bytes) -> None:
    with pytest.raises(SettingsError, match=r"some\.ini"):
        read(content)


@pytest.mark.parametrize("name", ["missing.ini", "."])
def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(SettingsError) as caught:
        load(path, Settings)
    assert str(path) in str(caught.value)


def test_sections_of_others_are_passed_over_when_allowed(read: Read) -> None:
    content = "[photo]\nmax_bytes = 5\n[uwsgi]\nworkers = many\n"
    with pytest.raises(SettingsError, match="uwsgi"):
        read(content, PipelineSettings)
    settings = read(content, PipelineSettings, others=True)
    assert settings == PipelineSettings(photo=PhotoSettings(max_bytes=5))


def test_others_do_not_excuse_a_wrong_key_in_a_section_of_ours(read: Read) -> None:
    with pytest.raises(SettingsError, match="max_byte"):
        read("[photo]\nmax_byte = 5\n", PipelineSettings, others=True)


def test_the_committed_file_loads_for_the_service_and_for_the_pipeline_alone() -> None:
    service = load(INI, Settings)
    pipeline = load(INI, PipelineSettings, others=True)
    for section in dataclasses.fields(PipelineSettings):
        assert getattr(service, section.name) == getattr(pipeline, section.name)


def test_the_committed_file_holds_every_setting_and_no_other() -> None:
    parser = ConfigParser(interpolation=None)
    parser.read(INI, encoding="utf-8")
    keys = [f"{section}.{key}" for section in parser.sections() for key in parser[section]]
    assert sorted(keys) == sorted(FIELDS)


def test_the_committed_file_says_why_above_each_setting() -> None:
    assert dict(commented(INI)) == {name: field.metadata["why"] for name, field in FIELDS.items()}
