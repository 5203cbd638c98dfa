"""`python -m analysis.notebooks study=quick`: run the notebooks on a study and write them as .ipynb and HTML into its
folder.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

KEYS = {
    "study": "name of an analysed study. Default: quick.",
    "from": "an archive in place of a study: its file, or archive:NAME for one that is shipped. Default: none.",
    "results": "folder of all studies. Default: results.",
    "only": "name of one notebook: hyperparameters, inference, inside_a_cell or overview. Default: all.",
    "out": "folder that receives the notebooks, in a folder of the study's name. Default: that of results.",
}
FOLDER = Path(__file__).parent
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_")))


def execute(name: str, study: str, results: Path, out: Path | None = None, archive: Path | None = None) -> list[Path]:
    """Run one notebook in a fresh kernel.

    name: of the notebook.
    study: name of an analysed study.
    results: folder of all studies.
    out: receives `<study>/notebooks` in place of `results`, which is then only read.
    archive: is read in place of that of the study in `results`.
    Returns the .ipynb and the HTML file, which needs no network. Raises where a cell of the notebook fails.
    """
    import jupytext
    from jupyter_client import AsyncKernelManager
    from nbclient import NotebookClient
    from nbconvert import HTMLExporter

    from runs.files import replacing, subfolder, writable, write_whole

    notebook = jupytext.read(FOLDER / f"{name}.py")
    root = FOLDER.parent.parent
    path = os.pathsep.join(p for p in (str(root), os.environ.get("PYTHONPATH", "")) if p)
    chosen = study if archive is None else str(archive.resolve())
    environment = {**os.environ, "STUDY": chosen, "RESULTS": str(Path(results).resolve()), "PYTHONPATH": path}
    environment["PYTHONWARNINGS"] = "ignore:IProgress not found"  # of tqdm in a kernel without widgets
    kernel = AsyncKernelManager(kernel_name="python3", transport="tcp" if os.name == "nt" else "ipc")
    NotebookClient(notebook, timeout=1800, km=kernel).execute(cwd=str(root), env=environment, cleanup_kc=True)
    folder = subfolder(writable((results if out is None else Path(out)) / study), "notebooks")
    with replacing(folder / f"{name}.ipynb") as part:
        jupytext.write(notebook, part)
    html, _ = HTMLExporter(template_name="classic").from_notebook_node(notebook)
    write_whole(folder / f"{name}.html", without_network(html))
    return [folder / f"{name}.ipynb", folder / f"{name}.html"]


def without_network(html: str) -> str:
    """HTML without the scripts that nbconvert would load from elsewhere (formulas and diagrams, of which the notebooks
    have none).
    """
    scripts = re.compile(r"<script\b[^>]*>.*?</script>", re.DOTALL)
    return scripts.sub(lambda script: "" if re.search(r"https?://", script[0]) else script[0], html)


def _study_of(archive: Path) -> str:
    from runs.record.archive import read_archive

    return read_archive(archive).design.name


def main(arguments: list[str]) -> int:
    """Run the command; returns the exit code."""
    from runs.arguments import command, key_values
    from runs.console.known import instead, unknown
    from runs.console.progress import Progress
    from runs.console.text import complain, say
    from runs.files import writable

    from ..load import archive_of, archived

    try:
        values = key_values(arguments, KEYS, __doc__ or "")
        if values is None:
            return 0
        results, only = Path(values.get("results", "results")), values.get("only", "")
        if only and only not in NAMES:
            raise ValueError(unknown("notebook", only, NAMES))
        archive = archive_of(values.get("from", ""), results)
        study = values.get("study", "quick") if archive is None else _study_of(archive)
        if archive is None and not (results / study / "trials.parquet").is_file():
            if not (results / study / "journal.log").is_file():
                raise ValueError(f"there is no study {study!r} in {results}; {instead(study, archived(results))}")
            first = command("analysis", study=study, results=results)
            raise ValueError(f"{results / study} has no trials.parquet; run {first} first")
        out = Path(values["out"]) if values.get("out") else results
        try:
            writable(out / study)  # a mistake is reported before the work starts
        except ValueError as error:
            raise ValueError(f"{error}; out=FOLDER writes elsewhere") from None
        for name in Progress().follow([only] if only else NAMES, "notebooks"):
            for path in execute(name, study, results, out, archive):
                say(str(path))
    except ValueError as error:
        complain(error)
        return 2
    return 0


if __name__ == "__main__":
    from runs.console.start import end_quickly

    end_quickly()
    sys.exit(main(sys.argv[1:]))
