"""PyTorch's CPU stream: values that PyTorch 2.13 draws after manual_seed(1), and the state of its generator."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import norch
import norch.nn
import norch.utils.data


@pytest.fixture(autouse=True)
def pytorch_stream():
    norch.random.use_pytorch_stream(True)
    yield
    norch.random.use_pytorch_stream(False)


VALUES = [
    ("norch.rand(3)", [0.7576316, 0.27931088, 0.40306926]),
    ("norch.rand(2, dtype=norch.float64)", [0.06105327471962363, 0.2245545065676504]),
    ("norch.rand(3, dtype=norch.bfloat16)", [0.7578125, 0.27929688, 0.40234375]),
    ("norch.randn(3)", [0.66135216, 0.2669241, 0.06167726]),
    ("norch.randn(2, dtype=norch.float64)", [0.6613521715704522, 0.2669240982925188]),
    ("norch.randn(17)[[0, 1, 8, 9, 16]]", [-1.5255959, -1.1607615, 0.43914157, -0.17593604, -0.7984398]),
    (
        "norch.randn(18, dtype=norch.float64)[[0, 8, 17]]",
        [-0.31128955419003207, 0.09412786590968454, -0.27100795326519517],
    ),
    ("norch.randn(18, dtype=norch.float16)[[0, 8, 17]]", [-1.5253906, -0.66308594, -0.1315918]),
    ("norch.zeros(4, 5).t().normal_()[:2, 0]", [0.66135216, 0.2669241]),
    ("norch.empty(3).uniform_(-2, 3)", [1.7881579, -0.6034456, 0.015346289]),
    ("norch.empty(2).normal_(1.5, 0.2)", [1.6322705, 1.5533848]),
    ("norch.empty(2).log_normal_()", [10.20323, 4.6359825]),
    ("norch.empty(2).exponential_(2)", [0.03149827, 0.12715879]),
    ("norch.empty(2).cauchy_()", [-5.1495495, -1.1741732]),
    ("norch.empty(4).geometric_(0.3)", [8.0, 5.0, 5.0, 5.0]),
    ("norch.randint(0, 100, (4,))", [45, 39, 24, 68]),
    ("norch.randint(-2**40, 2**40, (2,))", [-936314961685, 605300724808]),
    ("norch.empty(2, dtype=norch.int64).random_()", [7692698082559361259, 4064269471072392264]),
    ("norch.empty(3, dtype=norch.uint8).random_()", [37, 235, 140]),
    ("norch.empty(2, dtype=norch.int64).random_(-2**63, None)", [7692698082559361259, -5159102565782383544]),
    ("norch.randperm(8)", [5, 4, 2, 6, 7, 3, 1, 0]),
    ("norch.empty(8).bernoulli_(0.3).int()", [1, 1, 1, 1, 0, 1, 0, 0]),
    ("norch.bernoulli(norch.full((8,), 0.4)).int()", [0, 1, 0, 0, 1, 0, 1, 0]),
    (
        "norch.nn.functional.dropout(norch.ones(8), 0.4)",
        [1.6666666, 1.6666666, 1.6666666, 1.6666666, 1.6666666, 1.6666666, 1.6666666, 0.0],
    ),
    ("norch.multinomial(norch.tensor([0.1, 0.2, 0.3, 0.4]), 5, replacement=True)", [0, 1, 1, 1, 2]),
    ("norch.multinomial(norch.tensor([0.1, 0.2, 0.3, 0.4]), 3)", [3, 0, 2]),
    ("norch.poisson(norch.tensor([0.5, 4.0, 30.0]))", [0.0, 2.0, 31.0]),
    ("norch.normal(norch.arange(3.0), 0.5)", [0.33067608, 1.1334621, 2.0308387]),
    ("norch.randn(1, dtype=norch.complex64).abs()", [0.5042991]),
    ("norch.nn.functional.rrelu(-norch.ones(3), training=True)", [-0.13771944, -0.1717822, -0.17380261]),
    (
        "norch.nn.functional.gumbel_softmax(norch.arange(6.0).view(2, 3).t()).abs().flatten()",
        [0.1673542, 0.8326458, 0.035084, 0.9649161, 0.007056, 0.9929439],
    ),
    ("norch.nn.init.trunc_normal_(norch.empty(4), std=0.02)", [0.013227044, 0.005338482, 0.0012335451, 0.012426347]),
    ("norch.nn.init.trunc_normal_(norch.empty(3), a=1.5, b=3.0)", [2.459523, 1.9189663, 1.9706953]),
    ("norch.nn.init.orthogonal_(norch.empty(2, 2))", [0.9956796, -0.09285641, 0.09285641, 0.9956795]),
    ("norch.tensor(list(norch.utils.data.RandomSampler(range(7))))", [2, 1, 0, 3, 4, 5, 6]),
    ("norch.tensor(list(norch.utils.data.WeightedRandomSampler([1, 2, 3], 5)))", [0, 1, 1, 1, 2]),
]


@pytest.mark.parametrize("code, expected", VALUES)
def test_values(code, expected):
    norch.manual_seed(1)
    drawn = eval(code, {"norch": norch})
    if drawn.is_floating_point() and drawn.dtype != norch.float64:
        expected = np.array(expected, np.float32)
        drawn = drawn.float()
    if "orthogonal" in code or "abs" in code:  # these end in arithmetic that is another library's
        np.testing.assert_allclose(drawn.reshape(-1).numpy(), expected, rtol=1e-5)
    else:
        np.testing.assert_array_equal(drawn.reshape(-1).numpy(), expected)


def test_draws_go_on_where_the_last_one_ended():
    norch.manual_seed(5)
    a = norch.cat([norch.randn(3), norch.rand(2), norch.randn(20), norch.randn(1)])
    norch.manual_seed(5)
    parts = [norch.randn(1), norch.randn(2), norch.rand(1), norch.rand(1), norch.randn(20), norch.randn(1)]
    assert norch.equal(a, norch.cat(parts))


def test_memory_order_decides_in_strided_tensors():
    norch.manual_seed(2)
    flat = norch.rand(24).view(2, 3, 4)
    norch.manual_seed(2)
    assert norch.equal(norch.empty(2, 3, 4).permute(2, 0, 1).uniform_(), flat.permute(2, 0, 1))
    norch.manual_seed(2)
    x = norch.zeros(6, 8)
    x[::2, ::2].uniform_()
    assert norch.equal(x[::2, ::2], flat.reshape(-1)[:12].view(3, 4)) and x[1].sum() == 0
    norch.manual_seed(2)
    assert norch.equal(norch.rand_like(norch.empty(4, 6).t()), flat.reshape(4, 6).t())


def test_state_has_pytorchs_layout():
    norch.manual_seed(2**40 + 7)
    state = norch.get_rng_state().numpy().tobytes()
    assert len(state) == 5056
    words = np.frombuffer(state, "<u8", count=630)
    assert words[0] == 2**40 + 7 and list(words[1:4]) == [1 | 1 << 32, 0, 7]
    norch.randn(3)
    state = norch.get_rng_state()
    words = np.frombuffer(state.numpy().tobytes(), "<u8", count=3)
    assert list(words[1:]) == [617 | 1 << 32, 8]
    expected = norch.randn(5)
    generator = norch.Generator()
    generator.set_state(state)
    assert norch.equal(norch.randn(5, generator=generator), expected) and generator.initial_seed() == 2**40 + 7
    norch.set_rng_state(state)
    assert norch.equal(norch.randn(5), expected)


def test_generators_keep_their_engine():
    twister = norch.Generator().manual_seed(3)
    norch.random.use_pytorch_stream(False)
    assert not norch.random.uses_pytorch_stream()
    philox = norch.Generator().manual_seed(3)
    assert twister.get_state().numel() == 5056 and philox.get_state().numel() == 16
    for same in (pickle.loads(pickle.dumps(twister)), twister.clone_state()):
        assert norch.equal(norch.rand(4, generator=same), norch.rand(4, generator=copy.deepcopy(twister)))
    with pytest.raises(RuntimeError, match="wrong size: expected 16 bytes, got 5056"):
        philox.set_state(twister.get_state())
    assert not norch.equal(norch.rand(4, generator=philox), norch.rand(4, generator=twister))


def test_dropout_backward_uses_the_mask():
    x = norch.ones(50, requires_grad=True)
    y = norch.nn.functional.dropout(x, 0.4)
    y.sum().backward()
    assert norch.equal(x.grad, y.detach())
    state = norch.get_rng_state()
    assert norch.nn.functional.dropout(x, 1.0).sum() == 0
    assert norch.equal(norch.get_rng_state(), state)  # nothing drawn


def test_corrupt_states_raise():
    state = norch.get_rng_state()
    state[8] = 200
    with pytest.raises(RuntimeError, match="Invalid mt19937 state"):
        norch.set_rng_state(state)
    with pytest.raises(RuntimeError, match="wrong size"):
        norch.set_rng_state(state[:100])
    with pytest.raises(TypeError):
        norch.set_rng_state(state.float())


def test_norch_compat_draws_it():
    program = """
import norch.compat
norch.compat.install()
import torch
from torch.distributions import Categorical
torch.manual_seed(0)
print(torch.rand(2).tolist() == [0.49625658988952637, 0.7682217955589294], torch.finfo(torch.float32).bits)
print(Categorical(torch.tensor([0.2, 0.3, 0.5])).sample((5,)).tolist())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == ["True 32", "[2, 1, 2, 2, 2]"], done.stderr
