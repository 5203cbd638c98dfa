"""What executes trials and studies.

`load_model` gives back a network that a study has trained. It is imported when it is first asked for, so that `import
runs` does not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .trial.weights import load_model

__all__ = ["load_model"]


def __getattr__(name: str) -> object:
    if name == "load_model":
        from .trial.weights import load_model

        return load_model
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
