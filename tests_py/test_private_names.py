"""Names of PyTorch without documentation that programs use all the same: what they give is what the documented ones do."""

import warnings

import numpy as np
import pytest

import norch
from norch import nn
from norch.nn import functional as F


@pytest.mark.parametrize("kind, function", [(nn.LSTM, "lstm"), (nn.GRU, "gru"), (nn.RNN, "rnn_tanh")])
@pytest.mark.parametrize("bias, both, batch_first", [(True, False, False), (False, True, True)])
def test_recurrent_functions(kind, function, bias, both, batch_first):
    module = kind(3, 4, 2, bias=bias, bidirectional=both, batch_first=batch_first)
    x = norch.randn(5, 2, 3)
    h = norch.zeros(4 if both else 2, 5 if batch_first else 2, 4)
    state = (h, h) if kind is nn.LSTM else h
    call = getattr(norch, function)
    out, *final = call(x, state, module._flat_weights, bias, 2, 0.0, False, both, batch_first)
    expected, last = module(x)
    assert out.equal(expected) and final[0].equal(last[0] if kind is nn.LSTM else last)

    packed = nn.utils.rnn.pack_padded_sequence(norch.randn(5, 2, 3), [5, 3])
    h = norch.zeros(4 if both else 2, 2, 4)
    state = (h, h) if kind is nn.LSTM else h
    out = call(packed.data, packed.batch_sizes, state, module._flat_weights, bias, 2, 0.0, False, both)[0]
    assert out.equal(module(packed)[0].data)
    with pytest.raises(RuntimeError, match="must have 3 dims"):
        call(norch.ones(2, 3), state, module._flat_weights, bias, 2, 0.0, False, both, batch_first)


def test_recurrent_functions_with_a_projection():
    module = nn.LSTM(3, 4, proj_size=2)
    x = norch.randn(5, 2, 3)
    state = (norch.zeros(1, 2, 2), norch.zeros(1, 2, 4))
    out, h, c = norch._VF.lstm(x, state, module._flat_weights, True, 1, 0.0, False, False, False)
    assert out.equal(module(x)[0]) and h.shape == (1, 2, 2) and c.shape == (1, 2, 4)


def test_cells():
    x, h = norch.randn(2, 3), norch.randn(2, 4)
    for kind, function in ((nn.GRUCell, "gru_cell"), (nn.RNNCell, "rnn_tanh_cell")):
        m = kind(3, 4)
        assert getattr(norch, function)(x, h, m.weight_ih, m.weight_hh, m.bias_ih, m.bias_hh).equal(m(x, h))
    m = nn.RNNCell(3, 4, bias=False, nonlinearity="relu")
    assert norch.rnn_relu_cell(x, h, m.weight_ih, m.weight_hh).equal(m(x, h))
    lstm = nn.LSTMCell(3, 4)
    got = norch.lstm_cell(x, (h, h), lstm.weight_ih, lstm.weight_hh, lstm.bias_ih, lstm.bias_hh)
    assert all(a.equal(b) for a, b in zip(got, lstm(x, (h, h))))
    assert norch._VF.relu is norch.relu


def test_checks_of_layers():
    assert [F._Reduction.get_enum(r) for r in ("none", "mean", "sum")] == [0, 1, 2]
    F._verify_batch_size([1, 3, 2])
    with pytest.raises(ValueError, match="Expected more than 1 value per channel when training, got input size"):
        F._verify_batch_size([1, 3])
    with pytest.warns(UserWarning, match="Implicit dimension choice for softmax"):
        assert F.softmax(norch.zeros(1, 2)).tolist() == [[0.5, 0.5]]


def test_reparametrize_module():
    from norch.nn.utils.stateless import _reparametrize_module

    layer = nn.Linear(2, 1)
    own = layer.weight
    with _reparametrize_module(layer, {"weight": norch.ones(1, 2), "bias": norch.zeros(1)}):
        assert layer(norch.ones(2)).item() == 2
    assert layer.weight is own


def test_line_search_of_lbfgs():
    from norch.optim.lbfgs import _cubic_interpolate, _strong_wolfe

    # x^3 - 3x has its minimum at 1.
    assert float(_cubic_interpolate(0.0, 0.0, norch.tensor(-3.0), 2.0, 2.0, norch.tensor(9.0))) == pytest.approx(1)

    def loss(x, t, d):
        at = (x + t * d).detach().requires_grad_()
        value = (at**4).sum()
        value.backward()
        return value.item(), at.grad

    x = norch.tensor([1.0, 2.0])
    f, g = loss(x, 0, x)
    best, gradient, t, calls = _strong_wolfe(loss, x, 1.0, -g, f, g, -g.dot(g))
    value, expected = loss(x, t, -g)
    assert best == value < f and gradient.equal(expected) and 1 < calls <= 26


