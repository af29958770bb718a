"""One row per op, from which test_op_db.py makes every generic check.

A family's rows are the list ROWS of a module in this folder; new modules are found by themselves.
"""

import importlib
import pkgutil

from .row import Error as Error
from .row import OpRow as OpRow
from .row import Sample as Sample


def all_rows():
    rows = []
    for module in pkgutil.iter_modules(__path__):
        rows += getattr(importlib.import_module(f"{__name__}.{module.name}"), "ROWS", [])
    return rows
