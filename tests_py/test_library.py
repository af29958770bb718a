"""norch.library: operators that programs define, and norch.ops, where they are found."""

from typing import List, Optional, Sequence, Tuple, Union

import pytest

import norch
from norch import library
from norch.library import custom_op, infer_schema


@pytest.fixture
def square():
    @custom_op("testlib::square", mutates_args=())
    def square(x: norch.Tensor, scale: float = 2.0) -> norch.Tensor:
        assert not norch.is_grad_enabled()
        return x * x * scale

    return square


def test_schema_of_annotations():
    def f(
        x: norch.Tensor,
        y: Optional[norch.Tensor],
        xs: List[norch.Tensor],
        n: int,
        p: float = 0.5,
        s: str = "a",
        flag: bool = True,
        dims: Optional[Sequence[int]] = None,
        dt: Optional[norch.dtype] = None,
        d: norch.device = norch.device("cpu"),
        num: Union[int, float, bool] = 3,
        *,
        k: "int | None" = None,
    ) -> Tuple[norch.Tensor, int]: ...

    tail = (
        'SymInt n, float p=0.5, str s="a", bool flag=True, SymInt[]? dims=None, ScalarType? dt=None, Device d="cpu", '
        "Scalar num=3, *, SymInt? k=None) -> (Tensor, SymInt)"
    )
    assert infer_schema(f, mutates_args=("x",)) == "(Tensor(a0!) x, Tensor? y, Tensor[] xs, " + tail
    unknown = infer_schema(f, mutates_args="unknown", op_name="a::b")
    assert unknown == "a::b(Tensor(a0!) x, Tensor(a1!)? y, Tensor(a2!)[] xs, " + tail
    schema = library.Schema(unknown)
    assert schema.is_mutable and [a.name for a in schema.arguments][-1] == "k" and schema.arguments[-1].kwarg_only


def test_schemas_that_cannot_be():
    def untyped(x): ...
    def no_result(x: norch.Tensor): ...
    def odd(x: dict) -> norch.Tensor: ...
    def odd_result(x: norch.Tensor) -> dict: ...
    def many(*x: norch.Tensor) -> norch.Tensor: ...
    def good(x: norch.Tensor, n: int) -> norch.Tensor: ...

    for f, text in (
        (untyped, "Parameter x must have a type annotation"),
        (no_result, "No return type annotation"),
        (odd, "Parameter x has unsupported type"),
        (odd_result, "Return has unsupported type"),
        (many, "We do not support positional-only args, varargs"),
    ):
        with pytest.raises(ValueError, match=text):
            infer_schema(f, mutates_args=())
    with pytest.raises(ValueError, match="in mutates_args were not found"):
        infer_schema(good, mutates_args=("q",))
    with pytest.raises(ValueError, match="only Tensors"):
        infer_schema(good, mutates_args=("n",))
    for text in ("nothing", "f(Tensor) -> Tensor", "f(Tensor x"):
        with pytest.raises(RuntimeError, match="library: "):
            library.define("testlib::bad", text) if text[0] != "f" else library.Library("testlib", "FRAGMENT").define(text)


def test_custom_op_is_found_and_has_a_gradient(square):
    x = norch.tensor([1.0, 3.0], requires_grad=True)
    y = norch.ops.testlib.square(x)
    assert repr(square) == "<CustomOpDef(testlib::square)>" and str(norch.ops.testlib.square) == "testlib.square"
    assert norch.ops.testlib.square.default.name() == "testlib::square"
    with pytest.raises(RuntimeError, match="testlib.square.default but no autograd formula was registered"):
        y.sum().backward()

    seen = {}

    def setup(ctx, inputs, output):
        seen["inputs"], seen["needs"] = inputs, ctx.needs_input_grad
        ctx.save_for_backward(inputs[0])
        ctx.scale = inputs[1]

    square.register_autograd(lambda ctx, g: (g * 2 * ctx.saved_tensors[0] * ctx.scale, None), setup_context=setup)
    out = square(x, scale=3.0)
    assert out.tolist() == [3.0, 27.0] and seen["inputs"][1] == 3.0 and seen["needs"] == (True, False)
    assert "testlib_square" in repr(out.grad_fn)
    out.sum().backward()
    assert x.grad.tolist() == [6.0, 18.0]
    assert not square(x.detach()).requires_grad
    assert norch.autograd.gradcheck(lambda t: square(t), (norch.randn(3, dtype=norch.float64, requires_grad=True),))


def test_lists_of_tensors_and_several_results():
    @custom_op("testlib::two", mutates_args=())
    def two(xs: List[norch.Tensor], s: float) -> Tuple[norch.Tensor, norch.Tensor]:
        return xs[0] * s, xs[1] + s

    two.register_autograd(
        lambda ctx, a, b: ([a * ctx.s, b], None),
        setup_context=lambda ctx, inputs, output: setattr(ctx, "s", inputs[1]),
    )
    u, v = norch.ones(2, requires_grad=True), norch.ones(2, requires_grad=True)
    first, second = two([u, v], 3.0)
    (first.sum() * 2 + second.sum()).backward()
    assert u.grad.tolist() == [6.0, 6.0] and v.grad.tolist() == [1.0, 1.0]

    @custom_op("testlib::parts", mutates_args=())
    def parts(x: norch.Tensor) -> List[norch.Tensor]:
        return [x * 1, x * 2]

    parts.register_autograd(lambda ctx, grads: grads[0] + 2 * grads[1])
    u.grad = None
    made = parts(u)
    assert isinstance(made, list)
    (made[0] + made[1]).sum().backward()
    assert u.grad.tolist() == [3.0, 3.0]


