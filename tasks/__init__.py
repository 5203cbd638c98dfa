"""Tasks that need memory, one definition each: synthetic ones, and real sequences.

The tasks of `tasks/synthetic/` and `tasks/real/` are registered by name (`Task.registry["adding"]`) and can be imported
from here by the name of their class (`from tasks import Adding`).
"""

from __future__ import annotations

import sys
from typing import Any

if sys.argv[:1] == ["-m"]:  # `python -m tasks` starts: answer help and a mistyped name before torch is imported
    from runs.console.start import answer_catalogue

    answer_catalogue("task")

from . import real as real
from . import synthetic as synthetic
from .task import Batch, DataTask, Task


def __getattr__(name: str) -> type[Any]:
    """Find a registered task of this package by the name of its class.

    So `from tasks import Adding` works, and configurations name classes as `tasks.Adding`. The type is open, as each
    class has knobs of its own.

    Raises AttributeError for other names.
    """
    for cls in Task.registry.values():
        if cls.__name__ == name and cls.__module__.startswith(f"{__name__}."):
            return cls
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["Batch", "DataTask", "Task"]
