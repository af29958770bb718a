"""norch.utils.checkpoint."""

import pytest

import norch
from norch import nn
from norch.testing import assert_close
from norch.utils.checkpoint import (
    CheckpointPolicy,
    checkpoint,
    checkpoint_sequential,
    create_selective_checkpoint_contexts,
)


def test_checkpoint_recomputes():
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 1))
    x = norch.randn(3, 4, requires_grad=True)
    norch.manual_seed(1)
    model(x).sum().backward()
    expected = [p.grad.clone() for p in model.parameters()]
    for run in (
        lambda: checkpoint(model, x, use_reentrant=False),
        lambda: checkpoint(model, x, use_reentrant=True),
        lambda: checkpoint_sequential(model, 2, x, use_reentrant=False),
        lambda: checkpoint_sequential(model, 2, x, use_reentrant=True),
    ):
        model.zero_grad()
        norch.manual_seed(1)
        run().sum().backward()
        after = norch.rand(1).item()
        assert_close([p.grad for p in model.parameters()], expected)
    norch.manual_seed(1)
    model(x)
    assert norch.rand(1).item() == after  # backward drew no numbers of its own

    calls = []

    def f(a, b, c=2):
        calls.append(1)
        return (a * b * c).sin(), a + 1

    x = norch.randn(3, requires_grad=True)
    y, z = checkpoint(f, x, 3.0, use_reentrant=False, c=4)
    (y.sum() + z.sum()).backward()
    assert len(calls) == 2
    assert_close(x.grad, 12 * (12 * x.detach()).cos() + 1)
    with norch.no_grad():
        assert not checkpoint(f, x, 1.0, use_reentrant=True)[0].requires_grad


def test_checkpoints_helpers():
    from norch.utils import checkpoint as c

    x = norch.ones(2, requires_grad=True)
    a, n = c.detach_variable((x * 2, 3))
    assert n == 3 and a.requires_grad and a.grad_fn is None
    with pytest.raises(RuntimeError, match="Only tuple"):
        c.detach_variable([x])
    with pytest.warns(UserWarning, match="None of the inputs"):
        c.check_backward_validity([norch.ones(1)])
    assert c.get_device_states(x, [x]) == ([], []) and c.set_device_states([], []) is None
    with c.noop_context_fn()[0], c.set_checkpoint_early_stop(False), c.set_checkpoint_debug_enabled(None):
        pass


def test_selective_checkpoints_give_the_same_gradients():
    def policy(ctx, op, *args, **kwargs):
        return CheckpointPolicy.PREFER_RECOMPUTE

    x = norch.ones(2, requires_grad=True)
    contexts = lambda: create_selective_checkpoint_contexts(policy)  # noqa: E731
    checkpoint(lambda t: (t * 3).exp().sum(), x, use_reentrant=False, context_fn=contexts).backward()
    assert norch.allclose(x.grad, 3 * norch.exp(norch.tensor(3.0)))
    with pytest.raises(TypeError, match="function or a list"):
        create_selective_checkpoint_contexts(3)


def test_the_kind_that_goes_through_backward_again():
    layer, x = nn.Linear(2, 2), norch.ones(1, 2)
    with pytest.warns(UserWarning, match="None of the inputs have requires_grad=True. Gradients will be None"):
        assert not checkpoint(layer, x, use_reentrant=True).requires_grad
    with pytest.warns(UserWarning, match="use_reentrant parameter should be passed explicitly"):
        checkpoint(layer, x.requires_grad_()).sum().backward()
    assert layer.weight.grad.tolist() == [[1, 1], [1, 1]]
    with pytest.raises(ValueError, match="Unexpected keyword arguments: a"):
        checkpoint(layer, x, use_reentrant=True, a=1)
    with pytest.raises(ValueError, match="only supported when use_reentrant=False"):
        checkpoint(layer, x, use_reentrant=True, debug=True)


def test_gradients_reach_whatever_the_function_uses():
    layer, scale = nn.Linear(2, 2), norch.ones(2, requires_grad=True)
    x = norch.randn(3, 2)

    def loss(call):
        inner = scale * 2  # not among the arguments alone, and used outside too

        def f(pair, *, shift):
            return (layer(pair[0]) * pair[1] + shift).tanh() * inner

        return call(f, (x, inner), shift=inner).square().sum() + inner.sum()

    def plainly(f, *args, **kwargs):
        return f(*args, **kwargs)

    def again(f, *args, **kwargs):
        return checkpoint(f, *args, use_reentrant=False, **kwargs)

    wanted = (*layer.parameters(), scale)
    expected = norch.autograd.grad(loss(plainly), wanted, create_graph=True)
    second = norch.autograd.grad(sum(g.square().sum() for g in expected), wanted)
    got = norch.autograd.grad(loss(again), wanted, create_graph=True)
    assert_close(got, expected)
    assert_close(norch.autograd.grad(sum(g.square().sum() for g in got), wanted), second)
    value = loss(again)
    first = norch.autograd.grad(value, wanted, retain_graph=True)
    assert_close(norch.autograd.grad(value, wanted), first)


def test_checkpoints_inside_checkpoints():
    layer = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Dropout(0.5))
    x = norch.randn(3, 2, requires_grad=True)
    norch.manual_seed(2)
    layer(layer(x)).sum().backward()
    expected, x.grad = x.grad, None

    def twice(t):
        return checkpoint(layer, checkpoint(layer, t, use_reentrant=False), use_reentrant=False)

    norch.manual_seed(2)
    checkpoint(twice, x, use_reentrant=False).sum().backward()
    assert_close(x.grad, expected)


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoints_keep_the_casts(reentrant):
    layer = nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 1))
    x = norch.randn(4, 8, requires_grad=True)
    seen = []
    layer[1].register_forward_hook(lambda module, args, out: seen.append(out.dtype))
    with norch.autocast("cpu", norch.bfloat16):
        out = checkpoint(layer, x, use_reentrant=reentrant)
    with norch.autocast("cpu", norch.bfloat16):
        expected = layer(x)
    out.float().sum().backward()
    assert seen[0] is seen[2] is norch.bfloat16 and out.equal(expected)
    got, layer[0].weight.grad = layer[0].weight.grad, None
    expected.float().sum().backward()
    assert_close(got, layer[0].weight.grad)


def test_functions_that_change():
    runs = []

    def f(x):
        runs.append(1)
        return x.exp() if len(runs) == 1 else x.exp().sin()

    with pytest.raises(norch.utils.checkpoint.CheckpointError, match="A different number of tensors was saved"):
        checkpoint(f, norch.ones(2, requires_grad=True), use_reentrant=False).sum().backward()
