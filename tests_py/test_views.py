"""Views: where they are possible, and what in-place writes to them do to gradients."""

import numpy as np
import pytest

import norch


def array(*shape):
    return np.arange(np.prod(shape, dtype=int), dtype=np.float64).reshape(shape)


def tensor(a, device):
    return norch.from_numpy(np.array(a)).to(device)


def numbers(t):
    return t.detach().cpu().numpy()


def test_view_says_when_strides_do_not_allow_it(device):
    t = tensor(array(3, 4), device)
    with pytest.raises(RuntimeError, match="view size is not compatible with input tensor's size and stride"):
        t.T.view(12)
    assert t.T.reshape(12).tolist() == array(3, 4).T.ravel().tolist()
    assert t.view(2, 6)._base is t and t.T.reshape(12)._base is None


def test_view_as_other_dtype(device):
    t = norch.tensor([1.0, -2.0], device=device)
    assert t.view(norch.int32).tolist() == [1065353216, -1073741824]
    assert t.view(norch.uint8).shape == (8,) and t.view(norch.float64).shape == (1,)
    with pytest.raises(RuntimeError, match=r"self.size\(-1\) must be divisible by 2"):
        norch.zeros(3, device=device).view(norch.float64)
    with pytest.raises(RuntimeError, match=r"self.dim\(\) cannot be 0"):
        norch.tensor(1.0, device=device).view(norch.int16)


def test_attributes(device):
    a = array(2, 3, 4)
    t = tensor(a, device)
    np.testing.assert_array_equal(numbers(t.T), a.T)
    np.testing.assert_array_equal(numbers(t.mT), a.swapaxes(1, 2))
    np.testing.assert_array_equal(numbers(t.mH), a.swapaxes(1, 2))
    np.testing.assert_array_equal(numbers(t[0].H), a[0].T)
    with pytest.raises(RuntimeError, match="only supported on matrices"):
        t[0, 0].mT


def test_writes_through_views_reach_the_gradient(device):
    leaf = norch.ones(3, 4, dtype=norch.float64, device=device, requires_grad=True)
    weights = tensor(1 + array(3, 4), device)
    for view in (lambda y: y[1], lambda y: y.T[2:], lambda y: y.view(2, 6)[:, ::2], lambda y: y.diagonal(),
                 lambda y: y.unsqueeze(0).select(2, 3), lambda y: y.narrow(0, 1, 2), lambda y: y.permute(1, 0)[0]):
        leaf.grad = None
        y = leaf * 1
        view(y).mul_(3)
        factor = norch.ones(3, 4, dtype=norch.float64, device=device)
        view(factor).fill_(3)
        y.backward(weights)
        np.testing.assert_array_equal(numbers(leaf.grad), numbers(weights * factor))


def test_a_view_sees_later_writes_to_its_base(device):
    leaf = norch.ones(4, dtype=norch.float64, device=device, requires_grad=True)
    y = leaf * 1
    v = y[1:3]
    y.mul_(5)
    v.backward(norch.ones_like(v))
    assert leaf.grad.tolist() == [0, 5, 5, 0]


def test_parts_of_split_are_not_written_to_while_recording(device):
    leaf = norch.ones(4, device=device, requires_grad=True)
    for parts in (lambda y: y.split(2), lambda y: y.chunk(2), lambda y: y.unbind()):
        with pytest.raises(RuntimeError, match="returns multiple views"):
            parts(leaf * 1)[0].mul_(2)
        with norch.no_grad():
            y = leaf * 1
            parts(y)[0].mul_(2)
            assert y[0].item() == 2


def test_views_of_leaves_are_not_written_to(device):
    leaf = norch.ones(4, device=device, requires_grad=True)
    with pytest.raises(RuntimeError, match="view of a leaf Variable"):
        leaf[0] = 1
    with norch.no_grad():
        leaf[0] = 3
    assert leaf.tolist() == [3, 1, 1, 1]


def test_gradient_of_overlapping_geometry(device):
    x = tensor(array(4, 3), device).requires_grad_()
    for f in (lambda x: x.as_strided((3, 3), (1, 1), 1), lambda x: x.T.as_strided((2, 2), (3, 1), 2),
              lambda x: x[1:].as_strided((2, 2), (1, 2), 4), lambda x: x.expand(2, 4, 3).as_strided((5,), (1,)),
              lambda x: x.unfold(0, 2, 1).unfold(1, 2, 1), lambda x: x.unfold(1, 3, 2)):
        assert norch.autograd.gradcheck(f, (x,)) and norch.autograd.gradgradcheck(f, (x,))


