"""Images whose channels are innermost: every layer keeps them so, with the numbers of row-major ones."""

import numpy as np
import pytest

import norch
from norch import nn
from norch.nn import functional as F

LAST, ROWS = norch.channels_last, norch.contiguous_format


def image(shape, order=ROWS, device="cpu", dtype=norch.float32, seed=0):
    array = np.random.default_rng(seed).standard_normal(shape)
    return norch.from_numpy(array).to(device, dtype).to(memory_format=order)


def gradients(f, inputs, order, device, dtype):
    """f's result and its gradients by the inputs, whose own order is `order`; f's result has a gradient of that order."""
    inputs = [t.to(device, dtype).clone(memory_format=order if t.dim() == 4 else ROWS).requires_grad_() for t in inputs]
    y = f(*inputs)
    g = image(tuple(y.shape), order, device, dtype, seed=9)
    return [y, *norch.autograd.grad(y, inputs, g)]


def strides(shape, order):
    return norch.empty(shape, memory_format=order).stride()


TOLERANCE = {norch.float64: 1e-11, norch.float32: 2e-5, norch.float16: 4e-3, norch.bfloat16: 3e-2}


def agree(f, inputs, device, dtype, exact_order=True):
    """f on channels-last inputs gives channels-last results and gradients, within rounding those of row-major float64."""
    inputs = [t.to(dtype).double() for t in inputs]
    wanted = gradients(f, inputs, ROWS, "cpu", norch.float64)
    found = gradients(f, inputs, LAST, device, dtype)
    for a, b in zip(found, wanted):
        assert a.dtype == dtype and tuple(a.shape) == tuple(b.shape)
        if a.dim() == 4 and exact_order:
            assert a.stride() == strides(tuple(a.shape), LAST)
        error = (a.detach().cpu().double() - b.detach()).abs().max().item()
        assert error <= TOLERANCE[dtype] * max(1.0, b.detach().abs().max().item())


