"""What ops of a training step leave to each other: memory that nobody needs any more, a result in a second dtype, a sum
that a gradient is added to. None of it may show but in time and memory."""

import numpy as np
import pytest

import norch
import norch.nn.functional as F
from norch import nn


def close(a, b, tolerance=1e-5):
    a, b = (np.asarray(t.detach().float().cpu().numpy(), dtype=np.float64) for t in (a, b))
    assert a.shape == b.shape
    assert np.isfinite(a).all() and np.abs(a - b).max() <= tolerance * max(1.0, np.abs(b).max())


# ---- cross entropy's gradient in the scores' memory


def scores_and_targets(device, shape=(6, 24), classes_dim=1):
    x = norch.randn(*shape, device=device, requires_grad=True)
    rows = [n for d, n in enumerate(shape) if d != classes_dim]
    return x, norch.randint(0, shape[classes_dim], rows, device=device)


def expected_gradient(x, y):
    p = norch.softmax(x.detach().double(), 1)
    one_hot = norch.movedim(F.one_hot(y, x.shape[1]).double(), -1, 1)
    return (p - one_hot) / y.numel()


@pytest.mark.parametrize("shape", [(6, 24), (5, 1501), (3, 2048), (4, 7, 5)])
def test_cross_entropy_of_scores_that_nobody_keeps(device, shape):
    x, y = scores_and_targets(device, shape)
    F.cross_entropy(x * 1, y).backward()  # the product's memory becomes the gradient's
    close(x.grad, expected_gradient(x, y))


def test_cross_entropy_of_a_view_of_scores_that_nobody_keeps(device):
    x, y = scores_and_targets(device)
    F.cross_entropy((x * 1).reshape(2, 3, 24).flatten(0, 1), y).backward()
    close(x.grad, expected_gradient(x, y))


def test_cross_entropy_leaves_scores_alone_that_somebody_keeps(device):
    x, y = scores_and_targets(device)
    scores = x * 1
    flat = scores.view(3, 2, 24).flatten(0, 1)
    F.cross_entropy(flat, y).backward()
    assert norch.equal(scores, x)
    del scores
    assert norch.equal(flat, x)  # the view alone keeps them too
    again, part = x * 1, []
    part.append(again[0])
    loss = F.cross_entropy(again, y)
    del again
    loss.backward()
    assert norch.equal(part[0], x[0])


def test_cross_entropy_of_scores_that_another_op_saved(device):
    x, y = scores_and_targets(device)
    scores = x * 1
    loss = F.cross_entropy(scores, y) + (scores * scores).sum()
    del scores
    loss.backward()
    close(x.grad, expected_gradient(x, y) + 2 * x.detach().double())


def test_cross_entropy_of_a_graph_that_is_kept(device):
    x, y = scores_and_targets(device)
    loss = F.cross_entropy(x * 1, y, label_smoothing=0.1)
    first = norch.autograd.grad(loss, x, retain_graph=True)[0]
    second = norch.autograd.grad(loss, x, create_graph=True)[0]
    third = norch.autograd.grad(loss, x)[0]
    assert norch.equal(first, second) and norch.equal(first, third)


def test_cross_entropy_of_scores_behind_saving_hooks(device):
    kept = []

    def pack(t):
        kept.append(t)
        return len(kept) - 1

    x, y = scores_and_targets(device)
    with norch.autograd.graph.saved_tensors_hooks(pack, lambda i: kept[i]):
        loss = F.cross_entropy(x * 1, y)
    before = [t.clone() for t in kept]
    loss.backward()
    assert all(norch.equal(a, b) for a, b in zip(kept, before))
    close(x.grad, expected_gradient(x, y))


@pytest.mark.parametrize("inner", [(), (3,)])
def test_cross_entropy_gradient_of_ignored_and_infinite_rows(device, inner):
    x = norch.randn(4, 40, *inner, device=device)
    x[1] = -np.inf
    x[1, 3] = 0.0
    x[2, 5] = np.nan
    y = norch.full((4, *inner), 3, device=device)
    y[2] = -100
    x.requires_grad_()
    F.cross_entropy(x * 1, y).backward()
    assert norch.equal(x.grad[2], norch.zeros_like(x.grad[2]))  # ignored: NaN does not come through
    assert x.grad[1].abs().max().item() == 0 and np.isfinite(x.grad[0].cpu().numpy()).all()


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", [norch.float32, norch.bfloat16, norch.float16])
@pytest.mark.parametrize("classes", [1, 7, 64, 1000, 1032, 4099, 50304])
def test_cross_entropy_on_the_gpu(dtype, classes):
    x = (norch.randn(5, classes) * 20).to(dtype)
    y = norch.randint(0, classes, (5,))
    for smoothing in (0.0, 0.2):
        results = []
        for device in ("cpu", "cuda"):
            t = x.to(device, norch.float32 if device == "cpu" else dtype).detach().requires_grad_()
            loss = F.cross_entropy(t, y.to(device), label_smoothing=smoothing, reduction="sum")
            loss.backward()
            results.append((loss, t.grad))
        tolerance = {norch.float32: 3e-6, norch.bfloat16: 8e-3, norch.float16: 1e-3}[dtype]
        close(results[1][0], results[0][0], tolerance)
        close(results[1][1], results[0][1], tolerance)


