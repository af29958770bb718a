"""Copies, pickles and subclasses of tensors, and memory that processes share."""

import copy
import multiprocessing as mp
import pickle

import pytest

import norch
import norch.multiprocessing
from norch import nn


def pickled(x):
    return pickle.loads(pickle.dumps(x))


@pytest.mark.parametrize("again", [copy.deepcopy, pickled])
def test_views_go_on_sharing(again):
    base = norch.arange(12.0).reshape(3, 4)
    parts = {"row": base[1], "base": base, "turned": base.t(), "flat": base.view(-1)[2:9:3], "other": norch.ones(2)}
    new = again(parts)
    for name, t in parts.items():
        assert norch.equal(new[name], t) and new[name].stride() == t.stride() and new[name]._base is None
    new["base"][1] = 50
    assert new["row"].tolist() == [50] * 4 and new["turned"][0].tolist() == [0, 50, 8] and new["flat"].tolist() == [2, 50, 8]
    assert base[1].tolist() == [4, 5, 6, 7]
    assert new["base"].untyped_storage() == new["row"].untyped_storage()


@pytest.mark.parametrize("again", [copy.deepcopy, pickled])
def test_what_is_kept(again):
    for t in (
        norch.empty(0, 3), norch.tensor(3), norch.zeros(2, 3, 4, 4).to(memory_format=norch.channels_last),
        norch.tensor([1 + 2j]), norch.ones(3, dtype=norch.bfloat16)[1:], norch.ones(2, 2).expand(3, 2, 2), norch.tensor([True]),
    ):  # fmt: skip
        new = again(t)
        assert norch.equal(new, t) and new.dtype == t.dtype and new.stride() == t.stride()
    w = nn.Parameter(norch.ones(2), requires_grad=False)
    w.note = "x"
    assert isinstance(again(w), nn.Parameter) and not again(w).requires_grad and again(w).note == "x"
    bits = norch.arange(4, dtype=norch.int32)
    both = again([bits, bits.view(norch.int8)])
    both[0][1] = 7
    assert both[1][4] == 7


def test_flat_parameters():
    flat = norch.zeros(6)
    model = nn.Linear(2, 2)
    with norch.no_grad():
        model.weight.data, model.bias.data = flat[:4].view(2, 2), flat[4:]
    other = copy.deepcopy(model)
    assert other.weight.untyped_storage() == other.bias.untyped_storage() != model.weight.untyped_storage()
    assert copy.copy(flat).untyped_storage() == flat.untyped_storage()


class Image(norch.Tensor):
    pass


def test_subclasses():
    x = norch.ones(2, requires_grad=True)
    image = x.as_subclass(Image)
    assert type(image) is Image and image.data_ptr() == x.data_ptr() and image.grad_fn.name() == "AliasBackward0"
    (image * 3).sum().backward()
    assert x.grad.tolist() == [3, 3]
    plain = norch.zeros(2).as_subclass(Image)
    plain.note = 1
    for new in (copy.deepcopy(plain), pickled(plain), copy.copy(plain)):
        assert type(new) is Image and new.note == 1
    leaf = norch.Tensor._make_subclass(Image, norch.zeros(2), True)
    assert type(leaf) is Image and leaf.requires_grad and leaf.is_leaf
    with pytest.raises(TypeError, match="must be a subclass of Tensor"):
        x.as_subclass(int)


def add_one(t, queue=None):
    t += 1
    if queue is not None:
        queue.put(t)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_shared_memory(method):
    context = mp.get_context(method)
    t = norch.zeros(3)
    assert not t.is_shared()
    assert t.share_memory_() is t and t.is_shared() and t[1:].is_shared() and t.share_memory_() is t
    process = context.Process(target=add_one, args=(t,))
    process.start()
    process.join(60)
    assert process.exitcode == 0 and t.tolist() == [1, 1, 1]


def test_shared_memory_through_a_queue():
    queue = mp.get_context("fork").Queue()
    t, view = norch.zeros(4).share_memory_(), norch.ones(2)
    queue.put([t[1:], view])
    part, copied = queue.get(timeout=60)
    assert part.is_shared() and not copied.is_shared()
    part += 1
    copied += 1
    assert t.tolist() == [0, 1, 1, 1] and view.tolist() == [1, 1]
    grown = (norch.ones(2, requires_grad=True) * 2).detach().share_memory_().requires_grad_() * 1
    assert grown.sum().item() == 4


def test_shared_modules():
    model = nn.BatchNorm1d(2)
    assert model.share_memory() is model
    assert all(t.is_shared() for t in model.state_dict().values())
    assert isinstance(model.weight, nn.Parameter) and model.weight.requires_grad
    process = mp.get_context("fork").Process(target=add_one, args=(model.running_mean,))
    process.start()
    process.join(60)
    assert model.running_mean.tolist() == [1, 1]
