"""The templates of the HTML pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..standalone import standalone


def page(template: str, **values: Any) -> str:
    """Fill in a template of this folder; text is escaped, and a value that is missing is an error."""
    return standalone(Path(__file__).parent / "templates", template, **values)