def test_parts_of_autograd():
    from norch._vmap_internals import _vmap
    from norch.autograd.function import InplaceFunction
    from norch.autograd.functional import _construct_standard_basis_for, _grad_postprocess, _tuple_postprocess

    class Round(InplaceFunction):
        @staticmethod
        def forward(ctx, x):
            return x.round()

        @staticmethod
        def backward(ctx, g):
            return g

    x = norch.tensor([1.2], requires_grad=True)
    Round.apply(x).backward()
    assert x.grad.item() == 1
    first, second = _construct_standard_basis_for((norch.ones(2), norch.ones(1, dtype=norch.float64)), (2, 1))
    assert first.tolist() == [[1, 0], [0, 1], [0, 0]] and second.tolist() == [[0], [0], [1]]
    assert second.dtype is norch.float64
    assert _tuple_postprocess((1,), False) == 1 and _tuple_postprocess(((1,), (2,)), (False, False)) == 1
    assert not _grad_postprocess(((x,),), False)[0][0].requires_grad and _grad_postprocess((x,), True)[0] is x
    assert _vmap(lambda v: v.sum())(norch.ones(2, 3)).tolist() == [3, 3]


def test_copies_of_parameters_for_replicas():
    from norch.nn.parallel.replicate import _broadcast_coalesced_reshape

    w = norch.ones(2, requires_grad=True)
    (a,), (b,) = _broadcast_coalesced_reshape([w], ["cpu", "cpu"])
    (a.sum() + b.sum()).backward()
    assert w.grad.tolist() == [2, 2]
    assert not _broadcast_coalesced_reshape([w], ["cpu"], detach=True)[0][0].requires_grad
    assert _broadcast_coalesced_reshape([], ["cpu"]) == []


def test_groups_of_tensors():
    from norch.utils._foreach_utils import _group_tensors_by_device_and_dtype

    a, b, c = norch.ones(1), norch.ones(1, dtype=norch.float64), norch.zeros(1)
    groups = _group_tensors_by_device_and_dtype([[a, b, c], [1, 2, 3], []], with_indices=True)
    (first, indices), (second, _) = groups.values()
    assert first == [[a, c], [1, 3], []] and indices == [0, 2] and second[1] == [2]


def test_small_names():
    import norch._dynamo
    import norch.utils.backcompat

    norch.utils.backcompat.broadcast_warning.enabled = True
    assert not isinstance(nn.Linear(1, 1), norch._dynamo.OptimizedModule) and issubclass(norch.jit.Error, Exception)
    assert norch.math.pi == norch.pi and norch._shape_as_tensor(norch.ones(2, 3)).tolist() == [2, 3]
    assert norch.has_lapack is True
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert norch.has_cuda == norch.cuda.is_available() and norch.has_mps is False
    assert "'has_cuda' is deprecated, please use 'norch.cuda.is_available()'" in str(caught[0].message)


def test_operators_of_aten():
    aten = norch.ops.aten
    x = norch.arange(6.0).reshape(2, 3)
    assert aten._to_copy.default(x, dtype=norch.int64).dtype is norch.int64
    copy = aten._to_copy(x)
    assert copy.equal(x) and copy.data_ptr() != x.data_ptr() == aten.alias.default(x).data_ptr()
    assert aten.slice.Tensor(x, 1, 0, 2).equal(x[:, :2]) and aten.slice(x, -2, 1).equal(x[1:])
    assert aten.index.Tensor(x, [None, norch.tensor([0])]).tolist() == [[0], [3]]
    assert aten._unsafe_view(x, [6]).shape == (6,) and aten._local_scalar_dense(x[0, 1]) == 1
    assert aten._softmax(x, 1, False).equal(x.softmax(1)) and aten._log_softmax(x, 1, False).equal(x.log_softmax(1))
    assert aten.tanh_backward(x, x).equal(x * (1 - x * x)) and aten.sigmoid_backward(x, x).equal(x * x * (1 - x))
    assert aten.threshold_backward(x, x, 2).tolist() == [[0, 0, 0], [3, 4, 5]]
    assert aten.copy(x, norch.ones(3)).tolist() == [[1, 1, 1], [1, 1, 1]]
    assert aten._pin_memory.default(x).equal(x)
    with pytest.raises(AttributeError, match="has no attribute 'find'"):
        aten.find


