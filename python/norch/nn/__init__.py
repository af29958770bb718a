"""Layers, losses, containers and initialisation, as in PyTorch's `torch.nn`."""

from . import functional, init, utils
from .modules import *  # noqa: F403
from .parameter import Buffer as Buffer
from .parameter import Parameter as Parameter
