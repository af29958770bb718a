"""Discrete Fourier transforms, under PyTorch's names."""

from norch._C._fft import *  # noqa: F403
