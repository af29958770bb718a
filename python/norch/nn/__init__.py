"""Layers, losses, containers and initialisation, as in PyTorch's `torch.nn`."""

from . import functional, grad, init, parallel, utils
from .modules import *  # noqa: F403
from .parameter import Buffer as Buffer
from .parameter import Parameter as Parameter
from .parameter import UninitializedBuffer as UninitializedBuffer
from .parameter import UninitializedParameter as UninitializedParameter
