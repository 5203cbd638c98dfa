"""The embedded Reber grammar: its strings, their probabilities, the exact losses of some models, free lengths."""

import itertools
import math
import re
from functools import cache

import pytest
import torch

from tasks import EmbeddedReber
from tasks.synthetic.embedded_reber import GRAMMAR, SYMBOLS, walk
from tasks.task import weighted_mean

REBER = re.compile(r"B(?:TS*(?:XS|XX(?:T*VPX)*T*V(?:V|PS))|PT*V(?:PX(?:T*VPX)*T*V)?(?:V|PS))E")
COUNT = 8_000


@cache
def drawn(lag, count=COUNT):
    task = EmbeddedReber(lag=lag)
    return task, task.batch(count, torch.Generator().manual_seed(0))


def strings(batch):
    lengths = [len(batch.inputs)] * batch.inputs.shape[1] if batch.lengths is None else batch.lengths.tolist()
    symbols = torch.cat((batch.inputs[:1].argmax(-1), batch.targets)).T.tolist()
    return ["".join(SYMBOLS[s] for s in own[: n + 1]) for own, n in zip(symbols, lengths, strict=True)]


def probabilities(length):
    """Every string of the Reber grammar of a length, with its probability given that length, by enumeration."""
    alive, found = [("", 0, 1.0)], {}
    for _ in range(length):
        alive = [
            (text + symbol, node, chance / len(GRAMMAR[at]))
            for text, at, chance in alive
            for symbol, node in GRAMMAR[at]
            if node < len(GRAMMAR) or len(text) + 1 == length
        ]
    found = {text: chance for text, node, chance in alive if node == len(GRAMMAR)}
    return {text: chance / sum(found.values()) for text, chance in found.items()}


def table_loss(batch, memory):
    """The loss of a table of the last `memory` symbols, fitted to a batch, and its standard error over sequences."""
    symbols = batch.inputs.argmax(-1)
    weights = torch.ones(batch.targets.shape) if batch.weights is None else batch.weights
    code = torch.zeros_like(symbols)
    for back in range(memory):
        code = 8 * code + torch.cat((torch.full_like(symbols[:back], 7), symbols[: len(symbols) - back]))
    counts = torch.zeros(8**memory, 7).index_put_((code.flatten(), batch.targets.flatten()), weights.flatten(), True)
    shares = counts / counts.sum(1, keepdim=True).clamp(min=1)
    losses = -shares[code, batch.targets].clamp(min=1e-30).log()
    loss = weighted_mean(losses, weights)
    excess = ((losses - loss) * weights).sum(0) / weights.sum(0).mean()
    return float(loss), float(excess.std()) / math.sqrt(excess.numel())


@pytest.mark.parametrize("lag", [5, 11, None])
def test_every_string_is_one_of_the_grammar(lag):
    _, batch = drawn(lag, 500)
    for text in strings(batch):
        assert text[0] == "B"
        assert text[-1] == "E"
        assert text[1] == text[-2]
        assert text[1] in "TP"
        assert REBER.fullmatch(text[2:-2]), text


@pytest.mark.parametrize("lag", [5, 6, 7, 8, 9, 40])
def test_the_inner_string_has_lag_symbols_and_the_answer_comes_lag_steps_after_the_outer_symbol(lag):
    _, batch = drawn(lag, 7)
    assert {len(text) for text in strings(batch)} == {lag + 4}
    assert torch.equal(batch.targets[lag + 1], batch.inputs[1].argmax(-1))


def test_strings_of_a_length_are_as_frequent_as_their_probability():
    _, batch = drawn(9)
    texts = [text[2:-2] for text in strings(batch)]
    expected = probabilities(9)
    assert set(texts) == set(expected)
    for text, chance in expected.items():
        deviation = math.sqrt(chance * (1 - chance) / COUNT)
        assert abs(texts.count(text) / COUNT - chance) < 4 * deviation, text


def test_free_strings_take_each_edge_half_of_the_time():
    _, batch = drawn(None)
    texts = [text[2:-2] for text in strings(batch)]
    for begin, chance in (("BT", 1 / 2), ("BTX", 1 / 4), ("BPVV", 1 / 8), ("BTXSE", 1 / 8)):
        share = sum(text.startswith(begin) for text in texts) / COUNT
        assert abs(share - chance) < 4 * math.sqrt(chance * (1 - chance) / COUNT)


@pytest.mark.parametrize("lag", [9, None])
def test_the_outer_symbol_is_t_half_of_the_time(lag):
    _, batch = drawn(lag)
    assert abs(float(batch.inputs[1, :, 1].mean()) - 0.5) < 4 * 0.5 / math.sqrt(COUNT)


@pytest.mark.parametrize(
    ("lag", "optimum", "forgetful"),
    [(9, 0.2576, 0.3153), (12, 0.2851, 0.3313), (20, 0.3198, 0.3500), (40, 0.3489, 0.3650)],
)
def test_exact_losses_are_the_known_ones(lag, optimum, forgetful):
    found = walk(lag)
    assert found.optimum == pytest.approx(optimum, abs=6e-5)
    assert found.forgetful == pytest.approx(forgetful, abs=6e-5)
    assert found.forgetful - found.optimum == pytest.approx(math.log(2) / (lag + 3))


@pytest.mark.parametrize("lag", [5, 9, 12])
def test_the_optimum_is_the_entropy_of_all_strings(lag):
    entropy = -sum(chance * math.log(chance) for chance in probabilities(lag).values())
    assert walk(lag).optimum == pytest.approx((math.log(2) + entropy) / (lag + 3))


