"""What is promised of a server in trouble: no request is lost but those that must be.

In `make test` in short, in `make soak` in full.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.deploy.altered import Altered
from tests.deploy.client import Answer, Client, Load
from tests.deploy.machine import Machine
from tests.deploy.provision import bounds, cursor, journal, main_pid, stats, until, workers
from tests.deploy.slow_host import PORT, URL, SlowHost

Figure = Callable[[str, str], None]
Scale = Callable[[int, int], int]
SETTINGS = f"[fetch]\nallowed_networks = 127.0.0.1/32\nports = 80, 443, {PORT}\ntimeout = 60\n"


@pytest.fixture(scope="module")
def host(machine: Machine, face: bytes) -> Iterator[SlowHost]:
    """A server of two workers, which a slow host of photos can keep busy."""
    with (
        Altered(machine, SETTINGS, {"ATTRAI_WORKERS": "2"}),
        SlowHost(machine, face) as host,
    ):
        yield host


@pytest.fixture(autouse=True)
def released(host: SlowHost) -> Iterator[None]:
    yield
    host.release()


class Asking:
    """Requests that go on in the background."""

    def __init__(self, client: Client, count: int) -> None:
        self.answers: list[Answer] = []
        self._threads = [
            threading.Thread(target=lambda: self.answers.append(client.ask(URL, timeout=90)))
            for _ in range(count)
        ]
        for thread in self._threads:
            thread.start()

    def join(self) -> list[int]:
        for thread in self._threads:
            thread.join()
        return [answer.status for answer in self.answers]


def busy_workers(machine: Machine) -> list[int]:
    """The processes that are at a photo of the slow host's."""
    return [
        worker["pid"]
        for worker in workers(machine)
        if any("url=" in var for core in worker["cores"] for var in core["vars"])
    ]


def test_a_reload_loses_no_request(
    machine: Machine, client: Client, face: bytes, scale: Scale, figure: Figure
) -> None:
    most = scale(200, 1000)
    before = stats(machine)["workers"][0]["last_spawn"]
    with Load(lambda _: client.ask("/predict", face), clients=4, most=most) as load:
        load.wait_for(20)
        machine.run("systemctl", "reload", "attrai")
    assert load.statuses == {200: most}
    assert stats(machine)["workers"][0]["last_spawn"] > before
    figure("systemctl reload under load", f"{most} requests, 0 lost")


def test_a_chain_reload_loses_no_request(
    machine: Machine, client: Client, face: bytes, scale: Scale, figure: Figure
) -> None:
    most = scale(200, 1000)
    before = {worker["pid"] for worker in workers(machine)}
    with Load(lambda _: client.ask("/predict", face), clients=4, most=most) as load:
        load.wait_for(20)
        machine.run("/opt/attrai/current/deploy/chain_reload.sh")
    assert load.statuses == {200: most}
    until(lambda: not before & {worker["pid"] for worker in workers(machine)})
    figure("chain reload under load", f"{most} requests, 0 lost")


def test_a_stop_lets_requests_finish_those_that_wait_too(
    machine: Machine, client: Client, host: SlowHost
) -> None:
    host.hold()
    asking = Asking(client, 4)
    until(lambda: host.waiting == 2)
    until(lambda: queued(machine) == 2)
    machine.run("systemctl", "stop", "--no-block", "attrai")
    try:
        until(lambda: not machine.file("/run/attrai/uwsgi.sock").exists())
        assert client.ask("/healthz").status == 503  # no newcomer
        assert host.waiting == 2
        host.release()
        assert asking.join() == [200] * 4
        until(lambda: machine.run("systemctl", "is-active", "attrai", check=False).returncode)
        result = machine.run("systemctl", "show", "attrai", "-p", "Result", "--value").stdout
        assert result.strip() == "success"
    finally:
        machine.run("systemctl", "start", "attrai")


@pytest.mark.parametrize(
    ("signal", "line"),
    [("HUP", "gracefully (RE)spawned uWSGI master"), ("TERM", "goodbye to uWSGI")],
)
def test_neither_reload_nor_stop_waits_for_a_worker_that_loads(
    machine: Machine, client: Client, face: bytes, signal: str, line: str
) -> None:
    worker, mark = workers(machine)[0]["pid"], cursor(machine)
    machine.run("kill", "-KILL", str(worker))
    until(lambda: "Respawned uWSGI worker" in journal(machine, "--after-cursor", mark))
    machine.run("kill", f"-{signal}", main_pid(machine))
    until(lambda: line in journal(machine, "--after-cursor", mark), 25)
    until(lambda: machine.run("systemctl", "start", "attrai", check=False).returncode == 0)
    assert client.ask("/predict", face).status == 200


