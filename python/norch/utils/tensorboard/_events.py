# mypy: disable-error-code="import-not-found,import-untyped"
"""The summaries of SummaryWriter where only the tensorboard package is installed: its protocol buffers and its writer of
event files do the work."""

from __future__ import annotations

import io
import os
import time
from typing import Any

import numpy as np

__all__ = ["EventWriter"]


class EventWriter:
    """Writes events to a folder, and those of add_scalars to folders below it."""

    def __init__(self, log_dir: str, purge_step: int | None, max_queue: int, flush_secs: int, suffix: str) -> None:
        self._options = (max_queue, flush_secs, suffix)
        self._log_dir = log_dir
        self._files: dict[str, Any] = {}
        if purge_step is not None:
            from tensorboard.compat.proto.event_pb2 import Event, SessionLog

            self._file("").add_event(Event(wall_time=time.time(), step=purge_step, file_version="brain.Event:2"))
            self._file("").add_event(
                Event(wall_time=time.time(), step=purge_step, session_log=SessionLog(status=SessionLog.START))
            )

    def _file(self, folder: str) -> Any:
        if folder not in self._files:
            from tensorboard.summary.writer.event_file_writer import EventFileWriter

            max_queue, flush_secs, suffix = self._options
            self._files[folder] = EventFileWriter(os.path.join(self._log_dir, folder), max_queue, flush_secs, suffix)
        return self._files[folder]

    def _add(self, summary: Any, step: Any, walltime: float | None, folder: str = "") -> None:
        from tensorboard.compat.proto.event_pb2 import Event

        event = Event(wall_time=time.time() if walltime is None else walltime, summary=summary)
        if step is not None:
            event.step = int(step)
        self._file(folder).add_event(event)

    @staticmethod
    def _summary(**value: Any) -> Any:
        from tensorboard.compat.proto.summary_pb2 import Summary

        return Summary(value=[Summary.Value(**value)])

    def add_scalar(
        self,
        tag: str,
        scalar_value: Any,
        global_step: Any = None,
        walltime: float | None = None,
        new_style: bool = False,
        double_precision: bool = False,
    ) -> None:
        """One number."""
        self._add(self._summary(tag=tag, simple_value=_number(scalar_value)), global_step, walltime)

    def add_scalars(
        self, main_tag: str, tag_scalar_dict: dict, global_step: Any = None, walltime: float | None = None
    ) -> None:
        """Several numbers in one diagram, each in a folder of its own."""
        for tag, value in tag_scalar_dict.items():
            folder = f"{main_tag.replace('/', '_')}_{tag}"
            self._add(self._summary(tag=main_tag, simple_value=_number(value)), global_step, walltime, folder)

    def add_histogram(
        self,
        tag: str,
        values: Any,
        global_step: Any = None,
        bins: Any = "tensorflow",
        walltime: float | None = None,
        max_bins: int | None = None,
    ) -> None:
        """How values are spread. `bins`: NumPy's, or "tensorflow" for bins that grow by a tenth."""
        from tensorboard.compat.proto.summary_pb2 import HistogramProto

        v = np.asarray(values, dtype=np.float64).ravel()
        if v.size == 0 or not np.isfinite(v).all():
            raise ValueError("add_histogram: the values are empty, or not all finite")
        if isinstance(bins, str) and bins == "tensorflow":
            grown = 1e-12 * 1.1 ** np.arange(775)
            bins = np.concatenate([-grown[::-1], [0.0], grown])
        counts, edges = np.histogram(v, bins=bins)
        if max_bins is not None and counts.size > max_bins:
            counts, edges = np.histogram(v, bins=max_bins)
        kept = np.flatnonzero(counts)
        first, last = kept[0], kept[-1]
        limits = edges[first : last + 2]
        histogram = HistogramProto(
            min=v.min(),
            max=v.max(),
            num=v.size,
            sum=v.sum(),
            sum_squares=v.dot(v),
            bucket_limit=limits.tolist(),
            bucket=[0.0, *counts[first : last + 1].tolist()],
        )
        self._add(self._summary(tag=tag, histo=histogram), global_step, walltime)

    def add_image(
        self, tag: str, img_tensor: Any, global_step: Any = None, walltime: float | None = None, dataformats: str = "CHW"
    ) -> None:
        """A picture: floats in [0, 1] or bytes, its dims as `dataformats` says."""
        self._add(self._summary(tag=tag, image=_image(np.asarray(img_tensor), dataformats)), global_step, walltime)

    def add_images(
        self, tag: str, img_tensor: Any, global_step: Any = None, walltime: float | None = None, dataformats: str = "NCHW"
    ) -> None:
        """A batch of pictures side by side."""
        batch = np.moveaxis(np.asarray(img_tensor), dataformats.upper().index("N"), 0)
        single = dataformats.upper().replace("N", "")
        rows = np.concatenate([_to_hwc(picture, single) for picture in batch], axis=1)
        self.add_image(tag, rows, global_step, walltime, "HWC")

    def add_figure(
        self, tag: str, figure: Any, global_step: Any = None, close: bool = True, walltime: float | None = None
    ) -> None:
        """A matplotlib figure, or several, as a picture."""
        figures = figure if isinstance(figure, list) else [figure]
        pictures = []
        for f in figures:
            f.canvas.draw()
            pictures.append(np.asarray(f.canvas.buffer_rgba())[..., :3])
            if close:
                import matplotlib.pyplot

                matplotlib.pyplot.close(f)
        self.add_image(tag, np.concatenate(pictures, axis=1), global_step, walltime, "HWC")

    def add_text(
        self, tag: str, text_string: str, global_step: Any = None, walltime: float | None = None
    ) -> None:
        """A text in Markdown."""
        from tensorboard.compat.proto.summary_pb2 import SummaryMetadata
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto

        shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)])
        text = TensorProto(dtype="DT_STRING", string_val=[text_string.encode()], tensor_shape=shape)
        metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
        self._add(self._summary(tag=tag + "/text_summary", metadata=metadata, tensor=text), global_step, walltime)

    def add_hparams(
        self, hparam_dict: dict, metric_dict: dict, hparam_domain_discrete: Any = None, run_name: str | None = None, global_step: Any = None
    ) -> None:
        """What a run was started with, and what came out, in a folder of their own."""
        from tensorboard.plugins.hparams.summary_v2 import hparams_pb

        folder = run_name or str(time.time())
        self._add(hparams_pb(hparam_dict, trial_id=folder), global_step, None, folder)
        for tag, value in metric_dict.items():
            self._add(self._summary(tag=tag, simple_value=_number(value)), global_step, None, folder)

    def flush(self) -> None:
        """Writes what is queued to disk."""
        for file in self._files.values():
            file.flush()

    def close(self) -> None:
        """Ends the files."""
        for file in self._files.values():
            file.close()
        self._files.clear()


def _number(value: Any) -> float:
    array = np.asarray(value)
    if array.size != 1:
        raise ValueError(f"SummaryWriter: a scalar has one element, not shape {array.shape}")
    return float(array.reshape(()))


def _to_hwc(picture: np.ndarray, dims: str) -> np.ndarray:
    dims = dims.upper()
    if picture.ndim != len(dims) or sorted(dims) not in (list("CHW"), list("HW")):
        raise ValueError(f"add_image: a picture of shape {picture.shape} is not {dims}")
    if "C" not in dims:
        picture, dims = picture[..., None], dims + "C"
    picture = picture.transpose([dims.index(d) for d in "HWC"])
    return np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture


def _image(picture: np.ndarray, dims: str) -> Any:
    from PIL import Image
    from tensorboard.compat.proto.summary_pb2 import Summary

    pixels = _to_hwc(picture, dims)
    if pixels.dtype != np.uint8:
        pixels = (pixels.astype(np.float64) * 255).clip(0, 255).astype(np.uint8)
    height, width, channels = pixels.shape
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG")
    return Summary.Image(height=height, width=width, colorspace=channels, encoded_image_string=stream.getvalue())
