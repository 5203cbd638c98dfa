"""The templates of the HTML pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def page(template: str, **values: Any) -> str:
    """Fill in a template of this folder; text is escaped, and a value that is missing is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template(template).render(**values)
