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
    x = norch.randn(3, 4)
    norch.manual_seed(1)
    model(x).sum().backward()
    expected = [p.grad.clone() for p in model.parameters()]
    for run in (
        lambda: checkpoint(model, x, use_reentrant=False),
        lambda: checkpoint(model, x, use_reentrant=True),
        lambda: checkpoint_sequential(model, 2, x),
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
    y, z = checkpoint(f, x, 3.0, c=4)
    (y.sum() + z.sum()).backward()
    assert len(calls) == 2
    assert_close(x.grad, 12 * (12 * x.detach()).cos() + 1)
    with norch.no_grad():
        assert not checkpoint(f, x, 1.0)[0].requires_grad


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
