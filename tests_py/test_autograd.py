"""Autograd from Python: backward, grad, modes, hooks, custom functions, checks, anomaly mode."""

import gc
import threading
import weakref

import pytest

import norch
from norch.autograd import Function, gradcheck, gradgradcheck, once_differentiable


@pytest.fixture
def x(device):
    return norch.tensor([1.0, 2.0, 3.0], dtype=norch.float64, device=device, requires_grad=True)


def test_backward_accumulates(x):
    (x * x).sum().backward()
    (x * x).sum().backward()
    assert x.grad.tolist() == [4.0, 8.0, 12.0]


def test_backward_arguments(x):
    y = x * x
    with pytest.raises(RuntimeError, match="implicitly created only for scalar outputs"):
        y.backward()
    y.backward(norch.ones_like(x), retain_graph=True)
    y.backward(norch.ones_like(x))
    with pytest.raises(RuntimeError, match="second time"):
        y.backward(norch.ones_like(x))
    with pytest.raises(RuntimeError, match="does not require grad"):
        x.detach().sum().backward()
    w = x.detach().clone().requires_grad_()
    x.grad = None
    (x * w).sum().backward(inputs=[w])
    assert x.grad is None and w.grad is not None
    norch.autograd.backward([(x * 2).sum(), (x * 3).sum()])
    assert x.grad.tolist() == [5.0] * 3


def test_grad(x):
    y = (x * x * x).sum()
    (g,) = norch.autograd.grad(y, x, create_graph=True)
    (h,) = norch.autograd.grad(g.sum(), x)
    assert g.tolist() == [3.0, 12.0, 27.0] and h.tolist() == [6.0, 12.0, 18.0] and x.grad is None
    unused = norch.ones_like(x).requires_grad_()
    with pytest.raises(RuntimeError, match="allow_unused=True"):
        norch.autograd.grad((x * 2).sum(), [x, unused])
    assert norch.autograd.grad((x * 2).sum(), [x, unused], allow_unused=True)[1] is None
    assert norch.autograd.grad((x * 2).sum(), [x, unused], materialize_grads=True)[1].tolist() == [0.0] * 3
    with pytest.raises(RuntimeError, match="does not require grad"):
        norch.autograd.grad((x * 2).sum(), x.detach())


def test_modes(x):
    with norch.no_grad():
        assert not (x * 2).requires_grad
        with norch.enable_grad():
            assert (x * 2).requires_grad
    with norch.set_grad_enabled(False):
        assert not norch.is_grad_enabled()
    norch.set_grad_enabled(True)

    @norch.no_grad()
    def off():
        return norch.is_grad_enabled()

    @norch.no_grad
    def also_off():
        return norch.is_grad_enabled()

    @norch.no_grad()
    def generator():
        yield norch.is_grad_enabled()
        yield norch.is_grad_enabled()

    assert not off() and not also_off() and norch.is_grad_enabled()
    for inside in generator():
        assert not inside and norch.is_grad_enabled()
    with pytest.raises(ZeroDivisionError), norch.no_grad():
        1 / 0
    assert norch.is_grad_enabled()
    with norch.inference_mode():
        made = x * 2
        assert norch.is_inference_mode_enabled() and not made.requires_grad
    with pytest.raises(RuntimeError, match="Inference tensors cannot be saved"):
        x * made


