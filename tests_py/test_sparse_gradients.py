"""Sparse gradients of lookup tables: their form, how they add up, and the optimizers that take them."""

import copy

import numpy as np
import pytest

import norch
from norch import nn
from norch.nn import functional as F

INDEX = [[1, 3, 1], [5, 0, 3]]


def table(device="cpu"):
    return norch.arange(12.0, device=device).reshape(6, 2).requires_grad_()


def looked_up(w, **options):
    return F.embedding(norch.tensor(INDEX, device=w.device), w, **options)


def gradient(w, sparse=True, f=lambda y: (y * y).sum(), **options):
    w.grad = None
    f(looked_up(w, sparse=sparse, **options)).backward()
    return w.grad


def test_form(device):
    w = table(device)
    g = gradient(w)
    assert isinstance(g, norch.Tensor) and g.is_sparse and g.layout is norch.sparse_coo and not g.is_coalesced()
    assert g.shape == (6, 2) and g.dtype == w.dtype and g.device == w.device
    assert g._indices().tolist() == [[1, 3, 1, 5, 0, 3]] and g._nnz() == 6
    assert g.to_dense().tolist() == gradient(w, sparse=False).tolist()
    assert gradient(w, padding_idx=1)._indices().tolist() == [[3, 5, 0, 3]]
    with pytest.raises(RuntimeError, match="scale_grad_by_freq not supported with sparse gradients"):
        gradient(w, scale_grad_by_freq=True)
    (asked,) = norch.autograd.grad(looked_up(w, sparse=True).sum(), w)
    assert asked.is_sparse and asked._values().tolist() == [[1, 1]] * 6
    (at_node,) = norch.autograd.grad(looked_up(w.exp(), sparse=True).sum(), w)
    (dense,) = norch.autograd.grad(looked_up(w.exp()).sum(), w)
    assert at_node.tolist() == dense.tolist()  # an operation in between makes it dense


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_bags(mode, device):
    w, index = table(device), norch.tensor([1, 3, 1, 5, 0, 3], device=device)
    for options in ({}, {"padding_idx": 1}, {"per_sample_weights": norch.rand(6, device=device)}):
        if mode == "mean" and "per_sample_weights" in options:
            continue
        grads = []
        for sparse in (True, False):
            w.grad = None
            out = F.embedding_bag(index, w, norch.tensor([0, 2], device=device), mode=mode, sparse=sparse, **options)
            (out * out).sum().backward()
            grads.append(w.grad)
        assert grads[0].is_sparse and grads[0]._nnz() == (4 if "padding_idx" in options else 6)
        np.testing.assert_allclose(grads[0].to_dense().tolist(), grads[1].tolist(), rtol=1e-6)
    with pytest.raises(ValueError, match="max mode does not support sparse weights"):
        F.embedding_bag(index.reshape(2, 3), w, mode="max", sparse=True)


def test_accumulation():
    w = table()
    once = gradient(w).to_dense()
    gradient(w)
    (looked_up(w, sparse=True) ** 2).sum().backward()
    assert w.grad.is_sparse and w.grad.to_dense().tolist() == (2 * once).tolist()
    (looked_up(w) ** 2).sum().backward()
    assert not w.grad.is_sparse and w.grad.tolist() == (3 * once).tolist()
    (looked_up(w, sparse=True) ** 2).sum().backward()
    assert not w.grad.is_sparse and w.grad.tolist() == (4 * once).tolist()
    for both in ((True, True), (True, False), (False, True)):  # two uses in one pass
        w.grad = None
        sum(((looked_up(w, sparse=s) ** 2).sum() for s in both), start=norch.tensor(0.0)).backward()
        assert w.grad.is_sparse == all(both) and w.grad.to_dense().tolist() == (2 * once).tolist()
    w.grad = None
    for _ in range(9):
        looked_up(w, sparse=True).sum().backward()
    assert w.grad._nnz() <= 12  # never longer than twice the dense gradient's rows
    w.backward(inputs=[w], gradient=norch.ones(6, 2))
    assert not w.grad.is_sparse