# ---- gradients added to sums that are there


def residual(x, w, b):
    y = F.layer_norm(x, [x.shape[-1]], w, b)
    return x + norch.tanh(y) * 0.5


@pytest.mark.parametrize("n", [12, 768, 1001, 4104])
def test_layer_norm_on_a_residual_path(device, n):
    x = norch.randn(5, n, device=device, requires_grad=True)
    w, b = (norch.randn(n, device=device, requires_grad=True) for _ in range(2))
    g = norch.randn(5, n, device=device)
    z = x * 2
    fused = norch.autograd.grad(residual(residual(z, w, b), w, b), [x, w, b], g)
    apart = norch.autograd.grad(residual(residual(x * 2, w, b), w, b), [x, w, b], g, create_graph=True)
    for a, e in zip(fused, apart):
        close(a, e)
    # What is captured or hooked on the way is the whole gradient, and its own.
    z = x * 2
    seen = []
    z.register_hook(seen.append)
    out = residual(z, w, b)
    of_z = norch.autograd.grad(out, [z, x], g, retain_graph=True)
    close(of_z[0] * 2, of_z[1])
    assert norch.equal(seen[0], of_z[0])


def test_rms_norm_on_a_residual_path(device):
    x = norch.randn(7, 64, device=device, requires_grad=True)
    w = norch.randn(64, device=device, requires_grad=True)

    def f():
        z = x * 1
        return (z + F.rms_norm(z, [64], w)).square().sum()

    for a, e in zip(norch.autograd.grad(f(), [x, w]), norch.autograd.grad(f(), [x, w], create_graph=True)):
        close(a, e)


@pytest.mark.parametrize("padding", [None, 3])
def test_embedding_that_is_also_the_last_layer(device, padding):
    table = norch.randn(17, 12, device=device, requires_grad=True)
    index = norch.tensor([[1, 3, 16], [1, 1, 0]], device=device)

    def f(first, last):
        return F.linear(norch.tanh(F.embedding(index, first, padding_idx=padding)), last).square().sum()

    shared = norch.autograd.grad(f(table, table), table)[0]
    close(shared, sum(norch.autograd.grad(f(a, b), (a if a is table else b))[0] for a, b in ((table, table.detach()), (table.detach(), table))))
    close(shared, norch.autograd.grad(f(table, table), table, create_graph=True)[0])
    table.grad = norch.ones_like(table)
    f(table, table).backward()
    close(table.grad, shared + 1)


# ---- autocasting on the GPU


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", [norch.bfloat16, norch.float16])
def test_layer_norm_leaves_its_result_in_the_lower_dtype(dtype):
    x = norch.randn(9, 96, device="cuda", requires_grad=True)
    w, b = norch.randn(96, device="cuda"), norch.randn(96, device="cuda")
    m = norch.randn(32, 96, device="cuda", requires_grad=True)
    with norch.autocast("cuda", dtype):
        y = F.layer_norm(x, [96], w, b)
        assert y.dtype == norch.float32
        out = F.linear(y, m)
        assert norch.equal(out, F.linear(y.clone(), m)) and out.dtype == dtype
        assert norch.equal(F.linear(y, m), out)  # more than once
        y2 = y.detach().clone()
        with norch.no_grad():
            y.mul_(2)  # what was left is stale now
            assert norch.equal(F.linear(y, m), F.linear(y2 * 2, m))
    with norch.autocast("cuda", dtype), norch.inference_mode():
        assert norch.equal(F.linear(F.layer_norm(x, [96], w, b), m), out)


@pytest.mark.cuda
@pytest.mark.parametrize("n", [1100, 2048, 4096])
def test_layer_norm_of_wide_rows_has_gradients_from_the_lower_dtype(n):
    x = norch.randn(5, n, device="cuda", requires_grad=True)
    w, b = (norch.randn(n, device="cuda", requires_grad=True) for _ in range(2))
    m = norch.randn(8, n, device="cuda")
    with norch.autocast("cuda", norch.bfloat16):
        out = F.linear(F.layer_norm(x, [n], w, b), m)
    got = norch.autograd.grad(out.float().sum(), (x, w, b))
    g = m.bfloat16().float().sum(0).bfloat16().float().expand(5, n)
    want = norch.autograd.grad(F.layer_norm(x, [n], w, b), (x, w, b), g)
    for a, e in zip(got, want):
        assert norch.allclose(a, e, rtol=0.02, atol=0.02 * e.abs().max().item())


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.q, self.k, self.v = (nn.Linear(width, width) for _ in range(3))
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x):
        h = self.ln_1(x)
        x = x + norch.tanh(self.q(h)) * self.k(h) + self.v(h)
        return x + self.down(F.gelu(self.up(self.ln_2(x))))


