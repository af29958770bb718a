"""What programs written for PyTorch reach into: places, base classes and private names of layers, and error classes."""

import math
import pickle

import pytest

import norch
from norch import nn
from norch.nn import functional as F
from norch.nn.modules import activation, batchnorm, container, instancenorm, loss, module, padding, pooling


def test_base_classes():
    assert not isinstance(nn.InstanceNorm2d(2), batchnorm._BatchNorm)
    assert isinstance(nn.InstanceNorm2d(2), batchnorm._NormBase) and isinstance(nn.BatchNorm1d(2), batchnorm._NormBase)
    assert issubclass(nn.InstanceNorm1d, instancenorm._InstanceNorm)
    assert issubclass(nn.ReLU6, nn.Hardtanh) and issubclass(nn.AvgPool1d, pooling._AvgPoolNd)
    assert issubclass(nn.ZeroPad2d, nn.ConstantPad2d) and issubclass(nn.CircularPad1d, padding._CircularPadNd)
    assert issubclass(nn.ReflectionPad3d, padding._ReflectionPadNd) and issubclass(nn.CTCLoss, loss._Loss)
    assert issubclass(nn.LinearCrossEntropyLoss, loss._WeightedLoss) and activation.MultiheadAttention
    relu = nn.ReLU6(inplace=True)
    assert (relu.min_val, relu.max_val, repr(relu)) == (0, 6, "ReLU6(inplace=True)")
    assert repr(nn.ZeroPad2d((1, 2, 0, -1))) == "ZeroPad2d((1, 2, 0, -1))"
    assert container._addindent("a\nb", 2) == module._addindent("a\nb", 2) == "a\n  b"


class ScaledConv(nn.Conv2d):
    """As weight standardisation is written: another weight for the layer's own convolution."""

    def forward(self, input):
        return self._conv_forward(input, self.weight * 2, self.bias)


@pytest.mark.parametrize("mode", ["zeros", "reflect", "circular"])
def test_convolution_by_another_weight(mode):
    conv, x = ScaledConv(2, 3, 3, padding=1, padding_mode=mode, bias=False), norch.randn(1, 2, 5, 5)
    assert norch.allclose(conv(x), 2 * nn.Conv2d.forward(conv, x), atol=1e-5)
    assert conv._reversed_padding_repeated_twice == [1, 1, 1, 1]
    padded = F.pad(x, conv._reversed_padding_repeated_twice, mode="constant" if mode == "zeros" else mode)
    assert norch.allclose(F.conv2d(padded, conv.weight), nn.Conv2d.forward(conv, x), atol=1e-5)


def test_linear_cross_entropy_loss_holds_a_linear_layer():
    layer = nn.LinearCrossEntropyLoss(5, 4, out_features=(3,), bias=True, weight=norch.ones(4))
    assert list(layer.state_dict()) == ["weight", "linear.weight", "linear.bias"]
    assert layer.linear.weight.shape == (12, 5) and "(linear): Linear(in_features=5, out_features=12" in repr(layer)
    x, target = norch.randn(2, 5), norch.randint(0, 4, (2, 3))
    expected = F.cross_entropy(layer.linear(x).view(2, 4, 3), target)
    assert norch.allclose(layer(x, target), expected, atol=1e-6)
    with pytest.raises(RuntimeError, match="expected weight shape"):
        nn.LinearCrossEntropyLoss(5, 4, weight=norch.ones(3))
    with pytest.raises(RuntimeError, match="label_smoothing"):
        nn.LinearCrossEntropyLoss(5, 4, label_smoothing=2.0)
    options = nn.LinearCrossEntropyOptions(batch_chunk_size=2)
    assert pickle.loads(pickle.dumps(options)) == options
    empty = object.__new__(nn.LinearCrossEntropyOptions)
    empty.__setstate__([True, 3, None, "auto", None])  # as PyTorch pickles them
    assert empty == nn.LinearCrossEntropyOptions(True, 3, None)


def test_empty_batches_of_attention_and_projections():
    layer = nn.TransformerEncoderLayer(8, 2, 16)
    assert layer(norch.zeros(3, 0, 8)).shape == (3, 0, 8)
    out, weights = nn.MultiheadAttention(8, 2)(*[norch.zeros(3, 0, 8)] * 3)
    assert out.shape == (3, 0, 8) and weights.shape == (0, 3, 3)
    out, (h, c) = nn.LSTM(4, 6, proj_size=2)(norch.zeros(5, 0, 4))
    assert (out.shape, h.shape, c.shape) == ((5, 0, 2), (1, 0, 2), (1, 0, 6))
    assert F.adaptive_avg_pool2d(norch.zeros(0, 3, 3), 2).shape == (0, 2, 2)
    assert F.adaptive_max_pool1d(norch.zeros(2, 0, 3), 2).shape == (2, 0, 2)


