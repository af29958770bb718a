"""Boxes and building blocks."""

import numpy as np
import pytest

import norch
import norch.nn as nn
from norch.vision import ops

BOXES = [[0.0, 0, 10, 10], [1, 1, 11, 11], [0, 0, 10, 9], [20, 20, 30, 30], [5, 5, 5, 9]]


def test_forms_of_boxes():
    boxes = norch.tensor(BOXES)
    for form in ("xyxy", "xywh", "cxcywh"):
        for other in ("xyxy", "xywh", "cxcywh"):
            there = ops.box_convert(ops.box_convert(boxes, "xyxy", form), form, other)
            assert norch.allclose(ops.box_convert(there, other, "xyxy"), boxes)
    assert ops.box_convert(boxes[:1], "xyxy", "cxcywh").tolist() == [[5, 5, 10, 10]]
    with pytest.raises(ValueError, match="Unsupported Bounding Box Conversions"):
        ops.box_convert(boxes, "xyxy", "yxyx")


def test_areas_and_overlaps():
    boxes = norch.tensor(BOXES)
    assert ops.box_area(boxes).tolist() == [100, 100, 90, 100, 0]
    iou = ops.box_iou(boxes[:4], boxes[:4])
    assert norch.allclose(iou[0], norch.tensor([1, 81 / 119, 0.9, 0]))
    assert ops.box_area(norch.tensor([[0, 0, 200, 200]], dtype=norch.uint8)).tolist() == [40000]
    giou = ops.generalized_box_iou(boxes[:1], boxes[3:4])
    assert float(giou[0, 0]) == pytest.approx(-(900 - 200) / 900)


def plain_nms(boxes, scores, threshold):
    kept = []
    for i in np.argsort(-scores, kind="stable"):
        pairs = norch.from_numpy(boxes[[i]]), norch.from_numpy(boxes[kept].reshape(-1, 4))
        if not kept or float(ops.box_iou(*pairs).max()) <= threshold:
            kept.append(int(i))
    return kept


def test_nms(device):
    corner = np.random.rand(40, 2) * 20
    boxes = np.concatenate([corner, corner + 1 + np.random.rand(40, 2) * 10], 1)
    scores = np.random.rand(40)
    got = ops.nms(norch.from_numpy(boxes).to(device), norch.from_numpy(scores).to(device), 0.3)
    assert got.dtype == norch.int64 and got.tolist() == plain_nms(boxes, scores, 0.3)
    same = norch.tensor([[0.0, 0, 1, 1]] * 3)
    assert ops.nms(same, norch.tensor([0.1, 0.3, 0.2]), 0.5).tolist() == [1]
    assert ops.batched_nms(same, norch.tensor([0.1, 0.3, 0.2]), norch.tensor([0, 1, 0]), 0.5).tolist() == [1, 2]
    assert ops.nms(norch.zeros(0, 4), norch.zeros(0), 0.5).shape == (0,)
    with pytest.raises(RuntimeError, match="should be a tensor of shape"):
        ops.nms(norch.zeros(2, 3), norch.zeros(2), 0.5)
    with pytest.raises(RuntimeError, match="same number of elements"):
        ops.nms(norch.zeros(2, 4), norch.zeros(3), 0.5)


def test_other_box_functions():
    boxes = norch.tensor(BOXES)
    assert ops.remove_small_boxes(boxes, 1).tolist() == [0, 1, 2, 3]
    assert ops.clip_boxes_to_image(boxes, (9, 25))[3].tolist() == [20, 9, 25, 9]
    masks = norch.zeros(2, 5, 6)
    masks[0, 1:3, 2:5] = 1
    masks[1, 4, 0] = 1
    assert ops.masks_to_boxes(masks).tolist() == [[2, 1, 4, 2], [0, 4, 0, 4]]


def test_stochastic_depth():
    x = norch.ones(100, 2, 3)
    rows = ops.stochastic_depth(x, 0.25, "row")
    kept = rows[:, 0, 0]
    assert norch.equal(rows, kept.view(-1, 1, 1).expand(x.shape))
    assert set(kept.tolist()) == {0.0, float(norch.tensor(1 / 0.75))}
    assert len(ops.stochastic_depth(x, 0.5, "batch").unique()) == 1
    assert ops.stochastic_depth(x, 0.5, "row", training=False) is x
    assert ops.stochastic_depth(x, 1.0, "row").abs().max() == 0
    assert repr(ops.StochasticDepth(0.2, "row")) == "StochasticDepth(p=0.2, mode=row)"
    with pytest.raises(ValueError, match="drop probability has to be between 0 and 1"):
        ops.stochastic_depth(x, 1.5, "row")
    with pytest.raises(ValueError, match="mode has to be either"):
        ops.stochastic_depth(x, 0.5, "column")


