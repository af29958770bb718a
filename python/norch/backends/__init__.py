"""Which libraries do the work, and PyTorch's flags for them.

norch gives the same bits every time, so the flags that would trade that away are accepted and change nothing; those of TF32
(cuda.matmul.allow_tf32, cudnn.allow_tf32; both False at first) work. docs/differences.md lists them."""

from __future__ import annotations

from norch.backends import cuda as cuda
from norch.backends import cudnn as cudnn
from norch.backends import mkl as mkl
from norch.backends import mkldnn as mkldnn
from norch.backends import mps as mps
from norch.backends import openmp as openmp
from norch.backends import opt_einsum as opt_einsum

__all__ = ["cuda", "cudnn", "mkl", "mkldnn", "mps", "openmp", "opt_einsum"]
