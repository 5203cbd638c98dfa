"""A page in the Chromium of the system, which playwright drives."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


def program() -> str | None:
    """Return the path of the browser, None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


needs_browser = [
    pytest.mark.slow,
    pytest.mark.skipif(program() is None, reason="needs Chromium (Debian: apt install chromium)"),
    pytest.mark.skipif(find_spec("playwright") is None, reason="needs playwright (the extra browser)"),
]
"""Marks of a module of tests: `pytestmark = needs_browser`."""


@contextmanager
def browser() -> Iterator[Any]:
    """Open a browser with a fresh profile; `with browser() as chromium: page = chromium.new_page()`."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=program(), args=["--no-sandbox", "--disable-gpu"])
        try:
            yield chromium
        finally:
            chromium.close()


@contextmanager
def opened(address: str, width: int = 1280, height: int = 900) -> Iterator[Any]:
    """Open an address in a new browser; yields playwright's page, with two lists as further attributes.

    The attribute `messages` holds what the page wrote to the console or threw, and `asked` the addresses that it asked
    for, so that a test can say that both hold nothing unexpected.
    """
    with browser() as chromium:
        page = chromium.new_page(viewport={"width": width, "height": height})
        page.messages, page.asked = [], []
        page.on("console", lambda message: page.messages.append(message.text))
        page.on("pageerror", lambda error: page.messages.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(address)
        yield page
