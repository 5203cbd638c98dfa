"""Engine "auto" is automatic: what the fused engine does not serve runs on the eager one with the same parameters, and
says why.
"""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.autograd import forward_ad
from torch.func import functional_call, grad, jvp, vmap
from torch.nn.utils import prune
from torch.optim.swa_utils import AveragedModel
from torch.utils.checkpoint import checkpoint

from tests.variants.cases import DEFAULTS, fill, fitting, generator
from variants import Cell, Recurrent, Vanilla

T, B, INPUTS, H = 6, 3, 4, 5
# torch's own, in its forward mode
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")


def pair(cell: Cell | None = None, **options) -> tuple[Recurrent, Recurrent]:
    """The same network with engine auto and with engine eager."""
    auto, eager = (Recurrent(cell or Vanilla(), INPUTS, H, engine=e, **options) for e in ("auto", "eager"))
    fill(auto)
    eager.load_state_dict(auto.state_dict())
    return auto, eager


def inputs_of(steps: int = T) -> torch.Tensor:
    return torch.randn(steps, B, INPUTS, generator=generator(1))


def double(module, x):
    return module.double()(x.double())[0]


def autocast(module, x):
    with torch.autocast("cpu", torch.bfloat16):
        return module(x.bfloat16())[0]


def per_sequence_gradients(module, x):
    def loss(parameters, sequence):
        return functional_call(module, parameters, (sequence.unsqueeze(1),))[0].square().sum()

    return vmap(grad(loss), in_dims=(None, 1))(dict(module.named_parameters()), x)["parts.0.R_z"]


def forward_mode(module, x):
    return jvp(lambda v: module(v)[0], (x,), (torch.ones_like(x),))[1]


def dual_numbers(module, x):
    with forward_ad.dual_level():
        return forward_ad.unpack_dual(module(forward_ad.make_dual(x, torch.ones_like(x)))[0]).tangent


MODES = {
    "float64": (double, "torch.float64"),
    "autocast": (autocast, "torch.bfloat16"),
    "torch.func": (per_sequence_gradients, "a transform of torch.func"),
    "jvp": (forward_mode, "a transform of torch.func"),
    "dual numbers": (dual_numbers, "forward-mode differentiation"),
}


@pytest.mark.parametrize(("run", "why"), MODES.values(), ids=MODES)
def test_what_the_fused_engine_does_not_serve_runs_on_the_eager_one_and_says_why(run, why):
    auto, eager = pair()
    torch.testing.assert_close(run(auto, inputs_of()), run(eager, inputs_of()))
    assert (auto.engine, auto.why_eager) == ("eager", why)
    assert (eager.engine, eager.why_eager) == ("eager", "")


@pytest.mark.parametrize("run", [v[0] for v in MODES.values()], ids=MODES)
def test_engine_fused_refuses_in_one_line_what_it_does_not_serve(run):
    module = Recurrent(Vanilla(), INPUTS, H, engine="fused")
    with pytest.raises(
        ValueError, match=r"^vanilla: the fused engine needs .*; build the module with engine='auto' or 'eager'$"
    ):
        run(module, inputs_of())


def test_after_such_a_call_the_fused_engine_serves_again():
    auto, eager = pair()
    forward_mode(auto, inputs_of())
    torch.testing.assert_close(auto(inputs_of())[0], eager(inputs_of())[0])
    assert (auto.engine, auto.why_eager) == ("fused", "")


def test_meta_tensors_pass_through():
    module = Recurrent(Vanilla(), INPUTS, H, layers=2).to("meta")
    outputs, last = module(inputs_of().to("meta"), lengths=[T, 1, 2], reads=torch.zeros(2, B, dtype=torch.long))
    assert (outputs.shape, outputs.device.type, len(last)) == ((2, B, H), "meta", 2)
    assert module.why_eager == "the device meta"


