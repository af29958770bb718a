"""norch.sparse: making, converting, products and sums with gradients, printing, saving, and what is refused."""

import copy
import io
import pickle

import numpy as np
import pytest

import norch
from norch import nn

INDICES = [[1, 0, 1, 1], [2, 2, 0, 2]]
DENSE = np.array([[0, 0, 2.0], [3, 0, 5]])


def make(values=(1.0, 2.0, 3.0, 4.0), device="cpu", dtype=norch.float64, **options):
    return norch.sparse_coo_tensor(INDICES, values, (2, 3), device=device, dtype=dtype, **options)


def same(t, expected):
    t = t.to_dense() if t.is_sparse else t
    np.testing.assert_allclose(t.detach().cpu().numpy(), expected)


def test_what_it_is(device):
    a = make(device=device)
    assert isinstance(a, norch.Tensor) and norch.is_tensor(a) and a.is_sparse and a.layout is norch.sparse_coo
    assert isinstance(a, norch.sparse.DoubleTensor) and not isinstance(a, norch.sparse.FloatTensor)
    assert a.shape == (2, 3) and a.size(1) == 3 and a.dim() == 2 and len(a) == 2 and a.numel() == 6 and a._nnz() == 4
    assert a.dtype == norch.float64 and a.device.type == device.split(":")[0] and a.sparse_dim() == 2 and a.dense_dim() == 0
    assert not a.is_coalesced()
    with pytest.raises(RuntimeError, match="uncoalesced tensor, please call .coalesce"):
        a.indices()
    c = a.coalesce()
    assert c.is_coalesced() and c.coalesce() is c
    assert c.indices().tolist() == [[0, 1, 1], [2, 0, 2]] and c.values().tolist() == [2, 3, 5]
    same(a, DENSE)
    dense = norch.ones(2, device=device)
    assert dense.layout is norch.strided and not dense.is_sparse and dense.to_dense() is dense
    with pytest.raises(RuntimeError, match="expected sparse coordinate tensor layout"):
        dense.coalesce()


def test_making(device):
    rows = norch.sparse_coo_tensor(norch.tensor([[1, 1]], device=device), norch.ones(2, 3, device=device))
    assert rows.shape == (2, 3) and rows.dense_dim() == 1 and rows.to_dense().tolist() == [[0, 0, 0], [2, 2, 2]]
    assert norch.sparse_coo_tensor((2, 3)).to_dense().tolist() == [[0] * 3] * 2
    assert norch.sparse.FloatTensor(2, 3)._nnz() == 0
    legacy = norch.sparse.FloatTensor(norch.tensor(INDICES), norch.ones(4), norch.Size([2, 3]))
    assert legacy.sum().item() == 4 and legacy.type() == "norch.sparse.FloatTensor"
    flags = norch.sparse_coo_tensor([[0, 0]], [True, False], (2,))
    assert flags.coalesce().values().tolist() == [True]
    ints = norch.sparse_coo_tensor(np.array([[0, 1]], np.int32), norch.ones(2), (2,), dtype=norch.int64)
    assert ints.dtype == norch.int64
    x = norch.tensor(DENSE, device=device, requires_grad=True)
    assert x.to_sparse().is_coalesced() and x.to_sparse()._nnz() == 3
    (x.to_sparse().to_dense() * 3).sum().backward()
    same(x.grad, (DENSE != 0) * 3.0)
    assert norch.ones(2, 3, 4).to_sparse(1).dense_dim() == 2 and x.to_sparse(dense_dim=1).sparse_dim() == 1
    same(norch.tensor(DENSE + 1).sparse_mask(make().coalesce()), (DENSE + 1) * (DENSE != 0))


@pytest.mark.parametrize(
    "arguments, text",
    [
        (([[0, 1]], [1.0]), "must have same nnz"),
        (([0, 1], [1.0, 2.0]), "sparse_dim x nnz"),
        (([[0], [1]], [1.0], (2,)), "len\\(size\\) == sparse_dim"),
        (([[5]], [1.0], (2,)), "for dim 0, size is 2 but found index 5"),
        (([[-1]], [1.0], (2,)), "negative index -1"),
        (([[0]], [[1.0]], (2, 2)), "values has incorrect size"),
    ],
)
def test_wrong_arguments(arguments, text):
    with pytest.raises(RuntimeError, match=text):
        norch.sparse_coo_tensor(*arguments)


