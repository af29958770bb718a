"""CUDA graphs: capture, replay, memory, random numbers, and what cannot be captured."""

import gc

import pytest

import norch
import norch.nn.functional as F
from norch import nn

pytestmark = pytest.mark.cuda


def captured(run, pool=None):
    """A graph of run(), which has run once before, and what run() returned in the capture."""
    side = norch.cuda.Stream()
    side.wait_stream(norch.cuda.current_stream())
    with norch.cuda.stream(side):
        run()
    norch.cuda.current_stream().wait_stream(side)
    g = norch.cuda.CUDAGraph()
    with norch.cuda.graph(g, pool=pool):
        out = run()
    return g, out


def training(make_optimizer):
    """(step, parameters): a step of a small model with dropout, always from the same start."""
    norch.manual_seed(5)
    model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 4))
    model = model.to("cuda")
    optimizer = make_optimizer(model.parameters())
    x = norch.randn(32, 20, device="cuda")
    target = norch.randint(0, 4, (32,), device="cuda")

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(x), target)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    return step, list(model.parameters())


OPTIMIZERS = {
    "sgd": lambda p: norch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: norch.optim.Adam(p, lr=0.01, capturable=True),
    "adamw_amsgrad": lambda p: norch.optim.AdamW(p, lr=0.01, amsgrad=True, capturable=True),
    "rmsprop": lambda p: norch.optim.RMSprop(p, lr=0.01, momentum=0.9, centered=True),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_steps_are_those_of_eager_mode_bit_for_bit(name):
    step, expected = training(OPTIMIZERS[name])
    losses = [step().detach().clone() for _ in range(12)]
    draws = norch.get_rng_state()

    step, params = training(OPTIMIZERS[name])
    first = step().detach().clone()
    g, loss = captured(step)
    replayed = []
    for _ in range(10):
        g.replay()
        replayed.append(loss.detach().clone())
    assert norch.equal(norch.get_rng_state(), draws)
    assert norch.equal(first, losses[0])
    for got, want in zip(replayed, losses[2:]):
        assert norch.equal(got, want)
    for p, q in zip(params, expected):
        assert norch.equal(p, q)


def test_capturable_adam_takes_the_same_steps():
    results = []
    for capturable in (False, True):
        step, params = training(lambda p: norch.optim.Adam(p, lr=0.01, capturable=capturable))
        for _ in range(5):
            step()
        results.append(params)
    for p, q in zip(*results):
        assert norch.equal(p, q)


def test_state_of_capturable_adam_is_saved_and_loaded():
    p = nn.Parameter(norch.ones(3, device="cuda"))
    q = nn.Parameter(norch.ones(3, device="cuda"))
    a = norch.optim.Adam([p], lr=0.1, capturable=True)
    b = norch.optim.Adam([q], lr=0.1, capturable=True)
    for i in range(4):
        if i == 2:
            b.load_state_dict(a.state_dict())
            with norch.no_grad():
                q.copy_(p)
        p.grad = norch.full((3,), float(i + 1), device="cuda")
        q.grad = p.grad.clone()
        a.step()
        if i >= 2:
            b.step()
    assert norch.equal(p, q)
    assert b.state[q]["step"].item() == 4 and b.state[q]["step"].is_cuda


def test_random_numbers_advance():
    norch.manual_seed(1)
    eager = [norch.rand(100, device="cuda") for _ in range(4)]
    norch.manual_seed(1)
    first = norch.rand(100, device="cuda")
    g = norch.cuda.CUDAGraph()
    with norch.cuda.graph(g):
        out = norch.rand(100, device="cuda")
    assert norch.equal(first, eager[0])
    for want in eager[1:]:
        g.replay()
        assert norch.equal(out, want)
    norch.manual_seed(1)
    g.replay()
    assert norch.equal(out, eager[0])
    # A generator of one's own, with several draws each time.
    own = norch.Generator().manual_seed(3)
    g.reset()
    with norch.cuda.graph(g):
        pair = [norch.randn(10, device="cuda", generator=own), norch.empty(10, device="cuda").uniform_(generator=own)]
    for _ in range(2):
        g.replay()
    again = norch.Generator().manual_seed(3)
    for _ in range(2):
        want = [norch.randn(10, device="cuda", generator=again), norch.empty(10, device="cuda").uniform_(generator=again)]
    assert norch.equal(pair[0], want[0]) and norch.equal(pair[1], want[1])


def test_memory_belongs_to_the_graph():
    x = norch.ones(1 << 16, device="cuda")
    g, y = captured(lambda: (x * 2.0 + 1.0) * 3.0)
    # Nothing made now lies on the graph's memory, whose temporaries a replay writes again.
    others = [norch.full((1 << 16,), 7.0, device="cuda") for _ in range(20)]
    for _ in range(3):
        g.replay()
    assert all((o == 7.0).all().item() for o in others)
    assert (y == 9.0).all().item()
    x.fill_(2.0)
    g.replay()
    assert (y == 15.0).all().item()
    # Results outlive the graph.
    g.reset()
    del g
    gc.collect()
    others += [norch.full((1 << 16,), 7.0, device="cuda") for _ in range(20)]
    assert (y == 15.0).all().item()


def test_memory_goes_back_when_the_graph_goes():
    x = norch.ones(1 << 20, device="cuda")
    gc.collect()
    norch.cuda.empty_cache()
    allocated, reserved = norch.cuda.memory_allocated(), norch.cuda.memory_reserved()
    for size in (1 << 20, 1 << 26):  # blocks kept in lists, and larger ones
        x = norch.ones(size, device="cuda")
        g, y = captured(lambda: (x + 1.0) * 2.0)
        g.replay()
        assert (y == 4.0).all().item()
        del g, y
    x = norch.ones(1 << 20, device="cuda")
    gc.collect()
    norch.cuda.empty_cache()
    assert norch.cuda.memory_allocated() == allocated
    assert norch.cuda.memory_reserved() <= reserved + (64 << 20)


def test_graphs_share_a_pool():
    pool = norch.cuda.graph_pool_handle()
    x = norch.ones(1 << 16, device="cuda")
    g1, y = captured(lambda: x * 2.0, pool)
    g2, z = captured(lambda: y + 1.0, g1.pool())
    x.fill_(5.0)
    g1.replay()
    g2.replay()
    assert (z == 11.0).all().item()
    g1.reset()
    g2.replay()
    assert (z == 11.0).all().item()


def test_streams_that_join_are_captured_too():
    x = norch.ones(1 << 16, device="cuda")
    side = norch.cuda.Stream()

    def fork():
        side.wait_stream(norch.cuda.current_stream())
        with norch.cuda.stream(side):
            a = x * 3.0
        b = x * 2.0
        norch.cuda.current_stream().wait_stream(side)
        return a + b

    g, y = captured(fork)
    x.fill_(10.0)
    g.replay()
    assert (y == 50.0).all().item()


def test_what_was_freed_in_a_capture_is_freed_after_it():
    gc.collect()
    before = norch.cuda.memory_allocated()
    temporary = [norch.ones(1 << 18, device="cuda")]
    x = norch.ones(4, device="cuda")
    g = norch.cuda.CUDAGraph()
    with norch.cuda.graph(g):
        y = x + 1.0
        temporary.clear()
    assert norch.cuda.memory_allocated() - before < 1 << 19
    g.replay()
    assert y.tolist() == [2.0] * 4


@pytest.mark.parametrize(
    "use",
    [
        lambda x: x.sum().item(),
        lambda x: x.cpu(),
        lambda x: norch.cuda.synchronize(),
        lambda x: norch.cuda.current_stream().synchronize(),
        lambda x: norch.tensor([1.0, 2.0], device="cuda"),
        lambda x: x[x > 0],
        lambda x: norch.cuda.empty_cache(),
    ],
)
def test_what_cannot_be_captured_raises_and_the_process_goes_on(use):
    x = norch.arange(8.0, device="cuda")
    g = norch.cuda.CUDAGraph()
    with pytest.raises(RuntimeError, match="CUDA graph capture: .* cannot be part of a graph"):
        with norch.cuda.graph(g):
            x * 2.0
            use(x)
    assert not norch.cuda.is_current_stream_capturing()
    with pytest.raises(RuntimeError, match="holds no recording"):
        g.replay()
    # An error that the block swallows fails the capture at its end.
    with pytest.raises(RuntimeError, match="capture of a CUDA graph has failed: .* was asked for"):
        with norch.cuda.graph(g):
            try:
                use(x)
            except RuntimeError:
                pass
    assert x.sum().item() == 28
    with norch.cuda.graph(g):
        assert norch.cuda.is_current_stream_capturing()
        y = x + 1.0
    g.replay()
    assert y.sum().item() == 36


def test_misuse():
    x = norch.ones(4, device="cuda")
    g = norch.cuda.CUDAGraph()
    with pytest.raises(RuntimeError, match="non-default stream"):
        g.capture_begin()
    with pytest.raises(RuntimeError, match="not capturing"):
        g.capture_end()
    with pytest.raises(ValueError, match="capture error mode"):
        norch.cuda.graph(g, capture_error_mode="never").__enter__()
    with norch.cuda.graph(g):
        with pytest.raises(RuntimeError, match="capturing a CUDA graph already"):
            norch.cuda.CUDAGraph().capture_begin()
        x + 1.0
    with pytest.raises(RuntimeError, match="holds a recording"):
        with norch.cuda.graph(g):
            pass
    p = nn.Parameter(norch.ones(3, device="cuda"))
    p.grad = norch.ones(3, device="cuda")
    for optimizer, text in (
        (norch.optim.SGD([p], lr=0.1, momentum=0.9), "take a step before"),
        (norch.optim.Adam([p], lr=0.1, capturable=True), "take a step before"),
        (norch.optim.Adam([p], lr=0.1), "capturable"),
    ):
        with pytest.raises(RuntimeError, match=text):
            with norch.cuda.graph(norch.cuda.CUDAGraph()):
                optimizer.step()
        optimizer.step()  # as if nothing had been
    # A graph that goes while it captures ends the capture.
    side = norch.cuda.Stream()
    with norch.cuda.stream(side):
        h = norch.cuda.CUDAGraph()
        h.capture_begin()
        x * 2.0
        del h
        gc.collect()
        assert not norch.cuda.is_current_stream_capturing()
        assert (x * 2.0).sum().item() == 8
