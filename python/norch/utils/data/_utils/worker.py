"""What a worker process knows of itself."""

from .._worker import WorkerInfo as WorkerInfo
from .._worker import get_worker_info as get_worker_info