def test_products(device):
    a, x = make(device=device), np.arange(6.0).reshape(3, 2)
    d = norch.tensor(x, device=device)
    for f in (norch.mm, norch.spmm, norch.matmul, norch.sparse.mm, lambda p, q: p @ q, lambda p, q: p.mm(q)):
        same(f(a, d), DENSE @ x)
    same(a @ d[:, 0], DENSE @ x[:, 0])
    same(d.t() @ a.t(), x.T @ DENSE.T)
    same(d[:, 0] @ a.t(), x[:, 0] @ DENSE.T)
    both = a @ a.t()
    assert both.is_sparse and both.is_coalesced()
    same(both, DENSE @ DENSE.T)
    for f in (norch.addmm, norch.sparse.addmm):
        same(f(norch.ones(2, 2, dtype=norch.float64, device=device), a, d, beta=2, alpha=0.5), 2 + DENSE @ x / 2)
    same(nn.functional.linear(a, d.t()), DENSE @ x)
    with pytest.raises(RuntimeError, match=r"cannot be multiplied \(2x3 and 2x2\)"):
        a @ norch.ones(2, 2, dtype=norch.float64, device=device)
    with pytest.raises(RuntimeError, match="same dtype"):
        a @ norch.ones(3, 2, device=device)


def test_gradients(device):
    def product(v, d):
        return norch.spmm(make(v, device), d)

    def both(v, w):
        a = make(v, device)
        return (a @ make(w, device).t()).to_dense(), norch.sparse.sum(a, 0).to_dense(), a.coalesce().values()

    v = norch.rand(4, dtype=norch.float64, device=device, requires_grad=True)
    w = norch.rand(4, dtype=norch.float64, device=device, requires_grad=True)
    d = norch.rand(3, 2, dtype=norch.float64, device=device, requires_grad=True)
    assert norch.autograd.gradcheck(product, (v, d)) and norch.autograd.gradgradcheck(product, (v, d))
    assert norch.autograd.gradcheck(both, (v, w))
    leaf = make(device=device, requires_grad=True)
    (leaf @ d).sum().backward()
    assert leaf.is_leaf and leaf.grad.is_sparse and leaf.grad.shape == (2, 3)


class Product(norch.autograd.Function):
    @staticmethod
    def forward(ctx, v, d):
        a = make(v)
        ctx.save_for_backward(a, d)
        return a @ d

    @staticmethod
    def backward(ctx, grad):
        a, d = ctx.saved_tensors
        i = a._indices()
        return (grad @ d.t())[i[0], i[1]], a.t() @ grad


def test_in_a_function():
    v = norch.rand(4, dtype=norch.float64, requires_grad=True)
    d = norch.rand(3, 2, dtype=norch.float64, requires_grad=True)
    assert norch.autograd.gradcheck(Product.apply, (v, d))


def test_elementwise(device):
    a, ones = make(device=device), norch.ones(2, 3, dtype=norch.float64, device=device)
    same(a * 2, DENSE * 2)
    same(3 * a / 2, DENSE * 1.5)
    same(-a, -DENSE)
    same(a + a.coalesce(), 2 * DENSE)
    same(norch.sub(a, a, alpha=2), -DENSE)
    same(ones + a, 1 + DENSE)
    same(norch.add(ones, a, alpha=2), 1 + 2 * DENSE)
    same(ones - a, 1 - DENSE)
    same(ones.clone().add_(a), 1 + DENSE)
    same(a * (ones + 1), 2 * DENSE)
    same(ones * a, DENSE)
    same(a * a, DENSE**2)
    same(a**2, DENSE**2)
    same(norch.sqrt(a), DENSE**0.5)
    same(a.abs(), DENSE)
    assert (norch.eye(2) + norch.sparse_coo_tensor([[0], [1]], [1], (2, 2))).tolist() == [[1, 1], [0, 1]]
    with pytest.raises(RuntimeError, match=r"Use add\(dense, sparse\)"):
        a + ones


def test_sums_and_shapes(device):
    a = make(device=device)
    assert a.sum().item() == 10 and norch.norm(a).item() == pytest.approx(38**0.5)
    for dim in (0, 1, -1):
        same(norch.sum(a, dim), DENSE.sum(dim))
        assert norch.sum(a, dim=dim).is_sparse
    same(a.sum((0, 1)), 10)
    same(a.t(), DENSE.T)
    same(a.transpose(0, 1).T, DENSE)
    same(norch.cat([a, a], 1), np.concatenate([DENSE, DENSE], 1))
    same(norch.stack([a, a]), np.stack([DENSE, DENSE]))
    same(a.unsqueeze(1), DENSE[:, None])
    same(a.index_select(1, norch.tensor([2, 0, 2], device=device)), DENSE[:, [2, 0, 2]])
    same(a[1], DENSE[1])
    assert a[1, 2].item() == 5 and [r.sum().item() for r in a] == [2, 8]
    with pytest.raises(IndexError):
        a[2]
    rows = norch.sparse_coo_tensor([[1, 0, 1]], norch.ones(3, 2, device=device), (2, 2))
    assert rows.sum(1).to_dense().tolist() == [2, 4] and rows.coalesce().values().tolist() == [[1, 1], [2, 2]]
    assert norch.zeros_like(a).sum().item() == 0


