"""Models on disk: one folder each, with a `card.json` that names its files and their sha256."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import onnxruntime

from pipeline.errors import ModelError


@dataclass(frozen=True)
class Model:
    """A folder of `models/`: its name, its card as read, and where its files lie."""

    name: str
    card: dict[str, Any]
    folder: Path

    @classmethod
    def open(cls, folder: Path) -> Model:
        """Read the folder's card. Raises ModelError if there is none or it is malformed."""
        try:
            card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
            if card["name"] != folder.name or not isinstance(card["files"], dict):
                raise ValueError("its name or files do not fit the folder")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"model {folder.name!r} has no usable card: {error}") from error
        return cls(folder.name, card, folder)

    def file(self, role: str) -> str:
        """The name of the file that plays `role`: `served` or `master`."""
        try:
            return str(self.card[role])
        except KeyError as error:
            raise ModelError(f"the card of {self.name!r} names no {role!r} file") from error

    def sha256(self, file: str) -> str:
        """The sha256 that the card gives for `file`."""
        try:
            return str(self.card["files"][file]["sha256"])
        except (KeyError, TypeError) as error:
            raise ModelError(f"the card of {self.name!r} does not list {file!r}") from error

    def read(self, file: str) -> bytes:
        """The bytes of `file`. Raises ModelError unless they are those that the card describes."""
        with self._open(file) as opened:
            data = opened.read()
        self._check(file, hashlib.sha256(data))
        return data

    def path(self, file: str) -> Path:
        """Where `file` lies. Raises ModelError unless it is the one that the card describes.

        For what can read a large file itself: a copy that is needed for a moment only stays with
        the process, as memory that is free and yet not given back.
        """
        with self._open(file) as opened:
            self._check(file, hashlib.file_digest(opened, "sha256"))
        return self.folder / file

    @contextmanager
    def _open(self, file: str) -> Iterator[BufferedReader]:
        self.sha256(file)
        try:
            with (self.folder / file).open("rb") as opened:
                yield opened
        except OSError as error:
            raise ModelError(f"model {self.name!r} lacks {file!r}: {error}") from error

    def _check(self, file: str, found: hashlib._Hash) -> None:
        if found.hexdigest() != self.sha256(file):
            raise ModelError(f"{file!r} of model {self.name!r} is not the file its card describes")


def onnx_session(graph: bytes | Path, threads: int) -> onnxruntime.InferenceSession:
    """A graph, or the file of one, made ready to run on the CPU with that many threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A thread that spins while it waits takes its core from the neighbouring workers.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions share no base class
        raise ModelError(f"ONNX Runtime cannot load the graph: {error}") from error
