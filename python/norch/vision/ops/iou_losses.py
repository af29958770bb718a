"""Losses of boxes: pairs of tensors [..., 4] of corners (x1, y1, x2, y2)."""

from __future__ import annotations

import math

import norch
from norch._C import Tensor

from .boxes import _wide

__all__ = ["complete_box_iou_loss", "distance_box_iou_loss", "generalized_box_iou_loss"]


def _reduced(loss: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean() if loss.numel() > 0 else 0.0 * loss.sum()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(
        f"Invalid Value for arg 'reduction': '{reduction} \n Supported reduction modes: 'none', 'mean', 'sum'"
    )


def _sides(boxes: Tensor) -> tuple[Tensor, Tensor]:
    x1, y1, x2, y2 = boxes.unbind(-1)
    return x2 - x1, y2 - y1


def _intersection_and_union(boxes1: Tensor, boxes2: Tensor) -> tuple[Tensor, Tensor]:
    """The areas in both boxes of each pair, and in either."""
    ax1, ay1, ax2, ay2 = boxes1.unbind(-1)
    bx1, by1, bx2, by2 = boxes2.unbind(-1)
    w, h = norch.min(ax2, bx2) - norch.max(ax1, bx1), norch.min(ay2, by2) - norch.max(ay1, by1)
    intersection = norch.where((w > 0) & (h > 0), w * h, norch.zeros_like(w))
    (wa, ha), (wb, hb) = _sides(boxes1), _sides(boxes2)
    return intersection, wa * ha + wb * hb - intersection


def _around(boxes1: Tensor, boxes2: Tensor) -> tuple[Tensor, Tensor]:
    """Width and height of the smallest boxes around both."""
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = boxes1.unbind(-1), boxes2.unbind(-1)
    return norch.max(ax2, bx2) - norch.min(ax1, bx1), norch.max(ay2, by2) - norch.min(ay1, by1)


def generalized_box_iou_loss(boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7) -> Tensor:
    """1 less the generalized intersection over union of each pair (Rezatofighi et al., 2019).

    >>> from norch.vision.ops import generalized_box_iou_loss
    >>> generalized_box_iou_loss(norch.tensor([[0., 0, 2, 2]]), norch.tensor([[1., 0, 3, 2]]))
    tensor([0.6667])
    """
    boxes1, boxes2 = _wide(boxes1), _wide(boxes2)
    intersection, union = _intersection_and_union(boxes1, boxes2)
    w, h = _around(boxes1, boxes2)
    area = w * h
    return _reduced(1 - (intersection / (union + eps) - (area - union) / (area + eps)), reduction)


def _distance_loss(boxes1: Tensor, boxes2: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """(loss, intersection over union) of each pair."""
    intersection, union = _intersection_and_union(boxes1, boxes2)
    iou = intersection / (union + eps)
    w, h = _around(boxes1, boxes2)
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = boxes1.unbind(-1), boxes2.unbind(-1)
    apart = ((ax2 + ax1) / 2 - (bx1 + bx2) / 2) ** 2 + ((ay2 + ay1) / 2 - (by1 + by2) / 2) ** 2
    return 1 - iou + apart / (w**2 + h**2 + eps), iou


def distance_box_iou_loss(boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7) -> Tensor:
    """1 less the intersection over union of each pair, and the squared distance of centres relative to the diagonal
    around both (Zheng et al., "Distance-IoU Loss", 2020)."""
    return _reduced(_distance_loss(_wide(boxes1), _wide(boxes2), eps)[0], reduction)


def complete_box_iou_loss(boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7) -> Tensor:
    """`distance_box_iou_loss` with a term for different proportions."""
    boxes1, boxes2 = _wide(boxes1), _wide(boxes2)
    loss, iou = _distance_loss(boxes1, boxes2, eps)
    (wa, ha), (wb, hb) = _sides(boxes1), _sides(boxes2)
    v = 4 / math.pi**2 * (norch.atan(wb / hb) - norch.atan(wa / ha)) ** 2
    with norch.no_grad():
        alpha = v / (1 - iou + v + eps)
    return _reduced(loss + alpha * v, reduction)
