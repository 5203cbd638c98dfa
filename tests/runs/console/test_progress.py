"""How far work is: nothing of quick work, lines in a log with the time left, a bar on a terminal, silence if asked."""

import pytest

from runs.console.progress import VARIABLE, Bar, Progress
from runs.console.text import say


class Clock:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def logged(clock, lines, **options):
    return Bar("importance", 36, terminal=False, clock=clock, tell=lines.append, **options)


def test_quick_work_is_not_shown(clock):
    lines = []
    with logged(clock, lines) as bar:
        clock.now += 1.9
        bar.to(12)
    assert lines == []


def test_a_line_says_what_is_done_and_how_long_the_rest_takes(clock):
    lines = []
    with logged(clock, lines) as bar:
        clock.now += 10
        bar.to(12, "loss 0.3")
    assert lines == ["importance: 12 of 36, loss 0.3, about 20 s left"]


def test_lines_come_at_most_every_ten_seconds(clock):
    lines = []
    with logged(clock, lines) as bar:
        for done in range(1, 36):  # one part a second
            clock.now += 1
            bar.to(done)
    assert [line.split()[1] for line in lines] == ["2", "12", "22", "32"]


def test_parts_that_were_done_before_do_not_shorten_the_time_left(clock):
    lines = []
    with logged(clock, lines, first=30) as bar:
        clock.now += 6
        bar.to(33)
    assert lines == ["importance: 33 of 36, about 6 s left"]


def test_finished_work_needs_no_line(clock):
    lines = []
    with logged(clock, lines) as bar:
        clock.now += 60
        bar.to(36)
    assert lines == []


def test_a_bar_on_a_terminal_needs_no_lines(clock, capsys):
    lines = []
    with Bar("importance", 36, terminal=True, clock=clock, tell=lines.append) as bar:
        clock.now += 60
        bar.to(12)
        assert bar._bar.n == 12
    assert lines == []
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("terminal", [True, False])
def test_the_environment_can_ask_for_silence(clock, monkeypatch, capsys, terminal):
    monkeypatch.setenv(VARIABLE, "none")
    lines = []
    progress = Progress(terminal=terminal, clock=clock, tell=lines.append)
    clock.now += 60
    progress.step("tables")
    assert list(progress.follow([1, 2], "numbers")) == [1, 2]
    assert lines == []
    assert capsys.readouterr().err == ""


def test_steps_that_follow_at_once_are_not_named(clock):
    lines = []
    progress = Progress(terminal=False, clock=clock, tell=lines.append)
    for step, seconds in (("reading", 1), ("tables", 1), ("claims", 1), ("report", 5)):
        clock.now += seconds
        progress.step(step)
    assert lines == ["tables", "report"]


def test_followed_items_come_unchanged_and_are_counted(clock):
    lines = []

    def slow():
        for item in "abc":
            clock.now += 4
            yield item

    progress = Progress(terminal=False, clock=clock, tell=lines.append)
    assert list(progress.follow(slow(), "letters", 3)) == ["a", "b", "c"]
    assert lines == ["letters: 1 of 3, about 8 s left"]


def test_a_part_that_is_being_worked_on_is_not_done(clock):
    lines = []
    for _ in Progress(terminal=False, clock=clock, tell=lines.append).follow("abc", "letters"):
        clock.now += 4
    assert lines == ["letters: 1 of 3, about 8 s left"]


def test_what_takes_long_goes_to_standard_error(clock, capsys):
    with Bar("importance", 36, terminal=False, clock=clock) as bar:
        clock.now += 60
        bar.to(12)
    caught = capsys.readouterr()
    assert (caught.out, caught.err) == ("", "importance: 12 of 36, about 2 min left\n")


def test_an_answer_stands_above_a_bar(monkeypatch, capsys):
    monkeypatch.setattr("runs.console.progress.QUICK_SECONDS", 0.0)
    with Bar("importance", 36, terminal=True) as bar:
        bar._bar.refresh()
        shown = capsys.readouterr().err
        say("gru is best")
        caught = capsys.readouterr()
    assert "importance" in shown
    assert caught.out == "gru is best\n"
    assert caught.err.startswith("\r ")  # the bar is taken away for the line
    assert "importance" in caught.err  # and comes back
