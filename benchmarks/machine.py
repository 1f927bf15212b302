"""Where and of what a benchmark was run."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pipeline.settings import ROOT

PACKAGES = ("numpy", "opencv-python-headless", "onnxruntime", "pillow", "simplejpeg", "torch",
            "torchvision", "facenet-pytorch", "flask", "pyuwsgi")  # fmt: skip
PEERS = ("litserve", "bentoml", "fastapi", "uvicorn", "robyn", "mosec")


def cores() -> int:
    """That this process may run on."""
    return len(os.sched_getaffinity(0))


def describe(peers: Path) -> dict[str, str]:
    """Machine, versions, date and revision, in words; `peers` is the peers' Python."""
    now = datetime.now(UTC)
    return {
        "date": f"{now:%Y-%m-%d %H:%M} UTC",
        "revision": _revision(),
        "machine": f"{_processor()}, cores: {cores()}, load before: {os.getloadavg()[0]:.1f}",
        "system": f"{platform.system()}, Python {platform.python_version()}",
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
        "peers": _peers(peers),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _revision() -> str:
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no")
        return git("rev-parse", "--short=12", "HEAD") + (", with changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _peers(python: Path) -> str:
    found = []
    for name in PEERS:
        try:
            found.append(f"{name} {_version_at(python, name)}")
        except (OSError, subprocess.CalledProcessError, PackageNotFoundError):
            continue
    return ", ".join(found) or "none installed"


def _version_at(python: Path, package: str) -> str:
    code = f"from importlib.metadata import version; print(version('{package}'))"
    command = [str(python), "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
