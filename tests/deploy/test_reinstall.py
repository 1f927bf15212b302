"""`install.sh` run again on a machine that serves, and finds what an administrator left there."""

from __future__ import annotations

import subprocess

import pytest

from tests.deploy.lab import Lab
from tests.deploy.machine import Machine
from tests.deploy.provision import until

INSTALLED = "/opt/attrai/current/deploy/install.sh"
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
SMALL_DISK = (
    "unshare",
    "--mount",
    "sh",
    "-c",
    'mount -t tmpfs -o size=900m t /opt; exec "$@"',
    "sh",
)

# A package is missing, and who is to install it kills the installer.
KILLED = (
    "setsid", "--wait", "unshare", "--mount", "sh", "-c",
    "printf '#!/bin/sh\nkill -KILL 0\n' >/run/apt-get; chmod 755 /run/apt-get;"
    "mount --bind /run/apt-get /usr/bin/apt-get; echo raise ImportError >/run/none;"
    'mount --bind /run/none /usr/lib/python3.*/ensurepip/__init__.py; exec "$@"', "sh",
)  # fmt: skip


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


def test_a_dry_run_beside_a_running_server_needs_no_root(lab: Lab) -> None:
    said = lab.run(*NOBODY, INSTALLED, "--dry-run")
    assert "port 80 is taken; only root can see whether by nginx" in said
    assert said.endswith("nothing was changed\n")


def test_a_dry_run_needs_no_python(lab: Lab) -> None:
    python = lab.machine.root / "usr/bin/python3"
    python.rename(python.with_suffix(".away"))
    try:
        said = lab.install("--dry-run")
    finally:
        python.with_suffix(".away").rename(python)
    assert said.startswith("would be installing the Debian packages python3 python3-venv")


def test_a_rollback_needs_no_room(lab: Lab) -> None:
    assert "MB free, 1000 are needed" in lab.install(within=SMALL_DISK, status=1)
    assert "no release older" in lab.install("--rollback", within=SMALL_DISK, status=1)


def test_what_a_run_that_was_killed_left_to_debian_is_removed(lab: Lab) -> None:
    policy = lab.machine.file("/usr/sbin/policy-rc.d")
    lab.run("rm", "--force", "/usr/sbin/policy-rc.d")
    lab.machine.run(*KILLED, INSTALLED, check=False)
    assert policy.exists()
    lab.install()
    assert not policy.exists()


def test_a_port_that_another_program_has_is_refused(lab: Lab) -> None:
    listen = "import socket; s = socket.create_server(('', 8081)); print(flush=True); input()"
    command = lab.machine.command("/usr/bin/python3", "-c", listen)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as other:
        assert other.stdout is not None
        other.stdout.readline()
        said = lab.install("--port", "8081", status=1)
        other.communicate(b"\n")
    assert "port 8081 is taken by python3" in said
    assert lab.serves()


def test_its_folder_may_be_a_link_to_a_larger_disk(lab: Lab) -> None:
    lab.run("mv", "/opt/attrai", "/srv/attrai")
    lab.run("ln", "--symbolic", "/srv/attrai", "/opt/attrai")
    try:
        assert lab.install().endswith("serves on port 80\n")
        assert "removing /srv/attrai" in lab.uninstall("--dry-run")
    finally:
        lab.run("rm", "/opt/attrai")
        lab.run("mv", "/srv/attrai", "/opt/attrai")
        lab.install()
    assert lab.serves()


def test_a_site_that_was_switched_off_is_switched_on_again(lab: Lab) -> None:
    site = lab.machine.root / "etc/nginx/sites-available/attrai"
    shipped = site.read_text()
    site.write_text(shipped + "# edited\n")
    (lab.machine.root / "etc/nginx/sites-enabled/attrai").unlink()
    lab.run("systemctl", "reload", "nginx")
    until(lambda: not lab.serves())
    try:
        said = lab.install("--port", "80")
        until(lab.serves)
    finally:
        site.write_text(shipped)
    assert said.endswith("serves as /etc/nginx/sites-available/attrai says, which was edited\n")


def test_visitors_of_another_site_are_not_taken_from_it(lab: Lab) -> None:
    sites = lab.machine.root / "etc/nginx/sites-enabled"
    (sites / "attrai").unlink()
    (sites / "other").write_text("server { listen 80; server_name _; return 404; }\n")
    try:
        lab.run("systemctl", "reload", "nginx")
        said = lab.install(status=1)
    finally:
        (sites / "other").unlink()
        lab.install()
    assert "another site answers to this name on port 80 too: say --server-name or --port" in said
    assert lab.serves()


def test_a_service_that_systemd_gave_up_is_started_again(lab: Lab) -> None:
    program = lab.machine.root / f"opt/attrai/releases/{lab.release()}/venv/bin/uwsgi"
    program.rename(program.with_suffix(".away"))
    lab.run("systemctl", "kill", "--signal", "KILL", "--kill-whom", "main", "attrai")
    failed = ("systemctl", "is-failed", "--quiet", "attrai")
    until(lambda: lab.machine.run(*failed, check=False).returncode == 0)
    program.with_suffix(".away").rename(program)
    lab.install()
    assert lab.serves()


def test_uninstalling_leaves_a_user_who_was_there_before(lab: Lab) -> None:
    removing = "removing the system user attrai"
    assert removing in lab.uninstall("--dry-run")
    lab.run("usermod", "--shell", "/bin/bash", "attrai")
    said = lab.uninstall("--dry-run")
    lab.run("usermod", "--shell", "/usr/sbin/nologin", "attrai")
    assert "the user attrai was there before, and stays" in said
    assert removing not in said
