"""Attention computes what its papers say, sees nothing behind its step, and feeds its context where it is asked to."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from runs.networks import Attention
from runs.networks.attention import weights_of
from runs.networks.network import Setting
from runs.trial.trial import Model
from tasks import Copying, TemporalOrder
from variants import GRU, GlorotOrthogonal, Vanilla, streams

T, B, D, A, K = 7, 3, 5, 4, 2
READS = torch.tensor([[6, 2, 4], [3, 5, 0]])
SCORES = ("additive", "product")


def module(cell=None, task=None, seed=0, engine="auto", **knobs):
    setting = Setting(cell or GRU(), task or Copying(lag=2, length=2, symbols=3), Model(hidden_size=D, engine=engine))
    found = Attention(**{"size": A, **knobs}).build(setting, GlorotOrthogonal(), streams(seed))
    return found.double() if engine == "eager" else found


def outputs(seed=1):
    return torch.randn(T, B, D, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_numpy(network, states, read):
    """The context of one answer of one sequence, from its states [T, D]."""
    query, key = (m.weight.detach().numpy() for m in (network.query, network.key))
    asking = query @ states[read]
    if network.network.score == "additive":
        w = network.get_submodule("score").weight.detach().numpy()[0]
        scores = [w @ np.tanh(asking + key @ h) for h in states[: read + 1]]
    else:
        scores = [asking @ (key @ h) / np.sqrt(A) for h in states[: read + 1]]
    alpha = np.exp(np.array(scores) - max(scores))
    return (alpha / alpha.sum()) @ states[: read + 1]


@pytest.mark.parametrize("score", SCORES)
def test_contexts_are_those_of_a_form_in_numpy(score):
    network, states = module(engine="eager", score=score), outputs()
    _, contexts, _ = network.look_back(states, READS, None)
    for k in range(K):
        for b in range(B):
            expected = by_numpy(network, states[:, b].numpy(), int(READS[k, b]))
            np.testing.assert_allclose(contexts[k, b].detach().numpy(), expected, rtol=1e-12)


def test_products_are_scaled_dot_product_attention():
    network, states = module(engine="eager", score="product"), outputs()
    _, contexts, _ = network.look_back(states, READS, None)
    asking = states.gather(0, READS.unsqueeze(-1).expand(K, B, D))
    seen = torch.arange(T) <= READS.T.unsqueeze(-1)  # [B, K, T]
    queries, keys, values = (v.transpose(0, 1) for v in (network.query(asking), network.key(states), states))
    expected = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=seen)
    torch.testing.assert_close(contexts, expected.transpose(0, 1))


@pytest.mark.parametrize("score", SCORES)
def test_weights_add_up_to_one_and_are_zero_behind_the_step_and_the_length(score):
    lengths = torch.tensor([7, 6, 5])
    _, _, alpha = module(engine="eager", score=score).look_back(outputs(), READS, lengths)
    torch.testing.assert_close(alpha.sum(1), torch.ones(K, B, dtype=torch.float64))
    later = torch.arange(T).view(1, T, 1) > READS.unsqueeze(1)
    assert not alpha[later].any()
    assert bool((alpha[~later] > 0).all())


def test_a_step_after_the_end_of_a_sequence_is_not_attended_to():
    alpha = weights_of(torch.zeros(1, 4, 2), torch.tensor([[3, 3]]), torch.tensor([4, 2]))
    assert alpha[0, :, 1].tolist() == [0.5, 0.5, 0.0, 0.0]


@pytest.mark.parametrize("feeds", [False, True])
@pytest.mark.parametrize("score", SCORES)
def test_answers_do_not_depend_on_later_steps(score, feeds):
    network, task = module(score=score, feeds=feeds), Copying(lag=2, length=2, symbols=3)
    batch = task.batch(B, torch.Generator().manual_seed(1))
    asked = batch._replace(targets=batch.targets[:1], reads=batch.reads[:1])
    inputs = batch.inputs.clone()
    inputs[int(asked.reads.max()) + 1 :] = 5.0
    assert not torch.equal(inputs, batch.inputs)
    with torch.no_grad():
        torch.testing.assert_close(network(asked), network(asked._replace(inputs=inputs)))


@pytest.mark.parametrize("feeds", [False, True])
def test_permuting_the_batch_permutes_the_weights(feeds):
    network, task = module(feeds=feeds), TemporalOrder(lag=12)
    network = module(task=task, feeds=feeds)
    batch, order = task.batch(B, torch.Generator().manual_seed(1)), torch.tensor([2, 0, 1])
    with torch.no_grad():
        alpha, permuted = network.attend(batch), network.attend(batch.select(order))
    torch.testing.assert_close(alpha[:, : permuted.shape[1], order], permuted)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("cell", [Vanilla, GRU])
def test_the_context_of_a_step_is_an_input_of_the_next_one(cell, score):
    network = module(cell(), engine="eager", score=score, feeds=True)
    inputs = torch.randn(T, B, 5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)[..., :5]
    inputs = inputs[..., : network.recurrent.input_size - D]
    context, state, states = np.zeros((B, D)), None, []
    for x in inputs:
        heard = torch.cat((x, torch.from_numpy(context)), -1)
        with torch.no_grad():
            output, state = network.recurrent(heard.unsqueeze(0), state)
        states.append(output[0].numpy())
        so_far = np.stack(states)
        context = np.stack([by_numpy(network, so_far[:, b], len(states) - 1) for b in range(B)])
    with torch.no_grad():
        found = torch.stack(list(network._fed(inputs)))
    np.testing.assert_allclose(found.numpy(), np.stack(states), rtol=1e-10)


def test_scores_of_some_queries_at_a_time_are_those_of_all(monkeypatch):
    network, states = module(engine="eager"), outputs()
    _, expected, _ = network.look_back(states, READS, None)
    monkeypatch.setattr("runs.networks.attention.MOST_SCORES", 1)
    with torch.no_grad():
        _, found, _ = network.look_back(states, READS, None)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("feeds", [False, True])
def test_every_parameter_has_a_gradient(feeds):
    network, task = module(feeds=feeds), Copying(lag=2, length=2, symbols=3)
    batch = task.batch(B, torch.Generator().manual_seed(1))
    task.loss(network(batch), batch).backward()
    assert all(p.grad is not None and bool(p.grad.any()) for p in network.parameters())


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("feeds", [False, True])
@pytest.mark.parametrize("task", [Copying(lag=2, length=2, symbols=3), TemporalOrder(lag=20)], ids=["copying", "order"])
def test_operations_count_scores_and_contexts_of_every_step_that_is_looked_at(score, feeds, task):
    network = module(score=score, feeds=feeds, task=task)
    batch = task.batch(500, torch.Generator().manual_seed(2))
    total = int(batch.lengths.sum()) if batch.lengths is not None else batch.inputs.shape[0] * 500
    with torch.no_grad():
        looked_at = int((network.attend(batch) > 0).sum()) / total
    if feeds:  # of the context of every step, on average half of the steps
        looked_at += (batch.inputs.shape[0] + 1) / 2
    once = sum(2 * p.numel() for name, p in network.named_parameters() if p.dim() == 2 and name != "score.weight")
    assert network.flops_per_step == pytest.approx(once + looked_at * 2 * (A + D), abs=1)
