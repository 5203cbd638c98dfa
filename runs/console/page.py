"""The page that `--help` of every command prints: a sentence, examples, keys with meaning and default, exit codes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .text import table, width, wrapped

CODES = (
    "Exit codes: 0 when all is done; 1 when something could not be done, which is said; 2 for a mistake in the "
    "command, which is one line; 130 when interrupted."
)
HELP = ("--help", "this text, and nothing else.")

Rows = Sequence[tuple[str, str]]  # names, each with what it means


def help_page(about: str, sections: Mapping[str, Rows | str], examples: Sequence[str] = (), codes: str = CODES) -> str:
    """Return the text of `--help`, which fits the terminal.

    about: the docstring of a command. It begins with an example in backquotes, a colon and a sentence, or with a
        sentence. Paragraphs that begin with blanks are further examples.
    sections: by heading the names with their meaning, or a text that stays as it is. Empty ones are left out.
    examples: more commands to copy.
    codes: the sentence on exit codes.

    >>> print(help_page("`python -m sums n=3`: adds up.", {"Keys (key=value)": [("n", "how many; default 1")]}, (), ""))
    Adds up.
    <BLANKLINE>
    Examples:
      python -m sums n=3
    <BLANKLINE>
    Keys (key=value):
      n  how many; default 1
    """
    columns = width()
    sentences, commands = _taken_apart(about)
    blocks = [wrapped(paragraph, columns) for paragraph in sentences]
    shown = "\n".join(f"  {command}" for command in (*commands, *examples))
    blocks += [f"Examples:\n{shown}"] if shown else []
    for heading, content in sections.items():
        if isinstance(content, str):
            blocks += [wrapped(content, columns)]
        elif content:
            rows = table([([f"  {name}"], text) for name, text in content], columns)
            blocks.append(f"{wrapped(heading, columns - 1)}:\n{rows}")
    return "\n\n".join(filter(None, [*blocks, wrapped(codes, columns)]))


def _taken_apart(about: str) -> tuple[list[str], list[str]]:
    """Return the paragraphs of a docstring, and the commands that it shows as examples."""
    begun = re.match(r"`([^`]+)`: ", about)
    rest = about[begun.end() :] if begun else about
    paragraphs = [p for p in re.split(r"\n\s*\n", rest.strip("\n")) if p.strip()]
    commands = [begun[1]] if begun else []
    for paragraph in paragraphs:
        commands += [line.strip() for line in paragraph.splitlines() if paragraph.startswith("    ")]
    sentences = [" ".join(p.split()) for p in paragraphs if not p.startswith("    ")]
    sentences[:1] = [sentences[0][:1].upper() + sentences[0][1:]] if sentences else []
    return sentences, commands
