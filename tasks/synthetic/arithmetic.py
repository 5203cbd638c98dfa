"""Arithmetic: add or subtract two numbers whose digits stand among distractors, and write down the result."""

from __future__ import annotations

import torch
from torch import Tensor

from ..exact import entropy
from ..task import Batch, Classification, one_hot

PLUS, MINUS, EQUALS, BLANK, DISTRACTOR = 10, 11, 12, 13, 14


class Arithmetic(Classification, name="arithmetic"):
    """Read two numbers with a plus or a minus between them, digit by digit, and write down the result.

        input    0 b 7 a a - 3 c 1 b    =  _  _  _        a b c .. distractors, _ blank
        target   . . . . . . . . . .    -  0  2  4        07 - 31 = -024; read at = and at the blanks
                 lag steps              digits + 2 answers

    T = lag + digits + 2. Each number has `digits` digits and is uniform over all of these, with its leading zeros; plus
    and minus are equally likely. The 2 * digits + 1 characters stand in order at a uniform choice of the lag steps, a
    distractor at every other one; inputs are one-hot vectors of the ten digits, +, -, =, blank and the distractors.
    The result is a sign (+ for 0) and digits + 1 digits, with leading zeros, the highest first. Cross-entropy over the
    digits + 2 answers. A model without memory of the characters that still counts steps knows the distribution of each
    answer. With N = 10^digits, a sum of two numbers reaches N with the probability 1/2 - 1/(2N), its other digits are
    uniform; a difference is negative with the same probability, and its size d has the probability 2 (N - d) / N^2,
    and 1/N for d = 0. The floor is the mean entropy of these answers, computed exactly: 1.421 for two digits.
    Solved when the accuracy, over all answers, is at least 99 %; `all_right` is the share of results without a mistake.

    lag: number of steps over which the characters are spread, at least 2 * digits + 1.
    digits: number of digits of each number, at least 1 and at most 18; published: up to 8.
    distractors: number of different distractors, at least 1.

    Published accuracies: LSTM .892, LSTM with a forget bias of 1 .902, GRU .896, MUT1 .921. They are not comparable:
    there the numbers have up to eight digits of their own number and a sign each, the digits of the right result are
    read while it is written, and results have neither leading zeros nor a plus.
    """

    source = "after Jozefowicz, Zaremba & Sutskever 2015, 'An Empirical Exploration of Recurrent Network Architectures'"
    output_size = 12
    lag: int

    def __init__(self, *, lag: int = 20, digits: int = 2, distractors: int = 8) -> None:
        self.lag, self.digits, self.distractors = lag, digits, distractors
        self.require("digits", 1)
        if digits > 18:
            raise ValueError(f"{self.name}: digits must be at most 18, got {digits}")
        self.require("lag", 2 * digits + 1)
        self.require("distractors", 1)
        self.input_size = DISTRACTOR + distractors
        self.floor = sum(map(entropy, self.shares())) / (digits + 2)

    def shares(self) -> list[Tensor]:
        """Return the distribution of each answer, in their order: [12] probabilities of the classes."""
        numbers = 10**self.digits
        high = (numbers - 1) / (2 * numbers)  # of a sum that reaches N, and of a negative difference
        sign, first = torch.zeros(2, self.output_size, dtype=torch.float64)
        sign[PLUS], sign[MINUS] = 1 - high / 2, high / 2
        first[0], first[1] = 1 - high / 2, high / 2
        answers = [sign, first]
        for place in reversed(range(self.digits)):
            share = torch.zeros(self.output_size, dtype=torch.float64)
            for digit in range(10):  # half of a digit of a sum, and half of one of a difference d
                # mean d where the digit at this place is given; N/10 values of d have that digit there
                mean = digit * 10**place + (10**place - 1) / 2 + 10 * (numbers // 10 - 10**place) / 2
                difference = 2 * (1 - mean / numbers) / 10 - (digit == 0) / numbers
                share[digit] = (0.1 + difference) / 2
            answers.append(share)
        return answers

    def written(self, numbers: Tensor, count: int) -> Tensor:
        """Write numbers [B] as `count` digits [count, B], the highest first."""
        powers = 10 ** torch.arange(count - 1, -1, -1)
        return numbers // powers.view(-1, 1) % 10

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        first, second = torch.randint(10**self.digits, (2, size), generator=generator)
        minus = torch.randint(2, (size,), generator=generator)
        characters = torch.cat(
            (self.written(first, self.digits), (PLUS + minus).unsqueeze(0), self.written(second, self.digits))
        )
        places = torch.rand(self.lag, size, generator=generator).topk(len(characters), 0).indices.sort(0).values
        symbols = torch.full((self.lag + self.digits + 2, size), BLANK)
        symbols[: self.lag] = torch.randint(DISTRACTOR, self.input_size, (self.lag, size), generator=generator)
        symbols.scatter_(0, places, characters)
        symbols[self.lag] = EQUALS
        result = first + (1 - 2 * minus) * second
        sign = PLUS + (result < 0).long()
        targets = torch.cat((sign.unsqueeze(0), self.written(result.abs(), self.digits + 1)))
        reads = torch.arange(self.lag, len(symbols)).view(-1, 1).repeat(1, size)
        return Batch(one_hot(symbols, self.input_size), targets, reads)

    def metrics(self, outputs: Tensor, batch: Batch) -> dict[str, float]:
        right = (outputs.argmax(-1) == batch.targets).all(0)
        return {**super().metrics(outputs, batch), "all_right": float(right.float().mean())}

    def oracle(self, batch: Batch) -> Tensor:
        seen = batch.inputs[: self.lag].argmax(-1).T  # [B, lag]
        results = []
        for row in seen[seen < EQUALS].view(len(seen), -1).tolist():
            first, second = ("".join(map(str, row[s])) for s in (slice(self.digits), slice(self.digits + 1, None)))
            result = int(first) + int(second) if row[self.digits] == PLUS else int(first) - int(second)
            digits = str(abs(result)).zfill(self.digits + 1)
            results.append([MINUS if result < 0 else PLUS, *map(int, digits)])
        return torch.tensor(results).T

    def relevant(self, batch: Batch) -> Tensor:
        return batch.inputs[..., : EQUALS + 1].sum(-1) > 0