def test_blocks():
    conv = ops.Conv2dNormActivation(3, 4, kernel_size=(3, 5), stride=2, dilation=2)
    assert conv[0].padding == (2, 4) and conv[0].bias is None and conv.out_channels == 4
    assert [type(m) for m in conv] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
    assert ops.Conv2dNormActivation(3, 4, norm_layer=None, activation_layer=None)[0].bias is not None
    assert ops.Conv3dNormActivation(2, 3)(norch.randn(2, 2, 4, 4, 4)).shape == (2, 3, 4, 4, 4)
    mlp = ops.MLP(4, [8, 2], norm_layer=nn.LayerNorm, dropout=0.1)
    assert [type(m).__name__ for m in mlp] == ["Linear", "LayerNorm", "ReLU", "Dropout", "Linear", "Dropout"]
    assert ops.SqueezeExcitation(4, 2)(norch.ones(1, 4, 3, 3)).shape == (1, 4, 3, 3)
    assert ops.Permute([1, 0])(norch.zeros(2, 3)).shape == (3, 2)


def test_frozen_batch_norm():
    norm = nn.BatchNorm2d(3).eval()
    norm.running_mean.copy_(norch.randn(3))
    norm.running_var.copy_(norch.rand(3) + 0.5)
    frozen = ops.FrozenBatchNorm2d(3)
    frozen.load_state_dict(norm.state_dict())
    x = norch.randn(2, 3, 4, 4)
    assert norch.allclose(frozen(x), norm(x), atol=1e-6) and not list(frozen.parameters())
    assert repr(frozen) == "FrozenBatchNorm2d(3, eps=1e-05)"


def test_focal_loss():
    x, target = norch.randn(8), (norch.rand(8) > 0.5).float()
    p = norch.sigmoid(x)
    p_t = norch.where(target == 1, p, 1 - p)
    alpha_t = norch.where(target == 1, 0.25, 0.75)
    expected = -alpha_t * (1 - p_t) ** 2 * p_t.log()
    assert norch.allclose(ops.sigmoid_focal_loss(x, target), expected, rtol=1e-4, atol=1e-6)
    assert norch.allclose(ops.sigmoid_focal_loss(x, target, reduction="mean"), expected.mean(), rtol=1e-4)
    with pytest.raises(ValueError, match="Supported reduction modes"):
        ops.sigmoid_focal_loss(x, target, reduction="max")


def plain_roi_align(x, row, size, scale, ratio, aligned):
    """One box at a time, one point at a time."""
    channels, height, width = x.shape[1:]
    x1, y1, x2, y2 = row[1:] * scale - (0.5 if aligned else 0)
    w, h = x2 - x1, y2 - y1
    if not aligned:
        w, h = max(w, 1.0), max(h, 1.0)
    bin_h, bin_w = h / size[0], w / size[1]
    n_h, n_w = (ratio, ratio) if ratio > 0 else (int(np.ceil(bin_h)), int(np.ceil(bin_w)))
    out = np.zeros((channels, *size))
    for i, j, a, b in np.ndindex(*size, n_h, n_w):
        y, c = y1 + (i + (a + 0.5) / n_h) * bin_h, x1 + (j + (b + 0.5) / n_w) * bin_w
        if -1 <= y <= height and -1 <= c <= width:
            y, c = min(max(y, 0), height - 1), min(max(c, 0), width - 1)
            y0, c0 = int(y), int(c)
            near, far = min(y0 + 1, height - 1), min(c0 + 1, width - 1)
            image = x[int(row[0])]
            above = image[:, y0, c0] * (1 - (c - c0)) + image[:, y0, far] * (c - c0)
            below = image[:, near, c0] * (1 - (c - c0)) + image[:, near, far] * (c - c0)
            out[:, i, j] += (above * (1 - (y - y0)) + below * (y - y0)) / (n_h * n_w)
    return out


@pytest.mark.parametrize("ratio", [-1, 2])
@pytest.mark.parametrize("aligned", [False, True])
def test_roi_align(ratio, aligned, device):
    x = np.random.randn(2, 3, 8, 9)
    corners = np.random.rand(6, 2) * 16 - 3
    rows = np.concatenate([np.random.randint(0, 2, (6, 1)), corners, corners + 0.2 + np.random.rand(6, 2) * 12], 1)
    got = ops.roi_align(
        norch.from_numpy(x).to(device), norch.from_numpy(rows).to(device), (2, 3), 0.5, ratio, aligned
    )
    expected = np.stack([plain_roi_align(x, row, (2, 3), 0.5, ratio, aligned) for row in rows])
    np.testing.assert_allclose(got.cpu().numpy(), expected, atol=1e-12)


def test_roi_align_of_lists_and_gradients():
    x = norch.randn(2, 2, 5, 5, dtype=norch.float64, requires_grad=True)
    boxes = [norch.tensor([[0.0, 0, 3, 4]]), norch.zeros(0, 4)]
    assert norch.autograd.gradcheck(lambda x: ops.roi_align(x, boxes, 2, sampling_ratio=2), (x,))
    module = ops.RoIAlign(2, 1.0, 2)
    assert module(x, boxes).shape == (1, 2, 2, 2)
    assert repr(module) == "RoIAlign(output_size=2, spatial_scale=1.0, sampling_ratio=2, aligned=False)"
    with pytest.raises(AssertionError, match=r"not correct as Tensor\[K, 5\]"):
        ops.roi_align(x, norch.zeros(2, 4), 2)
