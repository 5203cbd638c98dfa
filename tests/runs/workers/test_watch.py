"""The watch of a worker: which trial is ended when, and with what exit code."""

import doctest
from types import SimpleNamespace

import pytest

from runs.workers import stop, watch
from runs.workers.watch import AtHand, Watch


@pytest.fixture
def ends(monkeypatch, tmp_path):
    """The code with which a process ends and what it does last; None where it goes on."""

    def at(now, since, seconds=0.0, asked=None):
        ended = []
        monkeypatch.setattr(watch, "_end", lambda last, code: ended.append((last.func.__name__, code)))
        made = Watch(tmp_path, 0, seconds)
        made.asked = asked

        def fail(number, error, seconds):
            pass

        def put_back(claim):
            pass

        made._end_if_late(AtHand(SimpleNamespace(fail=fail, put_back=put_back), SimpleNamespace(number=3), since), now)
        return ended[0] if ended else None

    return at


def test_a_trial_is_ended_after_its_limit_and_the_overtime_as_failed_and_the_worker_as_well(ends):
    assert ends(now=166.0, since=100.0, seconds=60.0) is None
    assert ends(now=166.1, since=100.0, seconds=60.0) == ("fail", 0)


def test_a_worker_that_is_asked_to_leave_has_its_grace_then_its_trial_is_put_back(ends):
    assert ends(now=210.0, since=100.0, asked=200.0) is None
    assert ends(now=210.1, since=100.0, asked=200.0) == ("put_back", 1)


def test_a_trial_that_began_after_the_request_has_a_grace_of_its_own(ends):
    assert ends(now=215.0, since=205.0, asked=200.0) is None
    assert ends(now=215.1, since=205.0, asked=200.0) == ("put_back", 1)


def test_nothing_is_ended_without_a_limit_or_a_request(ends):
    assert ends(now=1e9, since=0.0) is None


def test_the_overtime_is_a_tenth_of_the_limit_between_a_second_and_the_grace():
    assert [watch.overtime(s) for s in (1.0, 10.0, 60.0, 100.0, 1e6)] == [1.0, 1.0, 6.0, 10.0, stop.GRACE_SECONDS]
    assert doctest.testmod(watch).failed == 0