def test_fake_tensors_pass_through():
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        module = Recurrent(Vanilla(), INPUTS, H)
        assert module(mode.from_tensor(torch.zeros(T, B, INPUTS)))[0].shape == (T, B, H)
    assert module.why_eager == "a dispatch mode of torch, such as one that traces or makes fake tensors"


@pytest.mark.filterwarnings("ignore")
def test_an_exported_network_gives_the_same_outputs():
    auto, eager = pair()
    exported = torch.export.export(auto, (inputs_of(),)).module()
    torch.testing.assert_close(exported(inputs_of())[0], eager(inputs_of())[0])


@pytest.mark.parametrize("cell", DEFAULTS, ids=repr)
def test_a_second_derivative_is_that_of_the_eager_engine(cell: Cell):
    """The gradient of a gradient penalty and a loss together."""
    cell = cell if fitting(cell) == H else type(cell)(periods=(1, 3, 4, 6, 7))
    found = []
    auto, eager = pair(cell, layers=max(1, cell.min_layers))
    for module in (auto, eager):
        x = inputs_of().requires_grad_()
        outputs, last = module(x, lengths=[T, 2, 4])
        (slope,) = torch.autograd.grad(outputs.square().sum() + last[0][0].sum(), x, create_graph=True)
        (outputs.sum() + slope.square().sum()).backward()
        found.append([torch.zeros_like(p) if p.grad is None else p.grad for p in module.parameters()])
        assert any(p.any() for p in found[-1])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    assert auto.why_eager == "a second derivative"


def test_engine_fused_refuses_a_second_derivative():
    module, x = Recurrent(Vanilla(), INPUTS, H, engine="fused"), inputs_of().requires_grad_()
    with pytest.raises(
        ValueError, match="vanilla: the fused engine has no second derivatives, which create_graph=True asks for"
    ):
        torch.autograd.grad(module(x)[0].sum(), x, create_graph=True)


REGULARISED = [
    {"zoneout": 0.5},
    {"recurrent_dropout": 0.5},
    {"layers": 2, "dropout": 0.5},
    {"layers": 2, "zoneout": 0.3, "dropout": 0.2},
]


@pytest.mark.parametrize("engine", ["fused", "eager"])
@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("options", REGULARISED, ids=repr)
def test_a_checkpoint_gives_the_gradients_of_the_plain_call_masks_included(options, reentrant, engine):
    module, gradients, ahead = Recurrent(Vanilla(), INPUTS, H, engine=engine, **options), [], []
    start = module.generator.get_state()
    for call in (lambda v: module(v)[0], lambda v: checkpoint(lambda w: module(w)[0], v, use_reentrant=reentrant)):
        module.generator.set_state(start)
        chunks = [inputs_of(4).requires_grad_(), inputs_of(5).requires_grad_()]
        torch.cat([call(x) for x in chunks]).square().sum().backward()
        gradients.append(torch.cat([x.grad for x in chunks]))
        ahead.append(torch.rand(3, generator=module.generator))
    assert gradients[0].any()
    torch.testing.assert_close(*gradients)
    assert torch.equal(*ahead)


def test_a_checkpoint_whose_masks_cannot_be_told_apart_is_refused():
    module, x = Recurrent(Vanilla(), INPUTS, H, zoneout=0.5), inputs_of().requires_grad_()
    outputs = [checkpoint(lambda w: module(w)[0], x, use_reentrant=False) for _ in range(2)]
    with pytest.raises(
        ValueError,
        match=r"vanilla: the inputs of a call that torch\.utils\.checkpoint repeats must have been given to one call",
    ):
        (outputs[0] + outputs[1]).sum().backward()


def test_checkpoints_of_the_same_inputs_one_after_another_have_their_own_masks():
    module, x, gradients = Recurrent(Vanilla(), INPUTS, H, zoneout=0.5), inputs_of().requires_grad_(), []
    for _ in range(2):
        x.grad = None
        checkpoint(lambda w: module(w)[0], x, use_reentrant=False).sum().backward()
        gradients.append(x.grad)
    assert not torch.equal(*gradients)


