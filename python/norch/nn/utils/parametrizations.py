"""Ready parametrizations: weight norm, spectral norm, orthogonal matrices."""

from __future__ import annotations

from typing import Any

import norch
from norch._C import Tensor
from norch.autograd import no_grad

from .. import functional as F
from ..modules.module import Module
from .parametrize import register_parametrization
from .spectral_norm import as_matrix, default_dim
from .weight_norm import norm_except_dim, scaled

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


def _named_tensor(module: Module, name: str) -> Tensor:
    tensor = getattr(module, name, None)
    if not isinstance(tensor, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    return tensor


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return scaled(weight_v, weight_g, self.dim)

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except_dim(weight, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """The parameter `name` as g * v / ||v||, one norm for each index of `dim` (None: one for all): "Weight
    Normalization", 2016. The originals are g and v; state dicts of the old `weight_norm` can be loaded.

        >>> linear = norch.nn.utils.parametrizations.weight_norm(norch.nn.Linear(2, 3))
        >>> linear.parametrizations.weight.original0.shape
        norch.Size([3, 1])
    """
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def take_old_names(state_dict: dict, prefix: str, *args: Any) -> None:
        old = [f"{prefix}{name}_{part}" for part in "gv"]
        if all(key in state_dict for key in old):
            for i, key in enumerate(old):
                state_dict[f"{prefix}parametrizations.{name}.original{i}"] = state_dict.pop(key)

    module._register_load_state_dict_pre_hook(take_old_names)
    return module


class _SpectralNorm(Module):
    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        ndim = weight.ndim
        if not -ndim <= dim < ndim:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [-{ndim}, {ndim - 1}] but got {dim})"
            )
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.dim = dim % ndim
        self.eps = eps
        if ndim > 1:
            self.n_power_iterations = n_power_iterations
            matrix = as_matrix(weight.detach(), self.dim)
            u, v = (matrix.new_empty(size).normal_() for size in matrix.shape)
            self.register_buffer("_u", F.normalize(u, dim=0, eps=eps))
            self.register_buffer("_v", F.normalize(v, dim=0, eps=eps))
            self._power_method(matrix, 15)

    def _power_method(self, matrix: Tensor, n_power_iterations: int) -> None:
        with no_grad():
            for _ in range(n_power_iterations):
                self._u.copy_(F.normalize(norch.mv(matrix, self._v), dim=0, eps=self.eps))
                self._v.copy_(F.normalize(norch.mv(matrix.mH, self._u), dim=0, eps=self.eps))

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            self._power_method(matrix, self.n_power_iterations)
        # The graph keeps copies: the next forward changes u and v in place.
        u, v = self._u.clone(), self._v.clone()
        return weight / norch.vdot(u, norch.mv(matrix, v))

    def right_inverse(self, value: Tensor) -> Tensor:
        return value  # assumed to be normalised


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """The parameter `name` divided by its first singular value, estimated by the power method ("Spectral Normalization
    for Generative Adversarial Networks", 2018): 15 steps now, `n_power_iterations` in each use in training mode. `dim`:
    the dim of the outputs (default 0; 1 for transposed convolutions). A 1-d tensor is divided by its norm."""
    weight = _named_tensor(module, name)
    dim = default_dim(module) if dim is None else dim
    register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))
    return module


def _is_orthogonal(q: Tensor) -> bool:
    eye = norch.eye(q.size(-1), dtype=q.dtype, device=q.device)
    return bool(norch.allclose(q.mH @ q, eye, atol=10.0 * q.size(-2) * norch.finfo(q.dtype).eps))


def _make_orthogonal(a: Tensor) -> Tensor:
    """Q of the QR decomposition whose R has a positive diagonal."""
    x, tau = norch.geqrf(a)
    return norch.linalg.householder_product(x, tau) * x.diagonal(dim1=-2, dim2=-1).sgn().unsqueeze(-2)


_MAPS = ("matrix_exp", "cayley", "householder")


