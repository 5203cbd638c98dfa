"""`python -m analysis.diagram variant=gru`: a cell drawn from its definition, as SVG and PNG.

    python -m analysis.diagram variant=coupled against=vanilla

With against= two cells stand side by side, and what differs is in colour.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runs.console.ending import in_one_line
from runs.console.start import end_quickly

if TYPE_CHECKING:
    from variants import Cell

KEYS = {
    "variant": "name of a variant or of a preset, or the dotted path of a cell of your own; it must be given.",
    "variant.KNOB": "value of a knob of the variant, such as variant.peepholes=[i,f]. Default: that of its class.",
    "against": "a second variant, drawn beside the first; what differs is in colour. Default: none.",
    "against.KNOB": "value of a knob of the second variant. Default: that of its class.",
    "out": "folder that receives the files. Default: results/cells.",
}
SIDES = ("variant", "against")


@in_one_line("the files")
def main(arguments: Sequence[str]) -> int:
    """Run the command; return the exit code."""
    from runs.arguments import key_values
    from runs.files import writable

    knobs = {side: _knobs(arguments, side) for side in SIDES}
    keys = KEYS | {f"{side}.{knob}": "" for side in SIDES for knob in knobs[side]}
    values = key_values(arguments, KEYS if _asks_for_help(arguments) else keys, __doc__ or "")
    if values is None:
        return 0
    if not values.get("variant"):
        raise ValueError("say which variant: variant=gru")
    if knobs["against"] and not values.get("against"):
        raise ValueError("against.KNOB needs against=...")
    folder = writable(Path(values.get("out") or "results/cells"), "out")
    for path in _written(values, knobs, folder):
        print(path)
    return 0


def _asks_for_help(arguments: Sequence[str]) -> bool:
    return not {"-h", "--help", "help"}.isdisjoint(arguments)


def _knobs(arguments: Sequence[str], side: str) -> dict[str, str]:
    """Return the knobs that the arguments give to a variant."""
    words = [a.partition("=") for a in arguments if a.startswith(f"{side}.")]
    return {key.removeprefix(f"{side}."): value for key, _, value in words}


def _written(values: Mapping[str, str], knobs: Mapping[str, Mapping[str, str]], folder: Path) -> list[Path]:
    """Draw what the arguments ask for; return the files."""
    from runs.files import write_whole
    from runs.names import file_name

    from .comparing import compare
    from .drawing import draw
    from .markup import Marks
    from .sheet import sheet

    named = [_cell(side, values[side], knobs[side]) for side in SIDES if values.get(side)]
    drawings = [(draw(cell), label) for label, cell in named]
    marks, sentences = [Marks(), Marks()], list[str]()
    if len(drawings) > 1:
        *marks, sentence = compare(drawings[0][0], drawings[1][0])
        sentences = [sentence]
        print(sentence)
    made = sheet([(d, label, mark) for (d, label), mark in zip(drawings, marks, strict=False)], sentences)
    stem = folder / file_name("_against_".join(label for _, label in drawings))
    files = [stem.with_name(f"{stem.name}.svg"), stem.with_name(f"{stem.name}.png")]
    write_whole(files[0], made.svg())
    made.png(files[1])
    return files


def _cell(side: str, choice: str, knobs: Mapping[str, str]) -> tuple[str, Cell]:
    """Return the label and the cell of a choice with its knobs. Raises ValueError where there is none."""
    from runs.configuration.outside import variant_of
    from runs.trial.classes import construct
    from variants import Cell

    node = variant_of(choice, knobs, side)
    return str(node["label"]), construct(node, Cell)


if __name__ == "__main__":
    end_quickly()
    sys.exit(main(sys.argv[1:]))
