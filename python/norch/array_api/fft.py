"""The fft extension of the array API standard."""

from __future__ import annotations

import norch
from norch import Tensor

__all__ = [
    "fft",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfftn",
    "rfft",
    "rfftfreq",
    "rfftn",
]


def fft(x, /, *, n=None, axis=-1, norm="backward") -> Tensor:
    """The discrete Fourier transform along an axis."""
    return norch.fft.fft(x, n=n, dim=axis, norm=norm)


def ifft(x, /, *, n=None, axis=-1, norm="backward") -> Tensor:
    """The inverse of fft."""
    return norch.fft.ifft(x, n=n, dim=axis, norm=norm)


def fftn(x, /, *, s=None, axes=None, norm="backward") -> Tensor:
    """The transform over several axes."""
    return norch.fft.fftn(x, s=s, dim=axes, norm=norm)


def ifftn(x, /, *, s=None, axes=None, norm="backward") -> Tensor:
    """The inverse of fftn."""
    return norch.fft.ifftn(x, s=s, dim=axes, norm=norm)


def rfft(x, /, *, n=None, axis=-1, norm="backward") -> Tensor:
    """The transform of real numbers: the half of it that is not given by symmetry."""
    return norch.fft.rfft(x, n=n, dim=axis, norm=norm)


def irfft(x, /, *, n=None, axis=-1, norm="backward") -> Tensor:
    """The inverse of rfft."""
    return norch.fft.irfft(x, n=n, dim=axis, norm=norm)


def rfftn(x, /, *, s=None, axes=None, norm="backward") -> Tensor:
    """The transform of real numbers over several axes."""
    return norch.fft.rfftn(x, s=s, dim=axes, norm=norm)


def irfftn(x, /, *, s=None, axes=None, norm="backward") -> Tensor:
    """The inverse of rfftn."""
    return norch.fft.irfftn(x, s=s, dim=axes, norm=norm)


def hfft(x, /, *, n=None, axis=-1, norm="backward") -> Tensor:
    """The transform of a Hermitian signal given by its half."""
    return norch.fft.hfft(x, n=n, dim=axis, norm=norm)


def ihfft(x, /, *, n=None, axis=-1, norm="backward") -> Tensor:
    """The inverse of hfft."""
    return norch.fft.ihfft(x, n=n, dim=axis, norm=norm)


def fftfreq(n, /, *, d=1.0, dtype=None, device=None) -> Tensor:
    """The frequencies of fft for samples d apart."""
    return norch.fft.fftfreq(n, d, dtype=dtype, device=device)


def rfftfreq(n, /, *, d=1.0, dtype=None, device=None) -> Tensor:
    """The frequencies of rfft for samples d apart."""
    return norch.fft.rfftfreq(n, d, dtype=dtype, device=device)


def fftshift(x, /, *, axes=None) -> Tensor:
    """The frequency 0 moved to the middle."""
    return norch.fft.fftshift(x, dim=axes)


def ifftshift(x, /, *, axes=None) -> Tensor:
    """The reverse of fftshift."""
    return norch.fft.ifftshift(x, dim=axes)
