"""Linear algebra of the array API standard: its main functions and its linalg extension."""

from __future__ import annotations

from typing import Any, NamedTuple

import norch
from norch import Tensor
from norch.array_api._dtypes import promoted
from norch.array_api._statistical import sum as _sum

__all__ = [
    "cholesky",
    "cross",
    "det",
    "diagonal",
    "eigh",
    "eigvalsh",
    "inv",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "tensordot",
    "trace",
    "vecdot",
    "vector_norm",
]


class _Eigh(NamedTuple):
    eigenvalues: Tensor
    eigenvectors: Tensor


class _QR(NamedTuple):
    Q: Tensor
    R: Tensor


class _Slogdet(NamedTuple):
    sign: Tensor
    logabsdet: Tensor


class _SVD(NamedTuple):
    U: Tensor
    S: Tensor
    Vh: Tensor


def matmul(x1, x2, /) -> Tensor:
    """The matrix product."""
    return norch.matmul(*promoted(x1, x2))


def matrix_transpose(x, /) -> Tensor:
    """The last two axes swapped."""
    return x.mT


def tensordot(x1, x2, /, *, axes=2) -> Tensor:
    """The sum of products over the last axes of x1 and the first of x2 (so many), or over lists of axes."""
    x1, x2 = promoted(x1, x2)
    return norch.tensordot(x1, x2, dims=axes if isinstance(axes, int) else tuple(list(a) for a in axes))


def vecdot(x1, x2, /, *, axis=-1) -> Tensor:
    """The sum of conj(x1) * x2 over an axis."""
    x1, x2 = promoted(x1, x2)
    product = x1.conj() * x2
    return norch.sum(product, axis, dtype=product.dtype)


def cholesky(x, /, *, upper=False) -> Tensor:
    """The lower (upper) triangular L of x = L L^H."""
    return norch.linalg.cholesky(x, upper=upper)


def cross(x1, x2, /, *, axis=-1) -> Tensor:
    """The cross product of vectors of 3 elements along an axis."""
    x1, x2 = promoted(x1, x2)
    return norch.linalg.cross(x1, x2, dim=axis)


def det(x, /) -> Tensor:
    """The determinant."""
    return norch.linalg.det(x)


def diagonal(x, /, *, offset=0) -> Tensor:
    """A diagonal of the last two axes."""
    return norch.diagonal(x, offset, -2, -1)


def eigh(x, /) -> _Eigh:
    """Eigenvalues, ascending, and eigenvectors of a Hermitian matrix."""
    return _Eigh(*norch.linalg.eigh(x))


def eigvalsh(x, /) -> Tensor:
    """Eigenvalues of a Hermitian matrix, ascending."""
    return norch.linalg.eigvalsh(x)


def inv(x, /) -> Tensor:
    """The inverse."""
    return norch.linalg.inv(x)


def matrix_norm(x, /, *, keepdims=False, ord="fro") -> Tensor:
    """A norm of the matrices of the last two axes."""
    return norch.linalg.matrix_norm(x, ord="fro" if ord is None else ord, dim=(-2, -1), keepdim=keepdims)


def matrix_power(x, n, /) -> Tensor:
    """The product of n such matrices."""
    return norch.linalg.matrix_power(x, n)


def matrix_rank(x, /, *, rtol=None) -> Tensor:
    """The number of singular values above rtol times the largest."""
    values = svdvals(x)
    if rtol is None:
        rtol = max(x.shape[-2:]) * norch.finfo(x.dtype).eps
    limit = norch.amax(values, -1, True) * norch.as_tensor(rtol, dtype=values.dtype, device=values.device).unsqueeze(-1)
    return norch.sum(values > limit, -1)


def outer(x1, x2, /) -> Tensor:
    """The products of every element of a vector with every one of another."""
    return norch.outer(*promoted(x1, x2))


def pinv(x, /, *, rtol=None) -> Tensor:
    """The Moore-Penrose inverse; singular values up to rtol times the largest count as 0."""
    return norch.linalg.pinv(x) if rtol is None else norch.linalg.pinv(x, rtol=rtol)


def qr(x, /, *, mode="reduced") -> _QR:
    """Orthonormal Q and upper triangular R with x = Q R."""
    return _QR(*norch.linalg.qr(x, mode))


def slogdet(x, /) -> _Slogdet:
    """The sign and the logarithm of the size of the determinant."""
    return _Slogdet(*norch.linalg.slogdet(x))


def solve(x1, x2, /) -> Tensor:
    """The solution of x1 @ result = x2; a 1-d x2 is one vector, any other holds matrices."""
    x1, x2 = promoted(x1, x2)
    if x2.ndim == 1:
        return norch.linalg.solve(x1, x2.unsqueeze(-1)).squeeze(-1)
    batch: Any = norch.broadcast_shapes(x1.shape[:-2], x2.shape[:-2])
    return norch.linalg.solve(x1.expand(*batch, *x1.shape[-2:]), x2.expand(*batch, *x2.shape[-2:]))


def svd(x, /, *, full_matrices=True) -> _SVD:
    """U, singular values (descending) and V^H."""
    return _SVD(*norch.linalg.svd(x, full_matrices=full_matrices))


def svdvals(x, /) -> Tensor:
    """The singular values, descending."""
    return norch.linalg.svdvals(x)


def trace(x, /, *, offset=0, dtype=None) -> Tensor:
    """The sum of a diagonal of the last two axes."""
    return _sum(diagonal(x, offset=offset), axis=-1, dtype=dtype)


def vector_norm(x, /, *, axis=None, keepdims=False, ord=2) -> Tensor:
    """A norm over axes, of the flattened array by default."""
    if axis == ():
        return x.abs()
    return norch.linalg.vector_norm(x, ord=ord, dim=axis, keepdim=keepdims)
