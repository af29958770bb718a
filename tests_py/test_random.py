"""Random numbers: the published stream, distributions, generators, seeding."""

import copy
import math
import pickle
import random
import subprocess
import sys

import numpy as np
import pytest

import norch

stats = pytest.importorskip("scipy.stats")

M0, M1, W0, W1 = 0xD2511F53, 0xCD9E8D57, 0x9E3779B9, 0xBB67AE85


def philox(seed, draw, block):
    """Philox 4x32-10 as its authors wrote it down."""
    c = [block & 0xFFFFFFFF, block >> 32, draw & 0xFFFFFFFF, draw >> 32]
    k = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        p0, p1 = M0 * c[0], M1 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & 0xFFFFFFFF, (p0 >> 32) ^ c[3] ^ k[1], p0 & 0xFFFFFFFF]
        k = [(k[0] + W0) & 0xFFFFFFFF, (k[1] + W1) & 0xFFFFFFFF]
    return c


def words(seed, draw, n):
    return np.array([philox(seed, draw, b) for b in range((n + 3) // 4)], np.uint64).reshape(-1)[:n]


def test_philox_here_has_the_published_answers():
    assert philox(0, 0, 0) == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    assert philox(0x299F31D0A4093822, 0x0370734413198A2E, 0x85A308D3243F6A88) == [
        0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1,
    ]


def test_uniform_numbers_are_the_stream(device):
    norch.manual_seed(1234)
    first, second = norch.rand(1003, device=device), norch.rand(7, dtype=norch.float64, device=device)
    np.testing.assert_array_equal(first.cpu().numpy(), (words(1234, 0, 1003) >> np.uint64(8)) * 2.0**-24)
    w = words(1234, 1, 14)
    np.testing.assert_array_equal(second.cpu().numpy(), ((w[1::2] << np.uint64(32) | w[::2]) >> np.uint64(11)) * 2.0**-53)
    # The third draw, of integers and of events.
    ints = norch.randint(-5, 12, (9,), device=device)
    w = words(1234, 2, 18)
    expected = [(int(h) << 32 | int(l)) * 17 >> 64 for l, h in zip(w[::2], w[1::2])]
    assert ints.tolist() == [v - 5 for v in expected]
    events = norch.empty(9, device=device).bernoulli_(0.25)
    assert events.tolist() == [float(v < 2**30) for v in words(1234, 3, 9)]


def test_normal_numbers_are_the_stream(device):
    norch.manual_seed(77)
    x = norch.randn(4000, dtype=norch.float64, device=device).cpu().numpy()
    w = words(77, 0, 8000).reshape(-1, 4)
    u = ((w[:, 1] << np.uint64(32) | w[:, 0]).astype(np.float64) + 0.5) * 2.0**-64
    a = ((w[:, 3] << np.uint64(32) | w[:, 2]) >> np.uint64(11)) * 2.0**-53 * 2 * math.pi
    r = np.sqrt(-2 * np.log(u))
    np.testing.assert_allclose(x[::2], r * np.cos(a), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(x[1::2], r * np.sin(a), rtol=1e-12, atol=1e-13)


@pytest.mark.cuda
def test_the_gpu_draws_the_same_numbers():
    calls = [
        lambda d: norch.rand(1001, device=d),
        lambda d: norch.rand(1001, device=d, dtype=norch.float16),
        lambda d: norch.empty(1001, device=d, dtype=norch.bfloat16).uniform_(-3, 5),
        lambda d: norch.empty(1001, device=d, dtype=norch.float64).uniform_(-3, 5),
        lambda d: norch.randint(-(2**40), 2**50, (1001,), device=d),
        lambda d: norch.randperm(1001, device=d),
        lambda d: norch.bernoulli(norch.linspace(0, 1, 1001, device="cpu").to(d)),
        lambda d: norch.nn.functional.dropout(norch.ones(1001, device=d), 0.3),
    ]
    for call in calls:
        for seed in (0, 2**63 + 5):
            results = []
            for d in ("cpu", "cuda"):
                norch.manual_seed(seed)
                results.append(call(d).cpu())
            assert results[0].tolist() == results[1].tolist()
    for dtype, tolerance in ((norch.float32, 1e-5), (norch.float64, 1e-12)):
        norch.manual_seed(3)
        x = norch.randn(1001, dtype=dtype)
        norch.manual_seed(3)
        y = norch.randn(1001, dtype=dtype, device="cuda").cpu()
        np.testing.assert_allclose(x.numpy(), y.numpy(), rtol=tolerance, atol=tolerance)


N = 50000
DISTRIBUTIONS = {
    "uniform_": ((-1, 3), stats.uniform(-1, 4)),
    "normal_": ((2, 3), stats.norm(2, 3)),
    "log_normal_": ((0.5, 0.3), stats.lognorm(0.3, scale=math.exp(0.5))),
    "exponential_": ((2.5,), stats.expon(scale=1 / 2.5)),
    "cauchy_": ((1, 2), stats.cauchy(1, 2)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_distributions(name, dtype, device):
    parameters, expected = DISTRIBUTIONS[name]
    norch.manual_seed(11)
    x = getattr(norch.empty(N, dtype=getattr(norch, dtype), device=device), name)(*parameters).cpu().numpy()
    assert stats.kstest(x, expected.cdf).pvalue > 1e-3
    assert np.isfinite(x).all()


def test_neighbours_and_draws_are_independent(device):
    norch.manual_seed(12)
    x = norch.randn(N, dtype=norch.float64, device=device).cpu().numpy()
    y = norch.randn(N, dtype=norch.float64, device=device).cpu().numpy()
    for a, b in ((x[:-1], x[1:]), (x[::2], x[1::2]), (x, y)):
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / math.sqrt(len(a))


def test_discrete_distributions(device):
    norch.manual_seed(13)
    ints = norch.randint(0, 10, (N,), device=device).cpu().numpy()
    assert stats.chisquare(np.bincount(ints, minlength=10)).pvalue > 1e-3
    geometric = norch.empty(N, device=device).geometric_(0.3).cpu().numpy()
    assert geometric.min() == 1 and abs(geometric.mean() - 1 / 0.3) < 0.1
    for p in (0.0, 0.1, 1.0):
        assert abs(norch.empty(N, device=device).bernoulli_(p).mean().item() - p) < 0.01
    p = norch.rand(N, device=device)
    drawn = norch.bernoulli(p)
    assert set(drawn.unique().tolist() if hasattr(drawn, "unique") else drawn.tolist()) <= {0.0, 1.0}
    assert abs((drawn * p).mean().item() - 1 / 3) < 0.01


@pytest.mark.parametrize("rate", [0.0, 0.3, 4.0, 30.0, 5000.0])
def test_poisson(rate, device):
    norch.manual_seed(14)
    x = norch.poisson(norch.full((N,), rate, dtype=norch.float64, device=device)).cpu().numpy()
    assert (x == np.floor(x)).all() and x.min() >= 0
    assert abs(x.mean() - rate) <= 5 * math.sqrt(rate / N) and abs(x.var() - rate) <= 0.05 * rate
    if 0 < rate < 100:
        top = int(rate * 3) + 3
        expected = stats.poisson(rate).pmf(np.arange(top)) * N
        used = expected > 5
        got = np.bincount(x.astype(int), minlength=top)[:top]
        chi = ((got - expected)[used] ** 2 / expected[used]).sum()
        assert chi < stats.chi2(used.sum()).ppf(0.9999)


def test_multinomial(device):
    weights = np.array([[1.0, 0.0, 3.0, 6.0], [0.5, 0.5, 0.0, 0.0]])
    norch.manual_seed(15)
    w = norch.tensor(weights, device=device)
    drawn = norch.multinomial(w, N, replacement=True)
    assert drawn.shape == (2, N) and drawn.dtype == norch.int64
    for row, expected in zip(drawn.cpu().numpy(), weights):
        share = np.bincount(row, minlength=4) / N
        np.testing.assert_allclose(share, expected / expected.sum(), atol=0.01)
        assert (share[expected == 0] == 0).all()
    pairs = norch.multinomial(w[0].expand(N, 4), 2).cpu().numpy()
    assert (pairs[:, 0] != pairs[:, 1]).all() and not (pairs == 1).any()
    np.testing.assert_allclose(np.bincount(pairs[:, 0], minlength=4) / N, [0.1, 0, 0.3, 0.6], atol=0.01)
    # The second one: 3 after 0 or 2.
    assert abs((pairs[:, 1] == 3).mean() - (0.1 * 6 / 9 + 0.3 * 6 / 7)) < 0.01
    assert norch.multinomial(w[0], 3).shape == (3,)
    for bad, n, text in (([1.0, -1.0], 1, "element < 0"), ([math.nan, 1], 1, "nan"), ([0.0, 0.0], 1, "invalid multi"),
                         ([1.0, 2.0], 3, "without replacement"), ([1.0, 0.0], 2, "fewer"), ([1.0], 0, "n_sample <= 0")):
        with pytest.raises(RuntimeError, match=text):
            norch.multinomial(norch.tensor(bad, device=device), n)
    with pytest.raises(RuntimeError, match="sum of probabilities"):
        norch.multinomial(norch.tensor([0.0, 0.0], device=device), 1, replacement=True)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_uniform_numbers_stay_below_the_end(dtype, device):
    norch.manual_seed(1)
    x = norch.empty(200000, dtype=getattr(norch, dtype), device=device)
    assert 0 <= x.uniform_().min().item() and x.max().item() < 1
    x.uniform_(1000, 1001)
    assert x.min().item() >= 1000 and x.max().item() < 1001


@pytest.mark.parametrize(
    "dtype,low,high", [("bool", 0, 1), ("uint8", 0, 255), ("int8", 0, 127), ("int16", 0, 32767), ("float16", 0, 2048)]
)
def test_random_covers_a_dtype(dtype, low, high, device):
    x = norch.empty(300000, dtype=getattr(norch, dtype), device=device).random_().to(norch.int64)
    assert x.min().item() == low and x.max().item() == high


def test_random_in_its_forms(device):
    x = norch.empty(1000, dtype=norch.int64, device=device)
    assert set(x.random_(3).tolist()) == {0, 1, 2}
    assert set(x.random_(-1, 2).tolist()) == {-1, 0, 1}
    assert x.random_(2**62).max().item() > 2**61
    assert x.random_(-(2**63), 2**63 - 1).min().item() < -(2**60)
    assert min(x.random_(5, to=None).tolist()) >= 5


def test_normal_has_the_dtype_of_the_means(device):
    half, single = norch.zeros(3, dtype=norch.float16, device=device), norch.ones(3, device=device)
    assert norch.normal(half, single).dtype == norch.normal(0.0, half).dtype == norch.float16
    assert norch.normal(single, half).dtype == norch.float32


def test_randperm(device):
    for n in (0, 1, 2, 1000):
        p = norch.randperm(n, device=device)
        assert p.dtype == norch.int64 and sorted(p.tolist()) == list(range(n))
    counts = np.zeros((4, 4))
    norch.manual_seed(0)
    for _ in range(2000):
        counts[np.arange(4), norch.randperm(4).numpy()] += 1
    assert stats.chisquare(counts.reshape(-1)).pvalue > 1e-3
    assert norch.randperm(5, dtype=norch.float32).dtype == norch.float32


def test_factories_take_sizes_and_options_as_torch_does(device):
    assert norch.rand(2, 3).shape == norch.rand((2, 3)).shape == norch.rand([2, 3]).shape == (2, 3)
    assert norch.rand(size=(2, 3)).shape == (2, 3) and norch.rand(()).shape == norch.rand().shape == ()
    assert norch.randn(2, device=device, dtype=norch.float64, requires_grad=True).requires_grad
    assert norch.randint(5, (2, 3)).shape == (2, 3) and norch.randint(2, 5, size=(4,)).min().item() >= 2
    assert norch.randint(0, 2, (3,), dtype=norch.bool).dtype == norch.bool
    x = norch.zeros(2, 3, dtype=norch.float64, device=device)
    for like in (norch.rand_like(x), norch.randn_like(x), norch.randint_like(x, 4), norch.randint_like(x, 2, 4)):
        assert like.shape == x.shape and like.dtype == x.dtype and like.device == x.device
    assert norch.rand_like(x, dtype=norch.float32).dtype == norch.float32
    assert norch.normal(0.0, 1.0, (2, 3)).shape == (2, 3)
    far = norch.normal(norch.tensor([0.0, 100.0], device=device), norch.tensor([1e-3], device=device))
    assert abs(far[1].item() - 100) < 0.1 and norch.normal(norch.zeros(3), 2.0).shape == (3,)


def test_strided_targets_get_the_same_numbers(device):
    norch.manual_seed(5)
    x = norch.empty(4, 6, device=device).normal_()
    norch.manual_seed(5)
    y = norch.empty(6, 4, device=device).t().normal_()
    assert x.tolist() == y.tolist()


def test_generators():
    g = norch.Generator()
    assert g.manual_seed(7) is g and g.initial_seed() == 7
    a = norch.rand(3, generator=g).tolist()
    state = g.get_state()
    assert state.dtype == norch.uint8
    b = norch.rand(3, generator=g).tolist()
    assert a != b
    g.set_state(state)
    assert norch.rand(3, generator=g).tolist() == b
    g.set_state(state)
    assert norch.rand(3, generator=pickle.loads(pickle.dumps(g))).tolist() == b
    assert norch.rand(3, generator=copy.deepcopy(g)).tolist() == b
    assert norch.rand(3, generator=g.clone_state()).tolist() == b
    assert norch.Generator().initial_seed() == norch.Generator().initial_seed()
    assert g.seed() == g.initial_seed() != g.seed()
    assert g.manual_seed(-1).initial_seed() == 2**64 - 1
    with pytest.raises(ValueError, match="2\\^64"):
        g.manual_seed(2**64)
    with pytest.raises(RuntimeError, match="wrong size"):
        g.set_state(norch.zeros(3, dtype=norch.uint8))
    with pytest.raises(TypeError):
        g.set_state(norch.zeros(16))
    with pytest.raises(ValueError, match="invalid literal"):
        norch.manual_seed("a")
    assert norch.manual_seed(3.7).initial_seed() == norch.manual_seed("3").initial_seed() == 3


def test_the_default_generator():
    assert norch.manual_seed(3) is norch.default_generator
    assert norch.initial_seed() == 3
    state = norch.get_rng_state()
    x = norch.rand(2).tolist()
    norch.set_rng_state(state)
    assert norch.rand(2).tolist() == x
    with norch.random.fork_rng():
        y = norch.rand(2).tolist()
    assert norch.rand(2).tolist() == y
    assert norch.seed() == norch.initial_seed()


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_seeding_python_alone_is_enough():
    code = "import random, norch; random.seed({}); print(norch.rand(3).tolist(), random.random())"
    first = run(code.format(1))
    assert first == run(code.format(1)) != run(code.format(2))
    random.seed(1)
    assert first.split()[-1] == repr(random.random())  # the state of `random` was not advanced
    assert run("import norch; print(norch.rand(3).tolist())") != run("import norch; print(norch.rand(3).tolist())")


def test_dropout(device):
    x = norch.ones(100, 200, device=device, requires_grad=True)
    y = norch.nn.functional.dropout(x, 0.4)
    kept = y.detach().cpu().numpy() != 0
    assert abs(kept.mean() - 0.6) < 0.02
    np.testing.assert_allclose(y.detach().cpu().numpy()[kept], 1 / 0.6, rtol=1e-6)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.cpu().numpy(), y.detach().cpu().numpy())
    assert norch.nn.functional.dropout(x, 0.4, training=False) is x
    z = norch.ones(1000, device=device)
    assert norch.nn.functional.dropout(z, 0.5, inplace=True) is z and 0 < z.sum().item() < 2000
    with pytest.raises(ValueError, match="between 0 and 1"):
        norch.nn.functional.dropout(x, 1.5)


def test_dropout_gradients(device):
    x = norch.randn(4, 5, dtype=norch.float64, device=device, requires_grad=True)

    def f(v):
        norch.manual_seed(8)
        return norch.nn.functional.dropout(v * v, 0.5)

    assert norch.autograd.gradcheck(f, (x,))
    assert norch.autograd.gradgradcheck(f, (x,))


def test_dropout_of_channels(device):
    for name, shape in (("dropout1d", (8, 9, 5)), ("dropout2d", (8, 9, 5, 2)), ("dropout3d", (8, 9, 2, 2, 2))):
        y = getattr(norch.nn.functional, name)(norch.ones(shape, device=device), 0.5).cpu().numpy().reshape(72, -1)
        assert (y == y[:, :1]).all() and 0 < (y[:, 0] == 0).sum() < 72


def test_alpha_dropout_keeps_moments(device):
    norch.manual_seed(2)
    y = norch.nn.functional.alpha_dropout(norch.randn(200000, device=device), 0.3, training=True)
    assert abs(y.mean().item()) < 0.02 and abs((y * y).mean().item() - 1) < 0.03


@pytest.mark.parametrize(
    "call,kind,text",
    [
        (lambda: norch.rand(2, dtype=norch.int64), NotImplementedError, "floating-point"),
        (lambda: norch.rand("a"), TypeError, "ints"),
        (lambda: norch.rand(-1), RuntimeError, "-1"),
        (lambda: norch.randint(5, 5, (2,)), RuntimeError, "'from' to be less than 'to'"),
        (lambda: norch.randint(0, 300, (2,), dtype=norch.uint8), RuntimeError, "out of bounds for uint8"),
        (lambda: norch.randperm(-1), RuntimeError, "non-negative"),
        (lambda: norch.randperm(300, dtype=norch.uint8), RuntimeError, "too large"),
        (lambda: norch.zeros(2).uniform_(1, 0), RuntimeError, "from=1"),
        (lambda: norch.zeros(2).normal_(0, -1), RuntimeError, "std >= 0"),
        (lambda: norch.zeros(2).bernoulli_(2.0), RuntimeError, r"p to be in \[0, 1\]"),
        (lambda: norch.zeros(2).geometric_(1.0), RuntimeError, r"\(0, 1\)"),
        (lambda: norch.zeros(2).exponential_(0), RuntimeError, "lambda > 0"),
        (lambda: norch.zeros(2, requires_grad=True).uniform_(), RuntimeError, "leaf Variable"),
        (lambda: norch.zeros(1).expand(3).uniform_(), RuntimeError, "single memory location"),
    ],
)
def test_refusals(call, kind, text):
    with pytest.raises(kind, match=text):
        call()


def test_draws_have_a_gradient_of_zero(device):
    mean = norch.ones(2, 3, device=device, requires_grad=True)
    for draw in (norch.normal(mean, 1.5), norch.normal(mean, mean), norch.normal(mean[:0], 1.5)):
        assert draw.requires_grad
        draw.sum().backward()
    assert mean.grad.abs().sum().item() == 0
