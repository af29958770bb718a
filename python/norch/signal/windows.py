"""Window functions: 1-d tensors of M samples.

`sym=True` makes windows for filters, symmetric about their middle; `sym=False` makes periodic ones for spectral analysis,
which are symmetric windows of M + 1 samples without the last. All are computed in float64, then cast to `dtype`
(float32 or float64; None: the default dtype).
"""

import math
from typing import Any, Callable, Iterable, Optional, Union

import norch
from norch import Tensor

__all__ = [
    "bartlett",
    "blackman",
    "cosine",
    "exponential",
    "gaussian",
    "general_cosine",
    "general_hamming",
    "hamming",
    "hann",
    "kaiser",
    "nuttall",
]

_Device = Union[norch.device, str, int, None]


def _window(
    name: str,
    M: int,
    sym: bool,
    formula: Callable[[Tensor, int], Tensor],
    dtype: Optional[norch.dtype],
    layout: Any,
    device: _Device,
    requires_grad: bool,
    one_is_flat: bool = True,
) -> Tensor:
    """`formula(n, N)` at the samples n = 0 ... M - 1 of a window that ends at N."""
    if M < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={M}")
    dtype = dtype or norch.get_default_dtype()
    if dtype not in (norch.float32, norch.float64):
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {dtype}")
    if layout is not None and str(layout).rpartition(".")[2] != "strided":
        raise ValueError(f"{name} is implemented for strided tensors only, got: {layout}")
    if M == 1 and one_is_flat:
        return norch.ones(1, dtype=dtype, device=device, requires_grad=requires_grad)
    n = norch.arange(M, dtype=norch.float64, device=device)
    out = formula(n, M - 1 if sym or M < 2 else M).to(dtype)
    return out.requires_grad_() if requires_grad else out


def general_cosine(
    M: int,
    *,
    a: Iterable[float],
    sym: bool = True,
    dtype: Optional[norch.dtype] = None,
    layout: Any = None,
    device: _Device = None,
    requires_grad: bool = False,
) -> Tensor:
    """The sum of (-1)^i a[i] cos(2 pi i n / N).

    >>> norch.signal.windows.general_cosine(5, a=[0.46, 0.23, 0.31])
    tensor([0.5400, 0.1500, 1.0000, 0.1500, 0.5400])
    """
    if not isinstance(a, Iterable):
        raise TypeError("Coefficients must be a list/tuple")
    weights = [float(x) for x in a]
    if not weights:
        raise ValueError("Coefficients cannot be empty")

    def formula(n: Tensor, last: int) -> Tensor:
        angle = n * (2 * math.pi / last) if last else n
        total = norch.full_like(n, weights[0])
        for i, weight in enumerate(weights[1:], 1):
            total = total + (-weight if i % 2 else weight) * norch.cos(angle * i)
        return total

    return _window("general_cosine", M, sym, formula, dtype, layout, device, requires_grad)


def general_hamming(M: int, *, alpha: float = 0.54, sym: bool = True, **options: Any) -> Tensor:
    """alpha - (1 - alpha) cos(2 pi n / N).

    >>> norch.signal.windows.general_hamming(3)
    tensor([0.0800, 1.0000, 0.0800])
    """
    return general_cosine(M, a=[alpha, 1.0 - alpha], sym=sym, **options)


