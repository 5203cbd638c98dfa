"""What the commands share at the shell: known names, wrapped lines, progress in a log, and the examples of all that."""

import doctest
from types import SimpleNamespace

import pytest

from runs import arguments, names, rules, secrets_in_urls
from runs.console import known, manual, parser, progress, text
from runs.study.storage import url


@pytest.mark.parametrize("module", [arguments, known, manual, names, progress, rules, secrets_in_urls, text, url])
def test_the_examples_are_true(module):
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("name", "near"), [("No-Forget-Gate", "no_forget_gate"), ("GRU", "gru"), ("vanila", "vanilla"), ("xyz", "")]
)
def test_the_nearest_name_is_found_whatever_its_case_and_dashes(name, near):
    assert known.nearest(name, ["gru", "vanilla", "no_forget_gate"]) == near


def test_the_text_of_a_table_is_broken_under_its_own_beginning():
    drawn = text.table([(["a", "12"], "one two three four"), (["bcd", "3"], "x")], 18)
    assert drawn == "a    12  one two\n         three\n         four\nbcd   3  x"


HEADS, ROWS = ["variant", "solved", "loss"], [["gru", "8", "1.5"], ["no_forget_gate", "10", "0.25"]]


def test_numbers_stand_under_the_end_of_their_head():
    drawn = text.grid(HEADS, ROWS, 80)
    assert drawn == "variant         solved  loss\ngru                  8   1.5\nno_forget_gate      10  0.25"


@pytest.mark.parametrize("columns", [28, 27, 26, 25, 16])
def test_a_table_of_numbers_fits(columns):
    assert max(map(len, text.grid(HEADS, ROWS, columns).splitlines())) <= columns


def test_no_cell_is_lost_where_the_terminal_is_narrow():
    assert text.grid(HEADS, ROWS, 16).split() == text.grid(HEADS, ROWS, 80).split()


@pytest.mark.parametrize(
    ("terminal", "environment", "red"), [(True, {}, True), (False, {}, False), (True, {"NO_COLOR": "1"}, False)]
)
def test_colour_is_for_terminals_that_want_it(monkeypatch, terminal, environment, red):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert ("\033[" in text.loud("FAILED", SimpleNamespace(isatty=lambda: terminal))) == red


@pytest.mark.parametrize(("terminal", "lines"), [(True, 2), (False, 1)])
def test_a_mistake_is_one_line_in_a_file_and_wrapped_on_a_terminal(monkeypatch, capsys, terminal, lines):
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    text.complain("unknown task 'addin'; did you mean 'adding'? There is: " + "adding, " * 5)
    assert len(capsys.readouterr().err.splitlines()) == lines


def test_what_is_said_is_wrapped_but_not_a_command_to_copy(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "60")
    command = "  python -m runs " + "a=1 " * 15
    text.say("word " * 15 + "\n" + command)
    first, second, third = capsys.readouterr().out.splitlines()
    assert (len(first) <= 60, second.startswith("  word"), third) == (True, True, command)


def test_an_option_that_is_not_there_is_one_line_with_the_nearest(capsys):
    command = parser.Parser()
    command.add_argument("--hidden", type=int)
    with pytest.raises(SystemExit) as stop:
        command.parse_args(["--hiden", "3"])
    assert (stop.value.code, capsys.readouterr().err) == (
        2,
        "error: unknown option '--hiden'; did you mean '--hidden'? The options are: --help, --hidden\n",
    )


def test_a_value_that_is_none_is_one_line(capsys):
    command = parser.Parser()
    command.add_argument("--hidden", type=int)
    with pytest.raises(SystemExit):
        command.parse_args(["--hidden", "x"])
    assert capsys.readouterr().err == "error: argument --hidden: invalid int value: 'x'; --help lists the options\n"
