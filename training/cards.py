"""Writes a model's `card.json`: what it is, and which files belong to it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.ratings import Example


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


def own_words(base: str, learnt: Sequence[Example]) -> dict[str, str]:
    """What a card must say where nobody has said it better, for `GET /models` promises it.

    `learnt` are the examples that the network of that base was trained on.
    """
    counts = Counter((its.source, its.lowest, its.highest) for its in learnt)
    return {
        "title": f"{base} that rates a face from 1 to 10",
        "source": "trained with python -m training",
        "licence": "not named",
        "data": "; ".join(
            f"{source}: {count:,} photos, rated from {lowest:g} to {highest:g}"
            for (source, lowest, highest), count in sorted(counts.items())
        ),
        "not_for": "judging, selecting or ranking people; anything that matters to somebody",
    }


def read_facts(path: Path) -> dict[str, Any]:
    """The words for a card. Raises OSError and ValueError for a file that holds none."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} holds no JSON object: {error}") from error
