"""Reads a cell from its equations; a mistake is told with its place in the text.

    equations   = line, {newline or ";", line}          "#" begins a comment
    line        = name "=" sum  |  "state" names  |  "gates" names  |  "vectors" names
                | "keeps" (name | "1-" name | "all" | "nothing")  |  "writes" (name | "nothing")
    sum         = product {("+" | "-") product}
    product     = factor {("*" | "/") factor}
    factor      = "-" factor  |  number  |  name  |  name "'"  |  "(" sum ")"  |  function "(" arguments ")"
                | "W" "x"  |  "R" (name | name "'" | "(" sum ")")  |  "b"
    arguments   = sum {"," sum}; the first one of where is a comparison, sum ("<" | "<=" | ...) sum

`docs/library.md` says what they mean. Nothing is evaluated as Python.
"""

from __future__ import annotations

import difflib
import keyword
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from .expressions import (
    COMPARISONS,
    FUNCTIONS,
    SPELLINGS,
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
    appearing,
    arranged,
    fields_of,
    kept_of,
    operands,
    parts,
    read_before,
    vectors_of,
)

DEEPEST = 30  # brackets within brackets
MOST_PARTS = 500  # numbers, names, signs and functions of all lines
LONGEST = 20_000  # characters
DIRECTIVES = ("state", "gates", "vectors", "keeps", "writes")
_SAME = str.maketrans("·⋅×∗⊙∘−–÷σ′’", "******--/s''")
_IN_BRACKETS = "a product that an R hears stands in brackets, as in R (r*h')"
_TOKEN = re.compile(
    r"(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[^\W\d]\w*)|(?P<old>'|\[\s*t\s*-\s*1\s*\])"
    r"|(?P<sign><=|>=|==|!=|[-+*/(),=<>])"
)


class FormulaError(ValueError):
    """A mistake in equations: the rule and the value, and where it stands.

    line, column: of the place, from 1.
    """

    def __init__(self, rule: str, text: str, line: int, column: int) -> None:
        lines = text.splitlines() or [""]
        shown = lines[min(line, len(lines)) - 1]
        rest = shown[column - 1 :].strip()
        near = f"at {rest[:30]!r}" if rest else "at the end of the line"
        super().__init__(f"formula: {rule}; line {line}, column {column}, {near}")
        self.line, self.column = line, column


class _Token(NamedTuple):
    """A piece of the text. kind: number, name, old, sign, or end of a line."""

    kind: str
    text: str
    line: int
    column: int


@dataclass(frozen=True)
class _Term:
    """A term of a pre-activation.

    letter: W, R or b. gate: the subscript, or empty. heard: what R is multiplied with.
    """

    letter: str
    gate: str
    heard: Expression | None
    token: _Token


def read(text: str) -> Program:
    """Return the cell that equations describe.

    text: the equations, in lines or divided by ";".

    Raises FormulaError, a ValueError in one line, where they do not describe a cell.

    >>> read("h = tanh(W x + R h' + b)").fields
    ('h',)
    >>> read("h = tanh(W x + R h' + b")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    FormulaError: formula: this bracket is not closed; line 1, column 9, at "(W x + R h' + b"
    """
    return _Reader(text).program()


