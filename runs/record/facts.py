"""What a result must carry to be reproduced: versions, commit, machine."""

from __future__ import annotations

import hashlib
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
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
KINDS = (("variants", "Cell"), ("variants", "Scheme"), ("tasks", "Task"))
"""Packages of this suite, and what classes of the user's may be."""
OURS = ("variants", "tasks", "runs", "builtins", "abc", "typing")
"""Modules whose classes do not count as the user's."""


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
    own = {"code": code(), "classes": own_classes()}
    return {"python": platform.python_version(), "versions": versions, **own, "processor": processor()}


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


def own_classes() -> dict[str, str]:
    """Return a hash of the code of each cell, task and scheme that is loaded and not of this suite, by its dotted path.

    It is that of the files in which the class, and those that it is derived from, are written.
    """
    loaded = [(vars(sys.modules[name]), kind) for name, kind in KINDS if name in sys.modules]
    kinds = [there[kind] for there, kind in loaded if kind in there]
    found = {f"{cls.__module__}.{cls.__qualname__}": _written_in(cls) for kind in kinds for cls in _below(kind)}
    return {name: text for name, text in sorted(found.items()) if text}


def _below(kind: type[Any]) -> Iterator[type[Any]]:
    """Yield all classes that are derived from a class."""
    for cls in kind.__subclasses__():
        yield cls
        yield from _below(cls)


def _written_in(cls: type[Any]) -> str:
    """Return a hash of the files of a class that are not of this suite; empty where there is none."""
    modules = dict.fromkeys(each.__module__ for each in cls.__mro__ if each.__module__.partition(".")[0] not in OURS)
    texts = [text for name in modules if (text := _hash_of_file(getattr(sys.modules.get(name), "__file__", None)))]
    return hashlib.sha256(" ".join(texts).encode()).hexdigest()[:12] if texts and cls.__module__ in modules else ""


@cache
def _hash_of_file(path: str | None) -> str:
    """Return the hash of a source file as it is when it is first asked for; empty where it cannot be read."""
    try:
        return hashlib.sha256(Path(path or "").read_bytes()).hexdigest() if str(path).endswith(".py") else ""
    except OSError:
        return ""


@cache
def processor() -> str:
    """Return the name of the processor, as far as the system says it, and the generation that kernels are compiled for.

    Machines of a cloud bear one name over several generations: AMD EPYC (znver3), AMD EPYC (znver4). Their instructions
    differ, and with them the last bits of results.
    """
    from llvmlite.binding import get_host_cpu_name

    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name} ({get_host_cpu_name()})"


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what differs between two environments; what is not known of one of them is left out.

    >>> changes({"python": "3.11.2"}, {"python": "3.11.3", "processor": "A"})
    ['python 3.11.2 -> 3.11.3']
    """
    pairs = {key: (before.get(key), now.get(key)) for key in DECISIVE}
    old, new = before.get("versions", {}), now.get("versions", {})
    pairs |= {name: (old.get(name), new.get(name)) for name in DECISIVE_PACKAGES}
    own, now_own = before.get("classes", {}), now.get("classes", {})
    pairs |= {f"code of {name}": (own[name], now_own.get(name)) for name in own}
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