CONVOLUTIONS = [  # (n, c_in, c_out, size, kernel, options)
    (2, 4, 6, (7, 5), 3, {"padding": 1}),
    (2, 40, 5, (6, 9), 3, {"padding": 1, "stride": 2}),
    (2, 8, 16, (5, 4), 1, {}),
    (3, 4, 8, (8, 8), 1, {"stride": 2}),
    (2, 3, 8, (12, 12), 7, {"padding": 3, "stride": 2}),
    (2, 36, 4, (9, 9), 3, {"padding": 2, "dilation": 2}),
    (2, 6, 6, (6, 6), 3, {"padding": 1, "groups": 6}),
    (2, 6, 4, (6, 7), (3, 2), {"stride": (2, 1), "groups": 2}),
    (1, 33, 2, (3, 3), 3, {}),
    (1, 4, 6, (1, 1), 1, {}),
    (2, 1, 3, (5, 5), 2, {}),
]


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_convolutions(device, case, transposed):
    n, c_in, c_out, size, kernel, options = case
    kernel = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    groups = options.get("groups", 1)
    weight = (c_in, c_out // groups, *kernel) if transposed else (c_out, c_in // groups, *kernel)
    inputs = [image((n, c_in, *size)), image(weight, seed=1), image((c_out,), seed=2)]
    op = F.conv_transpose2d if transposed else F.conv2d
    agree(lambda x, w, b: op(x, w, b, **options), inputs, device, norch.float32)
    # On the GPU float64 is computed row-major, as in PyTorch.
    agree(lambda x, w, b: op(x, w, b, **options), inputs, device, norch.float64, exact_order=device == "cpu")


@pytest.mark.parametrize("dtype", [norch.float16, norch.bfloat16])
def test_short_floats(device, dtype):
    inputs = [image((2, 32, 6, 6)), image((8, 32, 3, 3), seed=1), image((8,), seed=2)]
    agree(lambda x, w, b: F.conv2d(x, w, b, padding=1), inputs, device, dtype)


def test_one_operand_decides(device):
    x, w = image((2, 4, 6, 6), device=device), image((8, 4, 3, 3), device=device)
    last = strides((2, 8, 4, 4), LAST)
    for a, b in ((x.to(memory_format=LAST), w), (x, w.to(memory_format=LAST))):
        a, b = a.requires_grad_(), b.requires_grad_()
        y = F.conv2d(a, b)
        assert y.stride() == last
        y.sum().backward()
        assert a.grad.stride() == a.stride() and b.grad.stride() == b.stride()
    assert F.conv2d(x, w).is_contiguous()
    # A kernel of one position is in whichever order its strides say.
    w = image((8, 4, 1, 1), device=device)
    assert F.conv2d(x, w).is_contiguous()
    assert w.to(memory_format=LAST).stride() == (4, 1, 4, 4)
    assert F.conv2d(x, w.to(memory_format=LAST)).stride() == strides((2, 8, 6, 6), LAST)
    conv = nn.Conv2d(4, 8, 1).to(device).to(memory_format=LAST)
    assert conv(x).stride() == strides((2, 8, 6, 6), LAST)


def test_volumes(device):
    x, w = image((2, 3, 4, 5, 6)), image((4, 3, 2, 2, 2), seed=1)
    last = x.to(device).to(memory_format=norch.channels_last_3d)
    for f in (
        lambda t: F.conv3d(t, w.to(t.device)),
        lambda t: F.max_pool3d(t, 2),
        lambda t: F.avg_pool3d(t, 2, padding=1),
        lambda t: F.adaptive_avg_pool3d(t, (2, 1, 3)),
        lambda t: F.interpolate(t, scale_factor=2),
        lambda t: F.group_norm(t, 3),
    ):
        y = f(last)
        assert y.is_contiguous(memory_format=norch.channels_last_3d) and not y.is_contiguous()
        norch.testing.assert_close(y.cpu(), f(x), check_stride=False, rtol=1e-5, atol=1e-5)


POOLS = {
    "max": lambda t: F.max_pool2d(t, 2),
    "max, overlapping": lambda t: F.max_pool2d(t, 3, 2, 1),
    "max, dilated": lambda t: F.max_pool2d(t, (2, 3), 1, (1, 0), dilation=(3, 1), ceil_mode=True),
    "average": lambda t: F.avg_pool2d(t, 2),
    "average, overlapping": lambda t: F.avg_pool2d(t, 3, 2, 1, ceil_mode=True, count_include_pad=False),
    "average of all": lambda t: F.adaptive_avg_pool2d(t, 1),
    "adaptive average": lambda t: F.adaptive_avg_pool2d(t, (3, 4)),
    "adaptive max": lambda t: F.adaptive_max_pool2d(t, (4, 2)),
    "nearest": lambda t: F.interpolate(t, scale_factor=2),
    "bilinear": lambda t: F.interpolate(t, (5, 11), mode="bilinear"),
    "bicubic": lambda t: F.interpolate(t, (9, 4), mode="bicubic"),
    "bilinear, antialiased": lambda t: F.interpolate(t, (3, 4), mode="bilinear", antialias=True),
    "group_norm": lambda t: F.group_norm(t, t.shape[1] // (4 if t.shape[1] % 4 == 0 else 1)),
}


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("shape", [(2, 8, 9, 7), (2, 5, 8, 8), (9, 1, 7, 7), (1, 132, 6, 7)], ids=str)
def test_pools_and_their_kin(device, name, shape):
    for dtype in (norch.float32, norch.bfloat16) if "bi" not in name else (norch.float32,):
        agree(POOLS[name], [image(shape)], device, dtype)


def test_shuffles(device):
    for f in (lambda t: F.pixel_shuffle(t, 2), lambda t: F.pixel_unshuffle(t, 2), lambda t: norch.channel_shuffle(t, 4)):
        agree(f, [image((2, 8, 4, 6))], device, norch.float32, exact_order=False)
        y = f(image((2, 8, 4, 6), LAST, device))
        assert y.stride() == strides(tuple(y.shape), LAST)
    one = image((3, 4, 1, 1), LAST, device)
    assert F.pixel_shuffle(one, 2).stride() == (4, 1, 2, 1)


def test_indices(device):
    x = image((2, 8, 7, 9), device=device)
    x[0, 0, 2, 2] = float("nan")
    last = x.to(memory_format=LAST)
    for f in (
        lambda t: F.max_pool2d(t, 3, 2, 1, return_indices=True),
        lambda t: F.adaptive_max_pool2d(t, (3, 2), return_indices=True),
    ):
        (y, i), (wanted, j) = f(last), f(x)
        assert i.dtype == norch.int64 and i.stride() == y.stride() == strides(tuple(y.shape), LAST)
        assert (i == j).all() and norch.equal(y.isnan(), wanted.isnan()) and norch.equal(y.nan_to_num(), wanted.nan_to_num())
    y, i = F.max_pool2d(last[:, :, :6, :8], 2, return_indices=True)
    assert (F.max_unpool2d(y, i, 2).nan_to_num() != 0).sum() > 0
    integers = (last.nan_to_num() * 10).to(norch.int32)
    assert (F.max_pool2d(integers, 2) == F.max_pool2d(integers.contiguous(), 2)).all()


@pytest.mark.parametrize(
    "shape", [(4, 8, 5, 6), (3, 7, 9, 4), (64, 24, 9, 9), (2, 300, 3, 3), (5, 16, 1, 1), (70, 1, 5, 5)], ids=str
)
def test_batch_norm(device, shape):
    channels = shape[1]
    w, b = 1 + 0.1 * image((channels,), seed=3), image((channels,), seed=4)
    for training in (True, False):
        for dtype in (norch.float32, norch.bfloat16, norch.float64):
            running = [image((channels,), seed=5).double(), image((channels,), seed=6).double().abs() + 0.5]

            def f(x, w, b):
                kept = [t.to(x.device, norch.promote_types(x.dtype, norch.float32)).clone() for t in running]
                y = F.batch_norm(x, *kept, w, b, training=training, momentum=0.3)
                ends.append([t.cpu().double() for t in kept])
                return y

            ends = []
            agree(f, [image(shape), w, b], device, dtype)
            for found, wanted in zip(ends[1], ends[0]):
                assert norch.allclose(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("order", [ROWS, LAST])
def test_batch_norm_far_from_zero(device, order):
    """The variance keeps its digits where the mean is a thousand times the deviation, and where a sample lies apart."""
    x = image((16, 8, 12, 12)) + 1000
    x[0, 0, 0, 0] = -3000.0
    y = F.batch_norm(x.to(device).to(memory_format=order), None, None, training=True).cpu()
    wanted = F.batch_norm(x.double(), None, None, training=True)
    assert (y.double() - wanted).abs().max() < 2e-3 * wanted.abs().max()


def test_networks(device):
    """Nothing between the layers of a residual network goes back to row-major, forward or backward."""
    from norch import autograd

    class Keep(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            assert x.stride() == strides(tuple(x.shape), LAST)
            return x.view_as(x)

        @staticmethod
        def backward(ctx, g):
            assert g.stride() == strides(tuple(g.shape), LAST)
            return g

    class Block(nn.Module):
        def __init__(self, c_in, c_out):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(c_in, c_out, 3, 2, 1, bias=False), nn.BatchNorm2d(c_out)
            self.conv2, self.bn2 = nn.Conv2d(c_out, c_out, 3, padding=1), nn.GroupNorm(2, c_out)
            self.short = nn.Conv2d(c_in, c_out, 1, 2)

        def forward(self, x):
            y = Keep.apply(F.relu(self.bn1(Keep.apply(self.conv1(Keep.apply(x)))), inplace=True))
            return F.relu(Keep.apply(self.bn2(self.conv2(y))) + Keep.apply(self.short(x)))

    stem = [nn.Conv2d(3, 8, 7, 2, 3), nn.MaxPool2d(3, 2, 1)]
    net = nn.Sequential(*stem, Block(8, 16), Block(16, 16), nn.Upsample(scale_factor=2))
    net.to(device).to(memory_format=LAST)
    x = image((2, 3, 64, 64), LAST, device)
    with norch.autocast(device, norch.bfloat16, enabled=device == "cuda"):
        y = net(x)
    assert y.stride() == strides(tuple(y.shape), LAST)
    y.square().mean().backward()
    for p in net.parameters():
        assert p.grad.stride() == p.stride()
