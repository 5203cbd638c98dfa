"""Captioning: look at a picture of a few objects, then name their colours in an order that is always the same."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..exact import loss_without_order
from ..task import Batch, Classification, one_hot


class Captioning(Classification, name="captioning"):
    """Look at a picture of a few objects one by one, and name their colours kind by kind.

        input    C2 A7 B2    _ .. _    ? ? ?        A B C .. kinds, 0 1 2 .. colours, _ blank, ? question
        target   .  .  .     . .. .    7 2 2        that of A, of B, of C; read at the last steps
                 objects     lag - 1   objects

    T = 2 * objects + lag - 1. The picture has one object of each kind, in random order, one at a step; its colour is
    uniform and independent. An object is the one-hot vector of its kind beside that of its colour; blank and question
    have a value each. Questions are all the same: their order is that of the kinds. Cross-entropy at the questions. A
    question says nothing of a colour, so that a model without memory is uniform over the C colours: ln C = 2.079
    exactly, accuracy 1/C. A model that remembers which colours it saw, but not of which object, has the entropy of
    their shares, which `baselines` gives. Solved when the accuracy is at least 99 %.

    It has the form of captions: parts of a picture, then words that speak of one part after the other. No picture and
    no word is in it. What attends to the picture must know how far the caption is.

    lag: steps from the last object to the first question, at least 1.
    objects: number of objects, and of kinds, at least 1.
    colours: number of different colours, C, at least 2.
    """

    source = "after Xu et al. 2015, 'Show, Attend and Tell: Neural Image Caption Generation with Visual Attention'"
    lag: int

    def __init__(self, *, lag: int = 10, objects: int = 5, colours: int = 8) -> None:
        self.lag, self.objects, self.colours = lag, objects, colours
        self.require("lag", 1)
        self.require("objects", 1)
        self.require("colours", 2)
        self.blank = objects + colours
        self.input_size, self.output_size = objects + colours + 2, colours
        self.floor = math.log(colours)

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        kinds = torch.rand(self.objects, size, generator=generator).argsort(0)
        colours = torch.randint(self.colours, (self.objects, size), generator=generator)
        first = self.objects + self.lag - 1
        inputs = torch.zeros(first + self.objects, size, self.input_size)
        inputs[: self.objects, :, : self.objects] = one_hot(kinds, self.objects)
        inputs[: self.objects, :, self.objects : self.blank] = one_hot(colours, self.colours)
        inputs[self.objects : first, :, self.blank] = 1.0
        inputs[first:, :, self.blank + 1] = 1.0
        reads = torch.arange(first, first + self.objects).view(-1, 1).repeat(1, size)
        return Batch(inputs, colours.gather(0, kinds.argsort(0)), reads)

    def baselines(self) -> dict[str, float]:
        """Return the loss of a model that knows which colours were seen, but not of which objects."""
        return {"colours without their objects": loss_without_order(self.objects, self.colours)}

    def oracle(self, batch: Batch) -> Tensor:
        picture = batch.inputs[: self.objects]
        kinds, colours = picture[..., : self.objects], picture[..., self.objects : self.blank]
        return torch.einsum("tbk,tbc->kbc", kinds, colours).argmax(-1)

    def relevant(self, batch: Batch) -> Tensor:
        return batch.inputs[..., self.blank] == 0
