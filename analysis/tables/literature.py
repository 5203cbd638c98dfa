"""The claims of the literature that the suite knows, each with the rule by which a study answers it."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from .claim_contrasts import depends_on_the_task, in_order, somewhere_better
from .claim_effects import EffectTest, needed_where_unbounded, network_helps
from .claim_lags import at_longest_lag, falls_faster, on_series, remembers_long
from .claim_rules import (
    ALIASES,
    NOTHING,
    Finding,
    Test,
    first_that_answers,
    improved,
    no_different,
    not_better,
    not_worse,
    worse,
)
from .claim_shares import VARIANCE, explains, independent, ranked, separate, unimportant
from .halves import harms, helps

EASE, QUALITY, BOTH, NEITHER = "ease", "quality", "both", ""  # what a claim is about
GREFF_CHANGES = tuple(name for name in ALIASES if name != "peephole")
REST = ("no_input_gate", "no_output_gate", "no_input_activation")  # what music does not need, as Greff et al. say
MUSIC = ("chorales", "folk")
MUTANTS = ("mut1", "mut2", "mut3")


@dataclass(frozen=True)
class Claim:
    """A published claim.

    source: the paper.
    text: the claim in our words.
    question: what it is about: `ease` (how many settings work), `quality` (what a search finds), `both`, or nothing for
        a claim about hyperparameters. Only comparisons that answer this question count.
    test: gives the finding from a study's comparisons, its shares and its baseline.
    studies: presets of `conf/study` that answer it.
    differs: why a study here may find something else than the paper: task, budget, optimiser, start.
    place: where in the source it stands, if that was looked up.
    lacking: why no preset answers it, and what would; empty where one does.
    of_parts: of a claim about two parts together: gives the finding from the effects of a study with factors.
    """

    source: str
    text: str
    question: str
    test: Test
    studies: tuple[str, ...]
    differs: str = ""
    place: str = ""
    lacking: str = ""
    of_parts: EffectTest | None = None


def nothing_answers(rows: pd.DataFrame, shares: pd.DataFrame, baseline: str) -> Finding:
    """Return that a study of variants does not answer a claim."""
    return NOTHING


HOCHREITER = "Hochreiter & Schmidhuber 1997, “Long Short-Term Memory”"
FORGET = "Gers, Schmidhuber & Cummins 2000, “Learning to Forget: Continual Prediction with LSTM”"
TIMING = "Gers & Schmidhuber 2000, “Recurrent Nets that Time and Count”"
CHO = "Cho et al. 2014, “Learning Phrase Representations using RNN Encoder-Decoder”"
CHUNG = "Chung et al. 2014, “Empirical Evaluation of Gated Recurrent Neural Networks on Sequence Modeling”"
STORN = "Bayer & Osendorfer 2014, “Learning Stochastic Recurrent Networks”"
BAHDANAU = "Bahdanau, Cho & Bengio 2015, “Neural Machine Translation by Jointly Learning to Align and Translate”"
VRNN = "Chung et al. 2015, “A Recurrent Latent Variable Model for Sequential Data”"
LE = "Le, Jaitly & Hinton 2015, “A Simple Way to Initialize Recurrent Networks of Rectified Linear Units”"
JOZEFOWICZ = "Jozefowicz et al. 2015, “An Empirical Exploration of Recurrent Network Architectures”"
OLAH = "Olah 2015, “Understanding LSTM Networks”"
GREFF = "Greff et al. 2017, “LSTM: A Search Space Odyssey”"
TALLEC = "Tallec & Ollivier 2018, “Can recurrent neural networks warp time?”"

CELLS = ("lags", "family")  # presets of twelve modern cells, at several lags
NINE = (*CELLS, "greff", "greff_chorales")  # those with Greff's changes to the LSTM
GREFFS = ("greff", "greff_chorales")  # those with their space and training

SETTING = (
    "They trained by momentum on speech, handwriting and music; most studies here train by Adam on tasks with "
    "one answer after a lag."
)
START = "Here all cells start with the same keep bias, drawn at each point."
APART = f"{START} There the LSTM alone was given one."
STEP = "Whether a trial solves a task is a step and not a slope, and a step of two variables is an interaction."
TUNED = "A search of 20 trials solves most synthetic tasks here, so that little is left to tell apart at their best."

CLAIMS = [
    Claim(
        HOCHREITER,
        "The LSTM bridges long lags at which plain recurrent networks fail.",
        BOTH,
        at_longest_lag(worse("rnn")),
        CELLS,
        "Their rivals were networks of their day, trained by other gradients; ours is a tanh network with an "
        "orthogonal start and Adam, which reaches further, and their LSTM had no forget gate.",
        place="abstract",
    ),
    Claim(
        HOCHREITER,
        "Cutting the gradient where it leaves the cell costs nothing.",
        QUALITY,
        not_worse("lstm_1997"),
        (),
        "Their cell has neither forget gate nor the tanh of today, so that more than the cut differs.",
        lacking="`lstm_1997` is in no preset: `python -m runs.sweep name=cut 'variants=[vanilla,lstm_1997]'` would "
        "answer it.",
    ),
    Claim(
        HOCHREITER,
        "Their network solves adding at lag 100 and temporal order in so many sequences.",
        NEITHER,
        nothing_answers,
        (),
        place="sections 5.4 and 5.6",
        lacking="These are numbers of one network, not differences between cells: `make reproduce` runs it again, and "
        "docs/reproductions.md has the verdict.",
    ),
    Claim(
        FORGET,
        "Without forget gates the LSTM fails on a stream that never begins afresh.",
        BOTH,
        nothing_answers,
        (),
        place="abstract",
        lacking="Every sequence here begins with an empty state. A task with one endless stream would answer it.",
    ),
    Claim(
        FORGET,
        "Where sequences begin afresh, a forget gate does no harm.",
        BOTH,
        not_better("no_forget_gate"),
        NINE,
        "Their forget gates start open; ours start with a keep bias that is drawn, so that at low values a state leaks "
        "which the LSTM without the gate keeps.",
    ),
    Claim(
        TIMING,
        "Peepholes are needed to measure and produce exact intervals.",
        QUALITY,
        nothing_answers,
        (),
        place="abstract",
        lacking="No task here asks for an event at an exact time. A task with spikes at measured distances would "
        "answer it, with `variants=[vanilla,peephole]`.",
    ),
    Claim(
        TIMING,
        "On other tasks peepholes do no harm.",
        QUALITY,
        first_that_answers(
            not_worse("peephole", baselines=("vanilla", "greff_np", "native_lstm")),
            not_better("vanilla", baselines=("peephole", "greff_v")),
        ),
        NINE,
        TUNED,
        place="abstract",
    ),
    Claim(
        CHO,
        "Without gates a recurrent network learns little: the plain tanh network does worse than the GRU.",
        QUALITY,
        first_that_answers(worse("rnn", baselines=("gru",)), in_order("rnn", "gru")),
        CELLS,
        "They translated sentences; at short lags of a synthetic task a tuned tanh network may do as well.",
    ),
    Claim(
        CHUNG,
        "GRU and LSTM are about equal.",
        QUALITY,
        no_different("gru"),
        CELLS,
        f"They modelled music and speech at one size each. {START}",
        place="abstract",
    ),
    Claim(
        CHUNG,
        "Gated units do better than the plain tanh network.",
        QUALITY,
        worse("rnn"),
        CELLS,
        "They modelled music and speech; at the short lags of a synthetic task the tanh network needs no gate.",
        place="abstract",
    ),
    Claim(
        CHUNG,
        "Which of GRU and LSTM is better depends on the task.",
        QUALITY,
        depends_on_the_task("gru"),
        CELLS,
        TUNED,
    ),
    Claim(
        LE,
        "The IRNN is comparable to the LSTM on long-range problems.",
        QUALITY,
        not_worse("irnn"),
        CELLS,
        "Theirs were adding, pixels in order, language and speech. Its identity start keeps sums well, and symbols "
        "that must be told apart less so; it also needs lower learning rates than the space may hold.",
        place="abstract",
    ),
    Claim(
        LE,
        "On adding the IRNN is no worse than the LSTM, also at long lags.",
        QUALITY,
        at_longest_lag(on_series(not_worse("irnn"), "adding")),
        CELLS,
        "They tuned the learning rate and the largest gradient of each network by hand and trained far longer.",
    ),
    Claim(
        JOZEFOWICZ,
        "A forget bias of 1 helps the LSTM.",
        BOTH,
        first_that_answers(
            improved("forget_bias_1", "vanilla", baselines=("forget_bias_0", "greff_np")),
            worse("forget_bias_0", baselines=("forget_bias_1", "vanilla")),
        ),
        ("forget_bias",),
        "The bias decides how much is left after a lag before anything is learned, so that what it is worth depends on "
        "the lag; their tasks have lags of their own.",
        place="abstract",
    ),
    Claim(
        JOZEFOWICZ,
        "With a forget bias of 1 the GRU is no better than the LSTM.",
        QUALITY,
        not_better("gru", baselines=("vanilla",)),
        CELLS,
        APART,
        place="abstract",
    ),
    Claim(
        JOZEFOWICZ,
        "Without that bias the GRU is better than the LSTM, but for language.",
        QUALITY,
        improved("gru", baselines=("forget_bias_0",)),
        (),
        APART,
        lacking="No preset has both: `python -m runs.sweep name=bias_0 space=own_bias baseline=forget_bias_0 "
        "'variants=[forget_bias_0,gru]'` would answer it.",
    ),
    Claim(
        JOZEFOWICZ,
        "The forget gate matters on all problems but language modelling.",
        QUALITY,
        worse("no_forget_gate"),
        NINE,
        "Where a value has only to be held, nothing must be forgotten, and a cell without the gate keeps it for free.",
    ),
    Claim(
        JOZEFOWICZ,
        "The input gate matters: without it the LSTM does worse.",
        QUALITY,
        worse("no_input_gate"),
        NINE,
        TUNED,
    ),
    Claim(
        JOZEFOWICZ,
        "The output gate is unimportant: without it the LSTM does no worse.",
        QUALITY,
        not_worse("no_output_gate"),
        NINE,
        "They measured arithmetic, nested tags, language and music. What makes the gate idle there was not measured.",
    ),
    Claim(
        JOZEFOWICZ,
        "The forget gate matters most, then the input gate, then the output gate.",
        QUALITY,
        in_order("no_forget_gate", "no_input_gate", "no_output_gate"),
        NINE,
        "Theirs is an order over arithmetic, nested tags, language and music; here it is another one on each task.",
    ),
    Claim(
        JOZEFOWICZ,
        "Three mutants of the GRU are no worse than the GRU.",
        QUALITY,
        not_worse(*MUTANTS, baselines=("gru",)),
        (),
        "They were found by a search on arithmetic, nested tags and language.",
        lacking="The mutants are in no preset: `python -m runs.sweep name=mutants baseline=gru "
        "'variants=[gru,mut1,mut2,mut3]'` would answer it.",
    ),
    Claim(
        OLAH,
        "Plain recurrent networks can use distant information in theory, but do not learn to; LSTMs do.",
        BOTH,
        at_longest_lag(worse("rnn")),
        CELLS,
        "A tuned tanh network with an orthogonal start holds a symbol for some dozens of steps.",
        place="section “The Problem of Long-Term Dependencies”",
    ),
    Claim(
        OLAH,
        "As the gap grows, the plain network falls behind.",
        EASE,
        falls_faster("rnn"),
        CELLS,
        "A network that solves next to nothing at the shortest lag has nothing to lose, and is not counted.",
        place="section “The Problem of Long-Term Dependencies”",
    ),
    Claim(
        OLAH,
        "Remembering for long is what the LSTM does by default, not what it struggles to learn.",
        EASE,
        remembers_long(),
        CELLS,
        "An LSTM that starts with a low keep bias loses its state within a few steps. To keep it must be learned, or "
        "be given at the start; what is compared is the share of settings at the longest lag with half of that at the "
        "shortest.",
        place="section “LSTM Networks”",
    ),
    Claim(
        OLAH,
        "The variants of the LSTM are all about the same.",
        QUALITY,
        no_different("peephole", *GREFF_CHANGES),
        NINE,
        "The post sums up Greff et al., whose average hides that a part may be needed on one task and idle on another.",
        place="section “Variants on Long Short Term Memory”",
    ),
    Claim(
        OLAH,
        "Some other cells work better than the LSTM on certain tasks.",
        QUALITY,
        somewhere_better("gru", "gru_reset_after", *MUTANTS),
        CELLS,
        TUNED,
        place="section “Variants on Long Short Term Memory”",
    ),
    Claim(
        OLAH,
        "Information flows along the cell state unchanged.",
        NEITHER,
        nothing_answers,
        (),
        place="section “The Core Idea Behind LSTMs”",
        lacking="Archives hold no gradients. `python -m runs.inside study=lags` measures how far back they reach, "
        "before and after training; the forget gate alone halves a state at each step where it starts half open.",
    ),
    Claim(
        GREFF,
        "None of eight changes to the LSTM improves it.",
        QUALITY,
        not_better(*GREFF_CHANGES),
        NINE,
        SETTING,
        place="abstract",
    ),
    Claim(
        GREFF,
        "The forget gate is critical: without it the LSTM does worse.",
        QUALITY,
        worse("no_forget_gate"),
        NINE,
        f"{SETTING} Where a value has only to be held, nothing must be forgotten.",
        place="abstract",
    ),
    Claim(
        GREFF,
        "The output activation is critical: without it the LSTM does worse.",
        QUALITY,
        worse("no_output_activation"),
        NINE,
        "Clipped gradients and short sums keep the state small here, so that it need not be squashed.",
        place="abstract",
    ),
    Claim(
        GREFF,
        "The output activation is needed only where the state is unbounded, as without coupled gates.",
        QUALITY,
        nothing_answers,
        ("parts",),
        "They conclude it from GRU and coupled gates, which bound the state. Here the two parts are combined; where no "
        "factor couples the gates, the forget gate stands for what bounds the state, which it does less strictly.",
        of_parts=needed_where_unbounded(),
    ),
    Claim(
        GREFF,
        "Coupling input and forget gate costs nothing.",
        QUALITY,
        not_worse("coupled"),
        NINE,
        SETTING,
        place="conclusion",
    ),
    Claim(
        GREFF,
        "Dropping peepholes costs nothing.",
        QUALITY,
        first_that_answers(
            not_worse("vanilla", baselines=("peephole", "greff_v")),
            not_better("peephole", baselines=("vanilla", "greff_np", "native_lstm")),
        ),
        NINE,
        SETTING,
        place="conclusion",
    ),
    Claim(
        GREFF,
        "Full gate recurrence does not improve the LSTM.",
        QUALITY,
        not_better("full_gate_recurrence"),
        NINE,
        "It has more parameters; where variants have equal parameters, as in most studies here, it has fewer units.",
    ),
    Claim(
        GREFF,
        "On music the input gate, the output gate and the input activation can go.",
        QUALITY,
        on_series(not_worse(*REST), *MUSIC),
        ("greff_chorales",),
        "The chorales are another encoding of partly other pieces.",
    ),
    Claim(
        GREFF,
        "Elsewhere the LSTM does worse without input gate, output gate or input activation.",
        QUALITY,
        on_series(worse(*REST), *MUSIC, others=True),
        (*CELLS, "greff"),
        "Elsewhere is speech and handwriting there, and synthetic tasks here. "
        "A search of 20 trials solves most of these with most of the cells.",
    ),
    Claim(
        GREFF,
        "The learning rate explains more than two thirds of the variance of the score.",
        NEITHER,
        explains("learning_rate", VARIANCE),
        GREFFS,
        "Their space has other hyperparameters; with the keep bias drawn as well, part of the variance is that of the "
        "start.",
    ),
    Claim(
        GREFF,
        "The learning rate is the most important hyperparameter.",
        NEITHER,
        ranked("learning_rate", 1),
        NINE,
        "Adam evens out much of what the learning rate does with momentum.",
    ),
    Claim(
        GREFF,
        "The hidden size is the second most important hyperparameter.",
        NEITHER,
        ranked("size", 2),
        NINE,
        "The tasks here fit into few units, and the keep bias is a hyperparameter that theirs lack.",
    ),
    Claim(
        GREFF,
        "Larger networks do better.",
        NEITHER,
        helps("size"),
        NINE,
        "The tasks here fit into few units; a larger network wins nothing once one that is small enough solves them.",
    ),
    Claim(
        GREFF,
        "Noise on the inputs hurts.",
        NEITHER,
        harms("input_noise"),
        GREFFS,
        "Noise of a given deviation disturbs more or less, as inputs here are not normalised.",
    ),
    Claim(
        GREFF,
        "Momentum hardly matters.",
        NEITHER,
        unimportant("momentum"),
        GREFFS,
        "Updates after each sequence, as theirs.",
    ),
    Claim(
        GREFF,
        "The learning rate can be tuned on a small network: it hardly interacts with the size.",
        NEITHER,
        separate("learning_rate", "size"),
        NINE,
        STEP,
    ),
    Claim(
        GREFF,
        "Hyperparameters hardly interact and can be tuned one by one.",
        NEITHER,
        independent(),
        NINE,
        STEP,
        place="abstract",
    ),
    Claim(
        BAHDANAU,
        "A read-out that attends to all states does better than one that has the last state alone.",
        BOTH,
        nothing_answers,
        ("attention",),
        "They translated sentences with an encoder and a decoder; here one network reads made-up symbols and answers.",
        place="abstract",
        of_parts=network_helps("attention"),
    ),
    Claim(
        STORN,
        "Latent variables help a recurrent network to model sequences (STORN).",
        BOTH,
        nothing_answers,
        ("generative", "generative_chorales"),
        "They modelled music and motion capture; here all networks have as many parameters, and few updates.",
        place="abstract",
        of_parts=network_helps("storn"),
    ),
    Claim(
        VRNN,
        "Latent variables whose prior depends on the state help a recurrent network to model sequences (VRNN).",
        BOTH,
        nothing_answers,
        ("generative",),
        "They modelled speech and handwriting; here all networks have as many parameters, and few updates.",
        place="abstract",
        of_parts=network_helps("vrnn"),
    ),
    Claim(
        TALLEC,
        "Chrono initialisation remembers longer than a forget bias of 1.",
        BOTH,
        nothing_answers,
        (),
        place="abstract",
        lacking="A study varies cells, not their start: `make reproduce` compares the two on copying, and "
        "docs/reproductions.md has the verdict.",
    ),
    Claim(
        TALLEC,
        "At long lags a cell should start with large keep biases.",
        NEITHER,
        at_longest_lag(helps("keep_bias")),
        CELLS,
        "They draw a time constant for each unit, up to the longest lag; here a point gives one bias to all units, and "
        "a bias near the top of the range keeps a state for some hundred steps.",
    ),
]