def test_history():
    w = norch.rand(6, 2, dtype=norch.float64, requires_grad=True)
    (g,) = norch.autograd.grad((looked_up(w, sparse=True) ** 3).sum(), w, create_graph=True)
    assert g.is_sparse and g.requires_grad
    (second,) = norch.autograd.grad(g.to_dense().sum(), w)
    (expected,) = norch.autograd.grad((looked_up(w) ** 3).sum(), w, create_graph=True)
    (expected,) = norch.autograd.grad(expected.sum(), w)
    np.testing.assert_allclose(second.to_dense().tolist(), expected.tolist())


def test_hooks_and_functions():
    w, seen = table(), []
    w.register_hook(lambda g: seen.append(g.is_sparse) or g * 2)
    w.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.is_sparse))
    g = gradient(w, f=lambda y: y.sum())
    assert seen == [True, True] and g._values().tolist() == [[2, 2]] * 6

    class Lookup(norch.autograd.Function):
        @staticmethod
        def forward(ctx, w):
            return w[:2]

        @staticmethod
        def backward(ctx, grad):
            return norch.sparse_coo_tensor([[0, 1]], grad, (6, 2))

    v = table()
    Lookup.apply(v).sum().backward()
    assert v.grad.is_sparse and v.grad.to_dense().tolist() == [[1, 1]] * 2 + [[0, 0]] * 4


def test_grad_attribute():
    w = table()
    w.grad = norch.sparse_coo_tensor([[0, 2]], norch.ones(2, 2), (6, 2))
    assert w.grad.is_sparse and w.grad._nnz() == 2
    w.grad.mul_(3)
    assert w.grad._values().tolist() == [[3, 3]] * 2
    w.grad.detach_().zero_()
    assert w.grad.to_dense().abs().sum() == 0
    with pytest.raises(RuntimeError, match="different size"):
        w.grad = norch.sparse_coo_tensor([[0]], norch.ones(1, 3), (6, 3))
    with pytest.raises(RuntimeError, match="different type"):
        w.grad = norch.sparse_coo_tensor([[0]], norch.ones(1, 2).double(), (6, 2))
    gradient(w)
    other = copy.deepcopy(w)
    assert other.grad.is_sparse and other.grad.to_dense().tolist() == w.grad.to_dense().tolist()
    with pytest.raises(NotImplementedError, match="sparse gradients"):
        nn.utils.clip_grad_norm_([w], 1.0)
    with pytest.raises(NotImplementedError, match="sparse gradients"):
        nn.utils.clip_grad_value_([w], 1.0)
    optimizer = norch.optim.SGD([w], 0.1)
    optimizer.zero_grad(set_to_none=False)
    assert w.grad.is_sparse and w.grad._nnz() == 0
    optimizer.zero_grad()
    assert w.grad is None


def steps(make, sparse, n=3, device="cpu"):
    w = norch.arange(12.0, dtype=norch.float64, device=device).reshape(6, 2).div(7).requires_grad_()
    optimizer = make([w])
    for _ in range(n):
        gradient(w, sparse=sparse)
        optimizer.step()
    return w.detach()


@pytest.mark.parametrize(
    "options", [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"momentum": 0.5, "dampening": 0.3, "maximize": True}]
)
def test_sgd(options, device):
    def make(params):
        return norch.optim.SGD(params, lr=0.01, **options)

    np.testing.assert_allclose(steps(make, True, device=device).tolist(), steps(make, False, device=device).tolist())


def test_adagrad(device):
    def make(params):
        return norch.optim.Adagrad(params, lr=0.1, lr_decay=0.1, initial_accumulator_value=0.1)

    np.testing.assert_allclose(steps(make, True, device=device).tolist(), steps(make, False, device=device).tolist())


