"""Patience: how long, how often, and together."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from tests.fakes.clock import FakeClock

from layersmith.errors import Interrupted, RegistryError
from layersmith.stores.registry_options import Limits
from layersmith.stores.retries import Patience, SystemClock, retry_after

TODAY = 1_800_000_000.0


def patience(**limits: float) -> tuple[Patience, FakeClock]:
    clock = FakeClock(TODAY)
    return Patience(Limits(**limits), clock), clock  # type: ignore[arg-type]


def failing(error: RegistryError, most: int = 1000) -> tuple[int, float]:
    """Return how often a request is sent that always fails, and how long that takes."""
    host, clock = patience()
    tries = host.tries()
    for sent in range(1, most):
        if not tries.after(error):
            return sent, clock.passed
    raise AssertionError


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("7", 7),
        ("120", 120),
        ("121", 120),
        ("9" * 400, 120),
        (formatdate(TODAY + 30, usegmt=True), 30),
        (formatdate(TODAY + 3000, usegmt=True), 120),
        (formatdate(TODAY - 30, usegmt=True), 0),
        ("Fri, 15 Jan 2027 08:00:30 +0000", 30),
        ("Friday, 15-Jan-27 08:00:30 GMT", 30),
        ("-1", 0),
        ("1.5", 0),
        ("", 0),
        ("soon", 0),
        ("٣", 0),
        ("Fri, 99 Jan 2027 99:00:30 GMT", 0),
        ("Fri, 15 Jan 99999999999 08:00:30 GMT", 0),
        ("\x00", 0),
    ],
)
def test_both_forms_of_retry_after(value: str, seconds: float) -> None:
    assert retry_after(value, TODAY, 120) == pytest.approx(seconds)


def test_what_will_stay_is_not_tried_again() -> None:
    assert failing(RegistryError("x", status=404)) == (1, 0)


def test_back_off_grows_and_ends() -> None:
    sent, took = failing(RegistryError("x", status=500, temporary=True))
    assert sent == 20
    assert 25 < took < 80


def test_what_takes_long_to_fail_is_tried_less_often() -> None:
    sent, took = failing(RegistryError("x", temporary=True, tries=3))
    assert sent == 3
    assert took < 1


def test_a_host_that_always_asks_for_time_is_left_after_three_minutes() -> None:
    sent, took = failing(RegistryError("x", status=429, temporary=True, wait=60))
    assert sent == 4
    assert took == pytest.approx(180)


def test_delays_are_never_all_the_same() -> None:
    host, clock = patience(backoff=1, longest_backoff=1)
    taken = set()
    for _ in range(5):
        before = clock.passed
        tries = host.tries()
        assert tries.worth(500)
        tries.rest()
        taken.add(round(clock.passed - before, 6))
    assert len(taken) > 1
    assert all(0.5 <= delay <= 1.01 for delay in taken)


def test_retry_after_holds_everybody() -> None:
    host, clock = patience()
    tries = host.tries()
    assert tries.worth(429, 30)
    host.hold(30)
    host.wait()
    assert clock.passed == pytest.approx(30)
    host.wait()
    assert clock.passed == pytest.approx(30)


def test_an_own_failure_holds_nobody_else() -> None:
    host, clock = patience()
    tries = host.tries()
    assert tries.worth(500)
    tries.rest()
    before = clock.passed
    host.wait()
    assert clock.passed == before


def test_a_host_that_only_fails_uses_up_one_budget_for_all() -> None:
    host, _ = patience(retries=10)
    assert sum(host.tries().worth(500) for _ in range(100)) == 10
    host.succeeded()
    assert sum(host.tries().worth(500) for _ in range(100)) == 2


def test_progress_begins_a_new_count() -> None:
    host, _ = patience(tries=3)
    tries = host.tries()
    for _ in range(10):
        assert tries.worth(500)
        assert tries.worth(500)
        tries.progressed()


def test_a_wait_can_be_stopped() -> None:
    class Stopped:
        def advance(self, task: str, done: int, total: int) -> None:
            raise Interrupted("stopped")

    host = Patience(Limits(), FakeClock(), Stopped())
    with pytest.raises(Interrupted):
        host.sleep(100)


def test_the_machines_clock() -> None:
    clock = SystemClock()
    before = clock.now()
    clock.sleep(0)
    assert clock.now() >= before
    assert clock.today() > 1_700_000_000