class _Reader:
    """Reads one text. gates: found so far by name. lines: likewise."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines: list[Line] = []
        self.gates: dict[str, Linear] = {}
        self.said: dict[str, list[_Token]] = {}
        self.named: dict[str, _Token] = {}  # left sides
        self.old: dict[str, _Token] = {}  # where an old value is read first
        self.at: dict[str, _Token] = {}  # where a gate stands first
        self.implied: set[str] = set()  # gates of the present line that have no subscript
        self.depth = 0
        self.signs = 0
        self.left = ""
        if len(text) > LONGEST:
            self.fail(f"equations must have at most {LONGEST} characters, got {len(text)}", _Token("end", "", 1, 1))
        self.rows = [row for row in self._tokens() if row[0].kind != "end"]

    def fail(self, rule: str, token: _Token) -> NoReturn:
        raise FormulaError(rule, self.text, token.line, token.column)

    def _tokens(self) -> list[list[_Token]]:
        """Return the tokens of each line, each with an end."""
        rows = []
        for number, whole in enumerate(self.text.splitlines(), 1):
            start, written = 0, whole.partition("#")[0].translate(_SAME)
            for row in written.split(";"):
                rows.append(self._row(row, number, start, written))
                start += len(row) + 1
        return rows

    def _row(self, row: str, number: int, start: int, written: str) -> list[_Token]:
        tokens, place = [], start
        while place < start + len(row):
            if written[place].isspace():
                place += 1
                continue
            found = _TOKEN.match(written, place, start + len(row))
            if found is None:
                self.fail(
                    f"equations have names, numbers and + - * / ( ) , ' only, got {written[place]!r}",
                    _Token("sign", "", number, place + 1),
                )
            tokens.append(_Token(str(found.lastgroup), found.group(), number, place + 1))
            place = found.end()
        return [*tokens, _Token("end", "", number, len(written[: start + len(row)].rstrip()) + 1)]

    # Lines
    # -----------------------------------------------------------------------------------------------------------------

    def program(self) -> Program:
        for row in self.rows:
            if len(row) > 2 and row[0].text in DIRECTIVES and row[1].text != "=":
                self._say(row)
        for row in self.rows:
            if not (row[0].text in DIRECTIVES and self.said.get(row[0].text, [row[-1]])[0] is row[0]):
                self._equation(row)
        if not self.lines:
            self.fail("there must be at least one equation, as in h = tanh(W x + R h' + b)", _Token("end", "", 1, 1))
        return _Whole(self).program()

    def _say(self, row: list[_Token]) -> None:
        """Read a line such as `gates r, u, n`."""
        word = row[0].text
        if word in self.said:
            self.fail(f"{word} is said twice", row[0])
        given = [token for token in row[1:-1] if token.text != ","]
        self.said[word] = [row[0], *given]
        if word in ("state", "gates", "vectors"):
            for token in given:
                if token.kind != "name":
                    self.fail(f"{word} must be followed by names, as in {word} a, c", token)
                if word == "vectors":
                    self._check_free(token)
                if [other.text for other in given].count(token.text) > 1:
                    self.fail(f"{word} must name {token.text} once", token)

    def _equation(self, row: list[_Token]) -> None:
        """Read a line such as `u = s(W x + R h' + b)`."""
        self.row, self.place = row, 0
        name = self._next()
        if name.kind != "name":
            self.fail("a line begins with the name that it computes, as in h = ...", name)
        if self._peek().kind == "old":
            self.fail(f"{name.text}' is the old value, which no line computes; write {name.text} = ...", name)
        if self._peek().text != "=":
            self.fail(f"behind {name.text} must stand =, as in {name.text} = ...", self._peek())
        self._check_left(name)
        self._next()
        self.left, self.implied = name.text, set()
        value = self._sum()
        if self._peek().kind != "end":
            self._unexpected(self._peek())
        self.lines.append(Line(name.text, value))
        self.named[name.text] = name
        if sum(1 for line in self.lines for _ in parts(line.value)) > MOST_PARTS:
            self._too_many(name)

    def _too_many(self, token: _Token) -> NoReturn:
        self.fail(f"equations must have at most {MOST_PARTS} numbers, names, signs and functions", token)

    def _check_left(self, name: _Token) -> None:
        text = name.text
        if text in self.named:
            self.fail(f"{text} is computed twice; the first time in line {self.named[text].line}", name)
        if text.startswith("p_") or text in self._vectors():
            self.fail(f"{text} is a learned vector and cannot be computed; choose another name", name)
        self._check_free(name)

    def _check_free(self, token: _Token) -> None:
        """Refuse a name that the notation uses for something else."""
        name = token.text
        if (
            name in ("x", "W", "R", "b")
            or name.startswith(("W_", "R_", "b_"))
            or name in {*FUNCTIONS, *SPELLINGS} - {"s"}
        ):
            self.fail(f"{name} has a meaning of its own; choose another name", token)
        self._check_name(name, token)

    def _check_name(self, name: str, token: _Token) -> None:
        """Refuse what cannot be a name in the class that is written for a cell."""
        plain = unicodedata.normalize("NFKC", name)
        if plain != name:
            self.fail(f"{name} cannot be a name, as Python reads it as {plain}; write that", token)
        if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
            rule = "it must begin with a letter, have letters, digits and _ only, and be no word of Python"
            self.fail(f"{name} cannot be a name: {rule}", token)

    def _vectors(self) -> list[str]:
        return [token.text for token in self.said.get("vectors", [])[1:]]

    # Expressions
    # -----------------------------------------------------------------------------------------------------------------

    def _peek(self) -> _Token:
        return self.row[self.place]

    def _next(self) -> _Token:
        token = self.row[self.place]
        self.place += token.kind != "end"
        return token

    def _unexpected(self, token: _Token) -> NoReturn:
        if token.text == ")":
            self.fail("this bracket closes none that is open", token)
        if token.kind == "end":
            self.fail("the equation ends too early; a number, a name or a bracket must follow", token)
        if token.kind in ("number", "name") or token.text == "(":
            self.fail("between two values must stand + - * or /", token)
        if token.text in COMPARISONS:
            self.fail("a comparison may stand in the first argument of where only, as in where(a > 0, a, 0)", token)
        self.fail(f"{token.text!r} cannot stand here", token)

    def _sum(self) -> Expression:
        self.depth += 1
        if self.depth > DEEPEST:
            self.fail(f"brackets must be at most {DEEPEST} deep; give a part a name in a line of its own", self._peek())
        terms = [("+", self._product())]
        while self._peek().text in ("+", "-"):
            terms.append((self._next().text, self._product()))
        self.depth -= 1
        return self._combined(terms)

    def _product(self) -> Expression | _Term:
        found = self._factor()
        while self._peek().text in ("*", "/"):
            sign = self._next()
            found = self._binary(sign.text, self._closed(found), self._closed(self._factor()), sign)
        return found

    def _binary(self, sign: str, left: Expression, right: Expression, token: _Token) -> Expression:
        """Return two expressions with a sign between them; of two numbers, the number."""
        if sign == "/" and isinstance(right, Number) and right.value == 0:
            self.fail("nothing can be divided by 0", token)
        if not (isinstance(left, Number) and isinstance(right, Number)):
            self.signs += 1
            if self.signs > MOST_PARTS:
                self._too_many(token)
            return Binary(sign, left, right)
        v, w = left.value, right.value
        found = {"+": v + w, "-": v - w, "*": v * w}[sign] if sign != "/" else v / w
        return self._number(found, token)

    def _number(self, value: float, token: _Token) -> Number:
        if not math.isfinite(value):
            self.fail("a number is too large", token)
        return Number(value)

    def _closed(self, found: Expression | _Term) -> Expression:
        """Return an expression; a term that stands alone becomes a pre-activation."""
        return self._combined([("+", found)])

    def _factor(self) -> Expression | _Term:
        token = self._next()
        if token.text == "-":
            self.depth += 1
            if self.depth > DEEPEST:
                self.fail(f"signs and brackets must be at most {DEEPEST} deep", token)
            of = self._closed(self._factor())
            self.depth -= 1
            return Number(-of.value) if isinstance(of, Number) else Minus(of)
        if token.kind == "number":
            return self._number(float(token.text), token)
        if token.text == "(":
            return self._inside(token)
        if token.kind != "name":
            if token.kind == "old":
                self.fail("' stands behind the name of a field only, as in h'", token)
            self._unexpected(token)
        letter, _, gate = token.text.partition("_")
        if letter in ("W", "R", "b") and (gate or "_" not in token.text):
            return self._term(letter, gate, token)
        return self._named(token)

    def _inside(self, opening: _Token) -> Expression:
        found = self._sum()
        if self._peek().text == ")":
            self._next()
            return found
        if self._peek().kind != "end":
            self._unexpected(self._peek())
        return self.fail("this bracket is not closed", opening)

    def _named(self, token: _Token) -> Expression:
        """Read what begins with a name: a function, an old value, or what an earlier line computes."""
        name, follows = token.text, self._peek()
        if follows.text == "(":
            return self._function(token)
        if follows.kind == "old":
            self._next()
            self.old.setdefault(name, token)
            return Old(name)
        if name.startswith("p_") and name != "p_":
            self._check_name(name, token)
            return Value(name)
        if name in self.named or name in self._vectors():
            return Value(name)
        if name == "x":
            self.fail("x has another size than the units; it stands behind W only, as in W x", token)
        if name in FUNCTIONS or name in SPELLINGS:
            self.fail(f"{name} is a function: brackets must follow, as in {name}(h')", token)
        if any(row[0].text == name and row[1].text == "=" for row in self.rows):
            self.fail(f"{name} is computed by this line or a later one; its old value is written {name}'", token)
        there = [*self.named, *self._vectors()]
        near = difflib.get_close_matches(name, there, n=1)
        hint = f"; did you mean {near[0]}?" if near else "; learned vectors are called p_... or named by: vectors a, c"
        return self.fail(f"unknown name {name!r}, known are {', '.join(there) or 'none so far'}{hint}", token)

    def _function(self, token: _Token) -> Expression:
        name = SPELLINGS.get(token.text, token.text)
        if name not in FUNCTIONS:
            near = difflib.get_close_matches(token.text, [*FUNCTIONS, *SPELLINGS], n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            self.fail(f"unknown function {token.text!r}, there is: {', '.join(FUNCTIONS)}{hint}", token)
        opening = self._next()
        arguments = [self._condition(token) if name == "where" else self._sum()]
        while self._peek().text == ",":
            self._next()
            arguments.append(self._sum())
        if self._peek().kind == "end":
            self.fail("this bracket is not closed", opening)
        if self._peek().text != ")":
            self._unexpected(self._peek())
        self._next()
        if len(arguments) != FUNCTIONS[name]:
            self.fail(
                f"{name} must have {FUNCTIONS[name]} in its brackets, divided by commas, got {len(arguments)}", token
            )
        if name != "where" and all(isinstance(argument, Number) for argument in arguments):
            self.fail(f"{name} of a number is a number: write that", token)
        return Function(name, tuple(arguments))

    def _condition(self, token: _Token) -> Expression:
        left = self._sum()
        sign = self._peek()
        if sign.text not in COMPARISONS:
            self.fail("where must begin with a comparison, as in where(a > 0, a, 0)", token)
        self._next()
        right = self._sum()
        if isinstance(left, Number) and isinstance(right, Number):
            self.fail("where must compare something that is not a number", token)
        return Binary(sign.text, left, right)

    # Pre-activations
    # -----------------------------------------------------------------------------------------------------------------

    def _term(self, letter: str, gate: str, token: _Token) -> _Term:
        """Read W x, R h' or b."""
        if gate:
            self._check_name(gate, token)
        if letter == "b":
            return _Term(letter, gate, None, token)
        starred = self._peek().text == "*"
        self.place += starred
        heard = self._peek()
        if letter == "W":
            if heard.text != "x":
                self.fail(
                    f"{token.text} is multiplied with x, as in {token.text} x; what a cell computes goes to R", token
                )
            self._next()
            return _Term(letter, gate, None, token)
        if heard.text == "x":
            self.fail(
                f"{token.text} is multiplied with what the cell computes, as in {token.text} h'; x goes to W", token
            )
        if heard.text == "(":
            self._next()
            found = self._inside(heard)
        elif (
            heard.kind == "name" and not heard.text.startswith(("W_", "R_", "b_")) and heard.text not in ("W", "R", "b")
        ):
            found = self._named(self._next())
            if starred and self._peek().text in ("*", "/"):
                self.fail(f"{token.text}*...*... can be read in two ways; {_IN_BRACKETS}", token)
        else:
            self.fail(f"{token.text} must be followed by what it is multiplied with, as in {token.text} h'", token)
        if not any(isinstance(part, Value | Old | Preactivation) for part in parts(found)):
            self.fail(f"{token.text} must be multiplied with more than a number", token)
        return _Term(letter, gate, found, token)

    def _combined(self, terms: Sequence[tuple[str, Expression | _Term]]) -> Expression:
        """Return a sum in which the terms of each pre-activation have become one, where its first term stands."""
        added = [term for sign, term in terms if sign == "+" and isinstance(term, _Term)]
        gates = self._gates_of(added)
        done, values = set[str](), list[tuple[str, Expression]]()
        for sign, term in terms:
            if not isinstance(term, _Term):
                values.append((sign, term))
            elif sign == "-":
                if term.letter == "b" or term.gate in {other.gate for other in added}:
                    self.fail(f"{term.token.text} must have a plus sign; its own sign is learned", term.token)
                (name,) = self._gates_of([term])
                values.append((sign, self._gate(name, [term])))
            else:
                name = next(gate for gate, own in gates.items() if term in own)
                if name not in done:
                    done.add(name)
                    values.append((sign, self._gate(name, gates[name])))
        found = values[0][1]
        for sign, value in values[1:]:
            found = self._binary(sign, found, value, self._peek())
        return found

    def _gates_of(self, terms: Sequence[_Term]) -> Mapping[str, list[_Term]]:
        """Return the terms of a sum by the name of their gate."""
        subscripts = {term.gate for term in terms if term.gate}
        named = {term: self._subscript(term, subscripts) for term in terms}
        explicit = list(dict.fromkeys(gate for gate in named.values() if gate))
        bare = [term for term in terms if not term.gate]
        if bare and len(explicit) > 1:
            letter, names = bare[0].letter, " and ".join(explicit)
            self.fail(
                f"{letter} must say to which gate it belongs, {names}, as in {letter}_{explicit[0]}", bare[0].token
            )
        implied = explicit[0] if explicit else self.left
        if bare and not explicit:
            if self.left in self.implied:
                example = f"{bare[0].letter}_{self.left}"
                rule = f"a line with two pre-activations names them by subscripts, as in {example}; {_IN_BRACKETS}"
                self.fail(rule, bare[0].token)
            self.implied.add(self.left)
        found: dict[str, list[_Term]] = {}
        for term in terms:
            found.setdefault(named[term] or implied, []).append(term)
        return found

    def _subscript(self, term: _Term, subscripts: set[str]) -> str:
        """Return the gate of a term: of R_i_f f' it is i, where the sum has another term of i."""
        heard = term.heard.name if isinstance(term.heard, Old | Value) else ""
        stem = term.gate.removesuffix(f"_{heard}") if heard else term.gate
        return stem if stem in subscripts else term.gate

    def _gate(self, name: str, terms: Sequence[_Term]) -> Expression:
        """Note a pre-activation and return it."""
        for letter in ("W", "b"):
            twice = [term for term in terms if term.letter == letter][1:]
            if twice:
                self.fail(f"gate {name} has {letter} twice", twice[0].token)
        heard = [(term.heard, term.token) for term in terms if term.heard is not None]
        for k, (source, token) in enumerate(heard):
            if source in [other for other, _ in heard[:k]]:
                self.fail(f"gate {name} hears the same twice", token)
        letters, token = {term.letter for term in terms}, terms[0].token
        if letters == {"b"}:
            rule = (
                f"gate {name} must have an input, W x or R h', got a bias alone; a learned vector is written p_{name}"
            )
            self.fail(rule, token)
        gate = Linear(name, "W" in letters, tuple(source for source, _ in heard), "b" in letters)
        if self.gates.setdefault(name, gate) != gate:
            first = self.at[name].line
            rule = f"gate {name} stands in line {first} with other terms; choose another subscript"
            self.fail(f"{rule}, and {_IN_BRACKETS}", token)
        self.at.setdefault(name, token)
        return Preactivation(name)


