"""What the documents show is run as it stands there, and what follows from the code is written there."""

import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

from analysis.findings.page import rendered
from analysis.findings.vocabulary import Vocabulary
from docs import reference
from docs.__main__ import pages
from runs.configuration.command_line import WITHOUT_PRESET
from runs.configuration.equations import quoted
from runs.configuration.knobs import GROUPS
from runs.configuration.nodes import variant_node
from runs.configuration.schema import register
from runs.configuration.trial import checked
from runs.console.early import CONF, mistake, names_an_archive
from runs.networks.building import untrained
from runs.trial.training import run
from runs.trial.trial import Model, Training, Trial
from runs.trial.weights import save_model
from tasks import Task
from tests.conftest import reasons
from variants import Cell, Scheme

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md"),
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")),
]
VANILLA = {"_target_": "variants.Vanilla", "label": "vanilla"}
ADDING = {"_target_": "tasks.Adding", "label": "adding", "lag": 5}
GLOROT = {"_target_": "variants.GlorotOrthogonal", "label": "glorot_orthogonal"}


def text(document):
    return (ROOT / document).read_text(encoding="utf-8")


def blocks(document, language, heading=""):
    """The blocks of code in a language, of a document or of its section with this heading."""
    part = text(document)
    if heading:
        part = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", part, re.MULTILINE | re.DOTALL).group(1)
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)
    return [code for found, code in fenced if found == language]


def commands(document, module):
    """Arguments of every `python -m module ...` in blocks without a language, and between backticks."""
    shown = "\n".join(line for block in blocks(document, "") for line in block.splitlines())
    inline = re.findall(r"`(?:[A-Z_]+=\S+ )?(python -m [^`]+)`", text(document))
    lines = [*shown.splitlines(), *inline]
    found = [re.search(rf"python -m {re.escape(module)}( .*|)$", line.partition("  #")[0]) for line in lines]
    return [words(match.group(1)) for match in found if match]


def words(line):
    """The words of a shell command: quotes keep spaces."""
    return shlex.split(line)


def trial(**parts):
    small = {"model": Model(hidden_size=4), "training": Training(budget=3, evaluation_sequences=8)}
    return Trial(**{"variant": VANILLA, "task": ADDING, "initialisation": GLOROT, **small, **parts})


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a block of code as a module of its own, outside the project; what it registers is forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    for kind in (Cell, Task, Scheme):
        before = dict(kind.registry)
        monkeypatch.setattr(kind, "registry", before)

    def write(code, name):
        (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
        importlib.invalidate_caches()
        sys.modules.pop(name, None)  # one of another test
        return importlib.import_module(name)

    yield write
    for name in [path.stem for path in tmp_path.glob("*.py")]:
        sys.modules.pop(name, None)


# Recipes of CONTRIBUTING
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["eager", "fused"])
def test_the_cell_of_the_recipe_joins_a_study_by_its_import_path(module, engine):
    module(*blocks("CONTRIBUTING.md", "python", "Add a variant"), "cell_of_the_recipe")
    node = variant_node("cell_of_the_recipe.MinimalGated")
    assert node["label"] == "minimal_gated"
    outcome = run(trial(variant=node, model=Model(hidden_size=4, engine=engine)))
    assert (outcome.status, outcome.engine, outcome.error) == ("finished", engine, "")


def test_the_task_of_the_recipe_keeps_the_contract_and_trains_by_its_import_path(module):
    module(*blocks("CONTRIBUTING.md", "python", "Add a task"), "task_of_the_recipe")
    own = trial(task={"_target_": "task_of_the_recipe.OddOnes", "label": "odd_ones", "lag": 3})
    assert run(checked(own)).status == "finished"


def test_the_scheme_of_the_recipe_fills_every_parameter_within_its_bound(module):
    module(*blocks("CONTRIBUTING.md", "python", "Add an initialisation scheme"), "scheme_of_the_recipe")
    node = {"_target_": "scheme_of_the_recipe.Small", "label": "small", "bound": 0.125}
    network, _ = untrained(trial(initialisation=node))
    largest = max(float(p.detach().abs().max()) for p in network.recurrent.parts.parameters() if p.dim() == 2)
    assert 0.1 < largest <= 0.125


