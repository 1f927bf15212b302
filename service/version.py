"""Which AttrAI this is."""

from __future__ import annotations

import tomllib

from pipeline.settings import ROOT


def read_version() -> str:
    """The version that `pyproject.toml` gives the project."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return str(document["project"]["version"])
