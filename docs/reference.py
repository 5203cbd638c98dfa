"""The reference of public names as Markdown, made from their signatures and docstrings."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, ForwardRef

from runs.record.rows import COLUMNS

PACKAGES = {
    "variants": "What remembers: the contract of a cell, the layers that run it, and how parameters start.",
    "variants.nn": "Any cell as a module with the conventions of `torch.nn.LSTM`.",
    "tasks": "What must be remembered: the contract of a task.",
    "runs": "What training leaves behind: trained networks, and studies as archives.",
    "analysis": "Reading a study from Python.",
}
FURTHER = {  # public names that are in no `__all__`, wherever in the package they stand
    "tasks": ("Regression", "Classification", "MultiLabel"),
    "runs": ("load_model", "read_archive"),
    "analysis": ("Study", "analyse"),
}
ROOT = Path(__file__).resolve().parent.parent


def reference() -> Iterator[str]:
    """The parts of the page: every public name with its signature and docstring."""
    for package, what in PACKAGES.items():
        yield f"## {package}"
        yield what
        for path, thing in public(package).items():
            yield f"### {path}"
            yield from described(path, thing)
    yield "## The columns of an archive"
    yield "Hyperparameters come after them, then their coordinates `u_<name>` in the unit cube."
    rows = (f"| `{column.name}` | {column.kind} | {column.meaning} |" for column in COLUMNS)
    yield "\n".join(["| column | kind | what it says of a trial |", "|---|---|---|", *rows])


def public(package: str) -> dict[str, Any]:
    """The public names of a package by their dotted paths: those of its `__all__`, then its part of `FURTHER`."""
    module = importlib.import_module(package)
    found = {f"{package}.{name}": getattr(module, name) for name in getattr(module, "__all__", ())}
    for name in FURTHER.get(package, ()):
        place = _module_that_defines(package, name)
        thing = getattr(importlib.import_module(place), name)
        if not any(thing is other for other in found.values()):
            found[f"{place.removesuffix('.__main__')}.{name}"] = thing
    return found


def _module_that_defines(package: str, name: str) -> str:
    """The dotted path of the module of a package in which a function or class stands, wherever it has been moved."""
    for path in sorted((ROOT / package).rglob("*.py")):
        if re.search(rf"^(def|class) {name}\b", path.read_text(encoding="utf-8"), re.MULTILINE):
            return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    raise LookupError(f"docs/reference.py names {name!r}, which no module of {package} defines")


def described(path: str, thing: Any) -> Iterator[str]:
    """The Markdown of one public name: signature, docstring, and the members of a class."""
    if not (inspect.isclass(thing) or inspect.isfunction(thing)):  # the alias of a type
        code, meaning = _assignment(path)
        yield fenced("python", code)
        yield markdown(meaning)
        return
    yield fenced("python", signature(thing))
    yield markdown(inspect.getdoc(thing) or "")
    members = list(_members(thing)) if inspect.isclass(thing) else []
    if members:
        yield "Methods and properties:"
        yield "\n".join(members)


def fenced(language: str, text: str) -> str:
    """A block of code."""
    return f"```{language}\n{text}\n```"


def signature(thing: Callable[..., Any], most: int = 100) -> str:
    """The name of a function or class with its arguments; one a line where one line would be longer than `most`."""
    try:
        found = inspect.signature(thing)
    except ValueError:
        return thing.__name__
    arguments = [
        p.replace(annotation=_plain(p.annotation), default=_named(p.default)) for p in found.parameters.values()
    ]
    returns = inspect.Signature.empty if inspect.isclass(thing) else _plain(found.return_annotation)
    text = thing.__name__ + str(found.replace(parameters=arguments, return_annotation=returns))
    if len(text) <= most:
        return text
    lines = [str(p) for p in arguments]
    keyword_only = [k for k, p in enumerate(arguments) if p.kind is p.KEYWORD_ONLY]
    if keyword_only and not any(p.kind is p.VAR_POSITIONAL for p in arguments):
        lines.insert(keyword_only[0], "*")
    arrow = "" if returns is inspect.Signature.empty else f" -> {returns}"
    return f"{thing.__name__}(\n" + "".join(f"    {line},\n" for line in lines) + f"){arrow}"


class _Written(str):
    """Code as it is written in the source; `inspect` shows annotations and defaults by their repr."""

    def __repr__(self) -> str:
        return str(self)


def _plain(annotation: Any) -> Any:
    if isinstance(annotation, ForwardRef):
        return _Written(annotation.__forward_arg__)
    return _Written(annotation) if isinstance(annotation, str) else annotation


def _named(default: Any) -> Any:
    """A default that is a function by its name: its repr is an address."""
    return _Written(default.__name__.replace("<lambda>", "...")) if inspect.isfunction(default) else default


def _members(cls: type) -> Iterator[str]:
    """One line for each public method and property that a class itself documents: the first sentence on it."""
    for name, member in vars(cls).items():
        function = getattr(member, "__func__", member)
        described = inspect.isfunction(function) or isinstance(member, property | cached_property)
        if name.startswith("_") or not described or not function.__doc__:
            continue
        sentence = re.split(r"(?<=\.)\s", " ".join(function.__doc__.split()))[0]
        arguments = ""
        if inspect.isfunction(function):
            arguments = f"({', '.join(a for a in inspect.signature(function).parameters if a not in ('self', 'cls'))})"
        yield f"- `{name}{arguments}`: {escaped(sentence)}"


def _assignment(path: str) -> tuple[str, str]:
    """How a name is assigned in some module of its package, and the string that stands below as its docstring."""
    package, _, name = path.rpartition(".")
    modules = [module for key, module in sys.modules.items() if key.partition(".")[0] == package.partition(".")[0]]
    for module in modules:
        for here, below in pairwise(ast.parse(inspect.getsource(module)).body):
            targets = here.targets if isinstance(here, ast.Assign) else [getattr(here, "target", None)]
            assigned = any(isinstance(target, ast.Name) and target.id == name for target in targets)
            if assigned and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                return ast.unparse(here), str(below.value.value)
    return name, ""


# Docstrings as Markdown
# ---------------------------------------------------------------------------------------------------------------------

ARGUMENT = re.compile(r"(\**[a-z]\w*(?:, \**[a-z]\w*)*|\**[A-Z]\w*): (\S.*)")
OPENING = re.compile(r"(Returns?|Raises?|Sources?|Examples?|References?)\b")


def markdown(doc: str) -> str:
    """A docstring as Markdown: lines `name: meaning` become a list, indented lines and examples blocks of code."""
    parts: list[str] = []
    for block in re.split(r"\n\s*\n", inspect.cleandoc(doc)):
        lines = block.splitlines()
        if block.startswith(">>>"):
            parts.append(fenced("python", block))
        elif block.startswith("    "):
            parts.append(fenced("text", inspect.cleandoc("\n" + block)))
        else:
            parts += _prose(lines)
    return "\n\n".join(parts)


def _prose(lines: list[str]) -> Iterator[str]:
    """Paragraphs and lists of arguments in their order; a line that opens nothing new continues the one above."""
    text: list[str] = []
    listed = False  # whether `text` is a list of arguments
    for line in lines:
        bare = line.strip()
        argument = ARGUMENT.fullmatch(bare)
        opens = not text or listed or text[-1].endswith((".", ":"))  # else it is the middle of a sentence
        if argument and opens and (not bare[0].isupper() or line.startswith("    ")):
            if text and not listed:
                yield "\n".join(text)
                text = []
            text.append(f"- `{argument[1]}`: {escaped(argument[2])}")
            listed = True
        elif listed and OPENING.match(bare):
            yield "\n".join(text)
            text, listed = [escaped(bare)], False
        elif listed:
            text[-1] += f" {escaped(bare)}"
        else:
            text.append(escaped(bare))
    if text:
        yield "\n".join(text)


def escaped(text: str) -> str:
    """Text in which Markdown takes no sign for markup; code between backticks stays as it is."""
    pieces = re.split(r"(`[^`]*`)", text)
    return "".join(piece if piece.startswith("`") else re.sub(r"([*_<>\[\]|\\])", r"\\\1", piece) for piece in pieces)