def test_grad_mode_is_per_thread(x):
    seen = []
    with norch.no_grad():
        thread = threading.Thread(target=lambda: seen.append(norch.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_leaves_and_requires_grad(x):
    with pytest.raises(RuntimeError, match="floating point"):
        norch.tensor([1, 2], requires_grad=True)
    y = x * 2
    with pytest.raises(RuntimeError, match="leaf"):
        y.requires_grad_(False)
    assert not y.is_leaf and not y.detach().requires_grad
    y.retain_grad()
    y.sum().backward()
    assert y.grad.tolist() == [1.0] * 3 and y.retains_grad
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad is being used in an in-place"):
        x.add_(1)
    with norch.no_grad():
        x.add_(1)
    assert x.tolist() == [2.0, 3.0, 4.0]


def test_tensor_hooks(x):
    calls = []
    y = x * 2
    handle = y.register_hook(lambda g: calls.append("y"))
    x.register_hook(lambda g: g * 10)
    y.sum().backward(retain_graph=True)
    assert calls == ["y"] and x.grad.tolist() == [20.0] * 3
    handle.remove()
    handle.remove()
    y.sum().backward()
    assert calls == ["y"]

    def fails(g):
        raise KeyError("from the hook")

    z = x * 3
    z.register_hook(fails)
    with pytest.raises(KeyError, match="from the hook"):
        z.sum().backward()
    with pytest.raises(TypeError, match="must return None or a Tensor"):
        w = x * 3
        w.register_hook(lambda g: 3)
        w.sum().backward()


def test_post_accumulate_hooks(x):
    seen = []
    handle = x.register_post_accumulate_grad_hook(lambda leaf: seen.append((leaf is x, leaf.grad.tolist())))
    (x * 2 + x).sum().backward()
    assert seen == [(True, [3.0] * 3)]
    handle.remove()
    (x * 2).sum().backward()
    assert len(seen) == 1


class Cube(Function):
    @staticmethod
    def forward(ctx, x, scale):
        ctx.save_for_backward(x)
        ctx.scale = scale
        return x * x * x * scale

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        assert ctx.needs_input_grad == (True, False)
        return grad * 3 * x * x * ctx.scale, None


def test_custom_function(x):
    y = Cube.apply(x, 2.0)
    assert y.grad_fn.name() == "CubeBackward"
    y.sum().backward()
    assert x.grad.tolist() == [6.0, 24.0, 54.0]
    assert gradcheck(lambda v: Cube.apply(v, 2.0), x) and gradgradcheck(lambda v: Cube.apply(v, 2.0), x)
    with pytest.raises(RuntimeError, match="second time"):
        y.sum().backward()


class SaveOutput(Function):
    @staticmethod
    def forward(x):
        return x * x, x.detach() > 1

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[0], inputs[0])

    @staticmethod
    def backward(ctx, grad, _):
        y, x = ctx.saved_tensors
        return grad * 2 * y / x


def test_custom_function_with_setup_context(x):
    y, mask = SaveOutput.apply(x)
    assert y.requires_grad and not mask.requires_grad
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 4.0, 6.0]


def test_custom_functions_are_freed(x):
    y = SaveOutput.apply(x)[0]
    reference = weakref.ref(y)
    del y
    gc.collect()
    assert reference() is None


class WrongCount(Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, grad):
        return grad, grad


class WrongShape(Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, grad):
        return grad[:2]


