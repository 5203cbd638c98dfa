"""The options of `python -m variants` and `python -m tasks`."""

from __future__ import annotations

from .parser import Parser


def parser_of(kind: str) -> Parser:
    """Return the parser of the command that shows the classes of a kind.

    kind: variant or task.
    """
    example = {"variant": "variants gru --kernel", "task": "tasks copying lag=30"}[kind]
    more = ['python -m variants formula "equations=h = tanh(W x + R h\' + b)"'] if kind == "variant" else []
    parser = Parser(
        prog=f"python -m {kind}s",
        description=f"The catalogue of {kind}s.",
        examples=[f"python -m {kind}s", f"python -m {example}", f"python -m {kind}s my_package.MyClass", *more],
    )
    shown = f"show this {kind} in full; also the dotted path of a class of your own. Default: a list of all."
    parser.add_argument("name", nargs="?", help=shown)
    example = {"variant": "keep_bias=0 or variant.keep_bias=0", "task": "path=my.csv or task.path=my.csv"}[kind]
    text = f"shown with these knobs, as in {example}. Default: its own."
    parser.add_argument("knobs", nargs="*", metavar="knob=value", help=text)
    if kind == "variant":
        for option, letter, what, usual in (("--inputs", "I", "input", 2), ("--hidden", "H", "hidden", 32)):
            text = f"{what} size of the parameter counts. Default: {usual}."
            parser.add_argument(option, type=int, default=usual, metavar=letter, help=text)
        parser.add_argument("--kernel", action="store_true", help="show what the fused kernel of the variant computes.")
        text = "write the variant in the notation of the variant formula."
        parser.add_argument("--equations", action="store_true", help=text)
        parser.add_argument("--class", action="store_true", help="write the variant as a class of Python.")
    return parser
