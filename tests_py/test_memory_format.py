"""Memory formats: in which order the dims of a tensor lie."""

import copy
import pickle

import numpy as np
import pytest

import norch
from norch import nn
from norch.nn import functional as F


def image(device="cpu", shape=(2, 3, 4, 5)):
    return norch.from_numpy(np.random.randn(*shape).astype(np.float32)).to(device)


def test_names():
    assert str(norch.channels_last) == repr(norch.channels_last) == "norch.channels_last"
    assert isinstance(norch.preserve_format, norch.memory_format)
    assert pickle.loads(pickle.dumps(norch.channels_last)) is norch.channels_last
    assert copy.deepcopy(norch.contiguous_format) is norch.contiguous_format


def test_contiguous(device):
    x = image(device)
    y = x.contiguous(memory_format=norch.channels_last)
    assert y.stride() == (60, 1, 15, 3) and (y == x).all()
    assert y.is_contiguous(memory_format=norch.channels_last) and not y.is_contiguous()
    assert not x.is_contiguous(memory_format=norch.channels_last)
    assert y.contiguous(memory_format=norch.channels_last) is y
    assert y.contiguous().stride() == (60, 20, 5, 1)
    z = image(device, (1, 2, 3, 4, 5)).contiguous(memory_format=norch.channels_last_3d)
    assert z.stride() == (120, 1, 40, 10, 2) and z.is_contiguous(memory_format=norch.channels_last_3d)
    assert not y.is_contiguous(memory_format=norch.channels_last_3d)


def test_copies_keep_the_order_of_dims(device):
    y = image(device).to(memory_format=norch.channels_last)
    for copied in (
        y.clone(),
        y.double(),
        y.to(norch.float16),
        y.to("cpu").to(device),
        norch.empty_like(y),
        norch.zeros_like(y, dtype=norch.int64),
        norch.full_like(y, 2),
        norch.rand_like(y),
        y + 1,
        y * y,
        y.relu(),
        y + y.contiguous(),
    ):
        assert copied.stride() == y.stride()
    assert y.clone(memory_format=norch.contiguous_format).is_contiguous()
    assert norch.empty_like(y, memory_format=norch.contiguous_format).is_contiguous()
    assert y.float() is y
    assert y.float(memory_format=norch.contiguous_format).is_contiguous()
    assert norch.empty(2, 3, 4, 5, memory_format=norch.channels_last).stride() == y.stride()
    turned = norch.zeros(2, 3, 4).permute(2, 0, 1)
    assert turned.clone().stride() == turned.stride()
    # Gaps are closed, the order stays.
    assert norch.zeros(4, 6)[:, ::2].t().clone().stride() == (1, 3)
    assert norch.zeros(3, 1).expand(3, 4).clone().stride() == (4, 1)


def test_gradient_passes(device):
    x = image(device).double().requires_grad_()
    y = x.contiguous(memory_format=norch.channels_last)
    (y * y).sum().backward()
    assert (x.grad == 2 * x).all()
    assert norch.autograd.gradcheck(lambda t: t.clone(memory_format=norch.channels_last) ** 2, (x,))


def test_ops_on_channels_last(device):
    x = image(device, (2, 4, 6, 5))
    y = x.to(memory_format=norch.channels_last)
    conv = nn.Conv2d(4, 3, 3, padding=1).to(device)
    wanted = conv(x)
    conv.to(memory_format=norch.channels_last)
    assert conv.weight.is_contiguous(memory_format=norch.channels_last)
    assert norch.allclose(conv(y), wanted, atol=1e-6)
    for f in (
        lambda t: F.max_pool2d(t, 2),
        lambda t: F.interpolate(t, 7, mode="bilinear"),
        lambda t: F.batch_norm(t, None, None, training=True),
        lambda t: t.softmax(1),
        lambda t: t.sum((1, 3)),
        lambda t: t.reshape(2, -1),
        lambda t: norch.cat([t, t], 1),
    ):
        assert norch.allclose(f(y), f(x), atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(4, 3, 5, 6), (4, 3, 2, 5, 3), (4, 3, 1, 1), (1, 3, 5, 6)])