class _Orthogonal(Module):
    """X to a matrix with orthonormal columns, or rows if it has fewer rows than columns. With `use_trivialization`
    relative to `base`, to which X = -I belongs after an assignment."""

    base: Tensor

    def __init__(self, weight: Tensor, orthogonal_map: str, *, use_trivialization: bool = True) -> None:
        super().__init__()
        if weight.is_complex() and orthogonal_map == "householder":
            raise ValueError("The householder parametrization does not support complex tensors.")
        self.shape = weight.shape
        self.orthogonal_map = orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, x: Tensor) -> Tensor:
        wide = x.size(-2) < x.size(-1)
        x = x.mT if wide else x
        n, k = x.shape[-2:]
        if self.orthogonal_map == "householder":
            a = x.tril(-1)
            tau = 2.0 / (1.0 + (a * a).sum(-2))
            q = norch.linalg.householder_product(a, tau)
            q = q * x.diagonal(dim1=-2, dim2=-1).detach().trunc().unsqueeze(-2)
        else:
            x = x.tril()
            if n != k:
                x = norch.cat([x, x.new_zeros(n, n - k).expand(*x.shape[:-2], -1, -1)], dim=-1)
            a = x - x.mH
            if self.orthogonal_map == "matrix_exp":
                q = norch.matrix_exp(a)
            else:
                eye = norch.eye(n, dtype=a.dtype, device=a.device)
                q = norch.linalg.solve(eye - 0.5 * a, eye + 0.5 * a)
            q = q[..., :k] if n != k else q
        if hasattr(self, "base"):
            q = self.base @ q
        return q.mT if wide else q

    def right_inverse(self, q: Tensor) -> Tensor:
        with no_grad():
            if q.shape != self.shape:
                raise ValueError(
                    f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of shape {q.shape}."
                )
            given = q
            wide = q.size(-2) < q.size(-1)
            q = q.mT if wide else q
            n, k = q.shape[-2:]
            if hasattr(self, "base"):
                if n == k:
                    q = q.clone() if _is_orthogonal(q) else _make_orthogonal(q)
                else:
                    noise = norch.randn((*q.shape[:-2], n, n - k), dtype=q.dtype, device=q.device)
                    q = _make_orthogonal(norch.cat([q, noise], dim=-1))
                self.base = q
                minus_eye = norch.zeros_like(given)
                minus_eye.diagonal(dim1=-2, dim2=-1).fill_(-1.0)
                return minus_eye
            if self.orthogonal_map != "householder":
                raise NotImplementedError(
                    "It is not possible to assign to the matrix exponential or the Cayley parametrizations when "
                    "use_trivialization=False."
                )
            a, tau = norch.geqrf(q)
            # The diagonal, which Householder's vectors do not need, keeps the signs of R's.
            diagonal = a.diagonal(dim1=-2, dim2=-1)
            diagonal.copy_(norch.where(tau == 0.0, -diagonal.sign(), diagonal.sign()))
            return a.mT if wide else a


def orthogonal(
    module: Module, name: str = "weight", orthogonal_map: str | None = None, *, use_trivialization: bool = True
) -> Module:
    """Makes the matrices `name` (*, n, k) orthogonal: orthonormal columns for n >= k, else orthonormal rows.
    `orthogonal_map`: "matrix_exp" (default for square ones), "cayley" or "householder" (default otherwise); with
    `use_trivialization` relative to a fixed orthogonal matrix, which makes training more stable ("Trivializations for
    Gradient-Based Optimization on Manifolds", 2019)."""
    weight = _named_tensor(module, name)
    if weight.ndim < 2:
        raise ValueError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions.")
    if orthogonal_map is None:
        square = weight.size(-2) == weight.size(-1)
        orthogonal_map = "matrix_exp" if square or weight.is_complex() else "householder"
    if orthogonal_map not in _MAPS:
        raise ValueError(
            f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}'
        )
    step = _Orthogonal(weight, orthogonal_map, use_trivialization=use_trivialization)
    register_parametrization(module, name, step, unsafe=True)
    return module
