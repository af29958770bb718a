"""How long pieces of a program take, measured with care.

    >>> from norch.utils import benchmark
    >>> m = benchmark.Timer("x * x", globals={"x": norch.ones(8)}).timeit(100)
    >>> m.number_per_run
    100
"""

from norch.utils.benchmark._compare import Colorize, Compare
from norch.utils.benchmark._measurement import (
    Measurement,
    TaskSpec,
    ordered_unique,
    select_unit,
    trim_sigfig,
    unit_to_english,
)
from norch.utils.benchmark._timer import Language, Timer, timer

__all__ = [
    "Colorize",
    "Compare",
    "Language",
    "Measurement",
    "TaskSpec",
    "Timer",
    "ordered_unique",
    "select_unit",
    "timer",
    "trim_sigfig",
    "unit_to_english",
]
