"""A throw-away machine: a real systemd as PID 1 over an overlay of this one.

    with Machine() as machine:                          # a tree; nothing runs in it yet
        machine.in_tree("apt-get", "install", ...)      # chroot: this host's network, no systemd
        (machine.root / "etc/x").write_text("...")      # its files, seen from here
        machine.boot()                                  # half a second
        machine.run("systemctl", "is-active", "nginx")  # as root, beside its systemd
        machine.connect(80)                             # a socket to 127.0.0.1:80 inside
        machine.reboot()                                # files stay; /run, /tmp and memory do not

What the tree writes lies in a tmpfs of a mount namespace of its own: the host's files are never
touched, and all of it vanishes with the last process, however the tests end. The booted machine
has its own processes, host name, cgroups and network, with loopback up and nothing else.
Needs root on Linux with systemd, overlay and namespaces: `obstacle()` says what is missing.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from tests.deploy.namespaces import BOOT, HOLD, IN_TREE

CLONE_NEWNET = 0x40000000
POWER_OFF = signal.SIGRTMIN + 4  # to systemd: start poweroff.target
SYSTEMD = Path("/lib/systemd/systemd")


def obstacle() -> str | None:
    """Why no machine can be booted here; None where one can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "booting a machine needs root on Linux"
    tools = ("unshare", "nsenter", "setpriv", "mount", "pivot_root", "ip")
    if missing := [tool for tool in tools if not shutil.which(tool)]:
        return f"booting a machine needs {', '.join(missing)}"
    if not SYSTEMD.exists():
        return f"booting a machine needs {SYSTEMD}"
    if _cgroups() is None:
        return "booting a machine needs cgroup v2"
    probe = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", HOLD],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    return f"no overlay in a namespace: {probe.stderr.strip()}" if probe.returncode else None


def _cgroups() -> Path | None:
    for folder in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")):
        if (folder / "cgroup.controllers").exists():
            return folder
    return None