class _Whole:
    """Checks what the lines are together, and says what follows from them."""

    def __init__(self, reader: _Reader) -> None:
        self.reader, self.lines, self.gates = reader, tuple(reader.lines), reader.gates
        self.known = {line.name: line.value for line in self.lines}

    def program(self) -> Program:
        said, fail = self.reader.said, self.reader.fail
        for name, token in self.reader.old.items():
            if name not in self.known:
                fail(f"{name}' is the old value of {name}, which no line computes; write {name} = ...", token)
        fields, gates = self._fields(), self._gates()
        self._check_use(fields)
        vectors = vectors_of(self.lines, self.gates)
        for token in said.get("vectors", [])[1:]:
            if token.text not in vectors:
                fail(f"the vector {token.text} is not used", token)
        named = [token.text for token in said.get("vectors", [])[1:]]
        vectors = (*named, *(name for name in vectors if name not in named))
        kept = self._kept(kept_of(self.lines, self.gates, fields))
        return Program(self.lines, tuple(self.gates[name] for name in gates), vectors, fields, kept)

    def _fields(self) -> tuple[str, ...]:
        """Return the fields of the state, the output first."""
        derived = fields_of(self.lines, self.gates)
        given = self.reader.said.get("state")
        if given is None:
            return derived
        names, old = tuple(token.text for token in given[1:]), read_before(self.lines, self.gates)
        for token in given[1:]:
            if token.text not in self.known:
                self.reader.fail(f"the state names {token.text}, which no line computes", token)
        missing = [name for name in self.known if name in old and name not in names]
        if missing:
            self.reader.fail(f"the state must name {missing[0]}, whose old value {missing[0]}' is read", given[0])
        return names

    def _gates(self) -> tuple[str, ...]:
        given, there = self.reader.said.get("gates"), dict.fromkeys(appearing(self.lines, self.gates))
        if not there:
            self.reader.fail("no line has W x, so that nothing depends on x", self.reader.named[self.lines[0].name])
        if given is not None:
            names = tuple(token.text for token in given[1:])
            if set(names) != set(there):
                self.reader.fail(f"gates must name all of {', '.join(there)}", given[0])
            return names
        found = arranged(self.lines, self.gates)
        if found is None:
            last = self.reader.at[list(there)[-1]]
            rule = "the gates that hear the same cannot all stand beside each other"
            self.reader.fail(f"{rule}; give an R a gate of its own, as in m = R_m c'", last)
        return found

    def _check_use(self, fields: Sequence[str]) -> None:
        """Raise FormulaError for what is not used, and for an output that depends on no past or no input."""
        reader, output = self.reader, fields[0]
        reached = self._reached(fields)
        for line in self.lines:
            if Value(line.name) not in reached and line.name not in fields:
                rule = f"{line.name} is computed and never used; the last line is the output"
                reader.fail(rule, reader.named[line.name])
            if isinstance(line.value, Number):
                reader.fail(f"{line.name} is a number; write it where it is used", reader.named[line.name])
        of_output = self._reached([output])
        place = reader.named[output]
        inputs = [p for p in of_output if isinstance(p, Preactivation) and self.gates[p.gate].input]
        if not inputs:
            reader.fail(f"the output {output} does not depend on x; some W x must reach it", place)
        if not any(isinstance(part, Old) for part in of_output):
            example = f"as in R {output}' or {output}'"
            reader.fail(
                f"the output {output} does not depend on any earlier step; an old value must reach it, {example}", place
            )

    def _reached(self, fields: Sequence[str]) -> set[Expression]:
        """Return all parts that fields are computed from, also by way of earlier steps."""
        found, stack = set[Expression](), [self.known[field] for field in fields]
        while stack:
            part = stack.pop()
            if part in found:
                continue
            found.add(part)
            stack.extend(operands(part))
            if isinstance(part, Preactivation):
                stack.extend(self.gates[part.gate].hears)
            if isinstance(part, Value | Old) and part.name in self.known:
                stack.append(self.known[part.name])
        return found

    def _kept(self, derived: Kept) -> Kept:
        """Return what keeps and writes: what the lines `keeps` and `writes` say, or else what follows."""
        keeps, never, writes = derived.keeps, derived.never_forgets, derived.writes
        if "keeps" in self.reader.said:
            keeps, never = self._gate_said("keeps", ("all", "nothing"), derived)
        if "writes" in self.reader.said:
            writes, _ = self._gate_said("writes", ("nothing",), derived)
        return Kept(keeps, writes, never)

    def _gate_said(self, word: str, words: Sequence[str], derived: Kept) -> tuple[tuple[str, int] | None, bool]:
        first, *given = self.reader.said[word]
        texts = [token.text for token in given]
        if len(texts) == 1 and texts[0] in words:
            return None, texts[0] == "all"
        sign = 1
        if texts[:2] == ["1", "-"]:
            sign, texts = -1, texts[2:]
        if len(texts) != 1 or texts[0] not in self.gates:
            there = ", ".join([*self.gates, *words])
            self.reader.fail(f"{word} must be followed by a gate or 1 minus a gate ({there})", first)
        return (texts[0], sign), False
