"""norch.signal.windows against SciPy."""

import numpy as np
import pytest
import scipy.signal.windows as sw

import norch

NAMES = ("bartlett", "blackman", "cosine", "hamming", "hann", "nuttall")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sym", [True, False])
@pytest.mark.parametrize("size", [0, 1, 2, 7, 8])
def test_plain_windows(name, sym, size):
    got = getattr(norch.signal.windows, name)(size, sym=sym, dtype=norch.float64)
    np.testing.assert_allclose(got.numpy(), getattr(sw, name)(size, sym=sym), atol=1e-14)


@pytest.mark.parametrize("sym", [True, False])
def test_windows_with_a_shape(sym):
    w, kind = norch.signal.windows, {"sym": sym, "dtype": norch.float64}
    np.testing.assert_allclose(w.gaussian(9, std=2.0, **kind).numpy(), sw.gaussian(9, 2.0, sym=sym), atol=1e-14)
    np.testing.assert_allclose(w.kaiser(9, beta=5.0, **kind).numpy(), sw.kaiser(9, 5.0, sym=sym), atol=1e-14)
    np.testing.assert_allclose(w.exponential(9, tau=3.0, **kind).numpy(), sw.exponential(9, tau=3.0, sym=sym), atol=1e-14)
    expected = sw.general_hamming(9, 0.6, sym=sym)
    np.testing.assert_allclose(w.general_hamming(9, alpha=0.6, **kind).numpy(), expected, atol=1e-14)


def test_names_in_norch_are_periodic():
    for name in ("bartlett", "blackman", "hamming", "hann"):
        got = getattr(norch, name + "_window")(8)
        np.testing.assert_allclose(got.numpy(), getattr(sw, name)(8, sym=False), atol=1e-6)
    np.testing.assert_allclose(norch.kaiser_window(8).numpy(), sw.kaiser(8, 12.0, sym=False), atol=1e-6)


def test_bad_arguments():
    w = norch.signal.windows
    for call, text in (
        (lambda: w.hann(-1), "non-negative window length"),
        (lambda: w.hann(3, dtype=norch.int64), "float32 or float64"),
        (lambda: w.gaussian(3, std=0.0), "must be positive"),
        (lambda: w.exponential(3, center=1.0), "must be None"),
        (lambda: w.general_cosine(3, a=[]), "cannot be empty"),
    ):
        with pytest.raises(ValueError, match=text):
            call()