def test_tensors_of_arrays_in_nested_sequences():
    a, b = np.arange(3.0), np.ones(3)
    t = norch.tensor([(a, b), (b, a)])
    assert t.dtype is norch.float64 and t.tolist() == [[[0, 1, 2], [1, 1, 1]], [[1, 1, 1], [0, 1, 2]]]
    assert norch.FloatTensor([(a, b)]).dtype is norch.float32
    assert norch.tensor([(a, [1, 2, 3])]).tolist() == [[[0, 1, 2], [1, 2, 3]]]
    assert norch.tensor([[np.ones((2, 2), np.int32)]]).dtype is norch.int32
    assert norch.tensor([range(3), range(3)]).tolist() == [[0, 1, 2], [0, 1, 2]]
    assert norch.tensor([np.ones(2, np.float32), np.ones(2)]).dtype is norch.float64
    assert norch.tensor([np.array(1.0), np.array(2.0)]).tolist() == [1, 2]
    assert norch.tensor([a[::2]], dtype=norch.int64).tolist() == [[0, 2]]
    with pytest.raises(ValueError, match=r"expected sequence of length 3 at dim 1 \(got 2\)"):
        norch.tensor([a, a[:2]])
    with pytest.raises(ValueError, match=r"expected sequence of length 3 at dim 2 \(got 2\)"):
        norch.tensor([(a, a[:2])])
    with pytest.raises(TypeError):
        norch.tensor([a, 1.0])


def test_einsum_of_operands_in_a_list_is_traced_as_of_operands():
    class Product(nn.Module):
        def forward(self, a, b):
            return norch.einsum("ij,jk->ik", (a, b))

    graph = norch.fx.symbolic_trace(Product()).graph
    call = next(n for n in graph.nodes if n.op == "call_function")
    assert len(call.args) == 3 and call.args[0] == "ij,jk->ik"


def test_functorch():
    from norch._functorch.deprecated import combine_state_for_ensemble, make_functional, make_functional_with_buffers, vmap

    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    x = norch.randn(4, 2)
    f, params = make_functional(net[0])
    f(params, x).sum().backward()
    assert f(params, x).equal(net[0](x)) and params[0].grad is not None and net[0].weight.grad is None
    assert not any(p.requires_grad for p in make_functional(net[0], disable_autograd_tracking=True)[1])
    with pytest.raises(RuntimeError, match="`model` has buffers"):
        make_functional(net)
    f, params, buffers = make_functional_with_buffers(net.eval())
    assert f(params, buffers, x).equal(net(x)) and len(params) == 4 and len(buffers) == 3 and not list(f.parameters())
    layers = [nn.Linear(2, 1) for _ in range(3)]
    f, params, buffers = combine_state_for_ensemble(layers)
    norch.testing.assert_close(vmap(f, (0, 0, None))(params, buffers, x), norch.stack([m(x) for m in layers]))
    for models in ([], [nn.Linear(1, 1), nn.ReLU()], [nn.ReLU(), nn.ReLU().eval()]):
        with pytest.raises(RuntimeError, match="combine_state_for_ensemble: Expected"):
            combine_state_for_ensemble(models)


def test_text_of_tensors():
    from norch._tensor_str import PRINT_OPTS, _add_suffixes, _str, _tensor_str

    x = norch.tensor([[1, 2], [3, 4]])
    assert _tensor_str(x, 2) == "[[1, 2],\n   [3, 4]]" and _tensor_str(norch.ones(1, dtype=norch.int32), 0) == "[1]"
    assert _str(x) == repr(x) and _str(x, tensor_contents="...") == "tensor(...)"
    assert _add_suffixes("Index([1]", ["dim_size=3"], 6, False) == "Index([1], dim_size=3)"
    assert _add_suffixes("Index([1]", ["dim_size=3"], 6, True) == "Index([1],\n      dim_size=3)"
    assert PRINT_OPTS.precision == 4 and PRINT_OPTS.linewidth == 80
    PRINT_OPTS.precision = 2
    assert repr(norch.tensor([0.125])) == "tensor([0.12])"
    PRINT_OPTS.precision = 4


def test_limits_of_pythons_numbers():
    assert norch.finfo(float) == norch.finfo(norch.float64) and norch.iinfo(int) == norch.iinfo(norch.int64)
    for function, kind in ((norch.finfo, int), (norch.iinfo, float), (norch.iinfo, bool)):
        with pytest.raises(TypeError, match="requires"):
            function(kind)


def test_rpc_is_not_there():
    assert norch.distributed.rpc.is_available() is False and not hasattr(norch.distributed.rpc, "init_rpc")