class InPlaceDouble(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x.mul_(2)

    @staticmethod
    def backward(ctx, grad):
        return grad * 2


class Identity(Function):
    @staticmethod
    def forward(ctx, x):
        return x

    @staticmethod
    def backward(ctx, grad):
        return -grad


class Once(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        return grad * 2 * ctx.saved_tensors[0]


def test_custom_function_faults(x):
    with pytest.raises(RuntimeError, match="incorrect number of gradients"):
        WrongCount.apply(x).sum().backward()
    with pytest.raises(RuntimeError, match="invalid gradient at index 0"):
        WrongShape.apply(x).sum().backward()


def test_gradcheck_refuses_what_it_cannot_check(x):
    for option in ("check_forward_ad", "check_batched_grad"):
        with pytest.raises(NotImplementedError, match=option):
            gradcheck(norch.exp, x, **{option: True})
    with pytest.raises(TypeError):
        gradcheck(norch.exp, x, epsilon=1e-6)
    assert gradcheck(norch.exp, x, fast_mode=True) and gradgradcheck(norch.exp, x, gen_non_contig_grad_outputs=True)


@pytest.mark.parametrize("seed_requires_grad", [False, True])
def test_once_differentiable(x, seed_requires_grad):
    """The gradient is the end of the graph: like PyTorch's, it complains where a graph was to go on through it."""
    seed = norch.ones_like(x).requires_grad_(seed_requires_grad)
    (g,) = norch.autograd.grad(Once.apply(x), x, seed, create_graph=True)
    assert g.tolist() == [2.0, 4.0, 6.0] and g.requires_grad == seed_requires_grad
    with pytest.raises(RuntimeError, match="once_differentiable" if seed_requires_grad else "does not require grad"):
        g.sum().backward()


def test_custom_functions_in_place_and_identity(x):
    h = x * 1
    out = InPlaceDouble.apply(h)
    assert out is h
    h.sum().backward()
    assert x.grad.tolist() == [2.0] * 3
    x.grad = None
    y = Identity.apply(x)
    assert y is not x and y.data_ptr() == x.data_ptr()
    y.sum().backward()
    assert x.grad.tolist() == [-1.0] * 3


def test_backward_within_backward(x):
    class Inner(Function):
        @staticmethod
        def forward(ctx, v):
            ctx.save_for_backward(v)
            return v * 2

        @staticmethod
        def backward(ctx, grad):
            with norch.enable_grad():
                v = ctx.saved_tensors[0].detach().requires_grad_()
                (v * v).sum().backward()
            return grad * v.grad

    Inner.apply(x).sum().backward()
    assert x.grad.tolist() == [2.0, 4.0, 6.0]


def test_gradcheck_finds_faults(device):
    class Wrong(Function):
        @staticmethod
        def forward(ctx, v):
            return v * v

        @staticmethod
        def backward(ctx, grad):
            return grad * 3

    x = norch.tensor([1.0, 2.0], dtype=norch.float64, device=device, requires_grad=True)
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        gradcheck(Wrong.apply, x)
    assert not gradcheck(Wrong.apply, x, raise_exception=False)
    with pytest.raises(ValueError, match="requires_grad"):
        gradcheck(lambda v: v * 2, x.detach())


def test_version_check_names_the_op(x):
    h = x * 2
    y = (h * h).sum()
    h.add_(1)
    with pytest.raises(RuntimeError, match=r"modified by an inplace operation: \[float64\[3\]\], which is an input of MulBackward0, is at version 1; expected version 0"):
        y.backward()


def test_in_place_on_views(x):
    h = x * 1
    h[1:] *= 3
    h[0] = 5
    h.sum().backward()
    assert x.grad.tolist() == [0.0, 3.0, 3.0]


def test_anomaly_mode_tells_where_forward_was(x):
    with norch.autograd.detect_anomaly():
        y = (x - x) / (x - x)
        with pytest.raises(RuntimeError, match=r"returned nan values") as info:
            y.sum().backward()
    assert "test_anomaly_mode_tells_where_forward_was" in str(info.value)


def test_graph_is_inspectable(x):
    y = (x * 2 + 1).sum()
    names = []
    stack = [y.grad_fn]
    while stack:
        node = stack.pop()
        names.append(node.name())
        stack += [n for n, _ in node.next_functions if n is not None]
    assert names[0].startswith("Sum") and names[1:] == ["AddBackward0", "MulBackward0", "AccumulateGrad"]


def test_long_chain(device):
    x = norch.tensor([1.0], device=device, requires_grad=True)
    y = x
    for _ in range(1_000_000 if device == "cpu" else 20_000):
        y = y + 1
    y.backward()
    assert x.grad.item() == 1.0
    del y


def test_grad_takes_pytorchs_arguments():
    x = norch.tensor([1.0, 2.0], requires_grad=True)
    y = x * x
    rows = norch.eye(2)
    (g,) = norch.autograd.grad(y, x, rows, is_grads_batched=True, retain_graph=True)
    assert g.tolist() == [[2, 0], [0, 4]]
    assert norch.autograd.grad(y, [x], norch.ones(2), True, False, True)[0].tolist() == [2, 4]
    with pytest.warns(FutureWarning, match="only_inputs"):
        norch.autograd.grad(y, x, norch.ones(2), retain_graph=True, only_inputs=False)
    with pytest.raises(RuntimeError, match="one common first dim"):
        norch.autograd.grad(y, x, None, is_grads_batched=True)
    with pytest.warns(FutureWarning, match="grad_variables"):
        norch.autograd.backward(y, grad_variables=norch.ones(2))
    assert x.grad.tolist() == [2, 4]


def test_multithreading_is_accepted():
    x = norch.ones(2, requires_grad=True)
    with norch.autograd.set_multithreading_enabled(False):
        x.sum().backward()
    assert x.grad.tolist() == [1, 1]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x + 1,
        lambda x: 3 - x,
        lambda x: norch.cat([x, x]),
        lambda x: norch.stack([x, x]),
        lambda x: x.to(norch.float64),
        lambda x: x.clone(),
        lambda x: x.reshape(3, 2),
        lambda x: x.t(),
        lambda x: x.expand(4, 2, 3),
        lambda x: x.permute(1, 0),
        lambda x: x[0],
        lambda x: x[:, 1:],
        lambda x: x.split(1)[0],
        lambda x: x.unbind(0)[1],
        lambda x: x.diagonal(),
        lambda x: -x,
        lambda x: x.sum(1),
        lambda x: x.mean(),
        lambda x: x.flip(0),
        lambda x: x.tril(),
        lambda x: norch.nn.functional.pad(x, (1, 1)),
        lambda x: x.as_strided((2, 2), (3, 1)),
    ],
)
def test_two_passes_through_what_saves_nothing(f):
    # As in PyTorch: a backward pass frees saved tensors, and nothing else of the graph.
    x = norch.randn(2, 3, requires_grad=True)
    y = f(x)
    y.sum().backward()
    once = x.grad.clone()
    y.sum().backward()
    assert x.grad.equal(2 * once)
    z = y.exp()
    z.sum().backward()
    with pytest.raises(RuntimeError, match="a second time"):
        z.sum().backward()


def test_two_passes_through_one_cast_of_autocast():
    layer, x = norch.nn.Linear(4, 4), norch.randn(2, 4)
    with norch.autocast("cpu", norch.bfloat16):
        a, b = layer(x), layer(x)
    a.sum().backward()
    once = layer.weight.grad.clone()
    b.sum().backward()
    norch.testing.assert_close(layer.weight.grad, 2 * once)