# A module in training
# -----------------------------------------------------------------------------------------------------


def training_pair(**options) -> tuple[Recurrent, Recurrent]:
    """A module in training that has made a step, and a plain one with the same parameters; all gradients are zero."""
    reusing, plain = (Recurrent(Vanilla(peepholes=("i", "o")), INPUTS, H, **options) for _ in range(2))
    for p in reusing.parameters():
        p.grad = torch.zeros_like(p)
    reusing.start_training()
    for p in plain.parameters():
        p.grad = torch.zeros_like(p)
    reusing(inputs_of(), final=False)[0].sum().backward()
    for p in reusing.parameters():
        p.grad.zero_()
    return reusing, plain


def same_step(reusing: nn.Module, plain: nn.Module, between=lambda module: None) -> None:
    """A training step of both, with `between` called after the forward pass, gives the same outputs and gradients."""
    found = []
    for module in (reusing, plain):
        outputs, _ = module(inputs_of(), final=False)
        value = outputs.detach().clone()
        between(module)
        outputs.square().sum().backward()
        found.append((value, [p.grad for p in module.parameters()]))
    torch.testing.assert_close(found[0][0], found[1][0])
    assert [g is None for g in found[0][1]] == [g is None for g in found[1][1]]
    for one, other in zip(found[0][1], found[1][1], strict=True):
        if one is not None:
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    assert any(g is not None and g.any() for g in found[0][1])


def other_weights() -> dict[str, torch.Tensor]:
    other = Recurrent(Vanilla(peepholes=("i", "o")), INPUTS, H)
    fill(other, seed=3)
    return {k: v.detach().clone() for k, v in other.state_dict().items()}


def assigned(module):
    module.load_state_dict(other_weights(), assign=True)


def assigned_with_gradients(module):
    assigned(module)
    for p in module.parameters():
        p.grad = torch.ones_like(p)


def in_other_memory(module):
    for p in module.parameters():
        p.data = p.data.clone() + 0.5


def without_gradients(module):
    module.zero_grad(set_to_none=True)


def one_without_gradient(module):
    module.parts[0]["p_i"].grad = None
    module.parts[0]["W_f"].grad = None


def frozen(module):
    module.parts[0]["R_z"].requires_grad_(False)
    module.parts[0]["b_i"].requires_grad_(False)


def hooked(module):
    module.parts[0]["R_z"].register_hook(lambda g: 2 * g)


def doubled(parameter):
    parameter.grad.mul_(2)


def hooked_after(module):
    module.parts[0]["R_z"].register_post_accumulate_grad_hook(doubled)


def parametrised(module):
    nn.utils.parametrizations.weight_norm(module.parts[0], "W_z")
    for p in module.parameters():
        p.grad = torch.zeros_like(p)


CHANGES = [
    assigned,
    assigned_with_gradients,
    in_other_memory,
    without_gradients,
    one_without_gradient,
    frozen,
    hooked,
    hooked_after,
    parametrised,
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_module_in_training_follows_what_is_done_to_its_parameters(change):
    reusing, plain = training_pair()
    for module in (reusing, plain):
        change(module)
    same_step(reusing, plain)
    same_step(reusing, plain)


@pytest.mark.parametrize("change", [without_gradients, one_without_gradient])
def test_a_module_in_training_follows_what_is_done_between_forward_and_backward(change):
    same_step(*training_pair(), between=change)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("options", [{"zoneout": 0.5}, {"recurrent_dropout": 0.5}])
def test_a_module_in_training_keeps_its_regularisers(options, training):
    reusing, plain = training_pair(**options)
    plain.load_state_dict(reusing.state_dict())
    plain.generator.set_state(reusing.generator.get_state())
    same_step(reusing.train(training), plain.train(training))


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)), lambda m: AveragedModel(m).module]
)
def test_a_copy_of_a_module_in_training_is_a_module_of_its_own(copied):
    reusing, plain = training_pair()
    other = copied(reusing)
    for p in other.parameters():
        p.grad = None
    plain.zero_grad(set_to_none=True)
    same_step(other, plain)
    assert not any(p.grad.any() for p in reusing.parameters())


