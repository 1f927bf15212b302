"""AttrAI on a throw-away machine, by its own installer, and what tests look at inside."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.settings import ROOT
from tests.deploy.machine import Machine

CHECKOUT = "root/checkout"
WHEELS = "root/wheels"
UNIT = "attrai"


def copy_checkout(machine: Machine) -> Path:
    """This repository's files in the machine's tree, but what only developers need."""
    checkout = machine.root / CHECKOUT
    checkout.mkdir(parents=True)
    for item in ROOT.iterdir():
        if item.name.startswith(".") or item.name in ("benchmarks", "runs", "tests", "training"):
            continue
        if item.is_dir():
            no_caches = shutil.ignore_patterns("__pycache__")
            shutil.copytree(item, checkout / item.name, symlinks=True, ignore=no_caches)
        else:
            shutil.copy2(item, checkout / item.name)
    return checkout


def copy_wheels(machine: Machine) -> None:
    """The Python packages in the machine's tree; downloaded once for each lock, kept in .venv."""
    lock = (ROOT / "requirements.lock").read_bytes()
    version = machine.in_tree("/usr/bin/python3", "--version").stdout.split()[-1]
    kept = Path(sys.prefix) / "wheels" / f"{version}-{hashlib.sha256(lock).hexdigest()[:12]}"
    if not kept.is_dir():
        machine.in_tree("/usr/bin/python3", "-m", "venv", "/root/pip")
        download = ["/root/pip/bin/pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        lock_file = f"/{CHECKOUT}/requirements.lock"
        machine.in_tree(*download, "-r", lock_file, "-d", f"/{WHEELS}", timeout=600)
        shutil.copytree(machine.root / WHEELS, kept.with_suffix(".part"), dirs_exist_ok=True)
        kept.with_suffix(".part").rename(kept)
    else:
        shutil.copytree(kept, machine.root / WHEELS)


def install(machine: Machine) -> None:
    """Install AttrAI in a tree that is not booted: nginx, release, unit, all enabled."""
    copy_checkout(machine)
    copy_wheels(machine)
    installer = f"/{CHECKOUT}/deploy/install.sh"
    machine.in_tree(installer, "--no-start", "--wheels", f"/{WHEELS}", timeout=600)


def stats(machine: Machine) -> dict[str, Any]:
    """What uWSGI tells uwsgitop."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(machine.file("/run/attrai/stats.sock")))
        document = b"".join(iter(lambda: connection.recv(65536), b""))
    found: dict[str, Any] = json.loads(document)
    return found


def workers(machine: Machine) -> list[dict[str, Any]]:
    """The workers that there are, cheap ones left out."""
    return [worker for worker in stats(machine)["workers"] if worker["status"] != "cheap"]


def bounds(machine: Machine) -> tuple[int, int]:
    """Requests in flight that the installed site lets through: of all clients, and of one."""
    site = machine.file("/etc/nginx/sites-available/attrai").read_text()
    (whole,) = re.findall(r"upstream attrai \{[^}]* max_conns=(\d+)", site)
    (share,) = re.findall(r"limit_conn attrai_in_flight (\d+)", site)
    return int(whole), int(share)


def main_pid(machine: Machine) -> str:
    """uWSGI's master, as the machine numbers it."""
    return machine.run("systemctl", "show", UNIT, "-p", "MainPID", "--value").stdout.strip()


def journal(machine: Machine, *arguments: str) -> str:
    """The unit's lines."""
    command = ["journalctl", "--unit", UNIT, "--no-pager", "--output", "cat", *arguments]
    return machine.run(*command).stdout


def cursor(machine: Machine) -> str:
    """Where the journal ends now, for `--after-cursor`."""
    last = machine.run("journalctl", "--no-pager", "--lines", "1", "--output", "json").stdout
    return str(json.loads(last)["__CURSOR"])


def until(true: Callable[[], object], seconds: float = 60) -> float:
    """Wait until something is so; how many seconds it took. Raises AssertionError."""
    start = time.monotonic()
    while not true():
        assert time.monotonic() - start < seconds, f"not so within {seconds:g} s"
        time.sleep(0.05)
    return time.monotonic() - start
