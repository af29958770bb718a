"""Boxes: tensors [N, 4] of corners (x1, y1, x2, y2)."""

from __future__ import annotations

import math

import norch
from norch._C import Tensor

__all__ = [
    "batched_nms",
    "box_area",
    "box_convert",
    "box_iou",
    "clip_boxes_to_image",
    "complete_box_iou",
    "distance_box_iou",
    "generalized_box_iou",
    "masks_to_boxes",
    "nms",
    "remove_small_boxes",
]


def box_convert(boxes: Tensor, in_fmt: str, out_fmt: str) -> Tensor:
    """The boxes in another form: "xyxy" (two corners), "xywh" (corner and size) or "cxcywh" (centre and size).

    >>> from norch.vision.ops import box_convert
    >>> box_convert(norch.tensor([[1, 2, 3, 6]]), "xyxy", "xywh")
    tensor([[1, 2, 2, 4]])
    """
    known = ("xyxy", "xywh", "cxcywh")
    if in_fmt not in known or out_fmt not in known:
        raise ValueError(f"Unsupported Bounding Box Conversions for given in_fmt {in_fmt} and out_fmt {out_fmt}")
    if in_fmt == out_fmt:
        return boxes.clone()
    a, b, c, d = boxes.unbind(-1)
    if in_fmt == "xywh":
        a, b, c, d = a, b, a + c, b + d
    elif in_fmt == "cxcywh":
        a, b, c, d = a - 0.5 * c, b - 0.5 * d, a + 0.5 * c, b + 0.5 * d
    if out_fmt == "xywh":
        a, b, c, d = a, b, c - a, d - b
    elif out_fmt == "cxcywh":
        a, b, c, d = (a + c) / 2, (b + d) / 2, c - a, d - b
    return norch.stack((a, b, c, d), dim=-1)


def _wide(t: Tensor) -> Tensor:
    """In a dtype in which products of coordinates do not overflow."""
    if t.is_floating_point():
        return t if t.dtype in (norch.float32, norch.float64) else t.float()
    return t if t.dtype in (norch.int32, norch.int64) else t.int()


def box_area(boxes: Tensor) -> Tensor:
    """The areas [N] of the boxes."""
    boxes = _wide(boxes)
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def _intersection_and_union(boxes1: Tensor, boxes2: Tensor) -> tuple[Tensor, Tensor]:
    top_left = norch.maximum(boxes1[:, None, :2], boxes2[None, :, :2])
    bottom_right = norch.minimum(boxes1[:, None, 2:], boxes2[None, :, 2:])
    sides = _wide(bottom_right - top_left).clamp(min=0)
    intersection = sides[..., 0] * sides[..., 1]
    return intersection, box_area(boxes1)[:, None] + box_area(boxes2) - intersection


def box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """[N, M]: the area in both boxes divided by the area in either."""
    intersection, union = _intersection_and_union(boxes1, boxes2)
    return intersection / union


def generalized_box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """[N, M]: `box_iou` less the part of the smallest box around both that is in neither (Rezatofighi et al., 2019)."""
    intersection, union = _intersection_and_union(boxes1, boxes2)
    top_left = norch.minimum(boxes1[:, None, :2], boxes2[None, :, :2])
    bottom_right = norch.maximum(boxes1[:, None, 2:], boxes2[None, :, 2:])
    sides = _wide(bottom_right - top_left).clamp(min=0)
    around = sides[..., 0] * sides[..., 1]
    return intersection / union - (around - union) / around


