"""Sequential, ModuleList, ModuleDict, ParameterList, ParameterDict."""

from collections import OrderedDict

import pytest

import norch
from norch import nn


def linears(n):
    return [nn.Linear(i + 1, i + 2) for i in range(n)]


def test_sequential():
    a, b, c = linears(3)
    s = nn.Sequential(a, b, c)
    assert s(norch.ones(1, 1)).shape == (1, 4)
    assert len(s) == 3 and s[0] is a and s[-1] is c and list(s) == [a, b, c]
    assert list(s[1:]) == [b, c] and list(s[1:]._modules) == ["1", "2"]
    new = nn.Linear(2, 3)
    s[1] = new
    assert s[1] is new
    del s[0]
    assert list(s) == [new, c] and list(s._modules) == ["0", "1"] and s[0] is new
    assert s.append(a) is s and s[2] is a
    s.insert(1, b)
    assert list(s) == [new, b, c, a]
    s.insert(-1, nn.Identity())
    assert isinstance(s[3], nn.Identity) and s[4] is a
    assert s.pop(3) is not None and len(s) == 4
    s.extend([nn.ReLU()])
    assert list(s + nn.Sequential(a)) == [*s, a]
    s += nn.Sequential(b)
    assert s[-1] is b
    assert len(nn.Sequential(nn.ReLU()) * 3) == len(3 * nn.Sequential(nn.ReLU())) == 3
    del s[1:]
    assert len(s) == 1
    with pytest.raises(IndexError, match="index 5 is out of range"):
        s[5]
    with pytest.raises(TypeError, match="is not a Module subclass"):
        nn.Sequential(3)
    with pytest.raises(ValueError, match="Non-positive"):
        s * 0
    with pytest.raises(ValueError, match="only objects of Sequential"):
        s + 3
    named = nn.Sequential(OrderedDict(first=a, second=b))
    assert named.first is a and list(named._modules) == ["first", "second"]
    named[0] = c
    assert named.first is c


def test_module_list():
    a, b, c = linears(3)
    modules = nn.ModuleList([a, b])
    modules.append(c)
    assert list(modules) == [a, b, c] and modules[-1] is c and len(modules) == 3
    assert isinstance(modules[:2], nn.ModuleList) and list(modules[:2]) == [a, b]
    modules.insert(0, c)
    assert list(modules) == [c, a, b, c]
    assert modules.pop(0) is c and list(modules) == [a, b, c]
    del modules[1]
    assert list(modules) == [a, c] and list(modules._modules) == ["0", "1"]
    del modules[:1]
    assert list(modules) == [c]
    modules += [a]
    assert list(modules + [b]) == [c, a, b]
    modules[0] = b
    assert modules[0] is b
    assert [n for n, _ in modules.named_parameters()] == ["0.weight", "0.bias", "1.weight", "1.bias"]
    with pytest.raises(TypeError, match="should be called with an iterable, but got int"):
        modules.extend(3)
    with pytest.raises(IndexError, match="out of range"):
        modules[7]
    with pytest.raises(NotImplementedError):
        modules(3)


def test_module_list_repr_counts_repeats():
    modules = nn.ModuleList([nn.ReLU(), nn.ReLU(), nn.Sequential(nn.Tanh())])
    assert repr(modules) == "ModuleList(\n  (0-1): 2 x ReLU()\n  (2): Sequential(\n    (0): Tanh()\n  )\n)"
    assert repr(nn.ModuleList()) == "ModuleList()"


def test_module_dict():
    a, b, c = linears(3)
    modules = nn.ModuleDict({"a": a})
    modules["b"] = b
    assert modules["a"] is a and "b" in modules and len(modules) == 2 and list(modules) == ["a", "b"]
    modules.update([("c", c)])
    assert list(modules.values()) == [a, b, c] and list(modules.items())[2] == ("c", c)
    assert modules.pop("a") is a and list(modules.keys()) == ["b", "c"]
    modules.update(nn.ModuleDict({"z": a}))
    del modules["b"]
    assert list(modules) == ["c", "z"]
    assert repr(nn.ModuleDict({"act": nn.ReLU()})) == "ModuleDict(\n  (act): ReLU()\n)"
    modules.clear()
    assert len(modules) == 0
    with pytest.raises(KeyError, match="attribute 'keys' already exists"):
        modules["keys"] = a
    with pytest.raises(TypeError, match="iterable of key/value pairs"):
        modules.update(3)
    with pytest.raises(ValueError, match="#0"):
        modules.update([(1, 2, 3)])


def test_parameter_list():
    params = nn.ParameterList([norch.ones(2), nn.Parameter(norch.zeros(1))])
    assert isinstance(params[0], nn.Parameter) and len(params) == 2
    params.append(norch.ones(3, 2))
    params.extend([norch.ones(1)])
    params += [norch.zeros(2)]
    assert [tuple(p.shape) for p in params] == [(2,), (1,), (3, 2), (1,), (2,)]
    assert [n for n, _ in params.named_parameters()] == ["0", "1", "2", "3", "4"]
    params[0] = nn.Parameter(norch.full((2,), 5.0))
    assert params[0].tolist() == [5, 5] and params[-1].tolist() == [0, 0]
    assert len(params[1:3]) == 2 and isinstance(params[1:3], nn.ParameterList)
    with pytest.raises(IndexError, match="out of range"):
        params[9]
    with pytest.raises(TypeError, match="iterable"):
        params.extend(norch.ones(2))
    assert repr(nn.ParameterList([norch.ones(2, 3), norch.ones(2)])) == (
        "ParameterList(\n"
        f"    (0): Parameter containing: [{norch.float32} of size 2x3]\n"
        f"    (1): Parameter containing: [{norch.float32} of size 2]\n"
        ")"
    )


def test_parameter_dict():
    params = nn.ParameterDict({"w": norch.ones(2), "n": 3})
    assert isinstance(params["w"], nn.Parameter) and params["n"] == 3
    params["b"] = nn.Parameter(norch.zeros(1))
    assert list(params) == ["n", "w", "b"] and "b" in params and len(params) == 3
    assert [n for n, _ in params.named_parameters()] == ["w", "b"]
    assert params.get("x", 7) == 7 and params.setdefault("x", norch.ones(1)).tolist() == [1]
    assert params.pop("n") == 3 and "n" not in params and not hasattr(params, "n")
    assert params.popitem()[0] == "x"
    assert list(reversed(params)) == ["b", "w"]
    assert list((params | {"q": norch.ones(1)}).keys()) == ["w", "b", "q"]
    params |= {"r": norch.ones(1)}
    assert list(params.keys()) == ["w", "b", "r"] and len(list(params.values())) == 3
    assert params.copy()["w"] is params["w"]
    del params["r"]
    with pytest.raises(AttributeError, match="no attribute 'r'"):
        params["r"]
    with pytest.raises(KeyError, match="already exists"):
        params["keys"] = norch.ones(1)
    with pytest.raises(TypeError, match="not a string"):
        params[3]
    assert list(nn.ParameterDict.fromkeys(["a", "b"], 1).items()) == [("a", 1), ("b", 1)]
    params.clear()
    assert len(params) == 0 and list(params.parameters()) == []
