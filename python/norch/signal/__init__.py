"""Signal processing, under PyTorch's names."""

from norch.signal import windows as windows
