"""torch._logging: what PyTorch's compiler says of its work. There is no compiler, hence nothing to say."""

from __future__ import annotations

from typing import Any

__all__ = ["set_logs"]


def set_logs(**what: Any) -> None:
    """Accepted: the parts that the names mean (dynamo, inductor, graph_breaks, ...) do not exist and log nothing."""
