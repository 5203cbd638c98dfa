"""The catalogue: what it lists, a variant's card, the command."""

import pytest

from runs.console.text import table, width
from variants import Cell, catalogue
from variants.__main__ import main


def test_the_catalogue_lists_every_variant_once():
    listed = [cells[0] for cells, _ in catalogue.overview(2, 32)[1:]]
    assert sorted(listed) == sorted(Cell.registry)


def test_the_catalogue_counts_parameters():
    (count,) = [cells[1] for cells, _ in catalogue.overview(4, 5) if cells[0] == "vanilla"]
    assert count == str(4 * 5 * 10)


def test_the_catalogue_leaves_out_a_count_for_a_size_that_a_cell_cannot_have():
    (count,) = [cells[1] for cells, _ in catalogue.overview(4, 5) if cells[0] == "clockwork"]
    assert count == "-"


def test_a_relative_stands_behind_what_it_derives_from():
    names = list(catalogue.entries())
    assert names.index("vanilla") < names.index("no_forget_gate") < names.index("lstm_1997")


@pytest.mark.parametrize("cls", [pytest.param(cls, id=name) for name, cls in Cell.registry.items()])
def test_a_card_shows_blocks_knobs_and_source(cls):
    text = catalogue.card(cls, 4, 16)
    missing = [b.name for b in cls().blocks if f"    {b.name} " not in text] + [
        k for k in cls().knobs if f"Knob {k} = " not in text
    ]
    assert not missing
    assert cls.source in text


@pytest.mark.parametrize(
    ("name", "line"),
    [("gru", "It keeps .73 of its state per"), ("lstm_1997", "It keeps its whole state per"), ("rnn", "")],
)
def test_a_card_says_what_is_kept_at_the_start(name, line):
    text = catalogue.card(Cell.registry[name], 4, 16)
    assert line in text
    assert ("It keeps" in text) == bool(line)


@pytest.mark.parametrize("cls", [pytest.param(cls, id=name) for name, cls in Cell.registry.items()])
def test_a_card_explains_every_knob(cls):
    assert all(catalogue.explanation(cls, knob) for knob in cls().knobs), (
        f"{cls.name}: explain its knobs in the docstring"
    )


def test_a_card_shows_the_equations():
    assert "    n = tanh(W_n x + R_n (r*h') + b_n)" in catalogue.card(Cell.registry["gru"], 2, 32)


def test_a_card_shows_how_a_variant_differs():
    assert "Differs from `vanilla` in the forget gate only" in catalogue.card(Cell.registry["coupled"], 2, 32)


def test_a_card_shows_both_kinds_of_layer():
    text = catalogue.card(Cell.registry["depth_gated"], 2, 32)
    assert text.index("W_l ") < text.index("a layer above it") < text.index("w_ld     [32]")


def test_a_card_says_why_there_is_no_count():
    assert "must be divisible by its 8 groups, got 30" in catalogue.card(Cell.registry["clockwork"], 2, 30)


def test_the_command_lists(capsys):
    assert main([]) == 0
    assert capsys.readouterr().out == table(catalogue.overview(2, 32), width()) + "\n"


def test_no_line_of_the_list_is_wider_than_the_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    main([])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_the_command_shows_a_card(capsys):
    assert main(["gru", "--inputs", "4", "--hidden", "5"]) == 0
    assert capsys.readouterr().out.split() == catalogue.card(Cell.registry["gru"], 4, 5).split()


def test_the_command_names_what_there_is_in_one_line(capsys):
    assert main(["grru"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: unknown variant 'grru'; did you mean 'gru'? There is: vanilla, peephole")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gru", "--hidden", "-5"], "--hidden must be at least 1, got -5"),
        (["--hidden", "0"], "--hidden must be at least 1, got 0"),
        (["gru", "--inputs", "0"], "--inputs must be at least 1, got 0"),
        (["gru", "--hidden", "five"], "argument --hidden: invalid int value: 'five'"),
        (["gru", "--hiden", "5"], "unknown option '--hiden'; did you mean '--hidden'? The options are: "),
        (["os.nothing"], "variant: cannot import 'os.nothing'"),
        (["os.system"], "variant: 'os.system' must be a subclass of variants.cell.Cell"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments, message, capsys):
    try:
        code = main(arguments)
    except SystemExit as stop:
        code = stop.code
    (line,) = capsys.readouterr().err.splitlines()
    assert (code, line.startswith(f"error: {message}")) == (2, True), line


def test_a_cell_of_ones_own_is_shown_by_its_dotted_path(tmp_path, monkeypatch, capsys):
    (tmp_path / "shown_cell.py").write_text(
        "from variants.cells.gru import GRU\n\n\n"
        'class Slow(GRU):\n    """A GRU of one\'s own."""\n\n    source = \'here\'\n'
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["shown_cell.Slow"]) == 0
    assert capsys.readouterr().out.startswith("Slow: A GRU of one's own.")