def test_types_and_copies(device):
    a = make(device=device)
    assert a.float().dtype == norch.float32 and a.to(norch.int64).sum().item() == 10 and a.to(a.dtype) is a
    assert a.cpu().device.type == "cpu" and a.to(device).is_coalesced() == a.is_coalesced()
    for other in (copy.deepcopy(a), copy.copy(a), pickle.loads(pickle.dumps(a)), a.clone(), a.detach()):
        same(other, DENSE)
    file = io.BytesIO()
    norch.save({"a": a, "layout": a.layout}, file)
    file.seek(0)
    back = norch.load(file)
    assert back["layout"] is norch.sparse_coo and back["a"].device == a.device
    same(back["a"], DENSE)
    holder = nn.Module()
    holder.register_buffer("a", a)
    assert holder.float().a.dtype == norch.float32 and list(holder.state_dict()) == ["a"]


def test_text():
    a = norch.sparse_coo_tensor([[0, 1], [2, 0]], [3.0, 4.0], (2, 3))
    assert repr(a) == (
        "tensor(indices=tensor([[0, 1],\n                       [2, 0]]),\n       values=tensor([3., 4.]),\n"
        "       size=(2, 3), nnz=2, layout=norch.sparse_coo)"
    )
    assert str(norch.sparse_coo_tensor((2,)).double()) == (
        "tensor(indices=tensor([], size=(1, 0)),\n       values=tensor([], size=(0,)),\n       size=(2,), nnz=0, "
        "dtype=norch.float64, layout=norch.sparse_coo)"
    )


def test_parts_and_writes(device):
    a = make(device=device)
    same(a[:, 0], DENSE[:, 0])
    same(a[..., 2], DENSE[:, 2])
    same(a[None, 1], DENSE[None, 1])
    same(a.select(1, -1), DENSE[:, -1])
    same(a.narrow_copy(1, 1, 2), DENSE[:, 1:])
    same(norch.sum(a, 0, keepdim=True), DENSE.sum(0, keepdims=True))
    same(a.sum((0, 1), keepdim=True), DENSE.sum(keepdims=True))
    batch, dense = norch.stack([a, a * 2]), norch.rand(2, 3, 4, dtype=norch.float64, device=device)
    same(norch.bmm(batch, dense), (batch.to_dense() @ dense).cpu())
    assert a.any() and norch.sparse_coo_tensor([[0]], [2.0], (1,)).item() == 2
    b = a.clone()
    same(b.mul_(2).div_(4).neg_(), -DENSE / 2)
    same(b.add_(a, alpha=2), 1.5 * DENSE)
    same(b.sub_(a), 0.5 * DENSE)
    assert b.zero_() is b and b._nnz() == 0 and b.shape == (2, 3)
    assert b.sparse_resize_((4, 5), 2, 0).shape == (4, 5)
    with pytest.raises(RuntimeError, match="shrinking the size"):
        a.sparse_resize_((1, 3), 2, 0)


@pytest.mark.parametrize("dim", [0, 1, 2, -1])
def test_softmax(dim, device):
    indices = norch.tensor([[0, 1, 1, 1, 0], [2, 0, 2, 2, 1]], device=device)

    def of(v, f):
        return f(norch.sparse_coo_tensor(indices, v, (2, 3, 2)), dim)

    v = norch.rand(5, 2, dtype=norch.float64, device=device, requires_grad=True)
    held = norch.sparse_coo_tensor(indices, norch.ones(5, 2), (2, 3, 2)).to_dense() != 0
    filled = norch.sparse_coo_tensor(indices, v, (2, 3, 2)).to_dense().masked_fill(~held.to(device), -norch.inf)
    expected = norch.softmax(filled, dim)
    out = of(v, norch.sparse.softmax)
    assert out.is_sparse and out.is_coalesced()
    same(out, norch.nan_to_num(expected).detach().cpu().numpy())
    same(norch.exp(of(v, norch.sparse.log_softmax).values()), out.values().detach().cpu().numpy())
    assert norch.autograd.gradcheck(lambda x: of(x, norch.sparse.softmax).values(), (v,))
    assert norch.sparse.softmax(make(device=device), 1, dtype=norch.float32).dtype == norch.float32