@pytest.mark.parametrize(
    "call, error, text",
    [
        (lambda: nn.BatchNorm1d(3, eps=0.0)(norch.ones(2, 3)), ValueError, "eps must be positive during training"),
        (lambda: nn.HuberLoss(delta=1j), TypeError, "delta must be a float or int"),
        (lambda: nn.CircularPad2d(1)(norch.ones(3, 4)), ValueError, "expected 3D or 4D input"),
        (lambda: nn.CircularPad1d(1)(norch.ones(1, 1, 3, 4)), ValueError, "expected 2D or 3D input"),
        (lambda: nn.ParameterList()(1), RuntimeError, "ParameterList should not be called"),
        (lambda: nn.ParameterDict()(1), RuntimeError, "ParameterDict should not be called"),
        (lambda: F.max_pool2d(norch.ones(0, 3, 3), 2), RuntimeError, "non-zero sizes"),
        (
            lambda: F.nll_loss(norch.ones(3, 5), norch.zeros(3).long(), norch.ones(5).half()),
            RuntimeError,
            "expected scalar type float32 for weight but found float16",
        ),
        (lambda: F.cross_entropy(norch.ones(3, 5), norch.zeros(3)), RuntimeError, "expected target dtype to be int64"),
        (lambda: F.cross_entropy(norch.ones(3, 5), norch.zeros(4)), ValueError, "input batch_size"),
    ],
)
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_class_weights_under_autocast():
    x, target, weight = norch.randn(3, 5), norch.tensor([0, 1, 4]), norch.rand(5)
    with norch.autocast("cpu", dtype=norch.bfloat16):
        got = F.cross_entropy(x.bfloat16(), target, weight)
    assert got.dtype == norch.float32 and norch.allclose(got, F.cross_entropy(x, target, weight), atol=0.05)


def test_cells_under_autocast_take_both_dtypes():
    for cell in (nn.RNNCell(3, 4), nn.GRUCell(3, 4), nn.LSTMCell(3, 4)):
        x = norch.randn(2, 3)
        with norch.autocast("cpu", dtype=norch.bfloat16):
            for input in (x, x.bfloat16()):
                out = cell(input)
                assert (out[0] if isinstance(out, tuple) else out).shape == (2, 4)
        with pytest.raises(RuntimeError, match="dtype"):
            cell(x.bfloat16())


def test_distance_of_triplets():
    layer = nn.TripletMarginWithDistanceLoss()
    assert repr(layer) == "TripletMarginWithDistanceLoss(\n  (distance_function): PairwiseDistance()\n)"


def test_bounds_of_initialisation():
    generator = norch.Generator().manual_seed(0)
    w = nn.init.kaiming_uniform_(norch.empty(4, 5, 3, 3, dtype=norch.float64), a=math.sqrt(5), generator=generator)
    generator.manual_seed(0)
    std = math.sqrt(2.0 / 6) / math.sqrt(45)
    bound = math.sqrt(3.0) * std
    assert norch.equal(w, norch.empty_like(w).uniform_(-bound, bound, generator=generator))
    with pytest.warns(UserWarning, match="no-op"):
        nn.init.kaiming_normal_(norch.empty(0, 3))


def test_hooks_of_registration():
    seen = []

    def hook(owner, name, member):
        seen.append((type(owner).__name__, name))

    kinds = ("parameter", "buffer", "module")
    handles = [getattr(module, f"register_module_{kind}_registration_hook")(hook) for kind in kinds]
    try:
        nn.Sequential(nn.BatchNorm1d(2, affine=False))
        nn.Linear(1, 1)
    finally:
        for handle in handles:
            handle.remove()
    assert seen == [
        ("BatchNorm1d", "weight"), ("BatchNorm1d", "bias"), ("BatchNorm1d", "running_mean"),
        ("BatchNorm1d", "running_var"), ("BatchNorm1d", "num_batches_tracked"), ("Sequential", "0"),
        ("Linear", "weight"), ("Linear", "bias"),
    ]  # fmt: skip
    nn.Linear(1, 1)
    assert len(seen) == 8


def test_factory_kwargs():
    assert nn.factory_kwargs(None) == {}
    assert nn.factory_kwargs({"dtype": 1, "factory_kwargs": {"device": 2}}) == {"device": 2, "dtype": 1}
    with pytest.raises(TypeError, match="unexpected"):
        nn.factory_kwargs({"x": 1})
    with pytest.raises(TypeError, match="twice"):
        nn.factory_kwargs({"dtype": 1, "factory_kwargs": {"dtype": 2}})


def test_orders_of_clipping_that_are_no_norms():
    for order, total in ((0, 2.0), (-1, 3 / 7), (float("-inf"), 1.0)):
        params = [nn.Parameter(norch.ones(2)), nn.Parameter(norch.ones(3)), nn.Parameter(norch.ones(1))]
        params[0].grad, params[1].grad = norch.tensor([1.0, 2.0]), norch.tensor([3.0, 2.0, 1.0])
        expected = norch.tensor([1 / (1 + 1 / 2), 1 / (1 / 3 + 1 / 2 + 1)])
        got = nn.utils.clip_grad_norm_(params, 0.1, order)
        want = 1 / (1 / expected).sum() if order == -1 else norch.tensor(total)
        assert norch.allclose(got, want), (order, got, want)
        assert norch.allclose(params[0].grad, norch.tensor([1.0, 2.0]) * 0.1 / (want + 1e-6))


