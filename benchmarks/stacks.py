"""The servers that are compared, and those that cannot be."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.nginx import nginx, nginx_program, uwsgi_ini
from benchmarks.processes import Command
from pipeline.settings import ROOT

OURS, BEHIND_NGINX, USUAL = "AttrAI", "AttrAI behind nginx", "usual stack (Flask on uWSGI)"
PEERS = Path(sys.prefix) / "peers" / "bin" / "python"
UWSGI = Path(sys.executable).with_name("uwsgi")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# None of them is to tell its maker.
QUIET = {"BENTOML_DO_NOT_TRACK": "True", "DO_NOT_TRACK": "1"}

ABSENT = {
    "deepface": "downloads its weights when first used, and serves none that are given to it",
    "InsightFace, InsightFace-REST": "download their weights (or containers that hold them)",
    "UniFace": "downloads its weights when first used",
    "CompreFace": "comes as containers only",
    "Triton, TensorFlow Serving, KServe": "come as containers or need a cluster",
    "Ray Serve": "its replicas listen on every address of the machine; all here keep to loopback",
    "TorchServe": "needs a Java runtime, and is no longer maintained (last release 2024)",
}
"""Who is not in the table, and why."""

Commands = Callable[[int, int, int, Path], Sequence[Command]]
"""From port, a second port, workers and a private folder: what to start."""


@dataclass(frozen=True)
class Stack:
    """A server that answers POST /predict on loopback."""

    name: str
    commands: Commands
    form: bool = True
    """Whether it takes the photo as a form's field; else the body is the photo."""
    needs: str = ""
    """What is missing for it to run here."""


def _ours(port: int, _: int, workers: int, folder: Path) -> Sequence[Command]:
    return [_our_uwsgi(ROOT / "deploy" / "uwsgi.ini", workers, folder, http=f"127.0.0.1:{port}")]


def _ours_behind_nginx(port: int, inner: int, workers: int, folder: Path) -> Sequence[Command]:
    return [_our_uwsgi(uwsgi_ini(folder), workers, folder), nginx(folder, port, inner)]


def _our_uwsgi(ini: Path, workers: int, folder: Path, http: str = "") -> Command:
    environment = {
        "ATTRAI_WORKERS": str(workers),
        "ATTRAI_STATS": f"{folder}/stats",
        "ATTRAI_PYTHON": sys.executable,
        "PROMETHEUS_MULTIPROC_DIR": f"{folder}/metrics",
    }
    if http:
        environment["ATTRAI_HTTP"] = http
    return Command([UWSGI, "--ini", ini], environment)


def _flask(port: int, _: int, workers: int, folder: Path) -> Sequence[Command]:
    options = """--strict --master --lazy-apps --need-app --single-interpreter --enable-threads
        --thunder-lock --die-on-term --disable-logging --listen 100 --buffer-size 65535
        --http-keepalive=30 --http-timeout=120 --http-manage-expect=1"""
    named = ["--http", f"127.0.0.1:{port}", "--workers", str(workers), "--chdir", str(ROOT)]
    module = ["--module", "benchmarks.peers.flask_app:app"]
    return [Command([UWSGI, *options.split(), *named, *module], ONE_THREAD)]


def _peer(*arguments: str, environment: dict[str, str] | None = None) -> Commands:
    """A command line of the peers' Python; {port}, {workers} and {folder} are filled in."""

    def commands(port: int, _: int, workers: int, folder: Path) -> Sequence[Command]:
        def fill(text: str) -> str:
            return text.format(port=port, workers=workers, folder=folder)

        filled = {name: fill(value) for name, value in (environment or {}).items()}
        own = {**ONE_THREAD, **QUIET, **filled, "PYTHONPATH": str(ROOT)}
        return [Command([PEERS, *map(fill, arguments)], own)]

    return commands


def stacks() -> list[Stack]:
    """Ours first, then the usual stack, then its other servers."""
    no_nginx = "" if nginx_program() else "nginx is not installed"
    no_peers = "" if PEERS.exists() else "make bench installs it, this run was started without"
    on_peers = {
        "LitServe": _peer("-m", "benchmarks.peers.litserve_app", "{port}", "{workers}"),
        "BentoML": _peer(
            *("-m", "bentoml", "serve", "benchmarks.peers.bentoml_app:FaceRater"),
            *("--host", "127.0.0.1", "--port", "{port}"),
            environment={"BENCHMARK_WORKERS": "{workers}", "BENTOML_HOME": "{folder}"},
        ),
        "FastAPI on uvicorn": _peer(
            *("-m", "uvicorn", "benchmarks.peers.fastapi_app:app", "--host", "127.0.0.1"),
            *("--port", "{port}", "--workers", "{workers}", "--no-access-log"),
        ),
        "Robyn": _peer(
            *("-m", "benchmarks.peers.robyn_app", "--processes", "{workers}"),
            environment={"ROBYN_PORT": "{port}"},
        ),
        "Mosec": _peer(
            *("-m", "benchmarks.peers.mosec_app", "--address", "127.0.0.1", "--port", "{port}"),
            *("--timeout", "120000"),
            environment={"BENCHMARK_WORKERS": "{workers}"},
        ),
    }
    return [
        Stack(OURS, _ours),
        Stack(BEHIND_NGINX, _ours_behind_nginx, needs=no_nginx),
        Stack(USUAL, _flask),
        *(
            Stack(name, commands, form=name != "Mosec", needs=no_peers)
            for name, commands in on_peers.items()
        ),
    ]
