"""The unit under a real systemd: start, stop, reload, restart, reboot, and what its sandbox is."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.settings import ROOT
from tests.conftest import SCORER
from tests.deploy.client import Answer, Client, Load
from tests.deploy.machine import Machine
from tests.deploy.provision import cursor, journal, main_pid, stats, until

CONFIG = "etc/attrai/attrai.ini"
Figure = Callable[[str, str], None]


def state(machine: Machine, *names: str) -> list[str]:
    command = ["systemctl", "show", "attrai", "--value"]
    return [machine.run(*command, "--property", name).stdout.strip() for name in names]


def test_it_is_enabled_and_serves_after_boot(
    machine: Machine, client: Client, photo: bytes
) -> None:
    assert state(machine, "UnitFileState", "ActiveState") == ["enabled", "active"]
    assert "the server rates a face: 1 found" in journal(machine)
    assert len(client.ask("/predict", photo).document["faces"]) == 1


def test_systemd_finds_nothing_to_complain_of(machine: Machine) -> None:
    done = machine.run("systemd-analyze", "verify", "--man=no", "attrai.service", check=False)
    assert done.stderr == ""


def test_the_sandbox_is_tight(machine: Machine, figure: Figure) -> None:
    said = machine.run("systemd-analyze", "security", "--no-pager", "attrai").stdout
    exposure = said.splitlines()[-1].split(":")[1].split()[0]
    figure("systemd-analyze security (1.5 or less)", exposure)
    assert float(exposure) <= 1.5


def test_the_service_can_write_to_nothing_but_memory(machine: Machine) -> None:
    pid = main_pid(machine)
    mounts = machine.run("cat", f"/proc/{pid}/mounts").stdout
    types = {line.split()[1]: (line.split()[2], line.split()[3]) for line in mounts.splitlines()}
    writable = {path for path, (_, options) in types.items() if "rw" in options.split(",")}
    on_disk = {path for path in writable if types[path][0] in ("overlay", "ext4", "xfs", "btrfs")}
    assert on_disk == set()
    limits = machine.run("cat", f"/proc/{pid}/limits").stdout
    assert [line.split()[4:6] for line in limits.splitlines() if "core file" in line] == [
        ["0", "0"]
    ]


def test_each_request_has_its_line_in_the_journal(machine: Machine, client: Client) -> None:
    client.ask("/models", headers={"X-Request-ID": "journal.1"})
    until(lambda: "journal.1" in journal(machine))
    (line,) = [line for line in journal(machine).splitlines() if "journal.1" in line]
    assert json.loads(line)["status"] == 200


def test_uwsgitop_finds_the_workers(machine: Machine) -> None:
    document = stats(machine)
    assert document["version"].startswith("2.0.")
    assert any(worker["status"] == "idle" for worker in document["workers"])
    top = "/opt/attrai/current/venv/bin/uwsgitop"
    screen = machine.run(
        "sh", "-c", f"TERM=xterm timeout 3 script -qc '{top} /run/attrai/stats.sock' /dev/null || :"
    ).stdout
    assert "WID" in screen
    assert "uwsgi-2.0" in screen


def test_it_comes_back_with_a_reboot(machine: Machine, client: Client, face: bytes) -> None:
    machine.reboot()
    machine.run("ip", "address", "add", "192.0.2.1/32", "dev", "lo")
    assert state(machine, "ActiveState") == ["active"]
    assert client.ask("/predict", face).status == 200


def test_a_restart_is_short_and_says_so(
    machine: Machine, client: Client, face: bytes, figure: Figure
) -> None:
    pid = main_pid(machine)

    def ask(_: int) -> Answer:
        time.sleep(0.05)
        return client.ask("/predict", face)

    with Load(ask, clients=2) as load:
        load.wait_for(4)
        machine.run("systemctl", "restart", "attrai")
        load.wait_for(4)
    assert main_pid(machine) != pid
    refused = [answer for answer in load.answers if answer.status != 200]
    assert {answer.status for answer in refused} <= {503}
    assert all(answer.headers["Retry-After"] == "2" for answer in refused)
    names = ("ActiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic")
    stopped, started = map(int, state(machine, *names))
    figure("systemctl restart, all of it", f"{(started - stopped) / 1e6:.1f} s, 503 meanwhile")


def test_a_start_that_cannot_serve_fails(machine: Machine) -> None:
    config = machine.root / CONFIG
    before = config.read_text()
    try:
        config.write_text("[scorer]\nmodel = nobody\n")
        started = machine.run("systemctl", "restart", "attrai", check=False)
        assert started.returncode != 0
        assert "nobody" in journal(machine)
    finally:
        config.write_text(before)
        machine.run("systemctl", "stop", "attrai")
        machine.run("systemctl", "reset-failed", "attrai", check=False)
        machine.run("systemctl", "start", "attrai")


BREAKAGES = {
    "code": ("service/application.py", "raise RuntimeError('this release is broken')\n"),
    "model": (f"models/{SCORER}/int8.onnx", "no model"),
    "uwsgi.ini": ("deploy/uwsgi.ini", "[uwsgi]\nstrict = true\nno-such-option = 1\n"),
    "attrai.ini": (f"/{CONFIG}", "[photo]\nmax_byte = 5\n"),
}


@pytest.mark.parametrize("what", BREAKAGES)
def test_a_reload_of_what_is_broken_is_refused(
    machine: Machine, client: Client, face: bytes, what: str
) -> None:
    name, text = BREAKAGES[what]
    release = machine.run("readlink", "-f", "/opt/attrai/current").stdout.strip()
    file = machine.root / (name.lstrip("/") if name.startswith("/") else f"{release[1:]}/{name}")
    before = file.read_bytes()
    pid, started = main_pid(machine), spawned(machine)
    file.write_text(text)
    try:
        assert machine.run("systemctl", "reload", "attrai", check=False).returncode != 0
        chain = machine.run(f"{release}/deploy/chain_reload.sh", check=False)
        assert chain.returncode != 0
        assert "check failed" in chain.stderr
        assert client.ask("/predict", face).status == 200
        assert (main_pid(machine), spawned(machine)) == (pid, started)
        assert state(machine, "ActiveState") == ["active"]
    finally:
        file.write_bytes(before)
    machine.run("systemctl", "reload", "attrai")
    assert client.ask("/predict", face).status == 200
    # It goes on for a moment; what comes next must not take the change for its own.
    until(lambda: spawned(machine) > started)


def spawned(machine: Machine) -> int:
    """When the first worker was, in seconds; 0 while the master has none to tell of."""
    try:
        return int(stats(machine)["workers"][0]["last_spawn"])
    except (OSError, ValueError):
        return 0


def test_a_killed_master_comes_back(
    machine: Machine, client: Client, face: bytes, figure: Figure
) -> None:
    pid, mark = main_pid(machine), cursor(machine)
    machine.run("systemctl", "kill", "--signal", "KILL", "--kill-whom", "main", "attrai")
    seconds = until(lambda: main_pid(machine) != pid and client.ask("/predict", face).status == 200)
    figure("SIGKILL of the master, until a face is rated (3 s)", f"{seconds:.1f} s")
    lines = journal(machine, "--after-cursor", mark)
    assert "code=killed, status=9/KILL" in lines
    assert "Scheduled restart job" in lines
    until(lambda: state(machine, "ActiveState") == ["active"])


def test_when_systemd_gives_up_is_as_the_docs_say(machine: Machine) -> None:
    burst, interval = state(machine, "StartLimitBurst", "StartLimitIntervalUSec")
    assert interval == "1min"
    said = (ROOT / "docs" / "operations.md").read_text()
    assert f"systemd starts it again; {burst} times in a minute, then it gives up" in said


def test_the_tests_leave_nothing_behind_when_they_are_killed(tmp_path: Path) -> None:
    code = (
        "from tests.deploy.machine import Machine; import os, signal\n"
        "with Machine() as machine:\n"
        "    machine.boot(); print(machine.pid, machine._holder.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    pids = killed.stdout.split()
    assert len(pids) == 2, killed.stderr
    until(lambda: not any(Path("/proc", pid).exists() for pid in pids))
