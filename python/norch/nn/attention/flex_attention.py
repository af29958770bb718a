"""torch.nn.attention.flex_attention: attention whose scores and mask are functions of the positions. It computes the scores
of all pairs, as PyTorch does without its compiler."""

from __future__ import annotations

import math
from typing import Any, Callable

import norch
from norch import Tensor

__all__ = [
    "BlockMask",
    "and_masks",
    "create_block_mask",
    "create_mask",
    "flex_attention",
    "noop_mask",
    "or_masks",
]

ScoreMod = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
MaskMod = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]

_BLOCK = 128


def noop_mask(batch: Tensor, head: Tensor, token_q: Tensor, token_kv: Tensor) -> Tensor:
    """True everywhere."""
    return batch.new_ones((), dtype=norch.bool)


def and_masks(*mask_mods: MaskMod) -> MaskMod:
    """A mask function that holds where all of these do."""
    _check_callable(mask_mods)

    def and_mask(b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        result = b.new_ones((), dtype=norch.bool)
        for mask in mask_mods:
            result = result & mask(b, h, q_idx, kv_idx)
        return result

    return and_mask


def or_masks(*mask_mods: MaskMod) -> MaskMod:
    """A mask function that holds where one of these does."""
    _check_callable(mask_mods)

    def or_mask(b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        result = b.new_zeros((), dtype=norch.bool)
        for mask in mask_mods:
            result = result | mask(b, h, q_idx, kv_idx)
        return result

    return or_mask


def _check_callable(functions: tuple) -> None:
    if not all(callable(f) for f in functions):
        raise RuntimeError(f"All inputs should be callable mask_mods: {functions}")


def _positions(b: int, h: int, q: int, kv: int, device: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Index tensors that broadcast to (b, h, q, kv): PyTorch gives the functions one position at a time, and indexing and
    arithmetic of these give every position's result at once."""
    return tuple(  # type: ignore[return-value]
        norch.arange(n, device=device).view([-1 if i == d else 1 for i in range(4)]) for d, n in enumerate((b, h, q, kv))
    )


def create_mask(mod_fn: Any, B: int | None, H: int | None, Q_LEN: int, KV_LEN: int, device: Any = None) -> Tensor:
    """The mask (B, H, Q_LEN, KV_LEN) of a mask function, True where a query sees a key; of a score function, the scores
    that it makes of 0. B and H None stand for 1.

        >>> from norch.nn.attention.flex_attention import create_mask
        >>> create_mask(lambda b, h, q, kv: q >= kv, None, None, 2, 2)[0, 0]
        tensor([[ True, False],
                [ True,  True]])"""
    shape = (B or 1, H or 1, Q_LEN, KV_LEN)
    positions = _positions(*shape, device)
    if _count_arguments(mod_fn) == 5:
        return mod_fn(norch.zeros(shape, device=device), *positions).expand(shape)
    return mod_fn(*positions).expand(shape)


def _count_arguments(function: Any) -> int:
    import inspect

    parameters = inspect.signature(function).parameters.values()
    return sum(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)


class BlockMask:
    """A mask function with the sizes it is for, as create_block_mask makes it. Which blocks of positions it leaves out
    altogether is computed when asked for (`to_dense`, `sparsity`); norch computes all scores."""

    def __init__(self, mask_mod: MaskMod, shape: tuple[int, int, int, int], block_size: tuple[int, int], device: Any) -> None:
        self.mask_mod = mask_mod
        self.shape = shape
        self.seq_lengths = shape[2:]
        self.BLOCK_SIZE = block_size
        self.device = device

    def numel(self) -> int:
        """The number of positions."""
        return math.prod(self.shape)

    def to_dense(self) -> Tensor:
        """int32 (B, H, blocks of queries, blocks of keys): 1 for blocks in which some query sees some key."""
        mask = create_mask(self.mask_mod, *self.shape, device=self.device)
        (q, kv), (rows, columns) = self.BLOCK_SIZE, self.shape[2:]
        mask = norch.nn.functional.pad(mask, (0, -columns % kv, 0, -rows % q), value=False)
        blocks = mask.view(*self.shape[:2], mask.shape[2] // q, q, mask.shape[3] // kv, kv)
        return blocks.any(dim=-1).any(dim=-2).to(norch.int32)

    def sparsity(self) -> float:
        """The percentage of positions in blocks that are left out."""
        return 100 * (1 - self.to_dense().sum().item() * math.prod(self.BLOCK_SIZE) / self.numel())

    def to(self, device: Any) -> BlockMask:
        """The same for another device."""
        return BlockMask(self.mask_mod, self.shape, self.BLOCK_SIZE, norch.device(device))

    def __repr__(self) -> str:
        return f"BlockMask(shape={self.shape}, sparsity={self.sparsity():.2f}%)"


def create_block_mask(
    mask_mod: MaskMod,
    B: int | None,
    H: int | None,
    Q_LEN: int,
    KV_LEN: int,
    device: Any = None,
    BLOCK_SIZE: int | tuple[int, int] = _BLOCK,
    _compile: bool = False,
) -> BlockMask:
    """A mask for flex_attention: mask_mod(b, h, q_idx, kv_idx) says whether a query sees a key. B and H None stand for
    all batches and heads."""
    if not callable(mask_mod) or _count_arguments(mask_mod) != 4:
        raise AssertionError(f"create-block_mask requires a mask_mod function! Got {mask_mod}")
    size = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else tuple(BLOCK_SIZE)
    return BlockMask(mask_mod, (B or 1, H or 1, Q_LEN, KV_LEN), size, device)  # type: ignore[arg-type]


def flex_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    score_mod: ScoreMod | None = None,
    block_mask: BlockMask | None = None,
    scale: float | None = None,
    enable_gqa: bool = False,
    return_lse: bool = False,
    kernel_options: dict[str, Any] | None = None,
) -> Any:
    """softmax(score_mod(scale query key^T, b, h, q_idx, kv_idx)) value, where the positions that `block_mask` excludes take
    no part: (B, Hq, L, E), (B, H, S, E), (B, H, S, Ev) -> (B, Hq, L, Ev), and with `return_lse` also the logarithm of the
    sum of the scores' exponentials (B, Hq, L). `scale` is 1/sqrt(E) unless given; with `enable_gqa`, Hq / H heads of queries
    share a key. Queries that see nothing give 0.

        >>> from norch.nn.attention.flex_attention import flex_attention
        >>> q = norch.ones(1, 1, 2, 4)
        >>> flex_attention(q, q, q, lambda score, b, h, i, j: score - (i - j).abs())[0, 0, 0]
        tensor([1., 1., 1., 1.])"""
    for name, t in (("query", query), ("key", key), ("value", value)):
        if t.dim() != 4:
            raise ValueError(f"NYI: flex_attention: {name} must be 4D tensors, got {t.dim()} dims")
    if not enable_gqa and query.shape[1] != key.shape[1]:
        raise ValueError(
            f"Expect query and key/value to have the same number of heads but got Hq={query.shape[1]} and Hkv={key.shape[1]}. "
            "Try setting enable_gqa=True for GQA."
        )
    if enable_gqa and query.shape[1] % key.shape[1] != 0:
        raise ValueError(
            f"Expect number of query heads to be a multiple of kv heads for GQA but got Hq={query.shape[1]} and "
            f"Hkv={key.shape[1]}."
        )
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    wide = norch.float64 if query.dtype == norch.float64 else norch.float32
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = query.to(wide) @ key.to(wide).transpose(-2, -1) * factor
    batch, heads, rows, columns = scores.shape
    positions = _positions(batch, heads, rows, columns, query.device)
    if score_mod is not None:
        scores = score_mod(scores, *positions).expand(scores.shape)
    if block_mask is not None:
        longest_q, longest_kv = block_mask.seq_lengths
        if rows > longest_q or columns > longest_kv:
            raise ValueError(
                f"block_mask was created for block_mask.shape={block_mask.shape} but got q_len={query.shape[2]} and "
                f"kv_len={key.shape[2]}."
            )
        scores = scores.masked_fill(~block_mask.mask_mod(*positions), -math.inf)
    lse = scores.logsumexp(-1)
    seen = (lse != -math.inf).unsqueeze(-1)
    weights = norch.where(seen, scores.softmax(-1), 0)
    out = (weights.to(query.dtype) @ value).to(query.dtype)
    return (out, lse) if return_lse else out
