"""Synthetic long-dependency tasks, one definition each. Every module of this folder is imported, so that its tasks register."""

from __future__ import annotations

import importlib
import pkgutil
import sys

if sys.argv[:1] == ["-m"]:  # `python -m tasks NAME` starts: a mistyped name is told before torch is imported
    from runs.console.known import refuse_mistyped

    refuse_mistyped("task")

from .task import Batch, Task

for _module in pkgutil.iter_modules(__path__):
    if not _module.name.startswith("__"):
        importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["Batch", "Task"]
