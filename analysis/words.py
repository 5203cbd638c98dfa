"""How names, numbers, p-values, intervals and lists are written in sentences, tables and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

MOST_NAMED = 6  # names in one sentence
NOTHING = "–"  # where there is no number


# Names in words
# ----------------------------------------------------------------------------------------------------------------------

NAMES = {  # a test holds this table against the registries and presets
    "vanilla": "LSTM",
    "peephole": "LSTM with peepholes",
    "coupled": "LSTM with coupled gates",
    "no_forget_gate": "LSTM without forget gate",
    "no_input_gate": "LSTM without input gate",
    "no_output_gate": "LSTM without output gate",
    "no_input_activation": "LSTM without input activation",
    "no_output_activation": "LSTM without output activation",
    "full_gate_recurrence": "LSTM with full gate recurrence",
    "modular_lstm": "LSTM of chosen parts",
    "lstm_1997": "LSTM of 1997",
    "memory_blocks": "memory-block network of 1997",
    "depth_gated": "depth-gated LSTM",
    "clockwork": "clockwork RNN",
    "grid": "grid LSTM",
    "gru": "GRU",
    "gru_reset_after": "GRU that resets after the product",
    "mut1": "mutant 1 of the GRU",
    "mut2": "mutant 2 of the GRU",
    "mut3": "mutant 3 of the GRU",
    "rnn": "plain tanh network",
    "irnn": "rectified network (IRNN)",
    "min_gru": "minGRU",
    "min_lstm": "minLSTM",
    "mgu": "minimal gated unit",
    "ugrnn": "update gate network (UGRNN)",
    "li_gru": "light GRU",
    "janet": "LSTM with a forget gate only (JANET)",
    "star": "stackable recurrent unit (STAR)",
    "ran": "recurrent additive network",
    "cfn": "chaos-free network",
    "strongly_typed": "strongly typed network",
    "qrnn": "quasi-recurrent network",
    "sru": "simple recurrent unit (SRU)",
    "nas": "cell of architecture search (NAS)",
    "scrn": "network with context units (SCRN)",
    "multiplicative_lstm": "multiplicative LSTM",
    "indrnn": "independently recurrent network",
    "lem": "long expressive memory",
    "cornn": "coupled oscillators (coRNN)",
    "lru": "linear recurrent unit (LRU)",
    "rg_lru": "gated linear recurrent unit (RG-LRU)",
    "fast_grnn": "FastGRNN",
    "antisymmetric_rnn": "antisymmetric network",
    "slstm": "sLSTM",
    "mlstm": "mLSTM",
    "lstmp": "LSTMP",
    "formula": "cell from its equations",
    "lstm": "LSTM of chosen parts",
    "native_lstm": "PyTorch's own LSTM",
    "native_gru": "PyTorch's own GRU",
    "native_rnn": "PyTorch's own RNN",
    "forget_bias_0": "LSTM with forget bias 0",
    "forget_bias_1": "LSTM with forget bias 1",
    "greff_v": "Greff's LSTM",
    "greff_nig": "Greff's LSTM without input gate",
    "greff_nfg": "Greff's LSTM without forget gate",
    "greff_nog": "Greff's LSTM without output gate",
    "greff_niaf": "Greff's LSTM without input activation",
    "greff_noaf": "Greff's LSTM without output activation",
    "greff_np": "Greff's LSTM without peepholes",
    "greff_cifg": "Greff's LSTM with coupled gates",
    "greff_fgr": "Greff's LSTM with full gate recurrence",
    "v": "LSTM with peepholes",
    "nig": "LSTM without input gate",
    "nfg": "LSTM without forget gate",
    "nog": "LSTM without output gate",
    "niaf": "LSTM without input activation",
    "noaf": "LSTM without output activation",
    "np": "LSTM without peepholes",
    "cifg": "LSTM with coupled gates",
    "adding": "adding two numbers",
    "adding_1997": "adding two numbers, as in 1997",
    "adding_400": "adding over 400 steps",
    "multiplication": "multiplying two numbers",
    "arithmetic": "arithmetic digit by digit",
    "copying": "copying symbols",
    "memorisation": "copying symbols at once",
    "selective_copying": "copying marked symbols",
    "delayed_recall": "recalling a cue",
    "t_maze": "T-maze",
    "associative_recall": "recalling values by their keys",
    "permuted_copying": "copying symbols in another order",
    "captioning": "naming the colours of objects",
    "induction": "recalling one value by its key",
    "embedded_reber": "embedded Reber grammar",
    "long_lag": "naming a symbol after a long lag",
    "long_lag_next": "predicting symbols over a long lag",
    "parity": "parity of bits",
    "cycle": "walk on a ring",
    "temporal_order": "order of two symbols",
    "temporal_order_3": "order of three symbols",
    "time_warp": "symbols at warped times",
    "two_sequence": "telling two sequences apart",
    "xml": "closing nested tags",
    "chorales": "Bach's chorales",
    "folk": "Irish folk tunes",
    "digits": "handwritten digits",
    "digits_permuted": "handwritten digits, pixels permuted",
    "digit_rows": "rows of handwritten digits",
    "joint_bits": "bits that belong together",
    "iam_ondb": "handwriting (IAM-OnDB)",
    "timit": "speech (TIMIT)",
    "sequences": "sequences of your own",
    "attention": "attention",
    "storn": "STORN",
    "vrnn": "VRNN",
    "draw": "DRAW",
    "learning_rate": "learning rate",
    "size": "width of the baseline",
    "keep_bias": "keep bias",
    "momentum": "momentum",
    "input_noise": "noise on the inputs",
    "dropout": "dropout",
    "recurrent_dropout": "recurrent dropout",
    "zoneout": "zoneout",
    "clip_norm": "largest norm of the gradient",
    "hidden_size": "width (units)",
    "weight_decay": "weight decay",
    "batch_size": "batch size",
}
NETWORKS = {"attention": "with", "storn": "in", "vrnn": "in", "draw": "in"}
"""Ends of the labels of variants in another network than the reader, see `networks=`, and the word before its name."""
SAME_WIDTH = "_same_width"  # end of the label of a variant that is there a second time, see `match=both`


def spoken(label: str) -> str:
    """Return the name in words of a variant, task or hyperparameter, for titles, sentences and tables.

    A label that is not in the table `NAMES` is shown as it is, with spaces for underscores: what a user calls a thing
    is its name.

    label: as in a design. That of a task in a series ends with its lag.

    >>> spoken("no_forget_gate"), spoken("adding_30"), spoken("gru_same_width"), spoken("my_cell")
    ('LSTM without forget gate', 'adding two numbers, lag 30', 'GRU, same width', 'my cell')
    >>> spoken("gru_attention"), spoken("gru_storn")
    ('GRU with attention', 'GRU in STORN')
    """
    if label in NAMES:
        return NAMES[label]
    base, _, last = label.rpartition("_")
    if last.isdigit() and base in NAMES:
        return f"{NAMES[base]}, lag {last}"
    if last in NETWORKS and base in NAMES:
        return f"{NAMES[base]} {NETWORKS[last]} {NAMES[last]}"
    if label.endswith(SAME_WIDTH):
        return f"{spoken(label.removesuffix(SAME_WIDTH))}, same width"
    return label.replace("_", " ")


def the(label: str) -> str:
    """Return the name in words of a variant as it stands in a sentence.

    >>> the("vanilla"), the("greff_nfg"), the("my_cell")
    ('the LSTM', "Greff's LSTM without forget gate", 'my cell')
    """
    name = spoken(label)
    bare = label not in NAMES or name.startswith(("Greff's", "PyTorch's", "mutant"))
    return name if bare else f"the {name}"


def capital(text: str) -> str:
    """Return a text that begins with a capital letter, unless its first word is a name with capitals of its own.

    >>> capital("plain tanh network"), capital("sLSTM with attention")
    ('Plain tanh network', 'sLSTM with attention')
    """
    first, *_ = text.split(maxsplit=1) or [""]
    return text if first[1:] != first[1:].lower() else text[:1].upper() + text[1:]


# Numbers
# ----------------------------------------------------------------------------------------------------------------------


class Unit(NamedTuple):
    """How numbers of a unit are written.

    factor: the number that is written is the value times this.
    form: format specification of Python.
    after_level: written after a value.
    after_difference: written after a difference between two values.
    """

    factor: float
    form: str
    after_level: str
    after_difference: str


RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
UNITS = {
    "%": Unit(100.0, ".0f", " %", " percentage points"),
    "steps": Unit(1.0, ",.0f", " steps", " steps"),
    "": Unit(1.0, ".2f", "", ""),
}


def unit_of(name: str) -> Unit:
    """Return how numbers of a unit are written; one that is not in `UNITS` is that of a loss."""
    return UNITS.get(name) or Unit(1.0, "", f" {name}", f" {name}")


def in_unit(name: str) -> str:
    """Write the unit of the numbers on an axis; steps are told by what they measure.

    >>> in_unit("%"), in_unit("nats per step"), in_unit("")
    (' in %', ' in nats per step', '')
    """
    return f" in {name}" if name not in ("", "steps") else ""


def number(value: float, unit: str = "") -> str:
    """Write a number without its unit.

    value: a share for `%`, training steps for `steps`, a score for no unit, a loss for any other.

    >>> number(0.244, "%"), number(1310, "steps"), number(0.244), number(8.6, "nats per step")
    ('24', '1,310', '0.24', '8.60')
    """
    return _written(value, unit)


def _written(value: float, unit: str, sign: str = "", digits: int = 3) -> str:
    """Write a number without its unit.

    sign: `+` for one that always has a sign.
    digits: of a loss; there are none after the point from 100 on.
    """
    factor, form, *_ = unit_of(unit)
    scaled = factor * value
    if unit not in UNITS:
        form = ",.0f" if abs(scaled) >= 99.95 or scaled == 0 else f"#.{digits}g"
    text = format(scaled, f"{sign}{form}")
    return powers(text) if text.strip("+-0.") else text.lstrip("+-")


def powers(text: str) -> str:
    """Return a formatted number with a power of ten in place of the exponent of programming languages.

    >>> powers("+8.8e-05"), powers("0.25")
    ('+8.8·10⁻⁵', '0.25')
    """
    number, _, exponent = text.partition("e")
    return f"{number}·10{str(int(exponent)).translate(RAISED)}" if exponent else text


def _digits(value: float) -> int:
    """Return the digits of a difference of losses: two below one."""
    return 3 if abs(value) >= 0.995 else 2


def level(value: float, unit: str = "") -> str:
    """Write a value with its unit.

    >>> level(0.244, "%"), level(1310, "steps"), level(0.244)
    ('24 %', '1,310 steps', '0.24')
    """
    return f"{number(value, unit)}{unit_of(unit).after_level}"


def bare(value: float, unit: str = "") -> str:
    """Write the size of a difference without its unit.

    >>> bare(0.244, "%"), bare(0.0873, "nats per step")
    ('24', '0.087')
    """
    return _written(value, unit, digits=_digits(value))


def amount(value: float, unit: str = "") -> str:
    """Write the size of a difference with its unit.

    >>> amount(0.244, "%"), amount(1310, "steps"), amount(0.244)
    ('24 percentage points', '1,310 steps', '0.24')
    """
    return f"{bare(value, unit)}{unit_of(unit).after_difference}"


def signed(value: float, unit: str = "") -> str:
    """Write a difference without its unit, with a sign if it is not zero; the minus is the typographic one.

    >>> signed(-0.244, "%"), signed(0.3), signed(-0.001, "%"), signed(-8.8e-5, "nats")
    ('−24', '+0.30', '0', '−8.8·10⁻⁵')
    """
    return _written(value, unit, "+", _digits(value)).replace("-", "−")


def difference(value: float, low: float, high: float, unit: str = "") -> str:
    """Write a difference with its confidence interval, if it has one, for a table or a figure.

    >>> difference(-0.2, -0.3, -0.1, "%"), difference(0.5, float("nan"), float("nan"))
    ('−20 [−30, −10]', '+0.50')
    """
    if not np.isfinite(low):
        return signed(value, unit)
    return f"{signed(value, unit)} [{signed(low, unit)}, {signed(high, unit)}]"


def interval(value: float, low: float, high: float) -> str:
    """Write a value with its confidence interval, if it has one.

    >>> interval(0.625, 0.5, 0.75), interval(0.5, float("nan"), float("nan"))
    ('0.62 [0.50, 0.75]', '0.50')
    """
    return f"{number(value)} [{number(low)}, {number(high)}]" if np.isfinite(low) else number(value)


def size(value: float, low: float, high: float, p: float, unit: str = "") -> str:
    """Write the size of a difference in a sentence that says its direction, with interval and p-value, if it has one.

    value, low, high: a difference of either sign and its confidence interval.
    p: its p-value, NaN for none.

    >>> size(-0.2, -0.3, -0.1, 0.004, "%")
    '20 percentage points (95 % interval 10 to 30 percentage points, p = .004)'
    """
    sign = 1 if value > 0 else -1
    low, high = sorted((sign * low, sign * high))
    first = amount(low, unit) if unit in ("", "steps") else bare(low, unit)
    after = f", {p_equals(p)}" if np.isfinite(p) else ""
    return f"{amount(abs(value), unit)} (95 % interval {first} to {amount(high, unit)}{after})"


def horizon(log2_horizon: float, error: float, *, at_least: bool = False, at_most: bool = False) -> str:
    """Write a memory horizon in steps with its 95 % confidence interval, or as a bound.

    log2_horizon, error: the horizon and its standard error, in doublings.
    at_least, at_most: whether it is a bound.

    >>> horizon(6.0, 1 / 1.96), horizon(5.0, float("nan"), at_least=True)
    ('64 [32, 128]', '≥ 32')
    """
    steps = f"{2**log2_horizon:,.0f}"
    if at_least or at_most:
        return f"{'≥' if at_least else '<'} {steps}"
    low, high = (2 ** (log2_horizon + 1.96 * side * error) for side in (-1, 1))
    return f"{steps} [{low:,.0f}, {high:,.0f}]"


def half_lag(row: Mapping[Any, Any]) -> str:
    """Return the half lag of a row of `half_lags` with its interval, or as a bound.

    >>> row = {"half_lag": 110.1, "low": 90.1, "high": 133.3, "at_least": False, "longest": 240, "first_rate": 0.8}
    >>> half_lag(row), half_lag(row | {"high": float("inf")})
    ('110 [90, 133]', '110 [90, ≥ 240]')
    >>> half_lag(row | {"half_lag": 240.0, "at_least": True, "low": 204.0, "high": float("inf")})
    '≥ 240 [204, ≥ 240]'
    """
    if not np.isfinite(row["half_lag"]):
        return NOTHING
    longest = f"≥ {row['longest']:,.0f}"
    shown = longest if row["at_least"] else f"{row['half_lag']:,.0f}"
    if not np.isfinite(row["low"]):
        return shown
    return f"{shown} [{row['low']:,.0f}, {longest if np.isinf(row['high']) else format(row['high'], ',.0f')}]"


def p_value(p: float) -> str:
    """Write a p-value for a table or a figure.

    >>> p_value(0.0342), p_value(0.0002), p_value(1.0), p_value(float("nan"))
    ('.034', '<.001', '1', '–')
    """
    if not np.isfinite(p):
        return NOTHING
    if p < 0.001:
        return "<.001"
    return f"{p:.3f}"[1:] if p < 0.9995 else "1"


def p_equals(p: float) -> str:
    """Write a p-value in a sentence.

    >>> p_equals(0.0342), p_equals(0.0002)
    ('p = .034', 'p < .001')
    """
    text = p_value(p)
    return f"p < {text[1:]}" if text.startswith("<") else f"p = {text}"


def two_digits(value: float) -> str:
    """Write a number with two significant digits, and whole from 100 on.

    >>> two_digits(0.01234), two_digits(1234.5), two_digits(2e-5)
    ('0.012', '1,234', '2·10⁻⁵')
    """
    return f"{value:,.0f}" if abs(value) >= 100 else powers(f"{value:.2g}")


def about(value: float) -> str:
    """Write a large number roughly, with two significant digits.

    >>> about(287.0), about(4.2)
    ('290', '4')
    """
    return f"{float(f'{value:.2g}'):,.0f}"


def count(value: float) -> str:
    """Write a count in at most four characters.

    >>> count(812), count(4100), count(53000), count(1.2e6), count(float("nan"))
    ('812', '4.1k', '53k', '1.2M', '–')
    """
    if not np.isfinite(value):
        return NOTHING
    for limit, letter in ((1e6, "M"), (1e3, "k")):
        if value >= limit:
            scaled = value / limit
            return f"{scaled:.1f}{letter}" if scaled < 9.95 else f"{scaled:.0f}{letter}"
    return f"{value:.0f}"


def trials(number: int) -> str:
    """Write a number of trials.

    >>> trials(1), trials(1200)
    ('1 trial', '1,200 trials')
    """
    return f"{number:,} trial{'s' * (number != 1)}"


def tick(value: float) -> str:
    """Write a number at a tick of an axis.

    >>> tick(0.0001), tick(30), tick(20000), tick(3e-6)
    ('0.0001', '30', '20k', '3·$10^{-6}$')
    """
    if value >= 1e4:
        return f"{value / 1e6:g}M" if value >= 1e6 else f"{value / 1e3:g}k"
    if 0 < value < 1e-4:
        mantissa, power = f"{value:.0e}".split("e")
        exponent = f"$10^{{{int(power)}}}$"
        return exponent if mantissa == "1" else f"{mantissa}·{exponent}"
    return f"{value:.12f}".rstrip("0").rstrip(".") if 0 < value < 1e-3 else f"{value:g}"


def listed(items: Sequence[str]) -> str:
    """Write a list of words.

    >>> listed(["gru"]), listed(["gru", "rnn", "irnn"])
    ('gru', 'gru, rnn and irnn')
    """
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
