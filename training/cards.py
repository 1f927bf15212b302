"""Writes a model's `card.json`: what it is, and which files belong to it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


def write_card(folder: Path, facts: dict[str, Any]) -> None:
    """Write the folder's card: its name, `facts`, and size and sha256 of every other file."""
    files = {
        file.name: {
            "bytes": file.stat().st_size,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        }
        for file in sorted(folder.iterdir())
        if file.name != "card.json" and file.suffix in {".npz", ".onnx", ".pt2", ".safetensors"}
    }
    card = {"name": folder.name, **facts, "files": files}
    (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