def test_the_figure_of_the_recipe_computes_means_and_draws_a_bar_for_each_variant(module):
    own = module(*blocks("CONTRIBUTING.md", "python", "Add a figure"), "figure_of_the_recipe")
    trials = pd.DataFrame({"variant": ["gru", "vanilla", "gru"], "seconds": [1.0, 5.0, 2.0]})
    numbers = own.numbers(SimpleNamespace(trials=trials, variants=["vanilla", "gru"]))
    assert numbers.data.to_dict("list") == {"variant": ["vanilla", "gru"], "seconds": [5.0, 1.5]}
    (axes,) = own.FIGURE.draw(numbers).axes
    assert [bar.get_width() for bar in axes.patches] == [5.0, 1.5]


@pytest.mark.parametrize(("low", "high", "verdict"), [(-0.3, -0.1, "disagrees"), (-0.05, 0.05, "agrees")])
def test_the_claim_of_the_recipe_follows_the_interval(module, low, high, verdict):
    own = module(*blocks("CONTRIBUTING.md", "python", "Add a claim of the literature"), "claim_of_the_recipe")
    row = {"task": "adding", "variant": "gru", "baseline": "vanilla", "endpoint": "solve_rate", "primary": True}
    row |= {"difference": (low + high) / 2, "low": low, "high": high, "p": 0.01, "needed": 50.0, "span": 1.0}
    row |= {"points": 50, "value": 0.4, "reference": 0.5, "series": "adding", "question": "quality"}
    row |= {"significant": verdict == "disagrees", "verdict": {"disagrees": "worse", "agrees": "same"}[verdict]}
    assert own.claim.test(pd.DataFrame([row]), pd.DataFrame(), "vanilla").verdict == verdict


