"""Where a program spends its time and memory, in PyTorch's style.

    >>> from norch.profiler import ProfilerActivity, profile, record_function
    >>> with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as prof:
    ...     with record_function("double"):
    ...         y = norch.ones(3) * 2
    >>> table = prof.key_averages().table(sort_by="cpu_time_total", row_limit=10)
    >>> "aten::mul" in table
    True
"""

from norch.autograd.profiler import kineto_available, record_function
from norch.autograd.profiler_util import DeviceType
from norch.profiler import profiler as profiler
from norch.profiler.profiler import (
    ProfilerAction,
    ProfilerActivity,
    profile,
    schedule,
    supported_activities,
    tensorboard_trace_handler,
)

__all__ = [
    "DeviceType",
    "ProfilerAction",
    "ProfilerActivity",
    "kineto_available",
    "profile",
    "record_function",
    "schedule",
    "supported_activities",
    "tensorboard_trace_handler",
]
