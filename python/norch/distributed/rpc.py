"""torch.distributed.rpc, as in a build of PyTorch without it: it can be imported, and is_available() is False."""

__all__ = ["is_available"]


def is_available() -> bool:
    """False: norch does not call functions in other processes."""
    return False
