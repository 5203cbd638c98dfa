"""How a command ends: its exit code and its line, whatever is raised while the configuration is composed or run."""

import os

import pytest

from runs.configuration import command_line as module
from runs.configuration.command_line import command_line


@pytest.fixture
def ends(monkeypatch, capsys):
    """Exit code, and what stands on stderr; Hydra is replaced by a function that composes nothing."""

    def end(main, *arguments, composing=None):
        def hydra_main(**where):
            def decorate(body):
                def run():
                    if composing is not None:
                        raise composing
                    body({})

                return run

            return decorate

        monkeypatch.setattr("sys.argv", ["runs", *arguments])
        monkeypatch.setattr(module, "register", lambda: None)
        monkeypatch.setattr(module, "mistake", lambda *what: "")
        monkeypatch.setattr(module.hydra, "main", hydra_main)
        with pytest.raises(SystemExit) as stop:
            command_line(main, "trial")
        return stop.value.code, capsys.readouterr().err

    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    return end


def raising(error):
    def main(config):
        raise error

    return main


@pytest.mark.parametrize("code", [0, 1, 130])
def test_the_exit_code_is_that_of_the_command(ends, code):
    assert ends(lambda config: code) == (code, "")


def test_a_mistake_is_one_line_and_2(ends):
    assert ends(raising(ValueError("points must\nbe 1"))) == (2, "error: points must be 1\n")


def test_a_mistake_of_a_worker_is_raised_through_its_launcher(ends):
    assert ends(raising(ValueError("no")), "-m") == (2, "error: no\n")


def test_an_interruption_is_130_and_says_what_goes_on(ends):
    assert ends(raising(KeyboardInterrupt())) == (130, "interrupted\n")
    assert ends(raising(KeyboardInterrupt()), "-m") == (130, "interrupted; workers that a scheduler runs go on\n")


def test_a_folder_that_hydra_cannot_make_is_a_mistake_and_an_error_of_the_command_is_none(ends):
    assert ends(lambda config: 0, composing=OSError(2, "No such file", "/proc/x"))[0] == 2
    with pytest.raises(OSError, match="full disk"):
        command_line_raises(ends, OSError("full disk"))


def command_line_raises(ends, error, *arguments):
    """The error itself: it is no mistake, and its traceback is needed."""
    ends(raising(error), *arguments)


def test_a_lost_worker_is_a_line_in_a_multirun_only(ends):
    code, line = ends(raising(RuntimeError("lost")), "--multirun")
    assert (code, line.startswith("error: a worker was lost (RuntimeError); action=status says")) == (1, True)
    with pytest.raises(RuntimeError, match="lost"):
        command_line_raises(ends, RuntimeError("lost"))


def test_who_asks_for_the_whole_error_gets_it(ends, monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(ValueError, match="points"):
        command_line_raises(ends, ValueError("points"))
    with pytest.raises(RuntimeError, match="lost"):
        command_line_raises(ends, RuntimeError("lost"), "-m")


@pytest.mark.parametrize("before", [None, "0"])
def test_the_environment_is_as_it_was(ends, monkeypatch, before):
    if before is not None:
        monkeypatch.setenv("HYDRA_FULL_ERROR", before)
    seen = []
    assert ends(lambda config: seen.append(os.environ["HYDRA_FULL_ERROR"]) or 0) == (0, "")
    assert (seen, os.environ.get("HYDRA_FULL_ERROR")) == (["1"], before)
