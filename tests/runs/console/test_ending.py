"""A command that meets a mistake, a full disk or Ctrl-C ends with one line and an exit code."""

import errno

import pytest

from runs.console.ending import in_one_line


def ended(error):
    """The exit code of a command that meets an error."""

    @in_one_line("the page")
    def main(arguments):
        raise error

    return main([])


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (ValueError("unit must be 1"), 2, "error: unit must be 1"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "error: cannot write the page: No space left on device"),
        (OSError(errno.ENOSPC, "No space left", "a.html"), 1, "error: cannot write a.html: No space left"),
        (KeyboardInterrupt(), 130, "interrupted: the page may be missing, but no file is half written"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(capsys, error, code, line):
    assert ended(error) == code
    assert capsys.readouterr() == ("", f"{line}\n")


def test_a_command_that_works_returns_its_own_exit_code():
    assert in_one_line("the page")(lambda arguments: len(arguments))(["a", "b", "c"]) == 3
