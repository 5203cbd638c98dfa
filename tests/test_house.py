"""The rules of the house: who may import whom, and how long a function may be."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("variants", "tasks", "runs", "analysis")
PATHS = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))

# Which folders each folder may import. `runs.console` needs the standard library only, so the packages of `variants`
# and `tasks` may use it as well, to answer a mistyped name before torch is imported.
BELOW = {"variants": set(), "tasks": set(), "runs": {"variants", "tasks"}, "analysis": {"runs", "variants", "tasks"}}
CONSOLE = "runs.console"
START = {f"{folder}{file}" for folder in ("variants", "tasks") for file in ("", ".__main__")}

# The floors of each folder, from the ground up. A file may import its own room and the floors below. Rooms of one
# floor, divided by commas, know nothing of each other; names without a comma between them are one room.
FLOORS = {
    "variants": [
        "cell",
        "layers.boundary, layers.memory",
        "initialisation, cells, engine",
        "formula",
        "layers.options",
        "declaration",
        "layers",
        "nn",
        "variants",
        "catalogue",
        "__main__",
    ],
    "tasks": ["task, exact", "data", "contract, catalogue, synthetic, real, baselines", "tasks", "__main__"],
    "runs": [
        "console",
        "files, names, rules, secrets_in_urls, locks",
        "arguments",
        "trial networks",
        "runs",
        "discovery.graph discovery.reading discovery.printing discovery.terms discovery.labelling discovery.normal"
        " discovery.numeric discovery.validity discovery.mutation discovery.fresh discovery.fingerprint"
        " discovery.distance discovery",
        "record.facts, record.rows",
        "study",
        "record",
        "study.restoring",
        "discovery.plan discovery.candidate discovery.scoring discovery.trials discovery.evaluation discovery.proposing"
        " discovery.kernels discovery.search discovery.finding discovery.status discovery.table discovery.verdict"
        " discovery.adopting",
        "configuration",
        "workers",
        "__main__, sweep, discover, inside, tracking, dashboard, bench",
        "score scoring",
    ],
    "analysis": [
        "analysis",
        "words, statistics, processes, diagram",
        "typeset, standalone",
        "load, goals",
        "study tables",
        "figures",
        "report, explorer",
        "run baselines, calibration, reproductions, walk, archive",
        "gallery_of_cells, scorecard, discovery",
        "findings",
        "__main__",
        "notebooks",
    ],
}

# Libraries that are slow to import, or that only one part should know: in which modules they may be imported.
ONLY_IN = {
    "filelock": ("runs.locks",),
    "hydra": ("runs.configuration", "runs.workers.launcher", "runs.__main__", "runs.sweep", "runs.discover"),
    "omegaconf": ("runs.configuration", "runs.workers.launcher", "runs.__main__", "runs.sweep", "runs.discover"),
    "optuna": ("runs.study", "runs.discovery.search", "runs.workers.accounting"),
    "mlflow": ("runs.record.tracking", "runs.record.dashboard", "analysis.notebooks"),
    "pandas": ("runs.record", "runs.discovery.table", "analysis", "tasks.data.files"),
    "matplotlib": ("analysis", "runs.bench"),
    "sklearn": ("analysis",),
    "soundfile": ("tasks.real.timit",),
    "llvmlite": ("variants.engine", "runs"),
    **dict.fromkeys(("fcntl", "grp", "pwd", "resource", "termios"), ()),  # Windows has none of them
}
# What an analysis of an archive and the first look at a command line read must not load torch.
WITHOUT_TORCH = (
    *("runs.console.early", "runs.console.manual", "runs.arguments", "runs.files", "runs.names", "runs.rules"),
    *("runs.study.space", "runs.study.design", "runs.study.storage.url", "runs.record.archive", "runs.record.rows"),
    "runs.study.verifying",
)

LONGEST, MOST = 60, 8  # lines of a function, parameters of a signature


def name_of(path):
    """The dotted name of a module."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in PATHS}


def imports(module):
    """Dotted names of what a module imports when it runs, at any depth of its code; for types only is not counted."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found, nodes = set(), [ast.parse(path.read_text())]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            found |= {f"{source}.{a.name}" if f"{source}.{a.name}" in MODULES else source for a in node.names}
        nodes += ast.iter_child_nodes(node)
    return found


IMPORTS = {module: imports(module) for module in MODULES}


def inside(module, place):
    return module == place or module.startswith(f"{place}.")


def floor_of(module):
    """The floor of a module in its folder, and its room there: those of the longest name that it begins with."""
    folder = module.partition(".")[0]
    rooms = [
        (len(name), number, room)
        for number, floor in enumerate(FLOORS[folder])
        for room in floor.split(", ")
        for name in room.split()
        if (name == folder == module) or inside(module, f"{folder}.{name}")
    ]
    assert rooms, f"{module} has no floor in FLOORS"
    return max(rooms)[1:]


def test_folders_import_only_those_below():
    arrows = {(m, i) for m in MODULES for i in IMPORTS[m] if i.partition(".")[0] in FOLDERS}
    wrong = {
        f"{module} imports {imported}"
        for module, imported in arrows
        if (top := imported.partition(".")[0]) != (own := module.partition(".")[0])
        and top not in BELOW[own]
        and not (module in START and inside(imported, CONSOLE))
    }
    assert wrong == set()


@pytest.mark.parametrize("folder", FOLDERS)
def test_arrows_inside_a_folder_go_one_way(folder):
    wrong = set()
    for module in (m for m in MODULES if inside(m, folder)):
        floor, room = floor_of(module)
        for imported in (i for i in IMPORTS[module] if i in MODULES and inside(i, folder)):
            its_floor, its_room = floor_of(imported)
            if its_floor > floor or (its_floor == floor and its_room != room):
                wrong.add(f"{module} imports {imported}")
    assert wrong == set()


def test_libraries_stay_where_they_belong():
    wrong = {
        f"{module} imports {library}"
        for module in MODULES
        for library in {i.partition(".")[0] for i in IMPORTS[module]} & set(ONLY_IN)
        if not any(inside(module, place) for place in ONLY_IN[library])
    }
    assert wrong == set()


def test_what_commands_share_needs_the_standard_library_only():
    found = {i for module in MODULES if inside(module, CONSOLE) for i in IMPORTS[module]}
    others = {i for i in found if i.partition(".")[0] not in sys.stdlib_module_names and not inside(i, CONSOLE)}
    assert others == {"tqdm"}  # which `Bar` imports where it draws on a terminal


def test_what_needs_no_torch_does_not_load_it():
    code = (
        f"import sys, {', '.join(WITHOUT_TORCH)}; print({{'torch', 'llvmlite', 'hydra', 'mlflow'}} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("set()\n", "")


def functions():
    """Every function of `runs` and `analysis` with the name by which the lists above call it."""
    for module in MODULES:
        if module.partition(".")[0] in ("runs", "analysis"):
            for node in ast.walk(ast.parse(MODULES[module].read_text())):
                if isinstance(node, ast.FunctionDef):
                    yield f"{module}.{node.name}", node


def test_functions_fit_a_screen():
    found = {name for name, f in functions() if f.end_lineno - f.lineno + 1 > LONGEST}
    assert found == set(), f"longer than {LONGEST} lines"


def test_signatures_are_short():
    def parameters(f):
        names = [a.arg for a in (*f.args.posonlyargs, *f.args.args, *f.args.kwonlyargs)]
        return len([name for name in names if name not in ("self", "cls")])

    found = {name for name, f in functions() if parameters(f) > MOST}
    assert found == set(), f"more than {MOST} parameters"
