"""XML: close nested tags by their names, which are random, as a stack does."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..task import Batch, Classification, one_hot


class Xml(Classification, name="xml"):
    """Name each tag that is closed, in a document of nested tags with random names.

        input    < A . < C . / C . . < B / B . /        A B C .. letters, < opens, / closes, . text
        target   . . . . . . C . . . . . B . . A        read at /, before the name is seen

    A document has one outermost tag, and `tags` in all, which are nested by a uniform choice among all ways to do so.
    The letters of a name are uniform and independent, also between tags; they stand behind the < and again behind the
    /. The document begins with the outermost tag, and text stands at random places between tags. The last letter, with
    which the outermost tag is closed, would come at step lag: it is asked for and not shown. Inputs are one-hot vectors
    of the letters, <, / and text. Cross-entropy at every letter of a name behind a /, which is read one step before the
    letter comes: at the /, or at the letter before it. A model without memory is uniform over the K letters: ln K =
    2.079 exactly, accuracy 1/K. A model that knows the tag that was opened last, and no stack, can name those that are
    closed before another opens, on average half of them: (ln K) / 2, which `baselines` gives. Solved when the accuracy
    is at least 99 %.

    lag: steps of a document, at least 2 * tags * (length + 1) - 1. The outermost name is kept through all of them.
    tags: number of tags, at least 1.
    length: number of letters of a name, at least 1.
    letters: number of different letters, K, at least 2.

    Published accuracies: LSTM .425, GRU .460, MUT1 .475. They are not comparable: there every character is predicted,
    most of which are random.
    """

    source = "after Jozefowicz, Zaremba & Sutskever 2015, 'An Empirical Exploration of Recurrent Network Architectures'"
    causal = True
    lag: int

    def __init__(self, *, lag: int = 40, tags: int = 4, length: int = 1, letters: int = 8) -> None:
        self.lag, self.tags, self.length, self.letters = lag, tags, length, letters
        self.require("tags", 1)
        self.require("length", 1)
        self.require("letters", 2)
        self.require("lag", 2 * tags * (length + 1) - 1)
        self.opening, self.closing, self.text = letters, letters + 1, letters + 2
        self.input_size, self.output_size = letters + 3, letters
        self.floor = math.log(letters)

    def nested(self, size: int, generator: torch.Generator) -> Tensor:
        """Draw nestings: [2 tags, B] int64, which tag, counted as they open, is opened or closed by each mark."""
        inner = 2 * (self.tags - 1)
        ways = [[1] + [0] * (inner + 1)]  # ways[left][depth]: to close so many open tags with so many marks left
        for _ in range(inner):
            last = [0, *ways[-1], 0]
            ways.append([last[depth] + last[depth + 2] for depth in range(inner + 1)] + [0])
        marks = torch.zeros(inner + 2, size, dtype=torch.int64)
        stack = torch.zeros(self.tags, size, dtype=torch.int64)  # of the tags within the outermost
        depth, count = torch.zeros(2, 1, size, dtype=torch.int64)
        for step, left in enumerate(range(inner, 0, -1), start=1):
            chances = torch.tensor([ways[left - 1][d + 1] / max(1, ways[left][d]) for d in range(inner + 1)])
            opens = torch.rand(1, size, generator=generator) < chances[depth]
            count = count + opens
            depth = depth - (~opens).long()
            place = depth.clamp(min=0)
            marks[step] = torch.where(opens, count, stack.gather(0, place))
            stack.scatter_(0, place, marks[step : step + 1])  # where one is closed, this changes nothing
            depth = depth + opens
        return marks

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        names = torch.randint(self.letters, (self.tags, self.length, size), generator=generator)
        tags = self.nested(size, generator)
        opens = torch.ones_like(tags, dtype=torch.bool)
        opens[1:] = tags[1:] > tags.cummax(0).values[:-1]  # tags are counted as they open
        slots = self.lag + 1 - len(tags) * self.length  # a mark with its name, or one step of text
        order = torch.rand(slots - 2, size, generator=generator).topk(len(tags) - 2, 0).indices.sort(0).values + 1
        starts = torch.cat((torch.zeros(1, size), order, torch.full((1, size), slots - 1))).long()
        starts += self.length * torch.arange(len(tags)).view(-1, 1)
        symbols = torch.full((self.lag + 1, size), self.text)
        symbols.scatter_(0, starts, torch.where(opens, self.opening, self.closing))
        named = names.gather(0, tags.unsqueeze(1).expand(-1, self.length, -1))  # [2 tags, length, B]
        for letter in range(self.length):
            symbols.scatter_(0, starts + 1 + letter, named[:, letter])
        closings = (~opens).T.nonzero()[:, 1].view(size, self.tags).T  # the marks that close, in their order
        targets = named.gather(0, closings.unsqueeze(1).expand(-1, self.length, -1)).flatten(0, 1)
        reads = starts.gather(0, closings).unsqueeze(1) + torch.arange(self.length).view(-1, 1)
        return Batch(one_hot(symbols[:-1], self.input_size), targets, reads.flatten(0, 1))

    def baselines(self) -> dict[str, float]:
        """Return the loss of a model that knows the name of the tag that was opened last, and no other."""
        return {"tag opened last": 0.0 if self.tags == 1 else self.floor / 2}

    def oracle(self, batch: Batch) -> Tensor:
        answers: list[list[int]] = []
        for document in batch.inputs.argmax(-1).T.tolist():
            stack: list[list[int]] = []
            answers.append([])
            for step, symbol in enumerate(document):
                if symbol == self.opening:
                    stack.append(document[step + 1 : step + 1 + self.length])
                if symbol == self.closing:
                    answers[-1].extend(stack.pop())
        return torch.tensor(answers).T

    def relevant(self, batch: Batch) -> Tensor:
        return batch.inputs[..., self.text] == 0
