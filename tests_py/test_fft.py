"""Fourier transforms against NumPy's."""

import numpy as np
import pytest

import norch
from norch.autograd import gradcheck, gradgradcheck

ONE = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
NORMS = (None, "backward", "ortho", "forward")


def signal(name, shape, dtype):
    x = np.random.uniform(-1, 1, shape)
    if name in ("rfft", "ihfft", "rfftn", "ihfftn", "rfft2", "ihfft2"):
        return x.astype(dtype)
    return (x + 1j * np.random.uniform(-1, 1, shape)).astype("complex64" if dtype == "float32" else "complex128")


def close(got, want, tolerance):
    assert got.shape == want.shape
    np.testing.assert_allclose(got.detach().cpu().resolve_conj().numpy() if hasattr(got, "resolve_conj")
                               else got.detach().cpu().numpy(), want, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize("dtype,tolerance", [("float32", 2e-5), ("float64", 1e-12)])
def test_one_dim(name, dtype, tolerance, device):
    for shape, n, dim in (((8,), None, -1), ((3, 5), None, 0), ((2, 6, 3), 4, 1), ((2, 3), 7, -1), ((4, 97), None, -1)):
        x = signal(name, shape, dtype)
        for norm in NORMS:
            got = getattr(norch.fft, name)(norch.tensor(x, device=device), n, dim, norm)
            want = getattr(np.fft, name)(x, n, dim, norm)
            assert str(got.dtype) == "norch." + {"float32": {"c": "complex64", "f": "float32"},
                                                 "float64": {"c": "complex128", "f": "float64"}}[dtype][want.dtype.kind]
            close(got, want, tolerance * 10)


def test_several_dims(device):
    for name in ("fftn", "ifftn", "rfftn", "irfftn"):
        x = signal(name, (3, 4, 6), "float64")
        t = norch.tensor(x, device=device)
        for s, dim in ((None, None), ((2, 5), (0, 2)), ((4, 4), None), (None, (1,))):
            axes = dim if dim is not None or s is None else (-2, -1)
            close(getattr(norch.fft, name)(t, s, dim), getattr(np.fft, name)(x, s, axes), 1e-12)
        two = name[:-1] + "2"
        close(getattr(norch.fft, two)(t, norm="ortho"), getattr(np.fft, two)(x, norm="ortho"), 1e-12)
    x = norch.tensor(signal("rfft", (4, 6), "float64"), device=device)
    close(norch.fft.hfftn(norch.fft.ihfftn(x), (4, 6)), x.cpu().numpy(), 1e-12)


def test_gradients(device):
    z = norch.tensor(signal("fft", (3, 4), "float64"), device=device, requires_grad=True)
    x = norch.tensor(signal("rfft", (3, 5), "float64"), device=device, requires_grad=True)
    for name in ("fft", "ifft", "irfft", "hfft"):
        for n in (None, 3, 6):
            gradcheck(lambda t: getattr(norch.fft, name)(t, n), (z,))
    for name in ("fft", "rfft", "ihfft"):
        for n in (None, 4):
            gradcheck(lambda t: getattr(norch.fft, name)(t, n, 0, "ortho"), (x,))
    gradgradcheck(norch.fft.rfftn, (x,))
    gradgradcheck(norch.fft.irfft, (z,))


def test_frequencies_and_shifts(device):
    for n in (1, 4, 5):
        close(norch.fft.fftfreq(n, 0.1, device=device, dtype=norch.float64), np.fft.fftfreq(n, 0.1), 1e-12)
        close(norch.fft.rfftfreq(n, 0.1, device=device, dtype=norch.float64), np.fft.rfftfreq(n, 0.1), 1e-12)
    x = np.arange(30).reshape(5, 6)
    t = norch.tensor(x, device=device)
    for dim in (None, 0, (0, 1)):
        close(norch.fft.fftshift(t, dim), np.fft.fftshift(x, dim), 0)
        close(norch.fft.ifftshift(t, dim), np.fft.ifftshift(x, dim), 0)


def test_short_time_transform_and_back(device):
    x = norch.tensor(np.random.uniform(-1, 1, (2, 100)), device=device, requires_grad=True)
    window = norch.tensor(np.hanning(18)[1:-1], device=device)
    for kwargs in ({}, {"hop_length": 4, "win_length": 16, "window": window}, {"onesided": False, "normalized": True}):
        y = norch.stft(x, 20, return_complex=True, **kwargs)
        assert y.shape[1] == (11 if kwargs.get("onesided", True) else 20)
        close(norch.istft(y, 20, length=100, **kwargs), x.detach().cpu().numpy(), 1e-12)
    frames = np.lib.stride_tricks.sliding_window_view(x.detach().cpu().numpy()[0], 20)[::5]
    close(norch.stft(x, 20, center=False, return_complex=True)[0], np.fft.rfft(frames).T, 1e-12)
    gradcheck(lambda t: norch.istft(norch.stft(t, 8, window=window[:8] + 1, return_complex=True), 8, window=window[:8] + 1),
              (x[:1, :20].detach().requires_grad_(),))


def test_errors():
    x = norch.ones(3, 4)
    for call, kind, text in (
        (lambda: norch.fft.fft(x, 0), RuntimeError, "Invalid number of data points"),
        (lambda: norch.fft.fft(x, norm="x"), RuntimeError, "Invalid normalization mode"),
        (lambda: norch.fft.fft(x, dim=2), IndexError, "Dimension out of range"),
        (lambda: norch.fft.rfft(norch.fft.fft(x)), RuntimeError, "rfft expects a real input tensor"),
        (lambda: norch.fft.fftn(x, (2,), (0, 1)), RuntimeError, "must have the same length"),
        (lambda: norch.fft.fftn(x, dim=(0, 0)), RuntimeError, "FFT dims must be unique"),
        (lambda: norch.fft.fft(x.half()), RuntimeError, "Unsupported dtype Half"),
        (lambda: norch.stft(x, 4), RuntimeError, "return_complex"),
    ):
        with pytest.raises(kind, match=text):
            call()