def test_a_module_in_training_without_biases_trains():
    class Unbiased(Vanilla):
        gates = tuple(g._replace(bias=False) for g in Vanilla().preactivations)

        def after_initialisation(self, blocks):
            """There is no bias to adjust."""

    reusing, plain = (Recurrent(Unbiased(), INPUTS, H) for _ in range(2))
    for p in reusing.parameters():
        p.grad = torch.zeros_like(p)
    reusing.start_training()
    same_step(reusing, plain)


def apart(module):
    module.parts[0]["p_i"].data = torch.linspace(0.0, 1.0, 2 * H)[::2]


def one_number_for_all(module):
    module.parts[0]["p_i"].data = torch.tensor(0.3).expand(H)


def turned(module):
    module.parts[0]["R_z"].data = module.parts[0]["R_z"].data.t()


def hooked_after_only(module):
    module.parts[0]["R_z"].register_post_accumulate_grad_hook(doubled)


@pytest.mark.filterwarnings("ignore:grad and param do not obey:UserWarning")
@pytest.mark.parametrize("change", [apart, one_number_for_all, turned, hooked_after_only])
def test_a_module_in_training_in_one_vector_follows_what_is_done_to_its_parameters(change):
    reusing, plain = training_pair()
    reusing.flatten_parameters()
    reusing(inputs_of(), final=False)[0].sum().backward()
    reusing.zero_grad(set_to_none=False)
    for module in (reusing, plain):
        change(module)
    same_step(reusing, plain)


def test_a_module_in_training_never_reads_behind_the_end_of_a_parameter():
    reusing, _ = training_pair()
    reusing.parts[0]["p_i"].data, reusing.parts[0]["p_i"].grad = torch.ones(1), torch.ones(1)
    with pytest.raises(ValueError, match=r"vanilla: parameter p_i of layer 0 must be torch.float32 \[5\] on cpu"):
        reusing(inputs_of(), final=False)


def test_an_output_of_a_module_in_training_changed_in_place_is_noticed():
    reusing, _ = training_pair()
    outputs, _ = reusing(inputs_of(), final=False)
    outputs.mul_(2.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        outputs.sum().backward()


def test_a_module_in_training_reads_lengths_whatever_the_default_device():
    (reusing, plain), x = training_pair(), inputs_of()
    with torch.device("meta"):
        outputs, _ = reusing(x, lengths=[T, 1, 3], final=False)
    torch.testing.assert_close(outputs, plain(x, lengths=[T, 1, 3])[0])


def test_a_module_in_training_refuses_a_second_derivative():
    reusing, _ = training_pair()
    x = inputs_of().requires_grad_()
    with pytest.raises(ValueError, match=r"there are no second derivatives between start_training"):
        torch.autograd.grad(reusing(x, final=False)[0].sum(), x, create_graph=True)


def test_a_module_in_training_serves_more_sizes_than_it_keeps_memory_for():
    reusing, plain = training_pair()
    for steps in (2, 3, 4, 5, 6, 7, 2, 3):
        for module in (reusing, plain):
            module(inputs_of(steps), final=False)[0].square().sum().backward()
    for one, other in zip(reusing.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("engine", ["eager", "auto"])
def test_a_pruned_parameter_follows_its_original(engine):
    module = Recurrent(Vanilla(), INPUTS, H, engine=engine)
    prune.l1_unstructured(module.parts[0], "R_z", 0.5)
    before = module(inputs_of())[0]
    before.sum().backward()
    with torch.no_grad():
        module.parts[0].R_z_orig.add_(1.0)
    after = module(inputs_of())[0]
    after.sum().backward()
    assert not torch.allclose(before, after)
    assert module.parts[0].R_z_orig.grad.any()
