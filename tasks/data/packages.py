"""Finds the files that an installed package brings, without importing the package."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path
from typing import NamedTuple


class Package(NamedTuple):
    """Where an installed package lies, and which version it is.

    folder: with the package's modules and data.
    version: of the distribution, such as "10.5.1".
    """

    folder: Path
    version: str


def installed(task: str, package: str, extra: str, distribution: str = "") -> Package:
    """Find an installed package; nothing of it is imported.

    task: name of the task that asks, for the message.
    package: its name in an import statement, without dots.
    extra: which of our extras brings it.
    distribution: its name for pip where that is another one.

    Returns folder and version.
    Raises ValueError, in one line, where the package is not installed.

    >>> installed("digits", "sklearn", "analysis", "scikit-learn").folder.name
    'sklearn'
    """
    distribution = distribution or package
    spec = importlib.util.find_spec(package)
    places = (spec and spec.submodule_search_locations) or []
    try:
        return Package(Path(next(iter(places))), importlib.metadata.version(distribution))
    except (StopIteration, importlib.metadata.PackageNotFoundError):
        raise ValueError(f"{task} needs {distribution}: pip install -c constraints.txt -e '.[{extra}]'") from None