def test_the_free_optimum_is_ln_2_for_each_choice():
    # the expected number of choices solves n(node) = 1 + mean of n over the nodes that follow, 0 where there is one
    chances = torch.zeros(len(GRAMMAR), len(GRAMMAR), dtype=torch.float64)
    for node, edges in enumerate(GRAMMAR):
        for _, following in edges:
            if following < len(GRAMMAR):
                chances[node, following] += 1 / len(edges)
    rewards = torch.tensor([[float(len(edges) == 2), 1.0] for edges in GRAMMAR], dtype=torch.float64)
    choices, length = torch.linalg.solve(torch.eye(len(GRAMMAR)).double() - chances, rewards)[0].tolist()
    assert walk(None).answers == pytest.approx(length + 3)
    assert walk(None).optimum == pytest.approx(math.log(2) * (choices + 1) / (length + 3))


@pytest.mark.parametrize("lag", [5, 12, None])
@pytest.mark.parametrize(("memory", "model"), [(1, "last_one"), (2, "last_two")])
def test_exact_losses_of_tables_are_those_measured(lag, memory, model):
    _, batch = drawn(lag)
    loss, deviation = table_loss(batch, memory)
    bias = 100 / batch.inputs[..., 0].numel()  # a fitted table is better by half its cells over the number of answers
    assert abs(loss - getattr(walk(lag), model)) < 4 * deviation + bias


def test_the_floor_is_that_of_the_present_symbol():
    task = EmbeddedReber(lag=12)
    assert task.floor == walk(12).last_one > task.baselines()["last 2 symbols"] > walk(12).forgetful


@pytest.mark.parametrize("lag", [7, None])
def test_solved_loss_is_the_optimum_with_99_percent_on_the_outer_symbol(lag):
    task = EmbeddedReber(lag=lag)
    assert (task.solved_loss - walk(lag).optimum) * walk(lag).answers == pytest.approx(-math.log(0.99))


def test_long_strings_have_probabilities_too():
    assert walk(1500).optimum == pytest.approx(walk(750).optimum, abs=1e-3)


@pytest.mark.parametrize("lag", [7, None])
def test_recall_is_that_of_the_answer_before_the_last(lag):
    task, batch = drawn(lag, 50)
    outputs = torch.zeros(*batch.targets.shape, 7)
    last = batch.lengths if lag is None else torch.full((50,), lag + 3)
    outputs[last - 2, torch.arange(50)] = 50.0 * torch.nn.functional.one_hot(batch.inputs[1].argmax(-1), 7)
    metrics = task.metrics(outputs, batch)
    assert metrics["recall_accuracy"] == 1
    assert metrics["recall_loss"] == pytest.approx(0, abs=1e-6)
    assert metrics["loss"] == pytest.approx(math.log(7) * (1 - 1 / float(last.float().mean())), rel=1e-4)
    assert task.solved(metrics)


def test_without_the_outer_symbol_the_task_is_not_solved():
    task, batch = drawn(9)
    metrics = task.metrics(20.0 * torch.tensor([0, 1, 1, 0, 0, 0, 0]).expand(*batch.targets.shape, 7), batch)
    assert metrics["recall_loss"] == pytest.approx(math.log(2))
    assert not task.solved(metrics)


# Free lengths.


def test_free_lengths_ask_at_every_step_of_a_string_and_nowhere_else():
    _, batch = drawn(None, 300)
    inside = torch.arange(len(batch.inputs)).view(-1, 1) < batch.lengths
    assert torch.equal(batch.weights, inside.float())
    assert not batch.inputs[~inside].any()
    assert not batch.targets[~inside].any()
    assert not batch.reads[~inside].any()
    assert torch.equal(batch.reads, torch.arange(len(inside)).view(-1, 1) * inside)
    assert int(batch.lengths.max()) == len(batch.inputs)


def test_free_lengths_have_an_oracle():
    task, batch = drawn(None, 300)
    assert torch.equal(task.oracle(batch), batch.targets)


def test_the_published_criterion_asks_for_the_possible_symbols_to_be_most_active():
    task, batch = drawn(None, 300)
    outputs = 2.0 * task.possible(batch)
    assert task.metrics(outputs, batch)["published"] == 1
    step = int(batch.lengths[3]) - 2
    outputs[step, 3] = outputs[step, 3].roll(1)
    metrics = task.metrics(outputs, batch)
    assert metrics["published"] == 0
    assert metrics["wrong"] == pytest.approx(1 / 300)


def test_after_the_end_of_a_string_nothing_is_wrong():
    task, batch = drawn(None, 300)
    outputs = torch.where(batch.weights.unsqueeze(-1) > 0, 2.0 * task.possible(batch), math.nan)
    assert task.metrics(outputs, batch)["published"] == 1


def test_possible_symbols_are_those_of_the_grammar():
    task, batch = drawn(9, 300)
    seen = {text[:n]: set() for text in strings(batch) for n in range(1, 13)}
    for text, n in itertools.product(strings(batch), range(1, 13)):
        seen[text[:n]].add(text[n])
    possible = task.possible(batch)
    for b, text in enumerate(strings(batch)):
        for step in range(12):
            allowed = {SYMBOLS[s] for s in possible[step, b].nonzero().flatten().tolist()}
            assert seen[text[: step + 1]] <= allowed
    assert set(possible.sum(-1).flatten().tolist()) == {1, 2}


@pytest.mark.parametrize("lag", ["seven", 7.0, True])
def test_a_lag_that_is_no_whole_number_is_refused_in_one_line(lag):
    with pytest.raises(ValueError, match=rf"^embedded_reber: lag must be a whole number or None, got {lag!r}$"):
        EmbeddedReber(lag=lag)
