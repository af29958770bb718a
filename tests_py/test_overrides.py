"""__torch_function__: subclasses of Tensor, other classes, and modes."""

import copy
import io
import operator
import pickle
import subprocess
import sys

import numpy as np
import pytest

import norch
import norch.nn.functional as F
from norch import overrides


class Plain(norch.Tensor):
    """A subclass that overrides nothing."""


class Other(norch.Tensor):
    pass


class Child(Plain):
    pass


class Logged(norch.Tensor):
    """Notes the name of every function it sees."""

    log: list = []

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        Logged.log.append(overrides.resolve_name(func))
        return super().__torch_function__(func, types, args, kwargs)


class Scaled:
    """scale * value: no tensor, and knows two functions."""

    def __init__(self, value, scale):
        self.value, self.scale = value, scale

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func is norch.sum:
            return args[0].scale * norch.sum(args[0].value, **(kwargs or {}))
        if func in (norch.add, norch.Tensor.add, F.linear, norch.stack):
            return overrides.resolve_name(func), [t.__name__ for t in types], len(args)
        return NotImplemented


def plain(*values):
    return norch.tensor(values).as_subclass(Plain)


RESULTS = {
    "operator": lambda x: x + 1,
    "reversed operator": lambda x: 2 / x,
    "comparison": lambda x: x > 1,
    "negation": lambda x: -x,
    "matrix product": lambda x: x @ x,
    "function": lambda x: norch.exp(x),
    "function of a list": lambda x: norch.cat([norch.zeros(1), x]),
    "function with keywords": lambda x: norch.sum(input=x, dim=0),
    "method": lambda x: x.reshape(1, -1),
    "index": lambda x: x[0],
    "index array": lambda x: x[norch.tensor([1, 0])],
    "attribute": lambda x: x.T,
    "data": lambda x: x.data,
    "detached": lambda x: x.detach(),
    "copy": lambda x: x.clone(),
    "other dtype": lambda x: x.to(norch.float64),
    "like": lambda x: norch.zeros_like(x),
    "new": lambda x: x.new_ones(3),
    "Python function": lambda x: F.softmax(x, dim=0),
    "linear": lambda x: F.linear(x, norch.nn.Parameter(norch.ones(3, 2))),
    "module": lambda x: norch.nn.Linear(2, 2)(x),
    "element of a list": lambda x: x.split(1)[1],
    "element of a named result": lambda x: x.max(0).values,
    "element of an iteration": lambda x: list(x)[0],
    "deepcopy": copy.deepcopy,
    "fft": lambda x: norch.fft.fft(x),
    "linalg": lambda x: norch.linalg.norm(x),
}


@pytest.mark.parametrize("name", RESULTS)
def test_results_are_of_the_class(name):
    x = plain(1.0, 2.0)
    assert type(RESULTS[name](x)) is Plain
    got, expected = RESULTS[name](x), RESULTS[name](norch.tensor([1.0, 2.0]))
    if name not in ("module",):
        np.testing.assert_array_equal(got.detach().numpy(), expected.detach().numpy())


def test_results_that_are_no_tensors():
    x = plain(1.0, 2.0)
    assert type(x.shape) is norch.Size and type(x[0].item()) is float and len(x) == 2 and bool(x[0])
    assert type(x.numpy()) is np.ndarray and 2.0 in x and x.tolist() == [1.0, 2.0]
    assert type(norch.tensor(x)) is norch.Tensor  # a new tensor of what x holds, as in PyTorch


def test_in_place_operations_return_the_object_itself():
    x = plain(1.0, 2.0)
    y = x
    y += 1
    x[0] = 5.0
    assert y is x and x.add_(1) is x and x.tolist() == [6.0, 4.0]


def test_gradients_flow_through_a_subclass():
    leaf = norch.tensor([1.0, 2.0], requires_grad=True)
    y = (leaf.as_subclass(Plain) * 3).sum()
    y.backward()
    assert type(y) is Plain and leaf.grad.tolist() == [3.0, 3.0] and y.grad_fn.name() == "SumBackward0"
    weight = norch.ones(2).as_subclass(Plain).requires_grad_()
    norch.optim.SGD([weight], lr=0.5).zero_grad()
    (weight * 2).sum().backward()
    assert type(weight.grad) is norch.Tensor


def test_most_derived_class_wins_and_strangers_are_refused():
    a, b, c = plain(1.0), plain(2.0).as_subclass(Child), plain(3.0).as_subclass(Other)
    assert type(a + b) is Child and type(b + a) is Child
    with pytest.raises(TypeError, match=r"unsupported operand type\(s\) for \+: 'Plain' and 'Other'"):
        a + c
    with pytest.raises(TypeError, match="Multiple dispatch failed for 'add'(.|\n)*Plain"):
        norch.add(a, c)


def test_parameters_give_plain_tensors():
    weight = norch.nn.Parameter(norch.ones(2))
    assert type(weight + 1) is norch.Tensor and type(weight.data) is norch.Tensor
    assert type(plain(1.0, 1.0) * weight) is Plain