def _distance_iou(boxes1: Tensor, boxes2: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """([N, M] of `distance_box_iou`, [N, M] of `box_iou`)."""
    iou = box_iou(boxes1, boxes2)
    top_left = norch.minimum(boxes1[:, None, :2], boxes2[None, :, :2])
    bottom_right = norch.maximum(boxes1[:, None, 2:], boxes2[None, :, 2:])
    diagonal = (_wide(bottom_right - top_left).clamp(min=0) ** 2).sum(-1) + eps
    centres1, centres2 = (boxes1[:, :2] + boxes1[:, 2:]) / 2, (boxes2[:, :2] + boxes2[:, 2:]) / 2
    apart = (_wide(centres1[:, None] - centres2[None]) ** 2).sum(-1)
    return iou - apart / diagonal, iou


def distance_box_iou(boxes1: Tensor, boxes2: Tensor, eps: float = 1e-7) -> Tensor:
    """[N, M]: `box_iou` less the squared distance of the centres, relative to the diagonal around both boxes (Zheng et
    al., "Distance-IoU Loss", 2020)."""
    return _distance_iou(boxes1, boxes2, eps)[0]


def complete_box_iou(boxes1: Tensor, boxes2: Tensor, eps: float = 1e-7) -> Tensor:
    """[N, M]: `distance_box_iou` less a term for different proportions."""
    distance, iou = _distance_iou(boxes1, boxes2, eps)
    angles = [norch.atan((b[:, 2] - b[:, 0]) / (b[:, 3] - b[:, 1])) for b in (boxes1, boxes2)]
    v = 4 / math.pi**2 * (angles[0][:, None] - angles[1]) ** 2
    with norch.no_grad():
        alpha = v / (1 - iou + v + eps)
    return distance - alpha * v


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Indices (int64) of the boxes that stay, the best first: a box goes where one with a higher score overlaps it by
    more than `iou_threshold`.

    >>> from norch.vision.ops import nms
    >>> boxes = norch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 5], [6, 6, 9, 9]])
    >>> nms(boxes, norch.tensor([0.8, 0.9, 0.7]), 0.5)
    tensor([1, 2])
    """
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise RuntimeError(f"nms: boxes should be a tensor of shape [N, 4], got {tuple(boxes.shape)}")
    if scores.ndim != 1 or scores.shape[0] != boxes.shape[0]:
        raise RuntimeError(
            f"nms: boxes and scores should have the same number of elements, got {tuple(boxes.shape)} "
            f"and {tuple(scores.shape)}"
        )
    order = scores.argsort(descending=True, stable=True)
    boxes = boxes.detach()[order]
    overlapping = (box_iou(boxes, boxes) > iou_threshold).cpu().numpy()
    gone = [False] * len(overlapping)
    kept = []
    for i, row in enumerate(overlapping):
        if gone[i]:
            continue
        kept.append(i)
        for j in row[i + 1 :].nonzero()[0]:
            gone[i + 1 + j] = True
    return order[norch.tensor(kept, dtype=norch.int64, device=order.device)]


def batched_nms(boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
    """`nms` for each category apart: `idxs` [N] are the boxes' categories."""
    if boxes.numel() == 0:
        return norch.empty((0,), dtype=norch.int64, device=boxes.device)
    # Each category is moved to a place of its own, where it overlaps no other.
    offsets = idxs.to(boxes.dtype) * (boxes.max() + 1)
    return nms(boxes + offsets[:, None], scores, iou_threshold)


def remove_small_boxes(boxes: Tensor, min_size: float) -> Tensor:
    """Indices of the boxes of which both sides have at least `min_size`."""
    sides = boxes[:, 2:] - boxes[:, :2]
    return norch.where((sides >= min_size).all(1))[0]


def clip_boxes_to_image(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """The boxes cut to an image of (height, width)."""
    height, width = size
    xs, ys = boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)
    return norch.stack((xs, ys), dim=-1).reshape(boxes.shape)


def masks_to_boxes(masks: Tensor) -> Tensor:
    """The smallest boxes [N, 4] (float32) around the masks [N, H, W]."""
    boxes = norch.zeros((masks.shape[0], 4), dtype=norch.float32, device=masks.device)
    for box, mask in zip(boxes, masks):
        ys, xs = norch.where(mask != 0)
        box.copy_(norch.stack([xs.min(), ys.min(), xs.max(), ys.max()]).float())
    return boxes
