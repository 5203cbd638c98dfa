"""Synthetic long-dependency tasks, one definition each. Those of `tasks/synthetic/` are registered."""

from __future__ import annotations

import sys

if sys.argv[:1] == ["-m"]:  # `python -m tasks NAME` starts: a mistyped name is told before torch is imported
    from runs.console.known import refuse_mistyped

    refuse_mistyped("task")

from . import synthetic as synthetic
from .task import Batch, Task

__all__ = ["Batch", "Task"]
