"""Products so large that norch takes another of cuBLASLt's kernels than its first choice (kernels/cuda/gemm.cu)."""

import pytest

import norch
import norch.nn.functional as F


def close(a, b):
    assert a.shape == b.shape and (a.float() - b).abs().max().item() <= 1e-2 * b.abs().max().item()


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", [norch.bfloat16, norch.float16])
def test_short_sums_of_16_bit_floats(dtype):
    x, w = norch.randn(8192, 768, device="cuda").to(dtype), norch.randn(2304, 768, device="cuda").to(dtype)
    b = norch.randn(2304, device="cuda").to(dtype)
    expected = x.float() @ w.float().t()
    close(F.linear(x, w), expected)
    close(F.linear(x, w, b), expected + b.float())
    close(x @ w.t().contiguous(), expected)
