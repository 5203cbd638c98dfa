"""Equations are read as they are meant, and a mistake is told with its place."""

import pytest

from variants.formula.cell import Formula
from variants.formula.expressions import Kept
from variants.formula.reading import DEEPEST, FormulaError, read
from variants.formula.writing import write

GRU = """\
r = s(W x + R h' + b)
u = s(W x + R h' + b)
n = tanh(W x + R (r*h') + b)
h = u*h' + (1-u)*n"""
DEEP = "(" * (DEEPEST + 5)

# what is wrong, the equations, what the message begins with, line and column
WRONG = [
    ("empty", "", "there must be at least one equation", 1, 1),
    ("unknown name", "h = tanh(W x + R h' + b)*g", "unknown name 'g'", 1, 26),
    ("a vector that is not declared", "h = tanh(W x + R h' + b)*beta", "unknown name 'beta'", 1, 26),
    ("used before it is computed", "h = n*h'\nn = tanh(W x)", "n is computed by this line or a later one", 1, 5),
    ("new value of itself", "h = h + tanh(W x)", "h is computed by this line or a later one", 1, 5),
    ("a bracket is open", "u = s(W x + R h' + b\nh = u*h'", "this bracket is not closed", 1, 6),
    ("a bracket too many", "h = tanh(W x + R h' + b))", "this bracket closes none that is open", 1, 25),
    ("a field without equation", "h = tanh(W x + R c' + b)", "c' is the old value of c, which no line computes", 1, 18),
    ("a bias alone", "i = s(b)\nh = i*h' + tanh(W x)", "gate i must have an input, W x or R h'", 1, 7),
    ("no recurrence", "h = tanh(W x + b)", "the output h does not depend on any earlier step", 1, 1),
    ("no input at all", "h = tanh(h')", "no line has W x", 1, 1),
    ("the input does not reach", "c = tanh(W x + R c')\nh = tanh(R h')", "the output h does not depend on x", 2, 1),
    (
        "the output without x",
        "state h, c\nc = tanh(W x + R c')\nh = tanh(R h')",
        "the output h does not depend on x",
        3,
        1,
    ),
    ("unknown function", "h = tan(W x + R h' + b)", "unknown function 'tan', there is: s, tanh, relu,", 1, 5),
    ("a function without brackets", "h = tanh W x", "tanh is a function: brackets must follow", 1, 5),
    ("too few arguments", "h = max(W x + R h')", "max must have 2 in its brackets", 1, 5),
    ("too deep", f"h = {DEEP}W x + R h'", "brackets must be at most 30 deep", 1, 35),
    ("too many signs", f"h = {'-' * 40}W x", "signs and brackets must be at most 30 deep", 1, 34),
    ("too long", "h = " + " + ".join(["h'"] * 300), "equations must have at most 500", 1, 1),
    ("two W", "h = tanh(W x + W x + R h')", "gate h has W twice", 1, 16),
    ("hears the same twice", "h = tanh(W x + R h' + R h')", "gate h hears the same twice", 1, 23),
    ("two without subscripts", "h = s(W x + R h')*tanh(W x)", "a line with two pre-activations names them", 1, 24),
    ("whose bias", "h = tanh(W_a x + R_c h' + b)", "b must say to which gate it belongs, a and c", 1, 27),
    (
        "another gate of that name",
        "u = s(W x)\nh = u*h' + W_u x + b_u",
        "gate u stands in line 1 with other terms",
        2,
        12,
    ),
    ("x alone", "h = x + R h'", "x has another size than the units", 1, 5),
    ("R x", "h = tanh(R x + W h')", "R is multiplied with what the cell computes", 1, 10),
    ("W h", "h = tanh(W h' + R x)", "W is multiplied with x", 1, 10),
    ("R of a number", "h = tanh(W x + R (2))", "R must be multiplied with more than a number", 1, 16),
    ("computed twice", "h = tanh(W x + R h')\nh = h'", "h is computed twice; the first time in line 1", 2, 1),
    ("computes the old value", "h' = tanh(W x + R h')", "h' is the old value, which no line computes", 1, 1),
    ("no equation", "tanh(W x + R h')", "behind tanh must stand =", 1, 5),
    ("a name of the notation", "b = tanh(W x + R b')", "b has a meaning of its own", 1, 1),
    ("a name of Python", "in = tanh(W x + R in')", "in cannot be a name: it must begin with a letter", 1, 1),
    ("a gate of Python", "h = tanh(W_for x + R_for h')", "for cannot be a name: it must begin with a letter", 1, 10),
    ("a number as gate", "h = tanh(W_1 x + R_1 h')", "1 cannot be a name: it must begin with a letter", 1, 10),
    ("a letter that Python changes", "h = tanh(W x + p_ﬁ*h')", "p_ﬁ cannot be a name, as Python reads", 1, 16),
    ("a vector of Python", "vectors for\nh = tanh(W x + for*h')", "for cannot be a name", 1, 9),
    ("a vector of the notation", "vectors x\nh = tanh(W x + x*h')", "x has a meaning of its own", 1, 9),
    ("a vector as function", "vectors q, tanh\nh = tanh(W x + q*tanh*h')", "tanh has a meaning of its own", 1, 12),
    ("computes a vector", "p_i = tanh(W x + R p_i')", "p_i is a learned vector and cannot be computed", 1, 1),
    ("minus the bias", "h = tanh(W x + R h' - b)", "b must have a plus sign; its own sign is learned", 1, 23),
    ("minus R", "h = tanh(W_n x - R_n h')", "R_n must have a plus sign; its own sign is learned", 1, 18),
    ("R of a product", "h = tanh(W_n x + R_n h'*h')", "gate n stands in line 1 with other terms", 1, 10),
    ("two ways to read", "h = tanh(W x) + R_n*h'*h'", "R_n*...*... can be read in two ways; a product", 1, 17),
    ("too many in one line", "h = W x" + " + h'" * 3000, "equations must have at most 500 numbers", 1, 15008),
    ("a strange character", "h = tanh(W x + R h' ^ 2)", "equations have names, numbers and", 1, 21),
    ("nothing between", "h = 2 tanh(W x + R h')", "between two values must stand + - * or /", 1, 7),
    ("ends too early", "h = tanh(W x) +", "the equation ends too early", 1, 16),
    ("a comparison elsewhere", "h = tanh(W x) < h'", "a comparison may stand in the first argument of where", 1, 15),
    ("where without comparison", "h = where(h', W x, 0)", "where must begin with a comparison", 1, 5),
    ("a number over 0", "h = tanh(W x + R h')*(1/0)", "nothing can be divided by 0", 1, 24),
    ("a value over 0", "h = tanh(W x + R h')/(1-1)", "nothing can be divided by 0", 1, 21),
    ("never used", f"{GRU.replace('r*h', 'h')}", "r is computed and never used", 1, 1),
    ("says an unknown gate", f"keeps q\n{GRU}", "keeps must be followed by a gate or 1 minus a gate (r, u, n,", 1, 1),
    ("says too few gates", f"gates r, u\n{GRU}", "gates must name all of r, u, n", 1, 1),
    ("says no state", f"state n\n{GRU}", "the state must name h, whose old value h' is read", 1, 1),
    ("a vector that is not used", f"vectors q\n{GRU}", "the vector q is not used", 1, 9),
    ("code of Python", "h = __import__('os')", "unknown function '__import__'", 1, 5),
]


