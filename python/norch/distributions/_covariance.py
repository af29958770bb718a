"""What the distributions with a covariance have in common."""

from __future__ import annotations

import norch
from norch._C import Tensor
from .distribution import Distribution
from .utils import lazy_property

__all__ = ["OfCovariance", "precision_to_scale_tril"]


def precision_to_scale_tril(precision: Tensor) -> Tensor:
    """The Cholesky factor of the inverse of a precision matrix, from the factor of the matrix with both dims flipped."""
    flipped = norch.linalg.cholesky(norch.flip(precision, (-2, -1)))
    inverse = norch.flip(flipped, (-2, -1)).mT
    identity = norch.eye(precision.shape[-1], dtype=precision.dtype, device=precision.device)
    return norch.linalg.solve_triangular(inverse, identity, upper=False)


class OfCovariance(Distribution):
    """Has a covariance as one of `covariance_matrix`, `precision_matrix` (its inverse) and `scale_tril` (its lower
    triangular Cholesky factor): the others are worked out when asked for."""

    _unbroadcasted_scale_tril: Tensor

    @staticmethod
    def _given(**matrices: Tensor | None) -> tuple[str, Tensor]:
        """The name and the value of the one matrix that is not None."""
        given = [(name, matrix) for name, matrix in matrices.items() if matrix is not None]
        if len(given) != 1:
            raise ValueError("Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.")
        name, matrix = given[0]
        if matrix.dim() < 2:
            raise ValueError(f"{name} must be at least two-dimensional, with optional leading batch dimensions")
        return name, matrix

    def _factorize(self, name: str, matrix: Tensor) -> None:
        """Sets the Cholesky factor of the matrix that was given."""
        if name == "covariance_matrix":
            matrix = norch.linalg.cholesky(matrix)
        elif name == "precision_matrix":
            matrix = precision_to_scale_tril(matrix)
        self._unbroadcasted_scale_tril = matrix

    def _full(self, matrix: Tensor) -> Tensor:
        return matrix.expand(self._batch_shape + self._event_shape[-1:] * 2)

    @lazy_property
    def scale_tril(self) -> Tensor:
        return self._full(self._unbroadcasted_scale_tril)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        return self._full(norch.matmul(self._unbroadcasted_scale_tril, self._unbroadcasted_scale_tril.mT))

    @lazy_property
    def precision_matrix(self) -> Tensor:
        return self._full(norch.cholesky_inverse(self._unbroadcasted_scale_tril))