def test_sparse_adam(device):
    # All rows that change get a gradient in every step, so that dense Adam does the same.
    sparse = steps(lambda p: norch.optim.SparseAdam(p, lr=0.1), True, device=device)
    dense = steps(lambda p: norch.optim.Adam(p, lr=0.1), False, device=device)
    np.testing.assert_allclose(sparse.tolist(), dense.tolist(), atol=1e-6)  # eps is added elsewhere
    w = table(device)
    optimizer = norch.optim.SparseAdam([w])
    gradient(w)
    optimizer.step()
    saved = optimizer.state_dict()
    assert set(saved["state"][0]) == {"step", "exp_avg", "exp_avg_sq"} and saved["state"][0]["step"] == 1
    optimizer.load_state_dict(saved)
    w.grad = norch.ones(6, 2, device=device)
    with pytest.raises(RuntimeError, match="SparseAdam does not support dense gradients, please consider Adam instead"):
        optimizer.step()


@pytest.mark.parametrize(
    "options, text",
    [
        ({"lr": 0}, "Invalid learning rate: 0"),
        ({"eps": 0}, "Invalid epsilon value: 0"),
        ({"betas": (1.0, 0.9)}, "Invalid beta parameter at index 0: 1.0"),
        ({"betas": (0.9, 1.0)}, "Invalid beta parameter at index 1: 1.0"),
        ({"lr": norch.ones(2)}, "Tensor lr must be 1-element"),
    ],
)
def test_sparse_adam_options(options, text):
    with pytest.raises(ValueError, match=text):
        norch.optim.SparseAdam([table()], **options)


def test_sparse_adam_parameters():
    with pytest.raises(ValueError, match=r"Complex params at indices \[\[0, 0\]\]"):
        norch.optim.SparseAdam([norch.zeros(2, dtype=norch.complex64)])
    with pytest.raises(ValueError, match=r"Sparse params at indices \[\[0, 0\]\]"):
        norch.optim.SparseAdam([norch.eye(2).to_sparse()])


@pytest.mark.parametrize(
    "name", ["Adadelta", "Adafactor", "Adam", "AdamW", "Adamax", "ASGD", "Muon", "NAdam", "RAdam", "RMSprop", "Rprop"]
)
def test_refused(name):
    w = table()
    optimizer = getattr(norch.optim, name)([w])
    gradient(w)
    before = w.tolist()
    with pytest.raises(RuntimeError, match=f"{name.removesuffix('W')} does not support sparse gradients"):
        optimizer.step()
    assert w.tolist() == before


def test_refused_options():
    w = table()
    gradient(w)
    with pytest.raises(RuntimeError, match="weight_decay option is not compatible with sparse gradients"):
        norch.optim.SGD([w], 0.1, weight_decay=0.1).step()
    with pytest.raises(RuntimeError, match=r"add\(sparse, dense\)"):
        norch.optim.SGD([w], 0.1, momentum=0.9, weight_decay=0.1).step()
    with pytest.raises(RuntimeError, match="weight_decay option is not compatible"):
        norch.optim.Adagrad([w], weight_decay=0.1).step()
    with pytest.raises(RuntimeError, match="`_fused_sgd` does not support sparse gradients"):
        norch.optim.SGD([w], 0.1, fused=True).step()


def test_lbfgs():
    def run(sparse):
        w = norch.arange(12.0, dtype=norch.float64).reshape(6, 2).requires_grad_()
        optimizer = norch.optim.LBFGS([w], lr=0.1)

        def closure():
            optimizer.zero_grad()
            loss = (looked_up(w, sparse=sparse) ** 2).sum()
            loss.backward()
            return loss

        optimizer.step(closure)
        return w.tolist()

    np.testing.assert_allclose(run(True), run(False))


def test_modules_train():
    norch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(50, 8, sparse=True), nn.Flatten(), nn.Linear(24, 3))
    rows = norch.optim.SparseAdam(model[0].parameters(), lr=0.05)
    rest = norch.optim.SGD(model[2].parameters(), lr=0.1)
    x, y = norch.randint(50, (16, 3)), norch.randint(3, (16,))
    losses = []
    for _ in range(30):
        rows.zero_grad()
        rest.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        rows.step()
        rest.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 4
