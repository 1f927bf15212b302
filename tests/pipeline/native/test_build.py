"""Building the kernel, doing without it, and what the sanitizers say of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.detector import fastest_detector
from pipeline.models import Model
from pipeline.native import build, library
from pipeline.settings import ROOT, DetectorSettings
from pipeline.types import Pixels

MODEL = Model.open(ROOT / "models" / "mtcnn")
HOLD = Path(__file__).with_name("hold.py")


@pytest.fixture
def compiler() -> str:
    found = shutil.which("cc")
    if found is None:
        pytest.skip("no C compiler here")
    return found


def held(path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(HOLD), str(path)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def test_it_compiles_without_a_warning(compiler: str, tmp_path: Path) -> None:
    build.build(tmp_path / "kernel.so", ["-Werror", "-O1"])
    assert [path.name for path in tmp_path.iterdir()] == ["kernel.so"]
    answered = held(tmp_path / "kernel.so")
    assert answered.returncode == 0, answered.stderr
    assert int(answered.stdout) > 1000


def test_address_and_undefined_behaviour_sanitizers_find_nothing(
    compiler: str, tmp_path: Path
) -> None:
    runtime = subprocess.run(
        [compiler, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if not Path(runtime).is_absolute():
        pytest.skip("this compiler has no AddressSanitizer")
    build.build(
        tmp_path / "kernel.so",
        ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
    )
    # Python's own allocations live as long as it does.
    answered = held(tmp_path / "kernel.so", LD_PRELOAD=runtime, ASAN_OPTIONS="detect_leaks=0")
    assert answered.returncode == 0, answered.stderr[-3000:]
    assert int(answered.stdout) > 1000


def test_without_the_kernel_onnx_runtime_finds_the_faces_and_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, astronaut: Pixels
) -> None:
    missing = Path("there is none.so")
    opened = library.open_library
    monkeypatch.setattr(library, "open_library", lambda: opened(missing))
    detector = fastest_detector(MODEL, DetectorSettings(), threads=1)
    assert detector.engine == "onnx"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "without the native kernel: it was not built" in caplog.text
    assert len(detector.detect(astronaut)) == 1


def test_a_kernel_of_other_sources_is_not_used(
    compiler: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as changed:
        changed.setattr(build, "sources_sha256", lambda: "0" * 64)
        build.build(tmp_path / "kernel.so", ["-O0"])
    with pytest.raises(library.KernelMissing, match="from other sources"):
        library.open_library(tmp_path / "kernel.so")


def test_a_machine_without_a_compiler_is_told_in_one_line(tmp_path: Path) -> None:
    before = library.LIBRARY.stat().st_mtime_ns if library.LIBRARY.exists() else None
    answered = subprocess.run(
        [sys.executable, "-m", "pipeline.native.build"],
        cwd=ROOT, env={**os.environ, "CC": str(tmp_path / "cc")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answered.returncode == 1
    assert answered.stderr.count("\n") == 1
    assert "ONNX Runtime will do its work" in answered.stderr
    after = library.LIBRARY.stat().st_mtime_ns if library.LIBRARY.exists() else None
    assert after == before