class Machine:
    """One tree, booted or not. Leaving the `with` ends every process in it and discards it."""

    def __enter__(self) -> Machine:
        hold = ["unshare", "--mount", "--propagation", "private", "sh", "-c", HOLD]
        self._holder = subprocess.Popen(
            hold, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != "held\n":
            raise RuntimeError("cannot mount the machine's tree")
        self._supervisor: subprocess.Popen[bytes] | None = None
        self.pid = 0
        """Of the booted machine's PID 1, as seen from here."""
        self._namespace = Path(f"/proc/{self._holder.pid}/root")
        self.root = self._namespace / "mnt" / "root"
        """Its files. Mind absolute links in it: they lead out, into the host."""
        self._cgroup = _make_cgroup()
        for wants in (self.root / "etc/systemd/system").glob("*.wants"):
            shutil.rmtree(wants)  # none of the host's own services
        getty = self.root / "etc/systemd/system/console-getty.service"
        getty.unlink(missing_ok=True)
        getty.symlink_to("/dev/null")
        (self.root / "etc/machine-id").write_text("")
        (self.root / "var/log/journal").mkdir(exist_ok=True)  # the journal outlives a reboot
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.halt()
        finally:
            assert self._holder.stdin is not None
            assert self._holder.stdout is not None
            self._holder.stdin.close()
            self._holder.stdout.close()
            self._holder.wait(timeout=10)
            _remove_cgroup(self._cgroup)

    def in_tree(
        self, *command: str | Path, check: bool = True, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the tree as if it were a chroot: on the host's network, no systemd."""
        enter = ["nsenter", "--target", str(self._holder.pid), "--mount"]
        unshare = ["unshare", "--mount", "--propagation", "private", "sh", "-c", IN_TREE, "in_tree"]
        return _finish([*enter, *unshare, *map(str, command)], check, timeout)

    def boot(self) -> None:
        """Start systemd, and wait until it has started what is enabled."""
        if self._supervisor is not None:
            raise RuntimeError("the machine is booted already")
        enter = ["nsenter", "--target", str(self._holder.pid), "--mount"]
        join = ["sh", "-c", 'echo $$ >"$0/cgroup.procs"; exec "$@"', str(self._cgroup)]
        unshare = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork"]
        unshare += ["--kill-child", "--uts", "--ipc", "--net", "--cgroup", "sh", "-c", BOOT]
        console = self._namespace / "mnt" / "console"
        with console.open("wb") as out:
            self._supervisor = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *enter, *join, *unshare],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        supervisor = self._supervisor.pid
        children = Path(f"/proc/{supervisor}/task/{supervisor}/children")
        state = ""
        for _ in range(600):
            if self._supervisor.poll() is not None:
                break
            if found := children.read_text().split():
                self.pid = int(found[0])
                state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
            if state in ("running", "degraded"):
                return
            time.sleep(0.1)
        raise RuntimeError(f"the machine does not boot ({state}): {console.read_text()[-4000:]}")

    def halt(self) -> None:
        """Power off, services stopped in order; what hangs is killed."""
        if self._supervisor is None:
            return
        try:
            if self.pid and self._supervisor.poll() is None:
                os.kill(self.pid, POWER_OFF)
                self._supervisor.wait(timeout=60)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self._supervisor.kill()  # takes the whole namespace along
            self._supervisor.wait()
            self._supervisor, self.pid = None, 0

    def reboot(self) -> None:
        """Power off and boot again."""
        self.halt()
        self.boot()

    def command(self, *command: str | Path) -> list[str]:
        """What to start here so that `command` runs inside the booted machine, as root."""
        enter = ["nsenter", "--target", str(self.pid), "--mount", "--pid", "--uts", "--ipc"]
        return [*enter, "--net", "--cgroup", "--root", "--wd", *map(str, command)]

    def run(
        self, *command: str | Path, check: bool = True, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside the booted machine, as root."""
        return _finish(self.command(*command), check, timeout)

    def file(self, path: str) -> Path:
        """A file of the booted machine as it sees it, /run and /tmp included, seen from here."""
        return Path(f"/proc/{self.pid}/root") / path.lstrip("/")

    def connect(
        self, port: int, timeout: float = 60, host: str = "127.0.0.1", source: str = ""
    ) -> socket.socket:
        """A TCP connection to a server inside the booted machine; its waits end after `timeout` s.

        `source` is the client's address: any of 127.0.0.0/8, so that clients can be several.
        """
        return self._inside(lambda: socket.create_connection((host, port), timeout, (source, 0)))

    def listen(self, port: int) -> socket.socket:
        """A socket that listens at 127.0.0.1:`port` inside the booted machine."""
        return self._inside(lambda: socket.create_server(("127.0.0.1", port)))

    def _inside(self, make: Callable[[], socket.socket]) -> socket.socket:
        found: list[socket.socket | OSError] = []

        def enter() -> None:
            # A thread has a network of its own; the socket stays in it when the thread is gone.
            try:
                with Path(f"/proc/{self.pid}/ns/net").open() as network:
                    if ctypes.CDLL(None, use_errno=True).setns(network.fileno(), CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), "setns")
                found.append(make())
            except OSError as error:
                found.append(error)

        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if isinstance(found[0], OSError):
            raise found[0]
        return found[0]


def _finish(command: list[str], check: bool, timeout: float) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
    )
    if check and done.returncode:
        raise AssertionError(f"{command[-8:]}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def _make_cgroup() -> Path:
    parent = _cgroups()
    assert parent is not None
    for left in parent.glob("attrai-machine-*"):
        if not Path("/proc", left.name.rpartition("-")[2]).exists():
            _remove_cgroup(left)  # of tests that were killed
    cgroup = parent / f"attrai-machine-{time.monotonic_ns()}-{os.getpid()}"
    cgroup.mkdir()
    return cgroup


def _remove_cgroup(cgroup: Path) -> None:
    """Remove the folder of a cgroup, deepest first, when the last of its processes has gone."""
    for _ in range(50):
        try:
            for folder in sorted((f for f in cgroup.rglob("*") if f.is_dir()), reverse=True):
                folder.rmdir()
            cgroup.rmdir()
            return
        except OSError:
            time.sleep(0.1)
