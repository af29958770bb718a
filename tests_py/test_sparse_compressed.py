"""Matrices of compressed rows and columns: making, converting, products, printing, saving, and what is refused."""

import copy
import io
import pickle

import numpy as np
import pytest

import norch

STARTS, COLUMNS, VALUES = [0, 2, 2, 4], [0, 3, 1, 2], [1.0, 2.0, 3.0, 4.0]
DENSE = np.array([[1.0, 0, 0, 2], [0, 0, 0, 0], [0, 3, 4, 0]])


def make(values=VALUES, device="cpu", **options):
    return norch.sparse_csr_tensor(STARTS, COLUMNS, values, (3, 4), device=device, dtype=norch.float64, **options)


def same(t, expected):
    np.testing.assert_allclose(t.to_dense().detach().cpu().numpy(), expected)


def test_what_it_is(device):
    a = make(device=device)
    assert isinstance(a, norch.Tensor) and a.layout is norch.sparse_csr and a.is_sparse_csr and not a.is_sparse
    assert a.crow_indices().tolist() == STARTS and a.col_indices().tolist() == COLUMNS and a.values().tolist() == VALUES
    assert a.shape == (3, 4) and a._nnz() == 4 and a.dim() == 2 and a.numel() == 12 and len(a) == 3
    assert a.sparse_dim() == 2 and a.dense_dim() == 0 and a.device.type == device
    same(a, DENSE)
    with pytest.raises(RuntimeError, match="ccol_indices expected sparse column compressed tensor layout but got SparseCsr"):
        a.ccol_indices()
    with pytest.raises(RuntimeError, match="indices expected sparse coordinate tensor layout but got SparseCsr"):
        a.indices()
    with pytest.raises(RuntimeError, match="crow_indices expected sparse row compressed tensor layout but got Strided"):
        norch.ones(2).crow_indices()
    with pytest.raises(RuntimeError, match="col_indices expected sparse row compressed tensor layout but got Sparse"):
        norch.eye(2).to_sparse().col_indices()


def test_conversions(device):
    d = norch.tensor(DENSE, device=device)
    for csr in (d.to_sparse_csr(), d.to_sparse(layout=norch.sparse_csr), d.to_sparse().to_sparse_csr(), make(device=device)):
        assert csr.layout is norch.sparse_csr and csr.crow_indices().tolist() == STARTS
        assert csr.to_sparse_csr() is csr
        csc = csr.to_sparse_csc()
        assert csc.layout is norch.sparse_csc and csc.ccol_indices().tolist() == [0, 1, 2, 3, 4]
        assert csc.row_indices().tolist() == [0, 2, 2, 0] and csc.values().tolist() == [1, 3, 4, 2]
        same(csc, DENSE)
        for coo in (csr.to_sparse(), csr.to_sparse_coo(), csc.to_sparse()):
            assert coo.is_sparse and coo.is_coalesced() and coo.indices().tolist() == [[0, 0, 2, 2], [0, 3, 1, 2]]
    assert norch.sparse_coo_tensor([[1, 0, 1], [0, 1, 0]], [1.0, 2.0, 3.0]).to_sparse_csr().values().tolist() == [2, 4]
    small = norch.sparse_csr_tensor(norch.tensor([0, 1], dtype=norch.int32), norch.tensor([2], dtype=norch.int32), [1])
    assert small.shape == (1, 3) and small.crow_indices().dtype == norch.int32
    same(norch.sparse_csc_tensor([0, 1, 2], [1, 0], [1.0, 2.0]), [[0, 2], [1, 0]])
    assert norch.zeros(0, 3).to_sparse_csr().crow_indices().tolist() == [0]
    with pytest.raises(NotImplementedError, match="anything but matrices"):
        norch.ones(2, 2, 2).to_sparse_csr()
    with pytest.raises(NotImplementedError, match="sparse_bsr"):
        d.to_sparse_bsr((1, 1))


def test_products(device):
    a, x = make(device=device), np.arange(8.0).reshape(4, 2)
    d = norch.tensor(x, device=device)
    for f in (norch.mm, norch.matmul, norch.sparse.mm, lambda p, q: p @ q):
        assert f(a, d).layout is norch.strided
        same(f(a, d), DENSE @ x)
    same(a @ d[:, 0], DENSE @ x[:, 0])
    same(d.t() @ a.t(), x.T @ DENSE.T)
    both = a @ a.t()
    assert both.layout is norch.sparse_csr
    same(both, DENSE @ DENSE.T)
    same(norch.sparse.addmm(norch.ones(3, 2, dtype=norch.float64, device=device), a, d, beta=2), 2 + DENSE @ x)
    transposed = a.t()
    assert transposed.layout is norch.sparse_csc and transposed.shape == (4, 3)
    same(transposed, DENSE.T)
    same(transposed.t(), DENSE)


