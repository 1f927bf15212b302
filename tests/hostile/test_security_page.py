"""docs/security.md promises nothing that no test shows."""

from __future__ import annotations

import ast
import re

from pipeline.settings import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text()


def test_every_test_named_on_the_page_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
    assert len(named) > 30
    for file, name in named:
        tree = ast.parse((ROOT / file).read_text())
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert name in functions, f"{file}::{name}"


def test_every_threat_in_a_table_names_a_test() -> None:
    rows = re.findall(r"^\|(.+)\|(.+)\|(.+)\|$", PAGE.partition("## How")[2], re.M)
    threats = [row for row in rows if "---" not in row[0] and row[0].strip() != "threat"]
    assert len(threats) > 25
    for threat, _, shown in threats:
        assert "::test_" in shown, threat


def test_every_file_named_on_the_page_exists() -> None:
    for name in re.findall(r"`((?:tests|deploy|docs|scripts)/[\w./]+)(?:::\w+)?`", PAGE):
        assert (ROOT / name).exists(), name
