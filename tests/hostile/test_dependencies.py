"""What the service is made of that others wrote: known, checked, and not talkative."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest

from pipeline.settings import ROOT
from tests.test_frame import pins

LOCK = ROOT / "requirements.lock"
WITHOUT = "pip-audit and cyclonedx-bom are not installed here"


def needs(module: str) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.skip(WITHOUT)


def test_no_dependency_of_the_service_has_a_known_flaw() -> None:
    """Asks a public database; where that is out of reach, there is nothing to be said."""
    needs("pip_audit")
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(LOCK), "--require-hashes"]
    command += ["--disable-pip", "--format", "json", "--progress-spinner", "off", "--timeout", "5"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        packages = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, json.JSONDecodeError):
        pytest.skip("the database of advisories is out of reach")
    audited = [package for package in packages if "skip_reason" not in package]
    if not audited:
        pytest.skip(f"not audited: {packages[0]['skip_reason']}")
    assert len(audited) == len(packages), "some were not audited"
    assert {p["name"]: p["vulns"] for p in audited if p["vulns"]} == {}


def test_what_is_installed_can_be_listed(tmp_path: Path) -> None:
    needs("cyclonedx_py")
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "sbom.py", tmp_path / "sbom.json"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "sbom.json").read_text())
    assert document["bomFormat"] == "CycloneDX"
    listed = {(part["name"].lower(), part["version"]) for part in document["components"]}
    installed = {(found.name.lower(), found.version) for found in distributions()}
    assert listed >= {pair for pair in installed if pair[0] in pins("requirements.lock")}
    licensed = [part for part in document["components"] if part.get("licenses")]
    assert len(licensed) > 0.8 * len(document["components"])


def test_no_dependency_writes_or_reports_home(tmp_path: Path) -> None:
    """ONNX Runtime 1.31 does both unless it is told not to: a device's id, and who runs what."""
    code = """
from pipeline.predictor import load_predictor
from service.settings import Settings
load_predictor(Settings()).warm_up()
"""
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": "", "XDG_CONFIG_HOME": ""}
    environment: dict[str, Any] = {**os.environ, **home}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True)
    assert [str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*")] == []
