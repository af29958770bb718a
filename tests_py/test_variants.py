"""out=, in-place forms, copies of views and second names, which one mechanism gives to all ops."""

import numpy as np
import pytest

import norch


def test_out_is_written_and_returned():
    a, out = norch.tensor([1.0, 4.0]), norch.zeros(2)
    assert norch.sqrt(a, out=out) is out
    assert out.tolist() == [1, 2]
    assert norch.add(a, 1, alpha=2, out=None).tolist() == [3, 6]


def test_out_takes_the_shape_and_casts():
    out = norch.empty(0, dtype=norch.float64)
    norch.add(norch.ones(2, 1), norch.ones(4), out=out)
    assert out.shape == (2, 4) and out.dtype == norch.float64
    with pytest.raises(RuntimeError, match="Expected out tensor to have dtype float32"):
        norch.matmul(norch.ones(2, 3), norch.ones(3, 4), out=out)
    with pytest.raises(RuntimeError, match="can't be cast"):
        norch.sqrt(norch.ones(2), out=norch.zeros(2, dtype=norch.int64))


def test_several_results_go_to_several_outs():
    x = norch.tensor([[3.0, 1.0, 2.0]])
    values, indices = norch.empty(0), norch.empty(0, dtype=norch.int64)
    result = norch.sort(x, dim=1, out=(values, indices))
    assert result.values is values and result.indices is indices
    assert values.tolist() == [[1, 2, 3]] and indices.tolist() == [[1, 2, 0]]
    with pytest.raises(TypeError, match="as many tensors"):
        norch.sort(x, out=values)


def test_factories_take_the_dtype_of_out():
    out = norch.empty(3, dtype=norch.float64)
    assert norch.arange(3, out=out) is out
    assert out.tolist() == [0, 1, 2]


def test_out_that_overlaps_itself_is_refused():
    with pytest.raises(RuntimeError, match="unsupported operation"):
        norch.exp(norch.ones(3), out=norch.zeros(1).expand(3))


def test_out_may_not_be_part_of_an_input():
    x = norch.arange(6.0)
    norch.add(x, 1, out=x)
    assert x.tolist() == [1, 2, 3, 4, 5, 6]
    with pytest.raises(RuntimeError, match="input tensor and the written-to tensor refer to a single memory location"):
        norch.add(x[:3], 1, out=x[1:4])
    with pytest.raises(RuntimeError, match="unsupported operation"):
        norch.take(x, norch.tensor([1, 0]), out=x)
    y = norch.zeros(4, 6)
    with pytest.raises(RuntimeError, match="unsupported operation"):
        norch.cat([y[:2], y[:2]], out=y)
    assert norch.add(x[:2], 1, out=x[3:5]).tolist() == [2, 3]


def test_copies_take_the_name_input():
    assert norch.squeeze_copy(input=norch.ones(1, 2)).shape == (2,)


def test_old_spellings():
    a, b = norch.ones(2), norch.tensor([1.0, 2.0])
    assert norch.add(a, 2, b).tolist() == [3, 5] and a.sub(2, b).tolist() == [-1, -3]
    assert a.addcmul_(2, b, b).tolist() == [3, 9]
    assert norch.ones(6).hsplit(1, 2)[1].shape == (1,)


def test_out_has_no_gradient():
    with pytest.raises(RuntimeError, match="automatic differentiation"):
        norch.exp(norch.ones(2, requires_grad=True), out=norch.empty(2))


def test_in_place_from_the_method():
    x = norch.tensor([1, 2, 3])
    assert x.cumsum_(0) is x and x.tolist() == [1, 3, 6]
    with pytest.raises(RuntimeError, match="can't be cast"):
        x.ldexp_(norch.tensor([0.5]))
    w = norch.tensor([0.5, 2.0], requires_grad=True)
    y = w * 1
    y.i0_()
    y.sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), norch.special.i1(w.detach()).numpy())


def test_copies_share_no_memory():
    x = norch.arange(6).reshape(2, 3)
    for copy in (norch.t_copy(x), norch.view_copy(x, (3, 2)), *norch.unbind_copy(x), *norch.split_copy(x, 1)):
        assert copy.data_ptr() != x.data_ptr()
    assert norch.t_copy(x).tolist() == x.t().tolist()
    assert x.narrow_copy(1, 0, 2).tolist() == norch.narrow_copy(x, 1, 0, 2).tolist() == x[:, :2].tolist()


def test_second_names():
    for name, same in (("multiply", "mul"), ("ger", "outer"), ("trapz", "trapezoid"), ("unsafe_chunk", "chunk")):
        assert getattr(norch, name) is getattr(norch, same)
    assert norch.special.expit is norch.sigmoid
    assert norch.Tensor.arccosh_ is norch.Tensor.acosh_


def test_resizing():
    x = norch.arange(4)
    assert x.resize_(2, 3).shape == (2, 3) and x.flatten()[:4].tolist() == [0, 1, 2, 3]
    assert x.resize_as_(norch.empty(2)).tolist() == [0, 1]
    with pytest.raises(RuntimeError, match="require grad"):
        norch.ones(2, requires_grad=True).resize_(3)
    with pytest.raises(RuntimeError, match="negative"):
        x.resize_(-1)


def test_fill_diagonal_wraps():
    for shape in ((3, 3), (7, 3), (2, 5)):
        for wrap in (False, True):
            expected = np.zeros(shape)
            np.fill_diagonal(expected, 1, wrap=wrap)
            np.testing.assert_array_equal(norch.zeros(shape).fill_diagonal_(1, wrap).numpy(), expected)


