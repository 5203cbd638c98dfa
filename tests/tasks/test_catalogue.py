"""The catalogue of tasks: what it lists, a task's card, the command."""

import pytest

from tasks import DataTask, Task, catalogue
from tasks.__main__ import main

ALL = [pytest.param(cls, id=name) for name, cls in catalogue.entries().items()]


def test_the_catalogue_lists_every_task_with_knobs_and_floor():
    rows = {cells[0]: (cells[1], text) for cells, text in catalogue.overview()}
    floor, text = rows["delayed_recall"]
    assert floor == "2.079"
    assert text.endswith("when the query comes; lag=100 symbols=8 distractors=8 cues=1")
    assert set(rows) - {"task"} == set(catalogue.entries())


@pytest.mark.parametrize("cls", ALL)
def test_a_card_shows_the_drawn_example_and_when_the_task_is_solved(cls):
    text = catalogue.card(cls)
    assert "    target " in text
    assert "\nSolved" in text or issubclass(cls, DataTask)  # real data have no criterion


@pytest.mark.parametrize("cls", ALL)
def test_a_card_explains_every_knob(cls):
    assert all(catalogue.explanation(cls, knob) for knob in catalogue.knobs(cls)), (
        f"{cls.name}: explain its knobs in the docstring"
    )


def test_no_line_of_the_list_is_wider_than_the_terminal(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    assert main([]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 70


def test_the_drawing_keeps_its_lines(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    assert main(["copying"]) == 0
    out = capsys.readouterr().out
    assert "    input    3 1 4 .. 7   _ _ .. _   :   _ _ _ .. _\n        _ blank, : delimiter\n" in out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("addin", "unknown task 'addin'; did you mean 'adding'? There is: "),
        ("os.nothing", "task: cannot import 'os.nothing'"),
        ("variants.cells.gru.GRU", "task: 'variants.cells.gru.GRU' must be a subclass of tasks.task.Task"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(name, message, capsys):
    assert main([name]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {message}")


def test_a_task_of_ones_own_is_shown_by_its_dotted_path(tmp_path, monkeypatch, capsys):
    (tmp_path / "shown_task.py").write_text(
        "from tasks.synthetic.adding import Adding\n\n\nclass Mine(Adding):\n"
        '    """Add one\'s own numbers.\n\n    lag: steps.\n    """\n\n'
        "    def __init__(self, *, lag: int = 7, extra: float = 0.5) -> None:\n        super().__init__(lag=lag)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["shown_task.Mine"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Mine: Add one's own numbers.")
    assert "Knob lag = 7: steps." in out


def test_a_class_whose_knobs_have_no_default_is_refused_by_name():
    class Bare(Task):
        def __init__(self, *, lag: int) -> None:
            self.lag = lag

    with pytest.raises(ValueError, match="Bare: every knob must have a default"):
        catalogue.card(Bare)