def test_batch_norm_keeps_the_order_of_dims(device, training, shape):
    last = norch.channels_last if len(shape) == 4 else norch.channels_last_3d
    m = (nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm3d)(3).to(device).train(training)
    nn.init.normal_(m.weight)
    nn.init.normal_(m.bias)
    results = []
    x0, g = image(device, shape), image(device, shape)
    for order in (norch.contiguous_format, last):
        x = x0.clone(memory_format=order).requires_grad_()
        m.zero_grad()
        m.reset_running_stats()
        y = m(x)
        y.backward(g)
        results.append([y, x.grad, m.weight.grad, m.bias.grad, m.running_mean.clone(), m.running_var.clone()])
        assert y.is_contiguous(memory_format=order) and x.grad.is_contiguous(memory_format=order)
    for a, b in zip(*results):
        norch.testing.assert_close(a, b, check_stride=False)


def test_gradient_lies_like_its_leaf(device):
    w = image(device).to(memory_format=norch.channels_last).requires_grad_()
    (w.contiguous() * 2).sum().backward()
    assert w.grad.stride() == w.stride() and (w.grad == 2).all()
    turned = norch.randn(3, 4, device=device).t().requires_grad_()
    (turned @ norch.ones(3, 1, device=device)).sum().backward()
    assert turned.grad.stride() == turned.stride()


@pytest.mark.parametrize("make", ["SGD", "AdamW", "RMSprop", "Adagrad", "Adadelta", "NAdam"])
def test_optimizers_on_any_order_of_dims(device, make):
    """Parameter, gradient and state in orders of their own; the values are those of row-major ones."""
    options = {"momentum": 0.9} if make in ("SGD", "RMSprop") else {}
    start, steps = image(device), [image(device) for _ in range(4)]
    ends = []
    for order in (norch.contiguous_format, norch.channels_last):
        p = start.clone(memory_format=order).requires_grad_()
        optimizer = getattr(norch.optim, make)([p], lr=0.1, **options)
        for i, g in enumerate(steps):
            p.grad = g.clone(memory_format=order if i % 2 else norch.contiguous_format)
            nn.utils.clip_grad_norm_([p], 2.0)
            optimizer.step()
            if i == 1:  # state of another order, as a checkpoint may bring it
                optimizer.load_state_dict(optimizer.state_dict())
                for name, t in optimizer.state[p].items():
                    if isinstance(t, norch.Tensor) and t.dim() == 4:
                        optimizer.state[p][name] = t.contiguous()
        assert p.is_contiguous(memory_format=order)
        ends.append(p)
    norch.testing.assert_close(*ends, check_stride=False)


def test_errors():
    x = norch.zeros(2, 3)
    with pytest.raises(RuntimeError, match="required rank 4 tensor to use channels_last format"):
        x.contiguous(memory_format=norch.channels_last)
    with pytest.raises(RuntimeError, match="required rank 5 tensor to use channels_last_3d format"):
        norch.empty_like(x, memory_format=norch.channels_last_3d)
    with pytest.raises(RuntimeError, match="preserve_format"):
        x.is_contiguous(memory_format=norch.preserve_format)
    with pytest.raises(RuntimeError, match="preserve_format"):
        norch.empty(2, 3, memory_format=norch.preserve_format)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3, 2, 4, 5)])
def test_joining_padding_and_flipping_keep_the_format(device, shape):
    wanted = norch.channels_last if len(shape) == 4 else norch.channels_last_3d
    x = image(device, shape)
    y = x.contiguous(memory_format=wanted)
    for dim in range(len(shape)):
        joined = norch.cat([y, y * 2, y[:, :, :0] if dim == 2 else y], dim)
        assert joined.is_contiguous(memory_format=wanted)
        assert (joined == norch.cat([x, x * 2, x[:, :, :0] if dim == 2 else x], dim)).all()
        assert norch.cat([y, x], dim).is_contiguous()
        assert (norch.cat([y, x], dim) == norch.cat([x, x], dim)).all()
        assert y.flip(dim).stride() == y.stride() and (y.flip(dim) == x.flip(dim)).all()
    assert (norch.cat([y, y.double()], 1) == norch.cat([x, x.double()], 1)).all()
    assert norch.cat([y, y.double()], 1).is_contiguous(memory_format=wanted)
    for pads in ((1, 2, 0, 1), (-1, 1, 2, -1), (0, 0, 0, 0, 1, 2)):
        padded = F.pad(y, pads, value=7.0)
        assert padded.is_contiguous(memory_format=wanted) and (padded == F.pad(x, pads, value=7.0)).all()