def test_a_killed_worker_costs_its_one_request(
    machine: Machine, client: Client, host: SlowHost, face: bytes, figure: Figure
) -> None:
    host.hold()
    asking = Asking(client, 1)
    with Load(lambda _: client.ask("/predict", face), clients=2) as load:
        until(lambda: host.waiting == 1)
        load.wait_for(10)
        (pid,) = busy_workers(machine)
        mark = cursor(machine)
        machine.run("kill", "-KILL", str(pid))
        assert asking.join() == [502]
        load.wait_for(10)
    assert asking.answers[0].problem["type"] == "urn:attrai:problem:bad-gateway"
    assert set(load.statuses) == {200}
    died = f"(pid: {pid}) died, killed by signal 9"
    until(lambda: died in journal(machine, "--after-cursor", mark))
    figure("SIGKILL of a worker", f"1 request lost, {len(load.answers)} others answered")


def test_a_hung_worker_is_replaced_and_its_client_told(
    machine: Machine, client: Client, host: SlowHost, face: bytes, figure: Figure
) -> None:
    impatient = {"ATTRAI_WORKERS": "2", "ATTRAI_HARAKIRI": "8"}
    site = {"uwsgi_read_timeout 28s": "uwsgi_read_timeout 6s"}
    with Altered(machine, SETTINGS, impatient, site):
        with Load(lambda _: client.ask("/predict", face), clients=3) as load:
            until(lambda: len(workers(machine)) == 2)
            host.hold()
            asking = Asking(client, 1)
            until(lambda: host.waiting == 1)
            (pid,) = busy_workers(machine)
            mark = cursor(machine)
            assert asking.join() == [504]
            assert asking.answers[0].problem["type"] == "urn:attrai:problem:gateway-timeout"
            until(lambda: pid not in [worker["pid"] for worker in workers(machine)])
        assert set(load.statuses) == {200}
        until(lambda: "HARAKIRI" in journal(machine, "--after-cursor", mark))
    figure("a hung worker", f"504 to its client, {len(load.answers)} others answered")


def test_more_than_a_clients_share_is_turned_away_at_once(
    machine: Machine, client: Client, host: SlowHost
) -> None:
    _, share = bounds(machine)
    host.hold()
    asking = Asking(client, share)
    until(lambda: host.waiting + queued(machine) == share)
    answer = turned_away(client)
    assert answer.problem["type"] == "urn:attrai:problem:too-many-requests"
    assert answer.status == 429
    assert answer.headers.get_all("Retry-After") == ["1"]
    host.release()
    assert asking.join() == [200] * share
    assert rejected(client, "client") >= 1


def test_more_than_the_server_takes_is_turned_away_at_once(
    machine: Machine, client: Client, host: SlowHost
) -> None:
    whole, share = bounds(machine)
    others = [Client(machine, source=f"127.0.0.{number}") for number in (2, 3, 4)]
    host.hold()
    asking = [
        Asking(other, count)
        for other, count in zip(others, (share, share, whole - 2 * share), strict=True)
    ]
    until(lambda: host.waiting + queued(machine) == whole)
    answer = turned_away(client)
    assert answer.problem["type"] == "urn:attrai:problem:server-full"
    assert answer.status == 429
    assert answer.headers.get_all("Retry-After") == ["1"]
    host.release()
    assert [status for each in asking for status in each.join()] == [200] * whole
    assert rejected(client, "server") >= 1


def turned_away(client: Client) -> Answer:
    """What is answered for a while: while workers are replaced, nobody counts for a moment."""
    start = time.monotonic()
    while (answer := client.ask(URL)).status == 429 and time.monotonic() - start < 3:
        time.sleep(0.2)
    return answer


def queued(machine: Machine) -> int:
    """Requests that wait for a worker."""
    listening = machine.run("ss", "--no-header", "--unix", "--listening").stdout
    (line,) = [line for line in listening.splitlines() if " /run/attrai/uwsgi.sock " in line]
    return int(line.split()[2])


def rejected(client: Client, reason: str) -> float:
    """How many requests Prometheus is told to have been rejected."""
    name = f'attrai_rejected_total{{reason="{reason}"}} '
    lines = client.ask("/metrics").body.decode().splitlines()
    return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))


def test_workers_come_with_the_load_and_go_after_it(
    machine: Machine, client: Client, face: bytes, scale: Scale, figure: Figure
) -> None:
    cycles, mark, pid = scale(2, 20), cursor(machine), main_pid(machine)
    until(lambda: len(workers(machine)) == 1)
    up, down = [], []
    for _ in range(cycles):
        with Load(lambda _: client.ask("/predict", face), clients=6) as load:
            up.append(until(lambda: len(workers(machine)) == 2))
        assert set(load.statuses) == {200}
        down.append(until(lambda: len(workers(machine)) == 1, 120))
    lines = journal(machine, "--after-cursor", mark)
    assert "died" not in lines
    assert main_pid(machine) == pid
    spans = f"grown within {max(up):.1f} s, shrunk within {max(down):.1f} s"
    figure("cheaper", f"{cycles} times from 1 to 2 workers and back, {spans}, no crash")
