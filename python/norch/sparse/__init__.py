"""Sparse tensors: in coordinate form (norch.sparse_coo), with coordinates `indices` [sparse_dim, nnz] and, for each,
an element or a dense row, `values` [nnz, ...]; and matrices of compressed rows or columns (sparse_csr, sparse_csc).

    >>> a = norch.sparse_coo_tensor([[0, 1, 1], [2, 0, 2]], [3.0, 4.0, 5.0], (2, 3))
    >>> a @ norch.ones(3, 1)
    tensor([[3.],
            [9.]])

They are made of ordinary tensors, and what is computed with them of ordinary operations: gradients reach
the values and the dense operands, results are deterministic, and both devices have everything. What is not
here raises NotImplementedError, which names the operation; `to_dense()` then helps.
"""

from ._compressed import CompressedTensor as CompressedTensor
from ._compressed import sparse_compressed_tensor as sparse_compressed_tensor
from ._compressed import sparse_csc_tensor as sparse_csc_tensor
from ._compressed import sparse_csr_tensor as sparse_csr_tensor
from ._dispatch import addmm as addmm
from ._dispatch import mm as mm
from ._dispatch import sum as sum
from ._functions import sparse_mask as sparse_mask
from ._make import ByteTensor as ByteTensor
from ._make import BFloat16Tensor as BFloat16Tensor
from ._make import CharTensor as CharTensor
from ._make import DoubleTensor as DoubleTensor
from ._make import FloatTensor as FloatTensor
from ._make import HalfTensor as HalfTensor
from ._make import IntTensor as IntTensor
from ._make import LongTensor as LongTensor
from ._make import ShortTensor as ShortTensor
from ._make import sparse_coo_tensor as sparse_coo_tensor
from ._make import to_sparse as to_sparse
from ._softmax import log_softmax as log_softmax
from ._softmax import softmax as softmax
from ._softmax import spdiags as spdiags
from ._tensor import SparseTensor as SparseTensor
from ._tensor import pack as pack

spmm = dsmm = mm
