"""What differs between two cells: in words, and in colour."""

from functools import cache

import pytest

from analysis.diagram import draw
from analysis.diagram.comparing import compare
from variants import Cell


@cache
def drawn(name):
    return draw(Cell.registry[name]())


def compared(one, other, **knobs):
    return compare(draw(Cell.registry[one](**knobs)), drawn(other))


@pytest.mark.parametrize(
    ("one", "other", "sentence"),
    [
        ("coupled", "vanilla", "no f; 1−i stands in the place of f."),
        ("no_output_gate", "vanilla", "no o."),
        ("no_input_activation", "vanilla", "nothing squashes z instead of tanh."),
        ("depth_gated", "vanilla", "d besides."),
        ("vanilla", "rnn", "no h; z, i, f and o besides; c is kept as state."),
        (
            "lstm_1997",
            "vanilla",
            "no f; 2 tanh v/2 squashes z instead of tanh; tanh c/2 stands in the place of tanh(c); "
            "the gradient is cut before the gates.",
        ),
        ("peephole", "vanilla", "i sees c' through p_i; f sees c' through p_f; o sees c through p_o."),
        ("mut3", "mut2", "u hears tanh(h'); u does not hear h'."),
        ("mut2", "gru", "the same parts, connected otherwise where the colour is."),
    ],
)
def test_the_sentence_says_what_differs(one, other, sentence):
    assert compared(one, other)[2] == f"{one} against {other}: {sentence}"


def test_equal_cells_have_the_same_diagram_and_nothing_is_marked():
    mine, theirs, sentence = compared("peephole", "vanilla", peepholes=())
    assert sentence == "peephole and vanilla have the same diagram."
    assert not any((mine.values, mine.edges, theirs.values, theirs.edges))


def test_the_gate_that_is_missing_and_what_stands_in_its_place_are_marked():
    one, other = drawn("coupled"), drawn("vanilla")
    mine, theirs, _ = compare(one, other)
    assert [n.label for n in one.nodes if mine.has_node(n)] == ["1−"]
    assert [one.abstract.elements[w.of].label for w in one.wires if mine.has_wire(w)] == ["1−", "σ"]
    assert [e.name for e in other.abstract.elements.values() if e.number in theirs.values] == ["f"]


def test_lines_of_the_previous_gates_are_marked_where_they_are_heard():
    one = drawn("full_gate_recurrence")
    marks, _, _ = compare(one, drawn("vanilla"))
    fields = {n: f for f, n in one.abstract.old.items()}
    assert {fields[w.of] for w in one.wires if marks.has_wire(w) and w.of in fields} == {"i", "f", "o"}