@pytest.mark.parametrize(
    ("text", "rule", "line", "column"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG]
)
def test_a_mistake_is_told_with_its_place_in_one_line(text, rule, line, column):
    with pytest.raises(FormulaError) as refused:
        read(text)
    message = str(refused.value)
    assert message.startswith(f"formula: {rule}"), message
    assert (refused.value.line, refused.value.column) == (line, column), message
    assert f"; line {line}, column {column}, at " in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "text",
    [
        GRU.replace("\n", "; "),
        GRU.replace("s(", "σ(").replace("*", "·").replace("-", "−"),
        GRU.replace("*", "⋅").replace("\n", "\r\n"),
        GRU.replace("s(", " sigmoid ( ").replace("'", "[t-1]"),
        GRU.replace("\n", "  # a comment\n\n") + "\n",
        GRU.replace("W x + R h' + b", "b+R·h'+W x"),
        GRU.replace("tanh(W x + R (r*h') + b)", "tanh(W_n x + R_n (r*h') + b_n)"),
    ],
)
def test_another_spelling_is_the_same_cell(text):
    assert read(text) == read(GRU)


def test_the_last_line_is_the_output_and_what_is_read_before_is_the_state():
    assert read("c = c' + tanh(W x + R y')\ny = tanh(c)").fields == ("y", "c")
    assert read("c = c' + tanh(W x)\nv = 2*c\ny = tanh(v)").fields == ("y", "c"), "an output that nothing hears"


def test_gates_that_hear_the_same_stand_beside_each_other():
    text = "a = s(W x + R h')\nq = s(W x + R c')\nc = a*q\nk = s(W x + R h')\nh = k*c"
    assert [gate.name for gate in read(text).gates] in (["a", "k", "q"], ["q", "a", "k"])


def test_an_R_of_a_second_source_has_its_name_as_in_a_docstring():
    cell = Formula(equations="i = s(W_i x + R_i h' + R_i_i i' + b_i)\nh = i*tanh(W x + R h')")
    assert {"R_i", "R_i_i"} <= {block.name for block in cell.blocks}


@pytest.mark.parametrize(
    ("last", "kept"),
    [
        ("h = u*h' + (1-u)*n", Kept(("u", 1), None)),
        ("h = (1-u)*h' + u*n", Kept(("u", -1), None)),
        ("h = h'*u + i*n", Kept(("u", 1), ("i", 1))),
        ("h = h' + i*n", Kept(None, ("i", 1), never_forgets=True)),
        ("h = tanh(u*h' + i*n)", Kept()),
        ("h = i*(u*h') + n", Kept()),
    ],
)
def test_what_keeps_follows_from_the_sum_for_the_state(last, kept):
    gates = "u = s(W x + R h' + b)\ni = s(W x + R h' + b)\nn = tanh(W x + R h')\n"
    wanted = [line for line in gates.splitlines() if line[0] in last.replace("tanh", "").partition("=")[2]]
    assert read("\n".join([*wanted, last])).kept == kept


def test_what_keeps_can_be_said():
    program = read(f"keeps 1-r\nwrites n\n{GRU}")
    assert program.kept == Kept(("r", -1), ("n", 1))
    assert write(program).startswith("keeps 1-r\nwrites n\nr = ")
