"""Fills in the template of a page that needs no other file: its style and its script stand in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def standalone(folder: Path, template: str, **values: Any) -> str:
    """Return a page; text is escaped, and a value that is missing is an error.

    folder: of the template and of what it includes.
    template: its file name.
    values: what it shows.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader, undefined = FileSystemLoader(folder), StrictUndefined
    environment = Environment(loader=loader, autoescape=True, undefined=undefined, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(template).render(**values)


def for_script(data: Any) -> str:
    """Return plain values as JSON that can stand in a script element, whatever text is in them.

    >>> for_script({"a": "</script>"})
    '{"a":"\\\\u003c/script\\\\u003e"}'
    """
    text = json.dumps(data, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
