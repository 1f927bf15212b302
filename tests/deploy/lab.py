"""A machine to install on, and what an installer may have left in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.client import Client
from tests.deploy.machine import Machine
from tests.deploy.provision import CHECKOUT, main_pid

# What the kept settings are, what a running system or Debian's package manager writes by itself.
BY_ITSELF = re.compile(
    r"/(etc/(attrai|mtab)|var/(cache|tmp|log/journal|lib/(apt|dpkg|nginx|private|systemd)))(/|$)"
)


@dataclass(frozen=True)
class Lab:
    """A machine with a checkout and the Python packages in it."""

    machine: Machine
    face: bytes

    def run(self, *command: str, status: int = 0) -> str:
        """What a command prints, in the booted machine or else in its tree."""
        run = self.machine.run if self.machine.pid else self.machine.in_tree
        done = run(*command, check=False, timeout=900)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def install(self, *options: str, status: int = 0, within: tuple[str, ...] = ()) -> str:
        """What the checkout's install.sh prints, started by the command `within`."""
        return self.run(*within, f"/{CHECKOUT}/deploy/install.sh", *options, status=status)

    def uninstall(self, *options: str) -> str:
        return self.run(f"/{CHECKOUT}/deploy/uninstall.sh", *options)

    @property
    def checkout(self) -> Path:
        return self.machine.root / CHECKOUT

    @property
    def settings(self) -> Path:
        return self.machine.root / "etc/attrai/attrai.ini"

    def release(self) -> str:
        """The release that is linked, which must be the one that runs."""
        linked = (self.machine.root / "opt/attrai/current").readlink()
        runs = self.run("readlink", f"/proc/{main_pid(self.machine)}/cwd").strip()
        assert runs == str(linked)
        return linked.name

    def releases(self) -> set[str]:
        return {path.name for path in (self.machine.root / "opt/attrai/releases").iterdir()}

    def serves(self, port: int = 80) -> bool:
        """Whether a photo gets through nginx and back."""
        answer = Client(self.machine, port=port).ask("/predict", self.face)
        return answer.status == 200 and len(answer.document["faces"]) == 1

    def listing(self) -> set[str]:
        """Every file and folder that an installer might leave something in."""
        folders = ["/etc", "/opt", "/usr/bin", "/usr/sbin", "/usr/local", "/var"]
        shown = ("-maxdepth", "5", "-printf", r"%p %l\n")
        found = self.run("find", *folders, "-xdev", *shown).splitlines()
        return {line for line in found if not BY_ITSELF.match(line.split(" ")[0])}

    def stamps(self) -> list[str]:
        """When each file of the service was last written, and whose it is."""
        folders = ("/opt/attrai", "/etc/attrai", "/etc/nginx", "/etc/systemd")
        shown = ("!", "-type", "d", "-printf", r"%p %l %T@ %m %u\n")
        return sorted(self.run("find", *folders, *shown).splitlines())