def test_names_that_an_override_sees():
    x = norch.tensor([4.0, 2.0]).as_subclass(Logged)
    calls = {
        "torch.Tensor.add": lambda: 1 + x,
        "torch.Tensor.__rsub__": lambda: 1 - x,
        "torch.Tensor.div": lambda: x / 2,
        "torch.Tensor.__floordiv__": lambda: x // 2,
        "torch.Tensor.remainder": lambda: x % 2,
        "torch.Tensor.pow": lambda: x**2,
        "torch.Tensor.matmul": lambda: x @ x,
        "torch.Tensor.__eq__": lambda: x == 1,
        "torch.Tensor.lt": lambda: x < 1,
        "torch.Tensor.__getitem__": lambda: x[0],
        "torch.Tensor.__setitem__": lambda: operator.setitem(x, 0, 1.0),
        "torch.Tensor.__len__": lambda: len(x),
        "torch.Tensor.add_": lambda: operator.iadd(x, 1),
        "torch.Tensor.shape.__get__": lambda: x.shape,
        "torch.Tensor.T.__get__": lambda: x.T,
        "torch.Tensor.__repr__": lambda: repr(x),
        "torch.nn.functional.relu": lambda: F.relu(x),
        "torch.cat": lambda: norch.cat([x, x]),
        "torch.Tensor.reshape": lambda: x.reshape(2, 1),
    }
    for name, call in calls.items():
        Logged.log.clear()
        call()
        assert Logged.log[0] == name, (name, Logged.log)
        assert Logged.log.count(name) == 1, "the default runs the function with overrides off"


def test_class_that_is_no_tensor():
    s = Scaled(norch.ones(3), 2.0)
    assert norch.sum(s).item() == 6.0
    assert norch.add(s, 1) == ("torch.add", ["Scaled"], 2)
    assert norch.ones(2) + s == ("torch.Tensor.add", ["Scaled"], 2)
    assert F.linear(norch.ones(1), s) == ("torch.nn.functional.linear", ["Scaled"], 2)
    assert norch.stack([s, s]) == ("torch.stack", ["Scaled"], 1)
    with pytest.raises(TypeError, match="Multiple dispatch failed for 'exp'(.|\n)*Scaled"):
        norch.exp(s)
    with pytest.raises(TypeError, match=r"unsupported operand"):
        norch.ones(2) / s


def test_errors_of_an_override_reach_the_caller():
    class Refusing(norch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            raise ValueError("not this one")

    x = norch.zeros(2).as_subclass(Refusing)
    for call in (lambda: x + 1, lambda: norch.exp(x), lambda: x.shape, lambda: len(x), lambda: bool(x), lambda: x[0]):
        with pytest.raises(ValueError, match="not this one"):
            call()


def test_disabled_contexts():
    x = plain(1.0)
    with overrides.DisableTorchFunctionSubclass():
        assert type(x + 1) is norch.Tensor
        assert not overrides.has_torch_function((x,))
    assert type(x + 1) is Plain

    class Disabled(norch.Tensor):
        __torch_function__ = norch._C._disabled_torch_function_impl

    assert type(norch.ones(2).as_subclass(Disabled) + 1) is norch.Tensor


def test_modes():
    class Names(overrides.TorchFunctionMode):
        def __init__(self):
            self.names = []

        def __torch_function__(self, func, types, args=(), kwargs=None):
            self.names.append((overrides.resolve_name(func), len(types)))
            return func(*args, **(kwargs or {}))

    class Doubled(overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            return result * 2 if func is norch.ones else result

    with Names() as outer, Doubled():
        x = norch.ones(2)
        assert x.tolist() == [2.0, 2.0]
        assert type(plain(1.0) + 1) is Plain
        with overrides.DisableTorchFunction():
            norch.zeros(1)
    norch.zeros(1)
    assert outer.names[:2] == [("torch.ones", 0), ("torch.Tensor.mul", 0)] and ("torch.Tensor.add", 1) in outer.names
    assert "torch.zeros" not in [name for name, _ in outer.names]
    with pytest.raises(RuntimeError, match="inside"), Names():
        raise RuntimeError("inside")
    assert not overrides.has_torch_function(())


def test_functions_of_the_module():
    @overrides.wrap_torch_function(lambda a, b=None: (a, b))
    def pair(a, b=None):
        return a, b

    class Answering:
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return ("answered", func is pair, args, kwargs)

    one = Answering()
    assert pair(1) == (1, None) and pair(1, b=one) == ("answered", True, (1,), {"b": one})
    assert overrides.has_torch_function_unary(one) and overrides.has_torch_function_variadic(1, one)
    assert overrides.is_tensor_like(one) and not overrides.is_tensor_like([1])
    with pytest.raises(TypeError, match="no implementation found for '.*sum'"):
        overrides.handle_torch_function(sum, (Scaled(1, 2),), 1)
    functions = overrides.get_overridable_functions()
    assert norch.add in functions[norch] and norch.Tensor.add in functions[norch.Tensor] and F.relu in functions[F]
    assert overrides.is_tensor_method_or_property(norch.Tensor.add) and not overrides.is_tensor_method_or_property(norch.add)
    assert overrides.resolve_name(norch.linalg.det) == "torch.linalg.det" and overrides.resolve_name(print) is None


def test_pickle_and_checkpoint_keep_the_class():
    x = plain(1.0, 2.0)
    again = pickle.loads(pickle.dumps(x))
    assert type(again) is Plain and again.tolist() == [1.0, 2.0]
    file = io.BytesIO()
    norch.save({"x": x}, file)
    file.seek(0)
    with norch.serialization.safe_globals([Plain]):
        loaded = norch.load(file)
    assert loaded["x"].tolist() == [1.0, 2.0]


def test_constructor_takes_over_a_tensor():
    source = norch.tensor([1, 2])
    x = Plain(source)
    x[0] = 7
    assert type(x) is Plain and x.dtype == norch.int64 and source.tolist() == [7, 2]


def test_calls_cost_nothing_until_a_class_overrides():
    code = "import norch; f = norch.add; norch.nn.Linear(2, 2)(norch.ones(2)); assert not norch._C._overrides.is_on(); "
    code += "norch.nn.LazyLinear(2); assert not norch._C._overrides.is_on(); "
    code += "C = type('C', (norch.Tensor,), {}); assert norch._C._overrides.is_on() and f is norch.add"
    subprocess.run([sys.executable, "-c", code], check=True)
