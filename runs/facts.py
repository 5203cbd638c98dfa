"""What a result must carry to be reproduced: versions, commit, machine."""

from __future__ import annotations

import platform
import shlex
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .shell import without_password

PACKAGES = ("torch", "numpy", "llvmlite", "hydra-core", "optuna", "mlflow", "pandas", "scipy", "scikit-learn", "matplotlib")


def facts() -> dict[str, Any]:
    """Versions of Python and packages, the commit of the code (with + if changed since), and the machine."""
    return {
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "commit": commit(),
        "machine": f"{platform.machine()}, {platform.system()} {platform.release()}",
        "command": shlex.join(["python", "-m", _module(), *map(without_password, sys.argv[1:])]),
    }


def commit() -> str:
    """The commit of the code that runs, `unknown` outside a git checkout."""
    root = Path(__file__).resolve().parent.parent
    try:
        run = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12"], cwd=root, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return run.stdout.strip() or "unknown"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _module() -> str:
    path = Path(sys.argv[0])
    return f"{path.parent.name}" if path.stem == "__main__" else f"{path.parent.name}.{path.stem}"
