"""Pages from templates: prose by hand, numbers by the vocabulary, and no number by hand."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

from .guards import VERIFIED
from .vocabulary import LATER, Vocabulary

WIDTH = 120  # characters of a line of the page
STAYS = ("#", "|", "```", "<", "![", "    ")  # beginnings of lines that are not filled: headings, tables, code, images
# Numbers that the prose may hold, and why: they are no results.
ALLOWED = {
    r"(19|20)\d\d": "years of papers and of networks",
    r"95 %": "the level of all intervals",
    r"version \d+\.\d+": "versions of this project",
}
IN_LETTERS = (
    "three four five six seven eight nine ten eleven twelve thirteen fifteen twenty thirty forty fifty hundred thousand"
)


def rendered(template: str, vocabulary: Vocabulary, *, docs: str = "") -> str:
    """Fill in a template, and fill its paragraphs.

    template: Markdown with expressions of Jinja. A name that is missing is an error.
    vocabulary: what they may call.
    docs: the path from the page to `docs/`, such as `docs/`.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False
    )  # what is written is Markdown for the repository, from its own files
    text = environment.from_string(template).render(vocabulary.functions())
    text = re.sub(rf"^[ {VERIFIED}]*{VERIFIED}[ {VERIFIED}]*\n", "", text, flags=re.MULTILINE).replace(VERIFIED, "")
    return "\n\n".join(_filled(part) for part in _parts(text.replace("{docs}", docs))) + "\n"


def agrees(committed: str, quick: str) -> bool:
    """Return whether a page agrees with one in which the numbers that need resampling are left out.

    Line breaks do not count, as the numbers that are left out would move them.

    >>> [agrees(page, f"It is {LATER} points.") for page in ("It is 3 [1, 5]\\npoints.", "It was 3 points.")]
    [True, False]
    """
    first, *others = (" ".join(part.split()) for part in quick.split(LATER))
    text = " ".join(committed.split())
    if not others:
        return text == first
    if not text.startswith(first) or not text.endswith(others[-1]):
        return False
    place = len(first)
    for piece in others[:-1]:
        found = text.find(piece, place)
        if found < 0:
            return False
        place = found + len(piece)
    return place <= len(text) - len(others[-1])


def bare_numbers(template: str) -> list[str]:
    """Return numbers in the prose of a template that no expression computes.

    Code, links, and what `ALLOWED` lists do not count; numbers from three on in letters do.

    >>> bare_numbers("In 1997 `lag=30` gave {{ rate() }}, that is 12 of twenty ([3](4.md)).")
    ['12', 'twenty', '3']
    """
    text = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}|```.*?```|`[^`]*`|<!--.*?-->", " ", template, flags=re.DOTALL)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    for known in ALLOWED:
        text = re.sub(rf"(?<![\d.]){known}(?![\d.]\d)", " ", text)
    letters = "|".join(IN_LETTERS.split())
    return re.findall(rf"\d[\d.,]*\d|\d|\b(?:{letters})\b", text, flags=re.IGNORECASE)


def between(text: str, name: str, new: str) -> str:
    """Return a text with another part between the two comments that name it.

    >>> between("a <!-- x: begin --> b <!-- x: end --> c", "x", "B")
    'a <!-- x: begin -->\\n\\nB\\n\\n<!-- x: end --> c'
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, found, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise ValueError(f"the page lacks the comments {begin} and {end}")
    return f"{before}{begin}\n\n{new.strip()}\n\n{end}{after}"


def _parts(text: str) -> Iterator[str]:
    """Yield paragraphs, tables and blocks of code of a page; the blank lines between them do not count."""
    block: list[str] = []
    fenced = False
    for line in [*text.splitlines(), ""]:
        fenced = fenced != line.startswith("```")
        if line.strip() or fenced:
            block.append(line)
        elif block:
            yield "\n".join(block)
            block = []


def _filled(part: str) -> str:
    """Return a paragraph or a list with lines of at most `WIDTH` characters; anything else as it is."""
    lines = part.split("\n")
    if part.startswith(STAYS):
        return part
    items: list[str] = []
    for line in lines:
        if line.startswith("- ") or not items:
            items.append(line.strip())
        else:
            items[-1] += " " + line.strip()
    return "\n".join(_wrapped(item) for item in items)


def _wrapped(item: str) -> str:
    """Return an item on lines; code and links are not broken."""
    item = re.sub(" +", " ", item)
    held = re.sub(r"`[^`]*`|\[[^\]]*\]\([^)]*\)", lambda found: found.group().replace(" ", "\1"), item)
    after = "  " if item.startswith("- ") else ""
    lines = textwrap.wrap(held, WIDTH, subsequent_indent=after, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines).replace("\1", " ")