def test_the_study_of_the_recipe_is_read_from_a_folder_of_ones_own(tmp_path):
    (tmp_path / "study").mkdir()
    (preset,) = blocks("CONTRIBUTING.md", "yaml", "Add a study, a search space, a preset")
    (tmp_path / "study" / "gates.yaml").write_text(preset)
    arguments = ["--config-dir", str(tmp_path), "study=gates", "action=status", f"results={tmp_path}/results"]
    command = [sys.executable, "-m", "runs.sweep", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stderr.startswith("error: action=status: study 'gates' has not been started") or (
        done.stderr.startswith("error: study 'gates' has not been started")
    ), done.stderr
    assert yaml.safe_load(preset)["points"] == 20


@pytest.mark.slow  # resamples an archive
def test_the_findings_of_the_recipe_say_what_the_archive_says():
    (template,) = blocks("CONTRIBUTING.md", "jinja", "Write the findings")
    said = rendered(template, Vocabulary(("family",)))
    assert re.search(r"it solves \d+ %, that is \d+ \[\d+, \d+\] percentage points fewer\.", " ".join(said.split()))


def test_every_block_of_a_recipe_is_run_by_a_test_above():
    assert len(blocks("CONTRIBUTING.md", "python")) == 5
    assert len(blocks("CONTRIBUTING.md", "yaml")) == 1
    assert len(blocks("CONTRIBUTING.md", "jinja")) == 1


# README and the page of the library
# ---------------------------------------------------------------------------------------------------------------------


def test_the_cell_of_the_readme_runs_in_a_shell_and_gives_the_shapes_that_it_says():
    (code,) = blocks("README.md", "python", "A cell in plain Python")
    here = {}
    exec(code, here)
    assert here["outputs"].shape == (100, 8, 32)


def test_the_cell_of_ones_own_in_the_readme_is_a_leaky_integrator_and_is_fused(module):
    own = module(*blocks("README.md", "python", "Your own cell"), "my_cells")
    from variants import build

    layer = build(own.Leaky(), input_size=3, hidden_size=5)
    x = torch.randn(1, 2, 3)
    outputs, _ = layer(x)
    weights = {name.rpartition(".")[2]: value for name, value in layer.parts.named_parameters()}
    assert torch.allclose(outputs[0], 0.1 * torch.tanh(x[0] @ weights["W_n"].T + weights["b_n"]), atol=1e-6)
    assert layer.engine == "fused"
    assert run(trial(variant=variant_node("my_cells.Leaky"))).status == "finished"


def test_the_numbers_of_variants_and_tasks_in_the_readme_are_those_of_the_catalogues():
    from tasks.catalogue import entries as all_tasks
    from variants.catalogue import entries as all_variants

    variants = sum(not cls.control for cls in all_variants().values())
    flat = " ".join(text("README.md").split())
    assert f"There are {variants} [variants]" in flat
    assert f"and {len(all_tasks())} [tasks]" in flat


def test_the_blocks_on_the_page_of_the_library_run_one_after_the_other():
    here = {}
    for code in blocks("docs/library.md", "python"):
        exec(code, here)
    assert here["outputs"].shape == (50, 8, 32)
    assert here["state"][0].c.shape == (8, 32)
    first, second = here["Vanilla"], here["second"]
    other = here["build"](first(), input_size=3, hidden_size=32)
    assert not torch.equal(other.parts[0]["W_z"], second.parts[0]["W_z"])


def test_the_block_on_the_page_inside_loads_a_network(tmp_path, monkeypatch):
    own = trial()
    network, _ = untrained(own)
    monkeypatch.chdir(tmp_path)
    save_model(Path("results/quick/models/adding/gru.safetensors"), network, own, run(own), {})
    here = {}
    (code,) = blocks("docs/inside.md", "python")
    exec(code, here)
    assert here["trial"] == own


# Commands
# ---------------------------------------------------------------------------------------------------------------------

LAUNCHED = ("-m", "hydra/launcher", "hydra.launcher", "worker=range")  # need plugins; the first look is enough
REGISTERED = {group: list(cls.registry) for group, cls in GROUPS.items()}


@pytest.fixture(scope="module")
def composed():
    register()
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        yield compose


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize(("name", "program"), [("trial", "runs"), ("sweep", "runs.sweep")])
def test_every_command_in_a_document_composes(composed, document, name, program, monkeypatch):
    monkeypatch.setenv("STUDY_STORAGE", "postgresql+psycopg://study@127.0.0.1/study")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    for arguments in commands(document, program):
        assert mistake(name, arguments, REGISTERED) == "", arguments
        plain = [a for a in arguments if not a.startswith(LAUNCHED)]
        if plain == arguments and "--config-dir" not in arguments and "--help" not in arguments:
            without = [WITHOUT_PRESET] if names_an_archive(arguments) else []
            composed(name, overrides=[*quoted([a for a in arguments if a != "..."]), *without])


@pytest.mark.parametrize("program", ["variants", "tasks"])
def test_every_name_that_a_document_shows_a_card_of_is_registered(program):
    registry = {"variants": Cell, "tasks": Task}[program].registry
    found = [a for document in DOCUMENTS for a in commands(document, program) if a and not a[0].startswith("-")]
    assert found
    assert [a for a in found if a[0] not in registry and "my_" not in a[0] and a[0] != "NAME"] == []


def test_commands_are_found_in_blocks_and_in_the_text():
    found = commands("README.md", "runs.sweep")
    assert ["study=quick", "workers=2"] in found
    assert ["variant._target_=my_cells.Leaky", "task=adding"] in commands("README.md", "runs")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_that_a_document_links_to_is_there(document):
    folder = (ROOT / document).parent
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", re.sub(r"```.*?```", "", text(document), flags=re.DOTALL))
    assert [link for link in links if not (folder / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_heading_that_a_document_links_to_is_there(document):
    folder = (ROOT / document).parent
    links = re.findall(r"\]\(([^)#:\s]*)#([^)]*)\)", text(document))
    assert [link for link in links if link[1] not in anchors((folder / link[0]) if link[0] else ROOT / document)] == []


def anchors(path):
    """The anchors that GitHub makes of the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_make_target_that_a_document_names_exists(document):
    targets = set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z][a-z-]+)", text(document), re.MULTILINE))
    assert named <= targets


# Generated pages
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["variants.md", "tasks.md", "reference.md"])
def test_a_generated_page_is_what_the_code_says(name):
    assert pages()[name] == text(f"docs/{name}"), f"docs/{name} is out of date: run `make docs`"


def test_every_public_name_has_a_heading_in_the_reference():
    import tasks
    import variants

    names = [f"variants.{n}" for n in variants.__all__] + [f"tasks.{n}" for n in tasks.__all__]
    headings = text("docs/reference.md").splitlines()
    assert [name for name in names if f"### {name}" not in headings] == []


def test_a_docstring_becomes_text_a_list_code_and_an_example():
    doc = """What it does, with a*b and x_1.

        y = x

    size: how large [H]; goes
        on here.
    rate, other: two of them.
    Returns nothing. Note: this
    size: is text.

    >>> 1 + 1
    2
    """
    assert reference.markdown(doc) == (
        "What it does, with a\\*b and x\\_1.\n\n"
        "```text\ny = x\n```\n\n"
        "- `size`: how large \\[H\\]; goes on here.\n- `rate, other`: two of them.\n\n"
        "Returns nothing. Note: this\nsize: is text.\n\n"
        "```python\n>>> 1 + 1\n2\n```"
    )


def test_a_long_signature_has_one_argument_a_line_and_a_star_before_those_by_name():
    def long(a_first_argument: int, *, another_one: str = "x" * 60, default=lambda: None) -> None: ...

    assert reference.signature(long) == (
        "long(\n    a_first_argument: int,\n    *,\n    another_one: str = '"
        + "x" * 60
        + "',\n    default=...,\n) -> None"
    )


def test_a_name_that_has_moved_is_found_and_one_that_is_gone_is_an_error():
    assert reference._module_that_defines("runs", "load_model").startswith("runs.")
    with pytest.raises(LookupError, match="names 'no_such_name', which no module of tasks defines"):
        reference._module_that_defines("tasks", "no_such_name")


# Packaging
# ---------------------------------------------------------------------------------------------------------------------


def test_a_cell_needs_only_what_is_installed_without_extras():
    dependencies = re.search(r"^dependencies = \[(.*)\]", text("pyproject.toml"), re.MULTILINE).group(1)
    assert sorted(re.findall(r'"([a-z]+)', dependencies)) == sorted(["torch", "llvmlite", "numpy"])
    extras = [
        "hydra",
        "omegaconf",
        "optuna",
        "mlflow",
        "pandas",
        "pyarrow",
        "scipy",
        "sklearn",
        "matplotlib",
        "jinja2",
        "joblib",
        "psutil",
        "tqdm",
        "PIL",
    ]
    (code,) = blocks("README.md", "python", "A cell in plain Python")
    blocked = f"import sys\nsys.modules.update(dict.fromkeys({extras}))\n"
    code = f"{blocked}{code}\nimport tasks\nfrom runs import load_model\nprint(module.engine)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("fused\n", 0), done.stderr


def test_the_version_of_the_package_the_citation_and_the_changelog_agree():
    version = re.search(r'^version = "(.*)"', text("pyproject.toml"), re.MULTILINE).group(1)
    assert yaml.safe_load(text("CITATION.cff"))["version"] == version
    assert re.findall(r"^## (\d\S*)", text("CHANGELOG.md"), re.MULTILINE)[0] == version


def test_the_reasons_of_skipped_tests_are_counted_most_first():
    reports = [SimpleNamespace(longrepr=("file.py", 1, f"Skipped: {why}")) for why in ("no ray", "no root", "no ray")]
    assert reasons(reports) == ["   2  no ray", "   1  no root"]