def test_as_strided_stays_inside_its_storage(device):
    t = tensor(array(12), device)
    assert t.as_strided((3, 3), (1, 1), 2).tolist() == [[2, 3, 4], [3, 4, 5], [4, 5, 6]]
    assert t.as_strided((2, 3), (0, 2)).tolist() == [[0, 2, 4], [0, 2, 4]]
    for size, stride, offset, text in [((13,), (1,), 0, "out of bounds for storage"), ((2,), (-1,), 5, "Negative strides"),
                                       ((2,), (1,), -1, "must not be negative"), ((2, 2), (2**62, 2**62), 0, "out of bounds"),
                                       ((2,), (1, 1), 0, "mismatch in length")]:
        with pytest.raises(RuntimeError, match=text):
            t.as_strided(size, stride, offset)


def test_in_place_shape_changes(device):
    leaf = norch.ones(2, 1, 3, dtype=norch.float64, device=device, requires_grad=True)
    y = leaf * 2
    assert y.squeeze_(1) is y and y.shape == (2, 3)
    y.t_().unsqueeze_(0).transpose_(0, 2)
    assert y.shape == (2, 3, 1)
    weights = 1 + array(2, 3, 1)
    y.backward(tensor(weights, device))
    np.testing.assert_array_equal(numbers(leaf.grad), 2 * weights.transpose(0, 2, 1))
    with pytest.raises(RuntimeError, match="leaf Variable"):
        leaf.squeeze_()


def test_iteration_is_over_the_first_dim(device):
    t = tensor(array(3, 2), device)
    assert [r.tolist() for r in t] == array(3, 2).tolist()
    with pytest.raises(TypeError, match="iteration over a 0-d tensor"):
        iter(t[0, 0])


def test_matrix_views_of_numbers(device):
    x = norch.tensor(2.0, device=device, requires_grad=True)
    for y in (x.mT, x.mH, x.H, x.T, x.adjoint()):
        assert y.shape == () and y.item() == 2
    with pytest.raises(RuntimeError, match="only supported on matrices"):
        _ = norch.ones(2, device=device).mT


def test_parts_by_pytorchs_names(device):
    x = norch.arange(4, device=device)
    assert [len(p) for p in norch.tensor_split(x, sections=2)] == [2, 2]
    assert [len(p) for p in x.tensor_split(indices=(1,))] == [1, 3]
    assert [len(p) for p in x.tensor_split(tensor_indices_or_sections=norch.tensor([3]))] == [3, 1]
    assert [len(p) for p in norch.hsplit(x, sections=2)] == [2, 2]
    assert [len(p) for p in x.hsplit(indices=[1, 2])] == [1, 1, 2]
    assert [p.shape[0] for p in norch.vsplit(x.reshape(4, 1), sections=4)] == [1] * 4
    assert [len(p) for p in norch.unsafe_split(x, split_size=3)] == [3, 1]


def test_a_copy_of_a_view_needs_no_strides(device):
    x = norch.arange(6.0, device=device).reshape(2, 3).t().requires_grad_()
    y = norch.view_copy(x, (6,))
    assert y.tolist() == [0, 3, 1, 4, 2, 5]
    y[0].backward()
    assert x.grad.tolist() == [[1, 0], [0, 0], [0, 0]]


@pytest.mark.parametrize("name", ["meshgrid", "broadcast_tensors", "atleast_1d", "atleast_2d", "atleast_3d", "cat", "block_diag"])
def test_none_among_tensors(name, device):
    x = norch.ones(2, device=device)
    with pytest.raises((TypeError, RuntimeError), match="None|undefined"):
        getattr(norch, name)([x, None])


def test_joined_emptiness_has_any_dim(device):
    none = norch.ones(0, device=device)
    assert norch.cat([none, none], 2).shape == (0,)


def test_numbers_of_combinations():
    assert norch.combinations(norch.arange(40), 2).shape == (780, 2)
    assert norch.combinations(norch.arange(3), 2**60).shape == (0, 2**60)
    assert norch.combinations(norch.arange(0), 2, with_replacement=True).shape == (0, 2)
    for n, r, again in [(100_000, 50_000, False), (3, 2**62, True), (5000, 5, False)]:  # refused before anything is listed
        with pytest.raises((RuntimeError, norch.OutOfMemoryError), match="memory|too large"):
            norch.combinations(norch.arange(n), r, again)


def test_resize_to_the_same_shape_leaves_the_layout():
    t = norch.arange(12).reshape(3, 4).t()
    before = t.tolist()
    assert t.resize_(4, 3) is t and t.stride() == (1, 4) and t.tolist() == before
    assert t.resize_as_(norch.zeros(4, 3)).stride() == (1, 4) and t.tolist() == before
    assert t.resize_(2, 6).stride() == (6, 1)


def test_quarter_turns_are_laid_out_as_transposes():
    t = norch.arange(10).reshape(2, 5)
    assert norch.rot90(t).stride() == (1, 5) and norch.rot90(t).tolist() == norch.flip(t, (1,)).t().tolist()
