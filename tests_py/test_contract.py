"""What op_db's rows can't say: lists of tensors, paths, operators."""

import numpy as np
import pytest

import norch


def arrays(*shapes):
    return [np.random.randn(*s) for s in shapes]


def test_multi_dot(device):
    for shapes in ([(2, 3), (3, 4)], [(2, 3), (3, 4), (4, 5), (5, 1)], [(3,), (3, 4), (4,)], [(3,), (3, 4)]):
        a = arrays(*shapes)
        got = norch.linalg.multi_dot([norch.tensor(x, device=device) for x in a])
        np.testing.assert_allclose(got.cpu().numpy(), np.linalg.multi_dot(a), rtol=1e-12, atol=1e-13)
    with pytest.raises(RuntimeError, match="expected at least 2 tensors but got 1"):
        norch.linalg.multi_dot([norch.zeros(2, 3)])


def test_einsum_forms(device):
    a, b, c = arrays((2, 3), (3, 4), (4, 5))
    x, y, z = (norch.tensor(t, device=device) for t in (a, b, c))
    expected = a @ b @ c
    for got in (norch.einsum("ij,jk,kl->il", x, y, z), norch.einsum("ij,jk,kl", [x, y, z]),
                norch.einsum("ij,jk,kl", x, y, z, path=[1, 2, 0, 1])):
        np.testing.assert_allclose(got.cpu().numpy(), expected, rtol=1e-12, atol=1e-13)
    with pytest.raises(RuntimeError, match="does not name two of the 3 operands"):
        norch.einsum("ij,jk,kl", x, y, z, path=[0, 3, 0, 1])


def test_operator(device):
    a, b = arrays((2, 3), (3, 4))
    x, y = norch.tensor(a, device=device), norch.tensor(b, device=device)
    np.testing.assert_allclose((x @ y).cpu().numpy(), a @ b, rtol=1e-12)
    x @= norch.eye(3, dtype=norch.float64, device=device)
    np.testing.assert_allclose(x.cpu().numpy(), a)
    with pytest.raises(TypeError):
        x @ 3


def test_indices_of_max_pool(device):
    x = norch.arange(16.0, device=device).view(1, 4, 4)
    y, i = norch.nn.functional.max_pool2d(x, 2, return_indices=True)
    assert y.tolist() == [[[5, 7], [13, 15]]] and i.tolist() == [[[5, 7], [13, 15]]]
    assert i.dtype == norch.int64


def test_einsum_by_lists_of_numbers():
    a, b = norch.randn(2, 3, 4), norch.randn(2, 4, 5)
    assert norch.equal(norch.einsum(a, [0, 1, 2], b, [0, 2, 3], [0, 1, 3]), norch.einsum("bij,bjk->bik", a, b))
    assert norch.equal(norch.einsum(a, [..., 1, 2], b, [..., 2, 51]), norch.einsum("...ij,...jk", a, b))
    assert norch.equal(norch.einsum(a, (1, 0, 2)), a.transpose(0, 1)) and norch.einsum(norch.eye(3), [30, 30]).item() == 3
    for subscripts in ([52], [-1], ["i"], [1.5]):
        with pytest.raises(ValueError, match="valid range"):
            norch.einsum(a, subscripts)
    with pytest.raises(TypeError, match="list of subscripts"):
        norch.einsum(a, b, [0])
    with pytest.raises(RuntimeError):
        norch.einsum(a, [0, 1])
