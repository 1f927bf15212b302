"""The frame around the code says what is so: locks, conda environment, settings table, layout."""

from __future__ import annotations

import ast
import dataclasses
import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml

from pipeline.models import Model
from pipeline.settings import ROOT
from service.settings import Settings
from training.metrics import SCUT_STEP

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
README = (ROOT / "README.md").read_text()


def pins(lock: str) -> dict[str, set[str]]:
    """Each package of a lock with the versions that it pins, one a platform or Python."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / lock).read_text(), re.M):
        found.setdefault(name, set()).add(version)
    return found


def names(requirements: list[str]) -> set[str]:
    found = {re.split(r"[^\w-]", requirement)[0].lower() for requirement in requirements}
    return found - {"attrai"}


def test_the_locks_hold_every_direct_dependency_and_agree() -> None:
    serving, everything = pins("requirements.lock"), pins("requirements-dev.lock")
    extras = PROJECT["optional-dependencies"]
    assert names(PROJECT["dependencies"]) <= set(serving)
    assert names([name for extra in extras.values() for name in extra]) <= set(everything)
    assert {name: everything[name] for name in serving} == serving


def test_serving_needs_no_torch() -> None:
    assert not {"torch", "torchvision", "facenet-pytorch"} & set(pins("requirements.lock"))


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_every_pin_has_hashes_and_no_host(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    for block in re.split(r"\n(?=\S)", text.strip()):
        assert "--hash=sha256:" in block, block


def test_the_conda_environment_is_the_locks() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    (packages,) = (entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    locked = pins("requirements-dev.lock")
    pinned = dict(package.split("==") for package in packages)
    for name, version in pinned.items():
        assert version in locked[name], name
    extras = PROJECT["optional-dependencies"]
    needed = names(PROJECT["dependencies"] + extras["torch"] + extras["training"])
    assert set(pinned) == needed


def table_rows() -> list[tuple[str, str, str, str]]:
    rows = []
    for section, table in get_type_hints(Settings).items():
        for field in dataclasses.fields(table):
            default: Any = field.default
            text = ", ".join(map(str, default)) if isinstance(default, tuple) else str(default)
            text = {"True": "yes", "False": "no"}.get(text, text)
            cell = f"`{text}`" if text else "none"
            rows.append((f"`[{section}]`", f"`{field.name}`", cell, field.metadata["why"]))
    return rows


def test_the_readme_documents_every_setting() -> None:
    table = re.findall(r"^\| (`\[\w+\]`) \| (`\w+`) \| (.+) \| (.+) \|$", README, re.M)
    assert table == table_rows()


def test_the_readme_names_only_files_that_exist() -> None:
    for link in re.findall(r"\]\((?!https?://)([^)#]+)\)", README):
        assert (ROOT / link).exists(), link
    for name in re.findall(r"`((?:\w+/)+[\w.]*|\w+\.(?:py|ini|yml|lock))`", README):
        assert name in {"ratings.csv", "images/", ".venv/"} or (ROOT / name).exists(), name


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize(
    ("folder", "strangers"),
    [
        ("pipeline", {"flask", "werkzeug", "service", "training", "app"}),
        ("service", {"numpy", "cv2", "onnxruntime", "torch", "PIL", "training", "app"}),
        ("training", {"service", "flask", "app"}),
    ],
)
def test_data_flows_one_way(folder: str, strangers: set[str]) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    for path in files:
        assert not imports(path) & strangers, path


def test_the_shell_scripts_parse() -> None:
    deployment = sorted((ROOT / "deploy").rglob("*.sh"))
    assert deployment
    for script in (ROOT / "scripts" / "load_test.sh", ROOT / ".ci" / "run", *deployment):
        subprocess.run(["bash", "-n", script], check=True)


def test_make_help_lists_the_targets() -> None:
    listed = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    for target in ("run", "test", "lint", "train", "folds", "help"):
        assert re.search(rf"^{target}\s+\S", listed, re.M)


def test_the_readme_gives_the_figures_of_the_default_scorers_card() -> None:
    card = Model.open(ROOT / "models" / Settings().scorer.model).card
    protocols = [card["figures"][protocol]["scut-fbp5500"] for protocol in ("split", "folds")]
    words = " ".join(README.split())
    for its in protocols:
        assert "PC {pc:.3f}, MAE {mae:.3f} and RMSE {rmse:.3f}".format(**its["served"]) in words
    served, drift = protocols[0]["served"], protocols[0]["drift"]["mean_of_a_point"]
    assert f"{served['mae'] / SCUT_STEP:.1f} points" in words
    assert f"{drift:.3f} of a point" in words


def test_the_default_scorers_card_says_what_its_facts_say() -> None:
    card = Model.open(ROOT / "models" / Settings().scorer.model).card
    facts = json.loads((ROOT / "training" / "facts" / f"{card['name']}.json").read_text())
    assert {name: card[name] for name in facts} == facts
