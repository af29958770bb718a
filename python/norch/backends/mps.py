"""Apple's GPUs, which norch does not use."""

__all__ = ["is_available", "is_built"]


def is_built() -> bool:
    """False: norch runs on CPUs and CUDA GPUs."""
    return False


def is_available() -> bool:
    """False: norch runs on CPUs and CUDA GPUs."""
    return False
