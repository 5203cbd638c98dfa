"""What a result must carry to be reproduced: versions, commit, machine."""

from __future__ import annotations

import hashlib
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..secrets_in_urls import without_password

PACKAGES = (
    "torch",
    "numpy",
    "llvmlite",
    "hydra-core",
    "optuna",
    "mlflow",
    "pandas",
    "scipy",
    "scikit-learn",
    "matplotlib",
)


# What numbers depend on, in the last bits at least.
DECISIVE = ("commit", "code", "python", "processor")
DECISIVE_PACKAGES = ("torch", "numpy", "llvmlite")


def facts() -> dict[str, Any]:
    """Return what a result must carry to be reproduced.

    Versions of Python and of packages, the commit of the code (with + where it was changed since), a hash of the code,
    the processor, the machine and the command.
    """
    return {
        **environment(),
        "commit": commit(),
        "machine": f"{platform.machine()}, {platform.system()} {platform.release()}",
        "command": shlex.join(["python", "-m", _module(), *map(without_password, sys.argv[1:])]),
    }


def environment() -> dict[str, Any]:
    """Return what numbers depend on besides the trial: the versions, the code and the processor."""
    versions = {name: _version(name) for name in PACKAGES}
    return {"python": platform.python_version(), "versions": versions, "code": code(), "processor": processor()}


def commit() -> str:
    """Return the commit of the code that runs, `unknown` outside a git checkout."""
    root = Path(__file__).resolve().parents[2]
    try:
        run = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12"],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=10,
            start_new_session=True,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return run.stdout.strip() or "unknown"


@cache
def code() -> str:
    """Return a hash of the Python files that make a result: those of `variants`, `tasks` and `runs`.

    It tells uncommitted changes apart.
    """
    root, digest = Path(__file__).resolve().parents[2], hashlib.sha256()
    for path in sorted(p for folder in ("variants", "tasks", "runs") for p in (root / folder).rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


@cache
def processor() -> str:
    """Return the name of the processor, as far as the system says it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what differs between two environments; what is not known of one of them is left out.

    >>> changes({"python": "3.11.2"}, {"python": "3.11.3", "processor": "A"})
    ['python 3.11.2 -> 3.11.3']
    """
    pairs = {key: (before.get(key), now.get(key)) for key in DECISIVE}
    old, new = before.get("versions", {}), now.get("versions", {})
    pairs |= {name: (old.get(name), new.get(name)) for name in DECISIVE_PACKAGES}
    if pairs["commit"][0] != pairs["commit"][1]:
        del pairs["code"]  # follows from the commit
    return [f"{key} {a} -> {b}" for key, (a, b) in pairs.items() if a is not None and b is not None and a != b]


def alike(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two environments have the same versions, code and processor, and name all of them.

    Commits are not compared, as the hash of the code says more.
    """
    known = all(key in facts for key in ("python", "versions", "code", "processor") for facts in (one, other))
    return known and not changes({**one, "commit": ""}, {**other, "commit": ""})


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def _module() -> str:
    path = Path(sys.argv[0])
    return f"{path.parent.name}" if path.stem == "__main__" else f"{path.parent.name}.{path.stem}"
