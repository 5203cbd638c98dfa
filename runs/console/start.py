"""What a command answers before it imports anything slow, and how it ends without delay.

Importing torch takes two seconds. Help and mistyped names do not wait for it.
"""

from __future__ import annotations

import atexit
import gc
import sys
from importlib import import_module

from .catalogue import parser_of
from .early import mistake, mistyped
from .manual import manual
from .outlet import outlive_readers
from .source import ROOTS
from .text import complain

HELP = ("-h", "--help")


def answer(command: str) -> None:
    """End the process if its command line asks for help, or names what does not exist, which is one line and code 2.

    It is called at the top of `python -m runs` and `python -m runs.sweep`.

    command: trial or sweep, the configuration that the command composes.
    """
    end_quickly()
    if not set(HELP).isdisjoint(sys.argv[1:]):
        print(manual(command))
        raise SystemExit(0)
    _refuse(mistake(command, sys.argv[1:]))


def answer_catalogue(kind: str) -> None:
    """End the process if it starts `python -m variants` with a name or an option that does not exist, or with --help.

    The same holds for `tasks`. It is called at the top of the package, and does nothing when the package is imported in
    any other way. The dotted path of a class of your own is not looked at.

    kind: variant or task.
    """
    # "-m" is what sys.argv holds while Python looks for the module to run
    if sys.argv[:1] != ["-m"] or sys.orig_argv[-len(sys.argv)] != ROOTS[kind][0]:
        return
    end_quickly()
    options = parser_of(kind).parse_args(sys.argv[1:])
    _refuse(mistyped(kind, [options.name or ""]))


def _refuse(line: str) -> None:
    """End the process with exit code 2 and a line, if there is one."""
    if line:
        complain(line)
        raise SystemExit(2)


def end_quickly() -> None:
    """Let this process end without a last search for garbage, which takes .4 s where torch is imported.

    The search walks through all objects of all modules, and frees what the operating system frees as well. Everything
    else is done as usual: functions of `atexit` run, threads are waited for and files are flushed.

    It also lets the process go on quietly where the reader of its output has gone.
    """
    outlive_readers()
    atexit.register(gc.freeze)


def import_quickly(module: str) -> None:
    """Import a module without a search for garbage meanwhile, which takes a sixth of the time where torch is imported.

    module: its dotted name.
    """
    gc.disable()
    try:
        import_module(module)
    finally:
        gc.enable()
