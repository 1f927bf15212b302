"""`deploy/install.sh` and `uninstall.sh` on a machine of their own, from bare to bare again."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest

from tests.conftest import SCORER
from tests.deploy.client import Client, Load
from tests.deploy.lab import Lab
from tests.deploy.machine import Machine, obstacle
from tests.deploy.provision import (
    CHECKOUT,
    WHEELS,
    bounds,
    copy_checkout,
    copy_wheels,
    main_pid,
)

OFFLINE = ("--wheels", f"/{WHEELS}")
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
UMASK = ("sh", "-c", 'umask 077; exec "$@"', "sh")

# A file that tells Debian's packages whether they may start what they bring.
POLICY = "usr/sbin/policy-rc.d"


@pytest.fixture(scope="module")
def bare(face: bytes) -> Iterator[Lab]:
    """A machine on which nothing is installed, not booted."""
    if reason := obstacle():
        pytest.skip(reason)
    with Machine() as machine:
        copy_checkout(machine)
        copy_wheels(machine)
        (machine.root / "root").chmod(0o755)  # a checkout that everybody may read
        # As on a server: packages may start what they bring.
        (machine.root / POLICY).unlink(missing_ok=True)
        yield Lab(machine, face)


def test_a_dry_run_says_what_it_would_do_and_changes_nothing(bare: Lab) -> None:
    before = bare.listing()
    for within in ((), NOBODY):
        said = bare.install("--dry-run", "--no-start", within=within)
        assert "would be creating the system user attrai" in said
        assert re.search(r"would be building \d\S+-py3\.\d+-[0-9a-f]{12}\n", said)
        assert said.endswith("nothing was changed\n")
    assert bare.listing() == before


def test_all_that_is_missing_is_said_at_once(bare: Lab) -> None:
    photo = bare.checkout / "docs/astronaut.jpg"
    photo.rename(photo.with_suffix(".away"))
    said = bare.install(status=1, within=NOBODY)
    photo.with_suffix(".away").rename(photo)
    assert "needs root" in said
    assert "docs/astronaut.jpg is missing" in said
    assert "--no-start" in said  # no systemd runs in a tree


@pytest.mark.parametrize("options", [["--port", "0"], ["--port"], ["--server-name", "a;b"], ["-x"]])
def test_options_that_cannot_be_are_refused(bare: Lab, options: list[str]) -> None:
    assert bare.install(*options, status=1).startswith("install.sh: ")


@pytest.fixture(scope="module")
def before(bare: Lab) -> set[str]:
    """The bare machine's files and those of Debian's packages, after an attempt that failed."""
    said = bare.install("--no-start", "--wheels", f"/{CHECKOUT}", status=1)
    assert "the Python packages cannot be installed" in said
    for path in ("opt/attrai", "run/nginx.pid", POLICY):
        assert not (bare.machine.root / path).exists(), path
    return bare.listing()


@pytest.fixture(scope="module")
def lab(bare: Lab, before: set[str]) -> Lab:
    """AttrAI installed in the tree with --no-start, then booted."""
    said = bare.install("--no-start", *OFFLINE, within=UMASK)
    assert "enabled at boot on port 80" in said
    bare.machine.boot()
    return bare


def test_it_serves_behind_nginx_from_boot_on(lab: Lab) -> None:
    assert lab.serves()
    assert lab.run("systemctl", "is-active", "attrai", "nginx") == "active\nactive\n"


def test_the_kernel_is_built_where_there_is_a_compiler(lab: Lab) -> None:
    compiler = (lab.machine.root / "usr/bin/cc").exists()
    engine = "native" if compiler else "onnx"
    assert f'"engine": "{engine}' in lab.run("journalctl", "-u", "attrai", "-o", "cat")


def test_the_service_may_read_all_of_it_and_write_none(lab: Lab) -> None:
    folders = ("/opt/attrai", "/etc/attrai", "/etc/systemd/system/attrai.service")
    wrong = ("(", "!", "-user", "root", "-o", "!", "-type", "l", "-perm", "/022", ")")
    hidden = ("-o", "!", "-perm", "-004")
    assert lab.run("find", *folders, *wrong, *hidden) == ""


def test_the_site_lets_through_what_the_cores_answer_in_time(lab: Lab) -> None:
    cores = os.cpu_count() or 1
    whole, share = bounds(lab.machine)
    assert whole == min(16 * cores, 80 + cores)
    assert share == whole // 2


def test_a_second_run_changes_nothing(lab: Lab) -> None:
    master, stamps = main_pid(lab.machine), lab.stamps()
    # What a shell may say of threads is nothing to the server's size.
    lab.install(within=("env", "OMP_NUM_THREADS=1"))
    assert main_pid(lab.machine) == master
    assert lab.stamps() == stamps
    assert lab.serves()


def test_two_installers_do_not_run_at_once(lab: Lab) -> None:
    assert "another install.sh" in lab.install(status=1, within=("flock", "/opt"))


def test_a_port_is_changed_kept_and_taken_back_when_nginx_refuses(lab: Lab) -> None:
    lab.install("--port", "8080")
    lab.install()
    assert lab.serves(8080)
    broken = lab.machine.root / "etc/nginx/conf.d/broken.conf"
    stamps = lab.stamps()
    broken.write_text("no such directive;\n")
    said = lab.install("--port", "80", status=1)
    broken.unlink()
    assert "nginx refuses its configuration" in said
    assert 'unknown directive "no"' in said
    assert lab.stamps() == stamps
    assert lab.serves(8080)
    lab.install("--port", "80")
    assert lab.serves()


BROKEN = {
    "code": ("service/application.py", "def broken(:\n", "does not compile"),
    "model": (f"models/{SCORER}/int8.onnx", "not a model\n", "cannot serve"),
    "server": ("deploy/uwsgi.ini", "[uwsgi]\nstrict = true\nno-such-key = 1\n", "cannot serve"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_upgrade_leaves_the_old_release_serving(lab: Lab, kind: str) -> None:
    name, text, why = BROKEN[kind]
    good, master, stamps = (lab.checkout / name).read_bytes(), main_pid(lab.machine), lab.stamps()
    (lab.checkout / name).write_text(text)
    said = lab.install(*OFFLINE, status=1)
    (lab.checkout / name).write_bytes(good)
    assert why in said
    assert main_pid(lab.machine) == master
    assert lab.stamps() == stamps
    assert lab.serves()


def test_what_fails_only_as_a_server_is_taken_back(lab: Lab) -> None:
    release, stamps = lab.release(), lab.stamps()
    entry = lab.checkout / "app.py"
    good = entry.read_text()
    entry.write_text(good + "\nimport sys\n\nassert 'uwsgi' not in sys.modules\n")
    said = lab.install(*OFFLINE, status=1)
    entry.write_text(good)
    assert f"taken back: {release} is installed, as before" in said
    assert lab.release() == release
    assert lab.stamps() == stamps
    assert lab.serves()


def test_ctrl_c_leaves_the_old_release_serving(lab: Lab) -> None:
    (lab.checkout / "scripts/new.sh").write_text("# new\n")
    stamps = lab.stamps()
    lab.install(*OFFLINE, status=124, within=("timeout", "--signal=INT", "4"))
    (lab.checkout / "scripts/new.sh").unlink()
    assert lab.stamps() == stamps
    assert lab.serves()


def test_an_upgrade_keeps_the_settings_and_loses_no_request(lab: Lab) -> None:
    first = lab.release()
    lab.settings.write_text("[photo]\nmax_pixels = 40000000\n")
    shipped = (lab.checkout / "attrai.ini").read_text()
    (lab.checkout / "attrai.ini").write_text(shipped.replace("quality = 90", "quality = 91"))
    with Load(lambda _: Client(lab.machine).ask("/predict", lab.face), clients=2) as load:
        said = lab.install(*OFFLINE)
    assert set(load.statuses) == {200}, lab.run("journalctl", "--unit=attrai", "--lines=300")
    assert load.statuses[200] > 10
    assert lab.release() != first
    assert lab.settings.read_text() == "[photo]\nmax_pixels = 40000000\n"
    assert "quality = 91" in lab.settings.with_suffix(".ini.new").read_text()
    assert "attrai.ini.new" in said


def test_what_a_run_without_a_start_has_placed_is_taken_over_by_the_next(lab: Lab) -> None:
    new = lab.release()
    lab.install("--rollback", "--no-start")
    lab.run("/opt/attrai/current/deploy/install.sh")
    assert lab.release() != new
    lab.install()
    assert lab.release() == new


def test_a_rollback_serves_the_release_before(lab: Lab) -> None:
    new = lab.release()
    lab.install("--rollback")
    old = lab.release()
    assert old != new
    assert lab.releases() == {new, old}
    assert lab.serves()
    assert "no release older" in lab.install("--rollback", status=1)


def test_a_rollback_passes_over_what_was_rolled_back_from(lab: Lab) -> None:
    old = lab.release()
    (lab.checkout / "scripts/new.sh").write_text("# newer than that\n")
    lab.install(*OFFLINE)
    assert len(lab.releases()) == 3
    lab.install("--rollback")
    assert lab.release() == old


def test_uninstalling_leaves_the_settings_and_nothing_else(lab: Lab, before: set[str]) -> None:
    said = lab.uninstall()
    assert "left: /etc/attrai (--purge removes them) and the Debian packages" in said
    assert lab.listing() ^ before == set()
    assert lab.run("getent", "passwd", "attrai", status=2) == ""
    assert lab.run("getent", "group", "attrai", status=2) == ""
    assert lab.run("systemctl", "is-active", "nginx") == "active\n"
    assert lab.uninstall() == said.splitlines(keepends=True)[-1]
    lab.uninstall("--purge")
    assert not lab.settings.parent.exists()


def test_a_first_run_that_was_killed_is_taken_back_by_the_next(lab: Lab) -> None:
    lab.run("mkdir", "--parents", "/opt/attrai/undo")  # it had found nothing, and placed nothing
    said = lab.install("--rollback", status=1)
    assert "taken back: nothing is installed, as before" in said
    assert "there is no release older" in said
