"""`DataParallel`, under PyTorch's name of its module."""

from ..modules.data_parallel import DataParallel as DataParallel
