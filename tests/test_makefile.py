"""`make help` names every target, and for each what can be set, with the values that hold."""

import re
import shutil
import subprocess

import pytest

from tests.test_house import ROOT

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")

MAKEFILE = (ROOT / "Makefile").read_text().replace("\\\n", " ")
SETTINGS = dict(re.findall(r"^([A-Z_]+) \?= (.*)$", MAKEFILE, re.MULTILINE))
RULES = re.findall(r"^([a-z-]+):([^\n]*)\n((?:\t[^\n]*\n)*)", MAKEFILE, re.MULTILINE)
WIDTH = 80


def shown(*arguments):
    """The output of `make help`."""
    done = subprocess.run(["make", "-s", "help", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def help_of():
    """What `make help` says of each target, on one line."""
    said = " ".join(line if not line.startswith("   ") else line.strip() for line in shown().splitlines())
    return {part.split()[1]: part for part in re.split(r" (?=  make )", f" {said}") if part.strip()}


def test_every_phony_target_has_a_line_of_help_and_the_reverse():
    (phony,) = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert sorted(help_of()) == sorted(phony.split())


@pytest.mark.parametrize("target", [target for target, _, recipe in RULES if recipe])
def test_a_line_of_help_names_what_can_be_set_with_its_value(target):
    (recipe,) = [recipe for name, _, recipe in RULES if name == target]
    used = set(re.findall(r"\$\(([A-Z_]+)[):]", recipe)) & set(SETTINGS) - {"PYTHON"}  # which all targets need
    line = help_of()[target]
    wanted = {name: SETTINGS[name] if " " not in SETTINGS[name] else f'"{SETTINGS[name]}"' for name in used}
    if target == "clean":  # takes what `pythons` has made
        wanted.pop("PYTHONS")
    assert {name for name, value in wanted.items() if f"{name}={value}" not in line} == set()


def test_help_shows_values_that_are_given():
    assert "STUDY=family" in shown("STUDY=family")
    assert "$" not in shown()


def test_help_fits_a_terminal():
    assert [line for line in shown().splitlines() if len(line) > WIDTH] == []
