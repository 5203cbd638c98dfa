"""What is installed is the folder `variants` alone, as `lstm_variants`, and it works where the rest is not."""

import ast
import importlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.test_house import CONSOLE, IMPORTS, ROOT, START, inside

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
BUILT_OF = ("variants", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in")
SOURCES = sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "variants").rglob("*.py"))


def test_every_folder_of_variants_is_a_package_that_is_installed():
    folders = {Path(source).parent.as_posix() for source in SOURCES}
    names = {folder.replace("variants", "lstm_variants", 1).replace("/", ".") for folder in folders}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == names


def test_variants_needs_what_is_installed_with_it_only():
    needed = {re.match(r"[\w-]+", need).group() for need in PROJECT["project"]["dependencies"]}
    found = {
        imported.partition(".")[0]
        for module in IMPORTS
        if inside(module, "variants")
        for imported in IMPORTS[module]
        if not (module in START and inside(imported, CONSOLE))
    }
    with_torch = {"typing_extensions"}
    assert found - set(sys.stdlib_module_names) - {"variants"} <= needed | with_torch


@pytest.mark.parametrize("source", SOURCES)
def test_imports_inside_variants_are_relative(source):
    nodes = list(ast.walk(ast.parse((ROOT / source).read_text())))
    names = [n.module for n in nodes if isinstance(n, ast.ImportFrom) and not n.level]
    names += [alias.name for n in nodes if isinstance(n, ast.Import) for alias in n.names]
    assert [name for name in names if inside(name, "variants")] == []


def test_the_package_says_its_version():
    assert importlib.import_module("variants").__version__ == PROJECT["project"]["version"]


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Makes a distribution of a copy of the sources, without network."""
    pytest.importorskip("setuptools", "77")
    copy = tmp_path_factory.mktemp("sources")
    for name in BUILT_OF:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, copy / name)
    for folder in ("runs", "tasks", "analysis", "conf", "tests"):
        (copy / folder).mkdir()
        (copy / folder / "test_of_nothing.py").touch()

    def made(kind):
        code = f"from setuptools import build_meta; build_meta.build_{kind}('made')"
        (copy / "made").mkdir(exist_ok=True)
        subprocess.run([sys.executable, "-c", code], cwd=copy, check=True, capture_output=True)
        return max((copy / "made").iterdir(), key=os.path.getmtime)

    return made


@pytest.fixture(scope="module")
def installed(build, tmp_path_factory):
    """A folder that holds nothing but the content of the wheel."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(build("wheel")) as wheel:
        wheel.extractall(folder)
    return folder


@pytest.mark.slow
def test_a_wheel_holds_the_folder_variants_under_its_other_name(installed):
    files = {p.relative_to(installed).as_posix() for p in installed.rglob("*") if p.is_file()}
    code = {file for file in files if ".dist-info/" not in file}
    assert code == {source.replace("variants", "lstm_variants", 1) for source in SOURCES} | {"lstm_variants/py.typed"}


@pytest.mark.slow
def test_a_wheel_asks_for_its_needs_and_keeps_those_of_studies_in_extras(installed):
    (metadata,) = installed.glob("*.dist-info/METADATA")
    needs = re.findall(r"^Requires-Dist: (\w+)[^;\n]*$", metadata.read_text(), re.MULTILINE)
    assert sorted(needs) == ["llvmlite", "numpy", "torch"]


@pytest.mark.slow
def test_a_source_distribution_holds_what_a_wheel_is_built_of(build, tmp_path):
    shutil.unpack_archive(build("sdist"), tmp_path)
    (folder,) = tmp_path.iterdir()
    python = {p.relative_to(folder).as_posix() for p in folder.rglob("*.py")}
    assert python == set(SOURCES)


EXAMPLES = """
import doctest, importlib, pathlib, pkgutil, re, sys

import lstm_variants

assert pathlib.Path(lstm_variants.__file__).is_relative_to(sys.argv[1])
for name in ("variants", "runs", "tasks", "analysis"):
    assert importlib.util.find_spec(name) is None, name

def renamed(text):
    return text.replace("from variants", "from lstm_variants")

failed = tried = 0
for found in pkgutil.walk_packages(lstm_variants.__path__, "lstm_variants."):
    if found.name != "lstm_variants.__main__":
        for test in doctest.DocTestFinder().find(importlib.import_module(found.name)):
            for example in test.examples:
                example.source = renamed(example.source)
            result = doctest.DocTestRunner().run(test)
            failed, tried = failed + result.failed, tried + result.attempted
here = {}
for block in re.findall(r"^```python\\n(.*?)^```$", renamed(sys.stdin.read()), re.MULTILINE | re.DOTALL):
    exec(block, here)
assert here["outputs"].shape == (50, 8, 32)
module = lstm_variants.nn.RNN("coupled", 3, 5)
module(here["torch"].ones(7, 2, 3))[0].sum().backward()
print(module.recurrent.engine, failed, tried > 50)
"""


def python(installed, tmp_path, *arguments, stdin=""):
    """Run Python outside of the checkout, where the content of the wheel is found first."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=tmp_path, env=environment, input=stdin, capture_output=True, text=True
    )


@pytest.mark.slow
def test_examples_and_the_page_of_the_library_run_under_the_other_name(installed, tmp_path):
    page = (ROOT / "docs/library.md").read_text()
    done = python(installed, tmp_path, "-c", EXAMPLES, str(installed), stdin=page)
    assert done.stdout.splitlines()[-1:] == ["fused 0 True"], done.stdout + done.stderr


@pytest.mark.slow
def test_the_command_of_the_checkout_says_in_one_line_that_it_is_not_installed(installed, tmp_path):
    done = python(installed, tmp_path, "-m", "lstm_variants", "gru")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("error: the catalogue must be read in a checkout, by python -m variants")
