"""The Python array API standard (2024.12) over norch tensors: what `x.__array_namespace__()` returns.

The functions have the standard's names, arguments and dtypes where they differ from PyTorch's: `axis` and `keepdims`,
`max(x, axis=0)` without indices, `std` with `correction=0`, sums of unsigned integers that stay unsigned. Tensors keep
PyTorch's operators, in which a 0-d tensor does not widen one with dims.

>>> import norch.array_api as xp
>>> xp.sum(xp.asarray([[1, 2], [3, 4]]), axis=0)
tensor([4, 6])
"""

from math import e as e
from math import inf as inf
from math import nan as nan
from math import pi as pi

from norch import _C
from norch._C import bool as bool
from norch._C import complex64 as complex64
from norch._C import complex128 as complex128
from norch._C import float32 as float32
from norch._C import float64 as float64
from norch._C import int8 as int8
from norch._C import int16 as int16
from norch._C import int32 as int32
from norch._C import int64 as int64
from norch._C import uint8 as uint8
from norch._C import uint16 as uint16
from norch._C import uint32 as uint32
from norch._C import uint64 as uint64
from norch.array_api import fft as fft
from norch.array_api import linalg as linalg
from norch.array_api._creation import *  # noqa: F403
from norch.array_api._dtypes import *  # noqa: F403
from norch.array_api._elementwise import *  # noqa: F403
from norch.array_api._info import __array_namespace_info__ as __array_namespace_info__
from norch.array_api._manipulation import *  # noqa: F403
from norch.array_api._searching import *  # noqa: F403
from norch.array_api._statistical import *  # noqa: F403
from norch.array_api.linalg import matmul as matmul
from norch.array_api.linalg import matrix_transpose as matrix_transpose
from norch.array_api.linalg import tensordot as tensordot
from norch.array_api.linalg import vecdot as vecdot

__array_api_version__ = "2024.12"
newaxis = None
Array = _C.Tensor
