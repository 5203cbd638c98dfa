"""The words of a report, explained for a reader who did not run the study."""

from __future__ import annotations

TERMS = {
    "variant": "A kind of recurrent cell: a network that reads a sequence step by step and keeps a state in between.",
    "baseline": "The variant with which all others are compared; its rows are shaded.",
    "task": "What must be remembered: sequences with answers, and a rule that says when the task is solved.",
    "lag": "The number of steps over which a task demands that something be remembered.",
    "point": "One random choice of the settings that are searched, such as the learning rate, with its random numbers. "
    "All variants are trained at the same points, so that they can be compared pair by pair.",
    "trial": "One training run: a variant, trained once on a task at one point.",
    "N": "The number of trials that ran to an end.",
    "solved": "The number of trials that met the rule of their task on sequences that were not used for training.",
    "solve rate": "The share of the trials that solved the task.",
    "steps to solve": "Training steps until the task is solved, on average; a trial that does not solve it counts with "
    "all the steps that it was given.",
    "budget": "The largest number of training steps of a trial.",
    "diverged": "Trials in which a loss was no longer a finite number; they count as not solved.",
    "exploded": "Trials whose last loss was far above that before training.",
    "failed": "Trials in which the program broke; they are left out.",
    "loss": "The error of the answers; lower is better. In nats, a unit of information, where answers are "
    "probabilities.",
    "floor": "The loss of the best model without memory.",
    "score": "How far the loss on test data has come from the best model without memory (0) to a solution (1).",
    "best decile": "The best tenth of the trials of a variant on a task, at least one.",
    "expected best of 20": "The score that the best trial of a search of 20 trials is expected to have: what tuning "
    "gets out of a variant.",
    "95 % interval": "A range that would hold the true value in 95 of 100 repetitions of the study. Those of "
    "differences hold for all variants of a task together.",
    "p": "How often chance alone would make a difference as large as this one. At most .05 counts as a difference.",
    "percentage points": "The difference between two shares: from 40 % to 60 % are 20 percentage points.",
    "half lag": "The lag at which one half of the solve rate at the shortest lag is left.",
    "memory horizon": "The lag at which half of the trials of the best settings still solve the task.",
    "keep bias": "What is added at the start of training to the gate that keeps the memory, so that more is kept.",
    "width": "The number of units of the recurrent layer.",
    "parameters": "The number of values that are trained. Variants get widths at which they have about equally many.",
}


def term_of(heading: str) -> str:
    """Return the explanation of a heading: that of the longest word of the list that it begins with, or holds.

    >>> term_of("steps to solve")[:14], term_of("unit")
    ('Training steps', '')
    """
    text = f" {heading.lower()} "
    known = [word for word in TERMS if heading == word or (len(word) > 1 and f" {word.lower()} " in text.replace(",", " "))]
    return TERMS[max(known, key=len)] if known else ""
