"""What the commands share at the shell: known names, wrapped lines, progress in a log, and the examples of all that."""

import doctest

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


def test_an_option_that_is_not_there_is_one_line_with_the_nearest(capsys):
    command = parser.Parser()
    command.add_argument("--hidden", type=int)
    with pytest.raises(SystemExit) as stop:
        command.parse_args(["--hiden", "3"])
    assert (stop.value.code, capsys.readouterr().err) == (
        2,
        "error: unrecognized arguments: --hiden 3; did you mean --hidden?\n",
    )


def test_a_value_that_is_none_is_one_line(capsys):
    command = parser.Parser()
    command.add_argument("--hidden", type=int)
    with pytest.raises(SystemExit):
        command.parse_args(["--hidden", "x"])
    assert capsys.readouterr().err == "error: argument --hidden: invalid int value: 'x'; --help lists the options\n"