def test_elementwise(device):
    a, ones = make(device=device), norch.ones(3, 4, dtype=norch.float64, device=device)
    for t, expected in (
        (a * 2, DENSE * 2), (3 * a / 2, DENSE * 1.5), (-a, -DENSE), (a + a, 2 * DENSE), (a - a, 0 * DENSE), (a * a, DENSE**2),
        (a * (ones + 1), 2 * DENSE), (a.sin(), np.sin(DENSE)), (norch.relu(-a), 0 * DENSE), (a.abs(), DENSE),
        (a.sum(0, keepdim=True), DENSE.sum(0, keepdims=True)),
    ):  # fmt: skip
        assert t.layout is norch.sparse_csr
        same(t, expected)
    same(ones + a, 1 + DENSE)
    same(a + ones, 1 + DENSE)
    assert a.sum().item() == 10 and a[0, 3].item() == 2
    same(a[2], DENSE[2])
    same(a.clone().mul_(2), 2 * DENSE)
    assert a.clone().zero_()._nnz() == 0 and a.float().dtype == norch.float32 and a.to(a.dtype) is a
    with pytest.raises(RuntimeError, match="keepdim=False is unsupported"):
        a.sum(0)
    with pytest.raises(NotImplementedError, match="exp: not implemented for sparse tensors"):
        a.exp()


def test_gradients(device):
    def product(v, d):
        return make(v, device) @ d

    v = norch.rand(4, dtype=norch.float64, device=device, requires_grad=True)
    d = norch.rand(4, 2, dtype=norch.float64, device=device, requires_grad=True)
    assert norch.autograd.gradcheck(product, (v, d))
    leaf = make(device=device, requires_grad=True)
    (leaf @ d).sum().backward()
    assert leaf.is_leaf and leaf.grad.layout is norch.sparse_csr


def test_copies():
    a = make()
    for other in (copy.deepcopy(a), copy.copy(a), pickle.loads(pickle.dumps(a)), a.clone(), a.detach()):
        assert other.layout is norch.sparse_csr
        same(other, DENSE)
    file = io.BytesIO()
    norch.save({"a": a, "t": a.t()}, file)
    file.seek(0)
    back = norch.load(file)
    assert back["a"].layout is norch.sparse_csr and back["t"].layout is norch.sparse_csc
    same(back["a"], DENSE)
    same(back["t"], DENSE.T)


def test_text():
    a = norch.sparse_csr_tensor([0, 1, 2], [1, 0], [1.0, 2.0], (2, 2))
    assert repr(a) == (
        "tensor(crow_indices=tensor([0, 1, 2]),\n       col_indices=tensor([1, 0]),\n"
        "       values=tensor([1., 2.]), size=(2, 2), nnz=2, layout=norch.sparse_csr)"
    )
    assert str(a.t().double()) == (
        "tensor(ccol_indices=tensor([0, 1, 2]),\n       row_indices=tensor([1, 0]),\n"
        "       values=tensor([1., 2.]), size=(2, 2), nnz=2, dtype=norch.float64,\n       layout=norch.sparse_csc)"
    )


@pytest.mark.parametrize(
    "starts, columns, values, size, text",
    [
        ([0, 2], [0, 1], [1.0, 2.0], (2, 3), r"number of rows \+ 1 \(=3\), but got 2"),
        ([0, 2, 3], [0, 1], [1.0, 2.0], (2, 3), "== nnz` is not satisfied"),
        ([1, 2, 2], [0, 1], [1.0, 2.0], (2, 3), "== 0` is not satisfied"),
        ([0, 1, 2], [0, 3], [1.0, 2.0], (2, 3), "0 <= col_indices < ncols"),
        ([0, 1, 2], [0, -1], [1.0, 2.0], (2, 3), "0 <= col_indices < ncols"),
        ([0, 1, 2], [0], [1.0, 2.0], (2, 3), r"must be equal to nnz \(=2\)"),
        ([0, 3, 2], [0, 1], [1.0, 2.0], (2, 3), "crow_indices"),
        ([0, 2, 2], [1, 0], [1.0, 2.0], (2, 3), "are sorted and distinct"),
        ([0, 2, 2], [1, 1], [1.0, 2.0], (2, 3), "are sorted and distinct"),
        ([0, 1, 2], [0, 1], [1.0, 2.0], (2,), "dimensionality must be sum of"),
        ([[0, 1, 2]], [0, 1], [1.0, 2.0], (2, 3), "dimensionalities must be equal"),
        ([0.0, 1, 2], [0, 1], [1.0, 2.0], (2, 3), "must have the same dtype"),
        ([0.0, 1], [0.0], [1.0], (1, 3), "int32 or int64"),
        ([], [], [], (2, 3), r"\(=3\), but got 0"),
    ],
)
def test_wrong_parts(starts, columns, values, size, text):
    with pytest.raises(RuntimeError, match=text):
        norch.sparse_csr_tensor(starts, columns, values, size)
