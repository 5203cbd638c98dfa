"""`python -m analysis.notebooks study=quick`: run the notebooks on a study and write them as .ipynb and HTML into its folder."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

KEYS = {"study": "name of an analysed study (quick)", "results": "folder of all studies (results)", "only": "name of one notebook"}
FOLDER = Path(__file__).parent
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_")))


def execute(name: str, study: str, results: Path) -> list[Path]:
    """Run one notebook in a fresh kernel; returns the .ipynb and the HTML file, which needs no network. Raises where a cell fails."""
    import jupytext
    from jupyter_client import AsyncKernelManager
    from nbclient import NotebookClient
    from nbconvert import HTMLExporter

    notebook = jupytext.read(FOLDER / f"{name}.py")
    root = FOLDER.parent.parent
    path = os.pathsep.join(p for p in (str(root), os.environ.get("PYTHONPATH", "")) if p)
    environment = {**os.environ, "STUDY": study, "RESULTS": str(Path(results).resolve()), "PYTHONPATH": path}
    environment["PYTHONWARNINGS"] = "ignore:IProgress not found"  # of tqdm in a kernel without widgets
    kernel = AsyncKernelManager(kernel_name="python3", transport="tcp" if os.name == "nt" else "ipc")
    NotebookClient(notebook, timeout=1800, km=kernel).execute(cwd=str(root), env=environment, cleanup_kc=True)
    folder = Path(results) / study / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    jupytext.write(notebook, folder / f"{name}.ipynb")
    html, _ = HTMLExporter(template_name="classic").from_notebook_node(notebook)
    (folder / f"{name}.html").write_text(without_network(html), encoding="utf-8")
    return [folder / f"{name}.ipynb", folder / f"{name}.html"]


def without_network(html: str) -> str:
    """HTML without the scripts that nbconvert would load from elsewhere (formulas and diagrams, of which the notebooks have none)."""
    scripts = re.compile(r"<script\b[^>]*>.*?</script>", re.DOTALL)
    return scripts.sub(lambda script: "" if re.search(r"https?://", script[0]) else script[0], html)


def main(arguments: list[str]) -> int:
    """Run the command; returns the exit code."""
    from runs.shell import key_values

    try:
        values = key_values(arguments, KEYS, __doc__ or "")
        if values is None:
            return 0
        study, results, only = values.get("study", "quick"), Path(values.get("results", "results")), values.get("only", "")
        if only and only not in NAMES:
            raise ValueError(f"there is no notebook {only!r}; there are {', '.join(NAMES)}")
        if not (results / study / "trials.parquet").is_file():
            raise ValueError(f"{results / study} has no trials.parquet; run python -m analysis study={study} first")
        for name in [only] if only else NAMES:
            for path in execute(name, study, results):
                print(path)
    except ValueError as error:
        print(f"notebooks: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
