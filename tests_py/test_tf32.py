"""TF32: off until asked for, by each of PyTorch's names for it, and a product of rounded factors then."""

import numpy as np
import pytest

import norch
from norch.backends import cudnn
from norch.backends.cuda import matmul


@pytest.fixture(autouse=True)
def as_at_first():
    assert norch.get_float32_matmul_precision() == "highest" and not cudnn.allow_tf32
    yield
    norch.set_float32_matmul_precision("highest")
    cudnn.allow_tf32 = False


def test_the_names_of_one_switch():
    assert not matmul.allow_tf32 and matmul.fp32_precision == "ieee"
    norch.set_float32_matmul_precision("medium")
    assert matmul.allow_tf32 and matmul.fp32_precision == "tf32" and norch.get_float32_matmul_precision() == "medium"
    matmul.allow_tf32 = False
    assert norch.get_float32_matmul_precision() == "highest"
    norch.set_float32_matmul_precision("high")
    assert norch.get_float32_matmul_precision() == "high"
    matmul.fp32_precision = "ieee"
    assert not matmul.allow_tf32
    with pytest.raises(ValueError, match="expected 'highest'"):
        norch.set_float32_matmul_precision("low")
    with pytest.raises(RuntimeError, match="expected 'ieee', 'tf32' or 'none', got 'tf23'"):
        matmul.fp32_precision = "tf23"


def test_the_names_for_convolutions():
    cudnn.allow_tf32 = True
    assert cudnn.fp32_precision == "tf32" and not matmul.allow_tf32
    with cudnn.flags(allow_tf32=False):
        assert not cudnn.allow_tf32
    with cudnn.flags(enabled=True):
        assert cudnn.allow_tf32
    cudnn.fp32_precision = "ieee"
    with pytest.raises(ZeroDivisionError), cudnn.flags(fp32_precision="tf32"):
        assert cudnn.allow_tf32
        1 / 0
    assert not cudnn.allow_tf32


def test_products_on_the_cpu_stay_float32():
    a, b = norch.randn(64, 80), norch.randn(80, 70)
    exact = a @ b
    norch.set_float32_matmul_precision("high")
    assert ((a @ b) == exact).all()


def rounded(x: np.ndarray) -> np.ndarray:
    """To TF32: 10 bits of mantissa."""
    bits = x.astype(np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0xFFF + ((bits >> 13) & 1)) & 0xFFFFE000).astype(np.uint32).view(np.float32)


@pytest.mark.cuda
def test_products_of_tf32():
    a, b = norch.randn(512, 768), norch.randn(768, 640)
    want = a.numpy().astype(np.float64) @ b.numpy().astype(np.float64)
    ga, gb = a.cuda(), b.cuda()
    full = (ga @ gb).cpu().numpy()
    matmul.allow_tf32 = True
    short = (ga @ gb).cpu().numpy()
    again = (ga @ gb).cpu().numpy()
    matmul.allow_tf32 = False
    assert ((ga @ gb).cpu().numpy() == full).all()
    assert (short == again).all()
    assert abs(full - want).max() < 1e-4
    # Factors are rounded or cut off to 10 bits: an error of some 2**-11 of products of about 1, 768 of them.
    assert 1e-3 < abs(short - want).max() < 0.2
    exact = rounded(a.numpy()), rounded(b.numpy())
    matmul.allow_tf32 = True
    of_exact = norch.from_numpy(exact[0]).cuda() @ norch.from_numpy(exact[1]).cuda()
    assert abs(of_exact.cpu().numpy() - exact[0].astype(np.float64) @ exact[1].astype(np.float64)).max() < 1e-3


@pytest.mark.cuda
def test_convolutions_of_tf32():
    x, w = norch.randn(8, 64, 28, 28, device="cuda"), norch.randn(96, 64, 3, 3, device="cuda")
    full = norch.nn.functional.conv2d(x, w, padding=1)
    with cudnn.flags(allow_tf32=True):
        short = norch.nn.functional.conv2d(x, w, padding=1)
    assert (norch.nn.functional.conv2d(x, w, padding=1) == full).all()
    assert (short - full).abs().max().item() < 0.3  # equal where cuDNN is missing
