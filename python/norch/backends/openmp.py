"""OpenMP, which norch does not use: it has threads of its own (norch.set_num_threads)."""

__all__ = ["is_available"]


def is_available() -> bool:
    """False."""
    return False
