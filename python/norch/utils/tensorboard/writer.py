# mypy: disable-error-code="import-not-found"
"""torch.utils.tensorboard's SummaryWriter.

tensorboardX has the whole of it, and gets NumPy arrays for tensors. Where only tensorboard is installed, which brings the
file format but no summaries, the common ones are made here."""

from __future__ import annotations

import importlib
import os
import socket
import time
from typing import Any

import norch

__all__ = ["SummaryWriter"]


def _package() -> str:
    for name in ("tensorboardX", "tensorboard"):
        try:
            importlib.import_module(name)
            return name
        except ImportError:
            continue
    raise ModuleNotFoundError(
        "SummaryWriter: neither tensorboardX nor tensorboard is installed; `pip install tensorboardX` (or tensorboard)",
        name="tensorboard",
    )


def _plain(value: Any) -> Any:
    """Tensors as NumPy arrays, also within lists and dicts."""
    if isinstance(value, norch.Tensor):
        value = value.detach().cpu()
        return (value.float() if value.dtype == norch.bfloat16 else value).numpy()
    if isinstance(value, (list, tuple)) and any(isinstance(v, norch.Tensor) for v in value):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return value


class SummaryWriter:
    """SummaryWriter(log_dir=None, comment="", purge_step=None, max_queue=10, flush_secs=120, filename_suffix="")

    Writes scalars, images, texts, ... to a file in `log_dir` (default: runs/TIME_HOST) that TensorBoard shows. Tensors may
    stand wherever NumPy arrays or numbers may. The methods are PyTorch's; without tensorboardX there are add_scalar,
    add_scalars, add_histogram, add_image, add_images, add_figure, add_text and add_hparams, and the others raise
    AttributeError. Raises ModuleNotFoundError where neither package is installed."""

    def __init__(
        self,
        log_dir: Any = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: int = 120,
        filename_suffix: str = "",
    ) -> None:
        package = _package()
        if not log_dir:
            log_dir = os.path.join("runs", time.strftime("%b%d_%H-%M-%S") + "_" + socket.gethostname() + comment)
        self.log_dir = os.fspath(log_dir)
        self.purge_step = purge_step
        self._package_name = package
        self._writer: Any
        if package == "tensorboardX":
            from tensorboardX import SummaryWriter as Writer

            self._writer = Writer(
                self.log_dir,
                purge_step=purge_step,
                max_queue=max_queue,
                flush_secs=flush_secs,
                filename_suffix=filename_suffix,
            )
        else:
            from norch.utils.tensorboard._events import EventWriter

            self._writer = EventWriter(self.log_dir, purge_step, max_queue, flush_secs, filename_suffix)

    def get_logdir(self) -> str:
        """The folder of the files."""
        return self.log_dir

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"'SummaryWriter' object has no attribute '{name}'")
        method = getattr(self._writer, name, None)
        if method is None:
            hint = "" if self._package_name == "tensorboardX" else "; it needs the tensorboardX package"
            raise AttributeError(f"'SummaryWriter' object has no attribute '{name}'{hint}")
        if not callable(method):
            return method

        def call(*args: Any, **kwargs: Any) -> Any:
            return method(*map(_plain, args), **{k: _plain(v) for k, v in kwargs.items()})

        return call

    def add_graph(self, model: Any, input_to_model: Any = None, verbose: bool = False, use_strict_trace: bool = True) -> None:
        """Raises NotImplementedError: norch has no graph of a model to draw."""
        raise NotImplementedError(
            "SummaryWriter.add_graph: norch runs operations as they are called and has no graph of a model to draw"
        )

    def flush(self) -> None:
        """Writes what is queued to disk."""
        self._writer.flush()

    def close(self) -> None:
        """Ends the files."""
        self._writer.close()

    def __enter__(self) -> "SummaryWriter":
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()
