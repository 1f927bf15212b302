"""Everything that `attrai.ini` may say: the pipeline's sections and the service's."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pipeline.settings import ROOT, PipelineSettings, load
from service.cors import CorsSettings
from service.fetch import FetchSettings
from service.keyfile import AuthSettings


@dataclass(frozen=True)
class Settings(PipelineSettings):
    """All sections, each a table of its own."""

    fetch: FetchSettings = FetchSettings()
    cors: CorsSettings = CorsSettings()
    auth: AuthSettings = AuthSettings()


def load_settings() -> Settings:
    """Read the file that ATTRAI_CONFIG names, else the `attrai.ini` beside `app.py`.

    Raises SettingsError, whose message names the setting at fault.
    """
    return load(Path(os.environ.get("ATTRAI_CONFIG") or ROOT / "attrai.ini"), Settings)