@pytest.mark.cuda
@pytest.mark.parametrize("hooked", [False, True])
def test_blocks_under_autocast_have_the_gradients_of_float32(hooked):
    norch.manual_seed(0)
    model = nn.Sequential(Block(64), Block(64), nn.LayerNorm(64)).to("cuda")
    if hooked:  # hooks see gradients in their tensors' dtypes
        for module in model.modules():
            if isinstance(module, nn.LayerNorm):
                module.register_forward_hook(
                    lambda m, i, o: o.register_hook(lambda g: g if g.dtype == o.dtype else 1 / 0) and None
                )
    x = norch.randn(33, 64, device="cuda", requires_grad=True)
    results = []
    for enabled in (False, True):
        model.zero_grad()
        x.grad = None
        with norch.autocast("cuda", norch.bfloat16, enabled):
            loss = model(x * 1).square().mean()
        loss.backward()
        results.append([x.grad, *(p.grad for p in model.parameters())])
    for a, e in zip(results[1], results[0]):
        assert a.dtype == norch.float32
        close(a, e, 0.05)


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", [norch.bfloat16, norch.float16])
def test_sums_of_float32_and_a_16_bit_float(dtype):
    a, b = norch.randn(37, 24, device="cuda"), norch.randn(37, 24, device="cuda").to(dtype)
    for x, y in ((a, b), (b, a), (a, b[:1]), (a[:, :1], b), (a.t().contiguous().t(), b), (b[::2], a[::2]), (a[1:, 3:], b[1:, 3:])):
        out = x + y
        assert out.dtype == norch.float32 and norch.equal(out, x.float() + y.float())
        assert norch.equal(norch.add(x, y, alpha=2), norch.add(x.float(), y.float(), alpha=2))
    c = a.clone()
    c += b
    assert norch.equal(c, a + b.float())
    half = b.clone()
    half += a
    assert half.dtype == dtype and norch.equal(half, (a + b.float()).to(dtype))
    assert norch.equal(norch.add(a, b, out=norch.empty(37, 24, device="cuda")), a + b.float())
    assert norch.equal(a + b[0, 0], a + b[0, 0].item())
    shared = norch.randn(8, device="cuda")
    with pytest.raises(RuntimeError, match="single memory location"):
        shared.add_(shared.view(dtype)[:8])


# ---- parts of one tensor


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_gradients_of_parts_that_lie_side_by_side(device, dim):
    x = norch.randn(6, 9, 12, device=device, requires_grad=True)
    g = norch.randn(6, 9, 12, device=device)
    for split in (lambda t: t.split(3, dim), lambda t: t.split([2, t.shape[dim] - 2], dim), lambda t: t.chunk(2, dim)):
        x.grad = None
        y = norch.cat(split(x * 1), dim)
        y.backward(g)  # cat's gradients are parts of g
        assert norch.equal(x.grad, g)
        x.grad.zero_()
        assert g.abs().sum().item() > 0  # and not its memory
    y = norch.stack((x * 1).unbind(dim), dim)
    x.grad = None
    y.backward(g)
    assert norch.equal(x.grad, g)
    first, *rest = (x * 1).unbind(dim)
    x.grad = None
    norch.stack([*rest, first], dim).backward(g)  # in another order they are no such parts
    assert norch.equal(x.grad, norch.roll(g, 1, dim))
    twice = norch.autograd.grad((norch.cat((x * x).split(3, dim), dim) * g).sum(), x, create_graph=True)[0]
    assert norch.equal(norch.autograd.grad(twice.sum(), x)[0], 2 * g)


def parts_by_split(qkv, heads):
    return [t.unflatten(-1, (heads, -1)).transpose(1, 2) for t in qkv.split(qkv.shape[-1] // 3, -1)]


def parts_by_unbind(qkv, heads):
    return qkv.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)


def parts_apart(qkv, heads):
    return qkv.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4).contiguous().unbind(0)


def parts_of_fewer_keys(qkv, heads):
    """As many keys as an eighth of the width has room for."""
    q, k, v = qkv.split([qkv.shape[-1] // 2, qkv.shape[-1] // 4, qkv.shape[-1] // 4], -1)
    return [t.unflatten(-1, (-1, q.shape[-1] // heads)).transpose(1, 2) for t in (q, k, v)]


@pytest.mark.parametrize("parts", [parts_by_split, parts_by_unbind, parts_apart, parts_of_fewer_keys])
@pytest.mark.parametrize("dtype", [norch.float32, norch.bfloat16])
def test_attention_of_the_parts_of_one_product(device, dtype, parts):
    heads, width = 2, 96 if parts is not parts_of_fewer_keys else 128
    x = norch.randn(2, 37, width, device=device).to(dtype).requires_grad_()

    def attend(tensors):
        out = F.scaled_dot_product_attention(*tensors, is_causal=True, enable_gqa=parts is parts_of_fewer_keys)
        return out.transpose(1, 2).flatten(2)

    out = attend(parts(x * 1, heads))
    g = norch.randn(*out.shape, device=device).to(dtype)
    joined = norch.autograd.grad(out, x, g)[0]
    apart = norch.autograd.grad(attend([t.clone() for t in parts(x * 1, heads)]), x, g)[0]
    assert joined.is_contiguous()
    close(joined, apart, 2e-2 if dtype == norch.bfloat16 else 1e-5)  # other strides may have another plan of a library
