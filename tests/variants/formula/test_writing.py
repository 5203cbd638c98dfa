"""Writing equations and reading them are inverse to each other."""

from hypothesis import given, settings
from hypothesis import strategies as some

from variants.formula.expressions import (
    COMPARISONS,
    FUNCTIONS,
    SIGNS,
    Binary,
    Expression,
    Function,
    Kept,
    Line,
    Linear,
    Minus,
    Number,
    Old,
    Preactivation,
    Program,
    Value,
    arranged,
    parts,
)
from variants.formula.reading import FormulaError, read
from variants.formula.writing import write

NUMBERS = some.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False).map(Number)
LEAVES = some.one_of(
    some.sampled_from([Preactivation("i"), Preactivation("n"), Preactivation("m_2")]),
    some.sampled_from([Old("h"), Old("c"), Value("p_i"), Value("v"), Value("beta")]),
)


def _larger(inner: some.SearchStrategy[Expression]) -> some.SearchStrategy[Expression]:
    """Expressions one operation larger; of two operands only one is a number, as a number is not computed."""

    def function(name: str) -> some.SearchStrategy[Expression]:
        if name == "where":
            pair = some.builds(Binary, some.sampled_from(COMPARISONS), inner, inner | NUMBERS)
            return some.builds(lambda a, b, c: Function(name, (a, b, c)), pair, inner, inner | NUMBERS)
        rest = [inner | NUMBERS] * (FUNCTIONS[name] - 1)
        return some.builds(lambda *arguments: Function(name, arguments), inner, *rest)

    signed = some.builds(Binary, some.sampled_from(SIGNS), inner, inner | NUMBERS).filter(lambda e: not _over_0(e))
    turned = some.builds(Binary, some.sampled_from(SIGNS), NUMBERS, inner)
    return some.one_of(
        signed, turned, some.builds(Minus, inner), some.sampled_from(sorted(FUNCTIONS)).flatmap(function)
    )


def _over_0(expression: Binary) -> bool:
    return expression.sign == "/" and expression.right == Number(0.0)


EXPRESSIONS: some.SearchStrategy[Expression] = some.recursive(LEAVES, _larger, max_leaves=12)


@some.composite
def programs(draw: some.DrawFn) -> Program:
    """Cells whose expressions are drawn, two fields, and gates with all kinds of terms."""
    heard = draw(
        some.lists(some.sampled_from([Old("h"), Old("c"), Value("v"), Minus(Old("h"))]), unique=True, max_size=2)
    )
    first = draw(
        EXPRESSIONS.filter(lambda e: Value("v") not in set(parts(e)) and Preactivation("m_2") not in set(parts(e)))
    )
    used = Binary("+", Binary("+", Preactivation("i"), Preactivation("n")), Binary("*", Value("v"), Old("c")))
    # names mention everything once, in an order that makes the program a normal form
    lines = (
        Line("v", Binary("*", Binary("+", Preactivation("i"), Preactivation("n")), first)),
        Line("c", Binary("+", draw(EXPRESSIONS), Binary("*", Value("beta"), Preactivation("m_2")))),
        Line("h", Binary("-", Binary("*", Value("c"), Old("h")), Binary("+", used, draw(EXPRESSIONS)))),
    )
    gates = {
        "i": Linear("i", True, (Old("h"),), draw(some.booleans())),
        "n": Linear("n", draw(some.booleans()), (Old("h"), Old("c")), draw(some.booleans())),
        "m_2": Linear("m_2", draw(some.booleans()) or not heard, tuple(heard), draw(some.booleans())),
    }
    order = arranged(lines, gates) or tuple(gates)
    vectors = draw(some.permutations([name for name in ("p_i", "beta") if _mentions(lines, name)]))
    kept = Kept(draw(some.sampled_from([None, ("i", 1), ("n", -1)])), draw(some.sampled_from([None, ("i", 1)])))
    return Program(lines, tuple(gates[name] for name in order), tuple(vectors), ("h", "c"), kept)


def _mentions(lines: tuple[Line, ...], name: str) -> bool:
    return any(Value(name) in set(parts(line.value)) for line in lines)


@given(programs())
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_as_the_same_cell(program):
    text = write(program)
    try:
        again = read(text)
    except FormulaError as error:
        raise AssertionError(f"{error}\n{error.pointed}\n{text}") from None
    assert again == program, text


@given(programs())
@settings(max_examples=30, deadline=None)
def test_what_is_written_does_not_change_when_it_is_written_again(program):
    text = write(program)
    assert write(read(text)) == text
