"""The bucket of a key: how many requests at once, how many a minute, and for all who share it."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from typing import Any

import pytest

from service import rates
from service.rates import CACHE, OwnStore, Rates, SharedStore, share_rates

SECOND = 1_000_000_000


class Clock:
    """Stands still until it is told otherwise."""

    now = 5 * SECOND

    def __call__(self) -> int:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize("rate", [1, 7, 60, 999, 1_000_000])
def test_as_many_as_a_minute_has_may_come_at_once(clock: Clock, rate: int) -> None:
    buckets = Rates(OwnStore(), clock)
    tried = min(rate, 2000)
    assert [buckets.take("a", rate) for _ in range(tried)] == [0] * tried
    if rate == tried:
        assert buckets.take("a", rate) == pytest.approx(60 / rate)


def test_then_one_at_a_time(clock: Clock) -> None:
    buckets = Rates(OwnStore(), clock)
    for _ in range(6):
        buckets.take("a", 6)
    assert buckets.take("a", 6) == 10
    clock.wait(4)
    assert buckets.take("a", 6) == 6
    clock.wait(6)
    assert buckets.take("a", 6) == 0
    assert buckets.take("a", 6) == 10


def test_what_is_refused_costs_nothing(clock: Clock) -> None:
    buckets = Rates(OwnStore(), clock)
    buckets.take("a", 1)
    assert {buckets.take("a", 1) for _ in range(100)} == {60}
    clock.wait(60)
    assert buckets.take("a", 1) == 0


def test_a_minute_of_rest_fills_the_bucket_and_more_rest_no_more(clock: Clock) -> None:
    buckets = Rates(OwnStore(), clock)
    for pause in (0, 60, 6000):
        clock.wait(pause)
        assert [buckets.take("a", 3) > 0 for _ in range(4)] == [False, False, False, True]


def test_keys_have_a_bucket_each(clock: Clock) -> None:
    buckets = Rates(OwnStore(), clock)
    assert [buckets.take(name, 1) for name in ("a", "b", "a", "b")] == [0, 0, 60, 60]


def test_a_rate_that_is_lowered_holds_at_once(clock: Clock) -> None:
    buckets = Rates(OwnStore(), clock)
    for _ in range(30):
        buckets.take("a", 60)
    assert buckets.take("a", 1) > 0
    assert buckets.take("a", 60) == 0


class Uwsgi:
    """uWSGI's lock and cache, as far as they are used; of two workers in one process."""

    def __init__(self, caches: tuple[str, ...] = (CACHE,)) -> None:
        self.caches: dict[str, dict[str, bytes]] = {name: {} for name in caches}
        self._lock = threading.Lock()
        self.lock, self.unlock = self._lock.acquire, self._lock.release

    def cache_get(self, name: str, cache: str) -> bytes | None:
        assert self._lock.locked()
        return self.caches[cache].get(name)

    def cache_update(self, name: str, value: bytes, expires: int, cache: str) -> bool | None:
        assert expires == 0
        if cache not in self.caches:
            return None
        self.caches[cache][name] = value
        return True


def test_workers_share_a_bucket(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "uwsgi", Uwsgi())
    workers = [Rates(SharedStore(), clock) for _ in range(2)]
    assert [worker.take("a", 2) for worker in (*workers, *workers)] == [0, 0, 30, 30]


def test_the_lock_is_freed_whatever_happens(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Uwsgi()
    monkeypatch.setattr(rates, "uwsgi", server)

    def fail(*_: Any) -> Any:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(server, "cache_get", fail)
        with pytest.raises(RuntimeError):
            Rates(SharedStore(), clock).take("a", 1)
    assert Rates(SharedStore(), clock).take("a", 1) == 0


class Watched(OwnStore):
    """Notes who comes while another is at it."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = 0

    def lock(self) -> AbstractContextManager[object]:
        return super().lock()

    def read(self, name: str) -> int:
        self.inside += 1
        return super().read(name)

    def write(self, name: str, full: int) -> None:
        assert self.inside == 1
        super().write(name, full)
        self.inside -= 1


def test_threads_take_turns(clock: Clock) -> None:
    buckets, allowed = Rates(Watched(), clock), []

    def ask() -> None:
        for _ in range(50):
            allowed.append(buckets.take("a", 1000))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert allowed == [0] * 400


def test_who_shares_with_whom(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def kind() -> type[object]:
        return type(share_rates()._store)

    monkeypatch.setattr(rates, "uwsgi", None)
    assert kind() is OwnStore
    monkeypatch.setattr(rates, "uwsgi", Uwsgi())
    assert kind() is SharedStore
    assert caplog.text == ""
    monkeypatch.setattr(rates, "uwsgi", Uwsgi(caches=()))
    assert kind() is OwnStore
    assert "uWSGI has no cache rates" in caplog.text