def test_functions_of_methods():
    x = norch.ones(3, requires_grad=True)
    assert not norch.detach(x).requires_grad and norch.detach(input=x).data_ptr() == x.data_ptr()
    assert norch.constant_pad_nd(norch.ones(1, 1), (1, 0), 2.5).tolist() == [[2.5, 1]]
    y = norch.ones(2, 50)
    assert norch.alpha_dropout_(y, 0.5, True) is y and len(y.unique()) == 2
    assert norch.feature_dropout_(y, 0.5, False) is y


def test_diff_casts_to_out():
    out = norch.empty(0, dtype=norch.float64)
    assert norch.diff(norch.tensor([1, 4]), out=out).tolist() == [3.0]


def test_an_empty_input_is_no_out_either():
    x = norch.zeros(0)
    with pytest.raises(RuntimeError, match="single memory location"):
        norch.cat((x, norch.ones(2)), out=x)


def test_a_wrong_element_of_a_list_is_a_type_error():
    with pytest.raises(TypeError):
        norch.meshgrid(norch.ones(2), 3)
    with pytest.raises(TypeError, match="wrong type"):
        norch.hsplit(norch.ones(4), [1, "a"])


def test_rarely_used_names_of_arguments():
    x, i = norch.tensor([1.0, 2.0, 4.0]), norch.tensor([0, 1])
    assert norch.clamp_(input=x.clone(), min=2).tolist() == [2, 2, 4]
    assert norch.index_put_(input=x.clone(), indices=(i,), values=norch.tensor(0.0)).tolist() == [0, 0, 4]
    assert norch.isin(element=1, test_elements=i).item() and norch.isin(elements=i, test_element=1).tolist() == [False, True]
    assert x.clone().copy_(other=x + 1).tolist() == x.clone().copy_(src=x + 1).tolist() == [2, 3, 5]
    assert x.clone().resize_(size=(1, 3)).shape == x.clone().resize_(1, 3, memory_format=norch.contiguous_format).shape
    with pytest.raises(RuntimeError, match="resize_: only the row-major format"):
        norch.zeros(1, 1, 1, 1).resize_(1, 1, 1, 1, memory_format=norch.channels_last)
    assert x.clone().resize_as_(the_template=i).shape == (2,)
    assert norch.ones(2, 1).swapaxes_(axis0=0, axis1=1).shape == (1, 2)
    assert norch.threshold(x, 1.5, 0, out=norch.empty(3)).tolist() == [0, 2, 4]
    assert norch.orgqr(input=norch.eye(2), input2=norch.zeros(2)).tolist() == [[1, 0], [0, 1]]
    assert norch.range(0, 2, out=norch.empty(0)).tolist() == [0, 1, 2]
    assert norch.result_type(tensor=i, other=2.0) == norch.result_type(scalar1=2, scalar2=1.0) == norch.float32
    assert norch.result_type(scalar=2, tensor=i) == norch.int64
    with pytest.raises(TypeError, match="takes two operands"):
        norch.result_type(tensor=i)
    copy = norch.from_dlpack(x, device="cpu", copy=True)
    assert copy.data_ptr() != x.data_ptr() == norch.from_dlpack(x, copy=False).data_ptr()


def test_functions_of_linalg_take_the_name_input():
    m = 2 * norch.eye(2)
    assert norch.linalg.cond(input=m).item() == 1 and norch.linalg.vector_norm(input=m, ord=1).item() == 4
    assert norch.linalg.matrix_power(input=m, n=3).tolist() == [[8, 0], [0, 8]]
    assert norch.linalg.eigvalsh(input=m, UPLO="U").tolist() == [2, 2] and norch.linalg.norm(A=m, ord=1).item() == 2
    with pytest.raises(TypeError, match="incompatible"):
        norch.linalg.cond(m, input=m)


def test_truth_values_of_functional():
    x = norch.tensor([[[-1.0, 2.0]]])
    values, places = norch.nn.functional.max_pool1d(x, 2, return_indices=1)
    assert values.item() == 2 and places.item() == 1
    assert norch.nn.functional.max_pool1d(x, 2, return_indices=None).item() == 2
    y = x.clone()
    assert norch.nn.functional.elu(y, 1.0, np.True_) is y and norch.nn.functional.hardtanh(x, inplace=0) is not x
    with pytest.raises(TypeError, match="incompatible"):
        norch.sum(x, 0, keepdim=1)


def test_none_for_the_default():
    x = norch.tensor([3.0, 4.0])
    assert x.sort(stable=None).values.tolist() == norch.argsort(x, stable=None).add(3).tolist() == [3, 4]
    assert norch.meshgrid(x, x, indexing=None)[0].tolist() == [[3, 3], [4, 4]]
    same = norch.nn.functional.normalize(norch.stack([x, 0 * x]), dim=None)
    assert norch.equal(same, norch.stack([x / 5, 0 * x]))


@pytest.mark.cuda
def test_new_numbers_go_where_out_is():
    for make in (
        lambda out: norch.arange(3, out=out),
        lambda out: norch.linspace(0, 1, 3, out=out),
        lambda out: norch.full((3,), 2.0, out=out),
        lambda out: norch.zeros(3, out=out),
    ):
        out = norch.empty(3, dtype=norch.float64, device="cuda")
        assert make(out) is out
        assert out.tolist() == make(norch.empty(3, dtype=norch.float64)).tolist()