def test_softmax_refuses():
    for f in (norch.sparse.softmax, norch.sparse.log_softmax):
        with pytest.raises(NotImplementedError, match="expected a sparse tensor"):
            f(norch.ones(2), 0)
        with pytest.raises(IndexError, match="Dimension out of range"):
            f(make(), 2)
        with pytest.raises(TypeError, match="argument 'dim' must be int"):
            f(make(), None)
        with pytest.raises(NotImplementedError, match="of norch.int64"):
            f(make(dtype=norch.int64), 0)


def test_spdiags():
    rows = norch.arange(1.0, 10.0).reshape(3, 3)
    out = norch.sparse.spdiags(rows, norch.tensor([0, -1, 2]), (3, 3))
    assert out.to_dense().tolist() == [[1, 0, 9], [4, 2, 0], [0, 5, 3]]
    assert norch.sparse.spdiags(rows[0], norch.tensor([5]), (3, 3), layout=norch.sparse_csr)._nnz() == 0
    with pytest.raises(RuntimeError, match="does not match the number of offsets"):
        norch.sparse.spdiags(rows, norch.tensor([0]), (3, 3))
    with pytest.raises(RuntimeError, match="duplicate"):
        norch.sparse.spdiags(rows, norch.tensor([0, 0, 1]), (3, 3))


@pytest.mark.parametrize("layout", ["sparse_coo", "sparse_csr", "sparse_csc"])
def test_factories(layout, device):
    options = {"layout": getattr(norch, layout), "device": device}
    dense = norch.ones(2, 3, device=device)
    for t in (
        norch.zeros(2, 3, **options), norch.zeros((2, 3), **options), norch.zeros(size=(2, 3), **options),
        norch.empty(2, 3, **options), norch.zeros_like(dense, **options), dense.new_zeros((2, 3), **options),
        norch.zeros_like(norch.zeros(2, 3, **options)), norch.zeros(2, 3, **options).new_zeros(2, 3),
    ):  # fmt: skip
        assert t.layout is options["layout"] and t._nnz() == 0 and t.dtype == norch.float32
        assert t.to_dense().tolist() == [[0] * 3] * 2
    assert norch.zeros(2, 3, dtype=norch.int64, requires_grad=False, **options).dtype == norch.int64
    for f in (norch.ones, norch.rand, norch.randn, norch.eye, norch.arange):
        with pytest.raises(NotImplementedError, match="make a dense tensor and call .to_sparse"):
            f(3, **options)
    with pytest.raises(NotImplementedError, match="full: not implemented for the layout"):
        norch.full((2,), 1.0, **options)
    assert norch.ones(2, layout=norch.strided).layout is norch.strided
    with pytest.raises(TypeError):
        norch.ones(2, layout="sparse")
    if layout != "sparse_coo":
        with pytest.raises(NotImplementedError, match="3 dims"):
            norch.zeros(2, 3, 4, **options)


def test_what_is_refused():
    a, d = make(), norch.ones(2, 3, dtype=norch.float64)
    for f in (
        lambda: norch.exp(a), lambda: a.exp(), lambda: a.view(6), lambda: a.mean(), lambda: a == a, lambda: a > 0,
        lambda: a[0:1], lambda: norch.softmax(a, 1), lambda: d / a, lambda: norch.trace(a), lambda: norch.addcmul(d, a, a), lambda: d.mm(a, out=d), lambda: a.tolist(),
    ):  # fmt: skip
        with pytest.raises(NotImplementedError, match=r"not implemented for sparse tensors; call .to_dense\(\) first"):
            f()
    for f in (lambda: a + 1, lambda: a + d):
        with pytest.raises(RuntimeError, match=r"add\(sparse, dense\) is not supported"):
            f()
    with pytest.raises(RuntimeError, match=r"divisor \(got shape \[2, 3\] for divisor\)"):
        a / d
    with pytest.raises(RuntimeError, match="Boolean value of Tensor with more than one value is ambiguous"):
        bool(a)
    with pytest.raises(RuntimeError, match="sparse_dim argument must be in \\[0,2\\] range, but 3 is given"):
        d.to_sparse(3)
    with pytest.raises(TypeError, match="Use Tensor.to_dense"):
        a.numpy()
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        a.nothing  # noqa: B018
    with pytest.raises(TypeError):  # never taken for a dense tensor
        norch.det(a)
    with pytest.raises(TypeError, match="incompatible function arguments"):
        norch.mm(d, "x")


def test_older_name_of_sparse_products():
    a = norch.tensor([[0.0, 2.0], [1.0, 0.0]])
    b = norch.arange(6.0).reshape(2, 3)
    assert norch.dsmm(a.to_sparse(), b).equal(a @ b)