def test_gradients_lie_as_their_leaves(device):
    for make in (lambda t: t, lambda t: t.contiguous(memory_format=norch.channels_last), lambda t: t.permute(1, 0, 3, 2)):
        leaf = make(image(device)).requires_grad_()
        for function in (lambda t: t.exp(), lambda t: t.sum(1), lambda t: norch.cat([t, t], 1), lambda t: t.transpose(1, 2) * 2):
            leaf.grad = None
            function(leaf).sum().backward()
            assert leaf.grad.stride() == leaf.stride()
            twin = leaf.detach().contiguous().requires_grad_()
            function(twin).sum().backward()
            assert norch.allclose(leaf.grad, twin.grad) and twin.grad.is_contiguous()
            leaf.grad = None
            function(leaf).sum().backward(create_graph=True)
            assert leaf.grad.stride() == leaf.stride()
            leaf.grad = None
    row = image(device, (1, 3)).requires_grad_()
    row.expand(4, 3).sum().backward()
    assert row.grad.tolist() == [[4.0] * 3]
    gaps = norch.zeros(4, 6, device=device)[:, ::2].requires_grad_()
    (gaps * 2).sum().backward()
    assert gaps.grad.is_contiguous() and (gaps.grad == 2).all()


def test_transposed_sequences_lie_as_in_pytorch():
    """Programs transpose (N, L, C) for a layer, and take views of the result, or of that transposed again."""
    x = norch.randn(2, 5, 6).permute(0, 2, 1)
    for layer in (norch.nn.BatchNorm1d(6), norch.nn.BatchNorm1d(6).eval(), norch.nn.InstanceNorm1d(6), norch.nn.GroupNorm(2, 6)):
        out = layer(x)
        assert out.is_contiguous() and norch.allclose(out, layer(x.contiguous()), atol=1e-6)
    assert x.masked_fill(x > 0, 1.0).is_contiguous() and x.masked_fill(norch.ones(5, dtype=norch.bool), 1.0).is_contiguous()
    F = norch.nn.functional
    for pool in (lambda t: F.avg_pool1d(t, 3, 1, 1), lambda t: F.adaptive_avg_pool1d(t, 2), lambda t: F.max_pool1d(t, 2)):
        a = x.detach().requires_grad_()
        b = x.contiguous().detach().requires_grad_()
        ours, row_major = pool(a), pool(b)
        assert ours.transpose(1, 2).is_contiguous() and row_major.is_contiguous() and norch.allclose(ours, row_major)
        ours.square().sum().backward()
        row_major.square().sum().backward()
        assert norch.allclose(a.grad, b.grad)  # sums in another order
    assert F.mse_loss(x, norch.zeros(2, 6, 5), reduction="none").stride() == x.stride()


@pytest.mark.parametrize("equation", ["ij,jk->ki", "bij,bjk->bki", "ecd,bnec->bnd", "besd,bnes->bnd", "bnd,bsd->bsn", "aij,ajk->aki"])
def test_einsum_gives_row_major_results(equation):
    """Where a result's first dim that one operand has alone is the second operand's, as PyTorch does."""
    sizes = dict(a=1, b=2, e=3, s=4, d=5, n=6, i=4, j=6, k=3, c=5)
    terms, result = equation.split("->")
    operands = [norch.randn([sizes[letter] for letter in term]) for term in terms.split(",")]
    out = norch.einsum(equation, *operands)
    assert out.is_contiguous()
    assert np.allclose(out.numpy(), np.einsum(equation, *[t.numpy() for t in operands]), atol=1e-5)


def test_the_first_operand_decides_how_a_result_lies():
    x = norch.randn(2, 5, 6).transpose(1, 2)  # (2, 6, 5)
    bias = norch.randn(6, 5)
    assert (bias + x).is_contiguous() and (x + bias).stride() == x.stride() == (30, 1, 6)
    assert (bias.t().contiguous().t() + x.contiguous()).stride() == (30, 1, 6)
    image = norch.randn(2, 6, 4, 4).to(memory_format=norch.channels_last)
    assert (image[:, :3] * 2).is_contiguous(memory_format=norch.channels_last)
    assert (norch.zeros(1).expand(2, 6, 5) + x).stride() == x.stride()
    assert norch.where(x > 0, bias, x).stride() == x.stride() and norch.maximum(bias, x).is_contiguous()
