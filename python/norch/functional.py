"""torch.functional: functions of norch under the module in which PyTorch writes them."""

from __future__ import annotations

from norch import atleast_1d as atleast_1d
from norch import atleast_2d as atleast_2d
from norch import atleast_3d as atleast_3d
from norch import block_diag as block_diag
from norch import broadcast_shapes as broadcast_shapes
from norch import broadcast_tensors as broadcast_tensors
from norch import cartesian_prod as cartesian_prod
from norch import cdist as cdist
from norch import chain_matmul as chain_matmul
from norch import einsum as einsum
from norch import istft as istft
from norch import lu as lu
from norch import meshgrid as meshgrid
from norch import norm as norm
from norch import pca_lowrank as pca_lowrank
from norch import split as split
from norch import stft as stft
from norch import svd_lowrank as svd_lowrank
from norch import tensordot as tensordot
from norch import unique as unique
from norch import unique_consecutive as unique_consecutive
from norch import unravel_index as unravel_index