def hamming(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """0.54 - 0.46 cos(2 pi n / N).

    >>> norch.signal.windows.hamming(5)
    tensor([0.0800, 0.5400, 1.0000, 0.5400, 0.0800])
    """
    return general_hamming(M, sym=sym, **options)


def hann(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """0.5 - 0.5 cos(2 pi n / N).

    >>> norch.signal.windows.hann(4, sym=False)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    return general_hamming(M, alpha=0.5, sym=sym, **options)


def blackman(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """0.42 - 0.5 cos(2 pi n / N) + 0.08 cos(4 pi n / N).

    >>> norch.signal.windows.blackman(5)[1:4]
    tensor([0.3400, 1.0000, 0.3400])
    """
    return general_cosine(M, a=[0.42, 0.5, 0.08], sym=sym, **options)


def nuttall(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """The minimum 4-term Blackman-Harris window after Nuttall (1981).

    >>> norch.signal.windows.nuttall(5)
    tensor([3.6280e-04, 2.2698e-01, 1.0000e+00, 2.2698e-01, 3.6280e-04])
    """
    return general_cosine(M, a=[0.3635819, 0.4891775, 0.1365995, 0.0106411], sym=sym, **options)


def bartlett(
    M: int,
    *,
    sym: bool = True,
    dtype: Optional[norch.dtype] = None,
    layout: Any = None,
    device: _Device = None,
    requires_grad: bool = False,
) -> Tensor:
    """A triangle: 1 - |2 n / N - 1|.

    >>> norch.signal.windows.bartlett(5)
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    return _window(
        "bartlett", M, sym, lambda n, last: 1 - abs(n * (2 / max(last, 1)) - 1), dtype, layout, device, requires_grad
    )


def cosine(
    M: int,
    *,
    sym: bool = True,
    dtype: Optional[norch.dtype] = None,
    layout: Any = None,
    device: _Device = None,
    requires_grad: bool = False,
) -> Tensor:
    """Half a wave: sin(pi (n + 0.5) / (N + 1)).

    >>> norch.signal.windows.cosine(5)
    tensor([0.3090, 0.8090, 1.0000, 0.8090, 0.3090])
    """
    return _window(
        "cosine",
        M,
        sym,
        lambda n, last: norch.sin((n + 0.5) * (math.pi / max(last + 1, 1))),
        dtype,
        layout,
        device,
        requires_grad,
    )


def exponential(
    M: int,
    *,
    center: Optional[float] = None,
    tau: float = 1.0,
    sym: bool = True,
    dtype: Optional[norch.dtype] = None,
    layout: Any = None,
    device: _Device = None,
    requires_grad: bool = False,
) -> Tensor:
    """exp(-|n - center| / tau), by default about the middle.

    >>> norch.signal.windows.exponential(5)
    tensor([0.1353, 0.3679, 1.0000, 0.3679, 0.1353])
    """
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")
    return _window(
        "exponential",
        M,
        sym,
        lambda n, last: norch.exp(-abs(n - (last / 2 if center is None else center)) / tau),
        dtype,
        layout,
        device,
        requires_grad,
        one_is_flat=False,
    )


def gaussian(
    M: int,
    *,
    std: float = 1.0,
    sym: bool = True,
    dtype: Optional[norch.dtype] = None,
    layout: Any = None,
    device: _Device = None,
    requires_grad: bool = False,
) -> Tensor:
    """exp(-((n - N / 2) / std)^2 / 2).

    >>> norch.signal.windows.gaussian(5, std=1.)
    tensor([0.1353, 0.6065, 1.0000, 0.6065, 0.1353])
    """
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    return _window(
        "gaussian",
        M,
        sym,
        lambda n, last: norch.exp(((n - last / 2) / std) ** 2 * -0.5),
        dtype,
        layout,
        device,
        requires_grad,
    )


def kaiser(
    M: int,
    *,
    beta: float = 12.0,
    sym: bool = True,
    dtype: Optional[norch.dtype] = None,
    layout: Any = None,
    device: _Device = None,
    requires_grad: bool = False,
) -> Tensor:
    """i0(beta sqrt(1 - (2 n / N - 1)^2)) / i0(beta).

    >>> norch.signal.windows.kaiser(5, beta=6.)
    tensor([0.0149, 0.4830, 1.0000, 0.4830, 0.0149])
    """
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")

    def formula(n: Tensor, last: int) -> Tensor:
        t = n * (2 / max(last, 1)) - 1
        scale = norch.special.i0e(norch.tensor(float(beta), dtype=norch.float64, device=n.device))
        height = norch.sqrt((1 - t * t).clamp(min=0)) * beta
        # In exponentially scaled form, which does not overflow.
        return norch.special.i0e(height) * norch.exp(height - beta) / scale

    return _window("kaiser", M, sym, formula, dtype, layout, device, requires_grad)


# torch.hann_window and its like: periodic unless told otherwise.


def bartlett_window(window_length: int, periodic: bool = True, **options: Any) -> Tensor:
    """`bartlett` of `window_length` samples; `periodic` (not `sym`) by default.

    >>> norch.bartlett_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    return _legacy(bartlett, window_length, periodic, options)


def blackman_window(window_length: int, periodic: bool = True, **options: Any) -> Tensor:
    """`blackman` of `window_length` samples; `periodic` (not `sym`) by default.

    >>> norch.blackman_window(4)[1:]
    tensor([0.3400, 1.0000, 0.3400])
    """
    return _legacy(blackman, window_length, periodic, options)


def hamming_window(
    window_length: int, periodic: bool = True, alpha: float = 0.54, beta: float = 0.46, **options: Any
) -> Tensor:
    """alpha - beta cos(2 pi n / N) at `window_length` samples; `periodic` (not `sym`) by default.

    >>> norch.hamming_window(4)
    tensor([0.0800, 0.5400, 1.0000, 0.5400])
    """
    return _legacy(general_cosine, window_length, periodic, options, a=[alpha, beta])


def hann_window(window_length: int, periodic: bool = True, **options: Any) -> Tensor:
    """`hann` of `window_length` samples; `periodic` (not `sym`) by default.

    >>> norch.hann_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    return _legacy(hann, window_length, periodic, options)


def kaiser_window(window_length: int, periodic: bool = True, beta: float = 12.0, **options: Any) -> Tensor:
    """`kaiser` with `beta` of `window_length` samples; `periodic` (not `sym`) by default.

    >>> norch.kaiser_window(4)
    tensor([5.2773e-05, 2.1567e-01, 1.0000e+00, 2.1567e-01])
    """
    return _legacy(kaiser, window_length, periodic, options, beta=beta)


def _legacy(window: Callable[..., Tensor], length: int, periodic: bool, options: Any, **shape: Any) -> Tensor:
    if length < 0:
        raise RuntimeError(f"{window.__name__}_window requires non-negative window_length, got window_length={length}")
    options.pop("pin_memory", None)
    return window(length, sym=not periodic, **shape, **options)
