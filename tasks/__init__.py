"""Synthetic long-dependency tasks, one definition each. Every module of this folder is imported, so that its tasks register."""

from __future__ import annotations

import importlib
import pkgutil

from .task import Batch, Task

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["Batch", "Task"]
