"""`install.sh` run again on a machine that serves, and finds what an administrator left there."""

from __future__ import annotations

import pytest

from tests.deploy.lab import Lab
from tests.deploy.machine import Machine


@pytest.fixture
def lab(machine: Machine, face: bytes) -> Lab:
    return Lab(machine, face)


def test_what_only_the_service_may_read_is_read_as_the_service(lab: Lab) -> None:
    shipped = lab.settings.read_text()
    lab.run("install", "-m", "640", "-g", "www-data", "/dev/null", "/etc/attrai/keys")
    lab.settings.write_text("[auth]\nkeys_file = /etc/attrai/keys\n")
    try:
        said = lab.install()
    finally:
        lab.settings.write_text(shipped)
        lab.run("rm", "/etc/attrai/keys")
    assert said.endswith("serves on port 80\n")


def test_where_and_how_the_caller_stands_is_nothing_to_it(lab: Lab) -> None:
    module = lab.machine.root / "root/ensurepip.py"
    module.write_text("print('a module of the folder where the caller is')\n")
    said = lab.run("sh", "-c", "cd /root; CDPATH=. checkout/deploy/install.sh --dry-run")
    module.unlink()
    assert said.startswith("would be ")
    assert "a module" not in said