def test_containers():
    params = nn.ParameterDict({"b": norch.ones(2), "a": norch.zeros(3)})
    assert list(params) == list(params.state_dict()) == ["a", "b"]  # a plain dict, by the order of its keys
    assert list(nn.ParameterDict([("b", norch.ones(2)), ("a", norch.zeros(3))])) == ["b", "a"]
    with pytest.raises(AttributeError, match="has no attribute 'q'"):
        params["q"]
    for bad, error in ((3, TypeError), ([3], TypeError), ([[1]], ValueError)):
        for made in (params, nn.ModuleDict()):
            with pytest.raises(error, match="update"):
                made.update(bad)
    layers = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    layers *= 2
    assert len(layers) == 4 and layers[2] is layers[0]


def test_a_parameters_copy_has_no_gradient():
    import copy

    layer = nn.Linear(2, 2)
    layer.weight.grad = norch.ones(2, 2)
    assert copy.deepcopy(layer).weight.grad is None
    leaf = norch.ones(2, requires_grad=True)
    leaf.grad = norch.ones(2)
    assert norch.equal(copy.deepcopy(leaf).grad, leaf.grad)


def test_padding_of_fewer_dims_than_the_layer_has():
    assert nn.ConstantPad2d((1, 2), 5.0)(norch.zeros(1, 1, 2, 2)).shape == (1, 1, 2, 5)
    with pytest.raises(RuntimeError, match="divisible by 2"):
        nn.ConstantPad1d((1, 2, 3), 0)(norch.ones(2, 2))
    with pytest.warns(UserWarning, match="does not match num_features"):
        nn.InstanceNorm1d(3)(norch.ones(1, 2, 3))


def test_a_subclass_that_looks_attributes_up_elsewhere():
    import copy

    class Wrapper(nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def __getattr__(self, name):
            try:
                return super().__getattr__(name)
            except AttributeError:
                return getattr(super().__getattr__("inner"), name)

    wrapper = Wrapper(nn.Linear(2, 3))
    assert wrapper.in_features == 2 and list(wrapper.state_dict()) == ["inner.weight", "inner.bias"]
    assert copy.deepcopy(wrapper).out_features == 3 and pickle.loads(pickle.dumps(wrapper.inner)).out_features == 3
    with pytest.raises(AttributeError, match="'Linear' object has no attribute 'zzz'"):
        wrapper.zzz


def test_backward_hooks_see_every_inputs_gradient():
    seen = []
    layer = nn.Bilinear(2, 3, 1)
    layer.register_full_backward_hook(lambda m, grads, _: seen.extend(g.shape for g in grads))
    layer(norch.ones(1, 2), norch.ones(1, 3, requires_grad=True)).sum().backward()
    assert seen == [(1, 2), (1, 3)]


def test_hooks_before_loading_do_not_keep_a_module_alive():
    import gc
    import weakref

    seen = []
    net = nn.Linear(1, 1)
    net.register_load_state_dict_pre_hook(lambda m, state, prefix, *rest: seen.append((m is net, prefix)))
    net.load_state_dict(net.state_dict())
    (hook,) = net._load_state_dict_pre_hooks.values()
    assert seen == [(True, "")] and type(hook) is module._WrappedHook
    assert hook.__getstate__() == {"hook": hook.hook, "with_module": True, "module": net}
    gc.disable()
    try:
        gone = weakref.ref(net.weight)
        seen.clear()
        hook.hook = print
        del net
        assert gone() is None
    finally:
        gc.enable()
    with pytest.raises(RuntimeError, match="dead Module"):
        hook()
    with pytest.raises(RuntimeError, match="dead Module"):
        hook.__setstate__(hook.__getstate__())


def test_what_layers_written_after_pytorchs_import():
    import norch.nn.functional as F
    from norch.autograd.function import InplaceFunction
    from norch.nn.modules.conv import _pair, _reverse_repeat_tuple
    from norch.nn.modules.padding import _ntuple

    assert F._Reduction.get_enum("sum") == 2 and F._pair is _pair and F._single(3) == (3,)
    assert _pair(2) == (2, 2) and _ntuple(3)(1) == (1, 1, 1) and _reverse_repeat_tuple((1, 2), 2) == (2, 2, 1, 1)
    with pytest.warns(UserWarning, match="Implicit dimension choice for softmax"):
        assert F._get_softmax_dim("softmax", 3) == 0
    mask = F._canonical_mask(norch.tensor([True, False]), "m", None, "", norch.float64)
    assert mask.tolist() == [float("-inf"), 0] and mask.dtype == norch.float64
    with pytest.warns(UserWarning, match="mismatched m and other"):
        F._canonical_mask(mask, "m", F._none_or_dtype(norch.ones(1)), "other", norch.float32)
    with pytest.raises(AssertionError, match="only bool and floating types of m"):
        F._canonical_mask(norch.tensor([1]), "m", None, "", norch.float32)
    x = norch.zeros(2, 3, 4)
    assert F._mha_shape_check(x, x, x, None, None, 2) is True
    assert InplaceFunction(True).inplace