def test_arguments_are_checked(square):
    for call, text in (
        (lambda: square(3), "Expected a value of type 'Tensor' for argument 'x' but instead found type 'int'"),
        (lambda: square(), "missing value for argument 'x'"),
        (lambda: square(norch.ones(1), 1.0, 2), "expected at most 2 argument"),
        (lambda: square(norch.ones(1), q=1), "Unknown keyword argument 'q'"),
        (lambda: square(norch.ones(1), x=norch.ones(1)), "is given twice"),
    ):
        with pytest.raises(RuntimeError, match=text):
            call()
    with pytest.raises(AttributeError, match="'testlib' object has no attribute 'nothing'"):
        norch.ops.testlib.nothing
    with pytest.raises(ValueError, match="no name of an operator"):
        custom_op("bad", mutates_args=())
    with pytest.raises(RuntimeError, match="there is no operator"):
        library.register_fake("testlib::nothing", lambda x: x)


def test_results_must_not_be_arguments():
    @custom_op("testlib::same", mutates_args=())
    def same(x: norch.Tensor) -> norch.Tensor:
        return x.view(-1)

    with pytest.raises(RuntimeError, match="testlib::same: the output of a custom operator must not be an input"):
        same(norch.ones(2))


def test_operators_that_write_to_their_arguments():
    @custom_op("testlib::inc_", mutates_args={"x"})
    def inc_(x: norch.Tensor) -> None:
        x.add_(1)

    t = norch.zeros(2)
    assert inc_(t) is None and t.tolist() == [1.0, 1.0] and t._version > 0
    with pytest.raises(RuntimeError, match="Cannot register autograd formula for non-functional"):
        inc_.register_autograd(lambda ctx, g: g)


def test_kernels_by_device():
    @custom_op("testlib::on_gpu", mutates_args=(), device_types="cuda")
    def on_gpu(x: norch.Tensor) -> norch.Tensor:
        return x.clone()

    with pytest.raises(NotImplementedError, match="Could not run 'testlib::on_gpu' with arguments from the 'CPU' backend"):
        on_gpu(norch.ones(1))

    @on_gpu.register_kernel("cpu")
    def _(x):
        return x + 1

    assert on_gpu(norch.ones(1)).item() == 2.0
    with on_gpu.set_kernel_enabled("cpu", False), pytest.raises(NotImplementedError):
        on_gpu(norch.ones(1))
    assert on_gpu(norch.ones(1)).item() == 2.0
    with pytest.raises(ValueError, match="no kernel for 'tpu'"):
        on_gpu.register_kernel("tpu", lambda x: x)


def test_libraries():
    lib = library.Library("testlib_old", "DEF")
    assert lib.define("twice(Tensor x, int n=2) -> Tensor") == "twice"
    with pytest.raises(RuntimeError, match="there is an operator testlib_old::twice already"):
        lib.define("twice(Tensor x) -> Tensor")
    lib.impl("twice", lambda x, n: x * n, "CompositeImplicitAutograd")
    x = norch.ones(2, requires_grad=True)
    norch.ops.testlib_old.twice(x, n=3).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]

    @library.impl(lib, "twice", "CPU")
    def _(x, n):
        return x * n + 1

    assert norch.ops.testlib_old.twice(x).tolist() == [3.0, 3.0]
    with pytest.raises(ValueError, match="Unsupported library kind"):
        library.Library("a", "b")
    library.define("testlib_old::other", "(Tensor x) -> Tensor")
    library.impl("testlib_old::other", "default", lambda x: -x)
    assert norch.ops.testlib_old.other(norch.ones(1)).item() == -1.0
    library.Library("testlib_old", "FRAGMENT")._destroy()


def test_an_autograd_kernel_calls_the_operator_below_it():
    lib = library.Library("testlib_auto", "DEF")
    lib.define("half(Tensor x) -> Tensor")
    lib.impl("half", lambda x: x / 2, "CPU")

    class Half(norch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return norch.ops.testlib_auto.half(x)

        @staticmethod
        def backward(ctx, grad):
            return grad * 10

    lib.impl("half", Half.apply, "Autograd")
    x = norch.ones(1, requires_grad=True)
    y = norch.ops.testlib_auto.half(x)
    y.backward()
    assert y.item() == 0.5 and x.grad.item() == 10.0


def test_norch_functions_as_operators():
    a = norch.arange(4.0).reshape(2, 2)
    assert norch.ops.aten.mm.default(a, a).equal(a @ a) and norch.ops.aten.add.Tensor(a, a).equal(a + a)
    assert norch.ops.aten.linalg_norm(a).equal(norch.linalg.norm(a)) and str(norch.ops.aten.add.Tensor) == "aten.add.Tensor"
    assert norch.ops.aten.silu(a).equal(norch.nn.functional.silu(a))
    with pytest.raises(AttributeError, match="'aten' object has no attribute 'nothing'"):
        norch.ops.aten.nothing
    with pytest.raises(OSError, match="operators for PyTorch"):
        norch.ops.load_library("x.so")
