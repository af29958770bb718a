"""Regions, pyramids, moved convolutions and losses of boxes."""

import math

import numpy as np
import pytest

import norch
import norch.nn.functional as F
from norch.vision import ops


def plain_roi_pool(x, row, size, scale):
    image, *corners = row
    x1, y1, x2, y2 = (math.floor(abs(v) * scale + 0.5) * (1 if v >= 0 else -1) for v in corners)
    height, width = max(y2 - y1 + 1, 1), max(x2 - x1 + 1, 1)
    out = np.zeros((x.shape[1], size, size))
    for i in range(size):
        for j in range(size):
            top, bottom = y1 + math.floor(i * height / size), y1 + math.ceil((i + 1) * height / size)
            left, right = x1 + math.floor(j * width / size), x1 + math.ceil((j + 1) * width / size)
            part = x[int(image), :, max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
            if part.size:
                out[:, i, j] = part.max((1, 2))
    return out


def test_roi_pool():
    rows = [[0.0, 1, 2, 9, 11], [1, 0, 0, 30, 40], [1, -9, -3, 7, 5], [0, 5, 5, 5, 5], [0, 60, 60, 70, 70]]
    x = norch.randn(2, 3, 16, 20, dtype=norch.float64, requires_grad=True)
    out = ops.roi_pool(x, norch.tensor(rows), 4, 0.5)
    expected = np.stack([plain_roi_pool(x.detach().numpy(), row, 4, 0.5) for row in rows])
    np.testing.assert_array_equal(out.detach().numpy(), expected)
    assert norch.autograd.gradcheck(lambda x: ops.roi_pool(x, norch.tensor(rows[:3]), 2, 0.5), (x,))
    boxes = [norch.tensor([[1.0, 2, 9, 11]]), norch.zeros(0, 4)]
    assert norch.equal(ops.RoIPool(4, 0.5)(x, boxes), out[:1])
    assert ops.roi_pool(x, norch.zeros(0, 5), (2, 3)).shape == (0, 3, 2, 3)
    assert repr(ops.RoIPool(7, 0.5)) == "RoIPool(output_size=7, spatial_scale=0.5)"


def test_deform_conv2d_without_offsets_is_conv2d():
    x = norch.randn(2, 4, 9, 8, dtype=norch.float64)
    conv = norch.nn.Conv2d(4, 6, (3, 2), stride=2, padding=(2, 1), dilation=(2, 1), groups=2, dtype=norch.float64)
    expected = conv(x)
    offset = norch.zeros(2, 2 * 2 * 6, *expected.shape[2:], dtype=norch.float64)
    args = (conv.weight, conv.bias, conv.stride, conv.padding, conv.dilation)
    norch.testing.assert_close(ops.deform_conv2d(x, offset, *args), expected)
    half = norch.full((2, 2 * 6, *expected.shape[2:]), 0.5, dtype=norch.float64)
    plain = expected - conv.bias.reshape(1, -1, 1, 1)
    masked = ops.deform_conv2d(x, offset, conv.weight, None, *args[2:], mask=half)
    norch.testing.assert_close(masked, plain / 2)


def test_deform_conv2d_moves_taps():
    x = norch.randn(1, 2, 6, 7, dtype=norch.float64)
    offset = norch.zeros(1, 4, 6, 7, dtype=norch.float64)
    offset[:, 0], offset[:, 3] = 1, -2  # the first channel one row further down, the second two columns to the left
    moved = ops.deform_conv2d(x, offset, norch.ones(1, 2, 1, 1, dtype=norch.float64))[0, 0]
    down, left = norch.zeros(6, 7, dtype=norch.float64), norch.zeros(6, 7, dtype=norch.float64)
    down[:5], left[:, 2:] = x[0, 0, 1:], x[0, 1, :, :5]
    norch.testing.assert_close(moved, down + left)


def test_gradients_and_errors_of_deform_conv2d():
    made = norch.Generator().manual_seed(3)
    x, offset, weight, mask = (
        norch.randn(*shape, dtype=norch.float64, generator=made).requires_grad_()
        for shape in ((1, 2, 4, 4), (1, 8, 3, 3), (2, 2, 2, 2), (1, 4, 3, 3))
    )
    assert norch.autograd.gradcheck(lambda x, o, w, m: ops.deform_conv2d(x, o, w, mask=m), (x, offset, weight, mask))
    with pytest.raises(RuntimeError, match="expected offset of shape"):
        ops.deform_conv2d(x, offset[:, :, :2], weight)
    with pytest.raises(RuntimeError, match="multiple of 2"):
        ops.deform_conv2d(x, offset[:, :4], weight)
    module = ops.DeformConv2d(4, 6, 3, stride=2, padding=1, groups=2, bias=False)
    assert repr(module) == "DeformConv2d(4, 6, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), groups=2, bias=False)"
    assert module(norch.randn(1, 4, 6, 6), norch.zeros(1, 18, 3, 3)).shape == (1, 6, 3, 3)


def test_feature_pyramids():
    pyramid = ops.FeaturePyramidNetwork([4, 8], 5, extra_blocks=ops.feature_pyramid_network.LastLevelMaxPool())
    assert [k for k in pyramid.state_dict() if k.endswith("weight")] == [
        "inner_blocks.0.0.weight",
        "inner_blocks.1.0.weight",
        "layer_blocks.0.0.weight",
        "layer_blocks.1.0.weight",
    ]
    features = {"a": norch.randn(1, 4, 8, 8), "b": norch.randn(1, 8, 4, 4)}
    out = pyramid(features)
    assert {k: tuple(v.shape) for k, v in out.items()} == {"a": (1, 5, 8, 8), "b": (1, 5, 4, 4), "pool": (1, 5, 2, 2)}
    top = pyramid.inner_blocks[1](features["b"])
    inner = pyramid.inner_blocks[0](features["a"]) + F.interpolate(top, scale_factor=2)
    norch.testing.assert_close(out["a"], pyramid.layer_blocks[0](inner))
    old = {k.replace(".0.weight", ".weight").replace(".0.bias", ".bias"): v for k, v in pyramid.state_dict().items()}
    assert not pyramid.load_state_dict(old).missing_keys  # files of before the blocks had norms
    more = ops.FeaturePyramidNetwork([4, 8], 5, ops.feature_pyramid_network.LastLevelP6P7(5, 5))
    assert list(more(features)) == ["a", "b", "p6", "p7"]
    with pytest.raises(TypeError, match="ExtraFPNBlock"):
        ops.FeaturePyramidNetwork([4], 5, extra_blocks=norch.nn.ReLU())


def test_regions_of_pyramids():
    pool = ops.MultiScaleRoIAlign(["0", "1"], 3, 2, canonical_scale=32, canonical_level=2)
    features = {"0": norch.randn(2, 4, 16, 16), "1": norch.randn(2, 4, 8, 8), "other": norch.randn(1)}
    boxes = [norch.tensor([[0.0, 0, 64, 64], [0, 0, 8, 8]]), norch.tensor([[4.0, 4, 24, 24]])]
    out = pool(features, boxes, [(64, 64), (60, 50)])
    first = ops.roi_align(features["1"], [boxes[0][:1], boxes[1][:0]], 3, 0.125, 2)
    rest = ops.roi_align(features["0"], [boxes[0][1:], boxes[1]], 3, 0.25, 2)
    norch.testing.assert_close(out, norch.cat([first, rest]))
    assert repr(pool).startswith("MultiScaleRoIAlign(featmap_names=['0', '1'], output_size=(3, 3)")


def test_losses_of_boxes():
    a = norch.tensor([[0.0, 0, 2, 2], [0, 0, 4, 2], [0, 0, 1, 1]], dtype=norch.float64, requires_grad=True)
    b = norch.tensor([[1.0, 0, 3, 2], [0, 0, 4, 2], [2, 2, 4, 3]], dtype=norch.float64)
    iou = norch.tensor([1 / 3, 1, 0], dtype=norch.float64)
    distance = norch.tensor([1 / 13, 0, (2.5**2 + 2**2) / 25], dtype=norch.float64)
    norch.testing.assert_close(ops.generalized_box_iou_loss(a, b).detach()[:2], 1 - iou[:2], atol=1e-6, rtol=0)
    norch.testing.assert_close(ops.distance_box_iou_loss(a, b).detach(), 1 - iou + distance, atol=1e-6, rtol=0)
    norch.testing.assert_close(ops.distance_box_iou(a, b).diagonal().detach(), iou - distance, atol=1e-6, rtol=0)
    v = 4 / math.pi**2 * (math.atan(2) - math.atan(1)) ** 2
    complete = 1 + distance[2] + v * v / (1 + v)
    assert float(ops.complete_box_iou_loss(a, b)[2]) == pytest.approx(float(complete), abs=1e-6)
    assert float(ops.complete_box_iou(a, b)[2, 2]) == pytest.approx(1 - float(complete), abs=1e-6)
    assert norch.autograd.gradcheck(lambda a: ops.generalized_box_iou_loss(a, b, reduction="sum"), (a,))
    assert float(ops.distance_box_iou_loss(a[:0], b[:0], reduction="mean")) == 0
    with pytest.raises(ValueError, match="reduction"):
        ops.distance_box_iou_loss(a, b, reduction="max")


def test_dropped_blocks():
    norch.manual_seed(5)
    for dims, drop in ((2, ops.drop_block2d), (3, ops.drop_block3d)):
        x = norch.ones(4, 3, *[12] * dims)
        out = drop(x, 0.2, 3)
        assert 0.05 < float((out == 0).float().mean()) < 0.4 and float(out.mean()) == pytest.approx(1, abs=1e-4)
        assert drop(x, 0.2, 3, training=False) is x and drop(x, 0.0, 3) is x
    x = norch.ones(2, 2, 6, 6)
    module = ops.DropBlock2d(0.3, 2, inplace=True)
    assert module(x) is x and module.eval()(x) is x
    assert repr(module) == "DropBlock2d(p=0.3, block_size=2, inplace=True)"
    with pytest.raises(ValueError, match="between 0 and 1"):
        ops.drop_block2d(x, 1.5, 2)
    with pytest.raises(ValueError, match="should be 5 dimensional"):
        ops.drop_block3d(x, 0.5, 2)
