// norch.cuda's C part: devices, memory, streams, events.
#include "norch/cuda.h"

#include "bind.h"

namespace norch::python {

namespace {

using cuda::Event;
using cuda::Stream;

/// The index of a device given as PyTorch's functions take it: None is the current one (-1).
int index_of(nb::handle device) {
  if (device.is_none()) return -1;
  Device d;
  NORCH_CHECK_TYPE(device_from_python(device.ptr(), d), "expected a device, a string, an int or None");
  NORCH_CHECK_VALUE(d.is_cuda(), "Expected a cuda device, but got: ", d);
  return d.index;
}

CUstream_st* stream_from_int(uintptr_t handle) { return reinterpret_cast<CUstream_st*>(handle); }

/// A pool as Python holds it.
struct PoolHandle {
  cuda::GraphPool pool;
};

cuda::CaptureMode capture_mode(const std::string& name) {
  if (name == "global") return cuda::CaptureMode::Global;
  if (name == "thread_local") return cuda::CaptureMode::ThreadLocal;
  NORCH_CHECK_VALUE(name == "relaxed", "Unknown capture error mode. Expected `global`, `thread_local`, or `relaxed`, got ",
                    name);
  return cuda::CaptureMode::Relaxed;
}

template <class F>
void bind_query(Binder& b, nb::module_& m, const char* name, F f, const char* doc) {
  b.in(
      m, name, [f](nb::handle device) { return f(index_of(device)); }, doc, "device"_a = nb::none());
}

void bind_devices(Binder& b, nb::module_& m) {
  b.in(m, "device_count", &cuda::device_count, "device_count() -> int\n\nThe number of usable GPUs.");
  b.in(m, "is_available", &cuda::is_available, "is_available() -> bool\n\nWhether there is a usable GPU.");
  b.in(m, "why_unavailable", &cuda::why_unavailable,
       "why_unavailable() -> str\n\nWhy there is no usable GPU; empty if there is one.");
  b.in(m, "current_device", &cuda::current_device, "current_device() -> int\n\nThe GPU that 'cuda' means.");
  b.in(
      m, "set_device",
      [](nb::handle device) {
        const int index = index_of(device);
        if (index >= 0) cuda::set_device(index);
      },
      "set_device(device)\n\nMakes it the GPU that 'cuda' means on this thread.", "device"_a);
  bind_query(b, m, "synchronize", cuda::synchronize,
             "synchronize(device=None)\n\nWaits for all work on the device. Raises IndexError if a kernel met an index "
             "out of range.");
  bind_query(b, m, "_properties", cuda::get_device_properties, "See get_device_properties.");
  nb::class_<cuda::DeviceProperties>(m, "_CudaDeviceProperties", "What a GPU is.")
      .def_ro("name", &cuda::DeviceProperties::name)
      .def_ro("major", &cuda::DeviceProperties::major)
      .def_ro("minor", &cuda::DeviceProperties::minor)
      .def_ro("total_memory", &cuda::DeviceProperties::total_memory)
      .def_ro("multi_processor_count", &cuda::DeviceProperties::multi_processor_count)
      .def_ro("max_threads_per_multi_processor", &cuda::DeviceProperties::max_threads_per_multi_processor)
      .def_ro("L2_cache_size", &cuda::DeviceProperties::l2_cache_size)
      .def_ro("shared_memory_per_block_optin", &cuda::DeviceProperties::shared_memory_per_block)
      .def("__repr__", [](const cuda::DeviceProperties& p) {
        return str("_CudaDeviceProperties(name='", p.name, "', major=", p.major, ", minor=", p.minor,
                   ", total_memory=", p.total_memory >> 20, "MB, multi_processor_count=", p.multi_processor_count, ")");
      });
}

/// A count of bytes, which is 0 where there is no GPU, so that programs may report it anywhere.
template <auto Count>
auto where_there_is_a_gpu(int device) {
  return cuda::is_available() ? Count(device) : decltype(Count(device))(0);
}

void bind_memory(Binder& b, nb::module_& m) {
  bind_query(b, m, "memory_allocated", where_there_is_a_gpu<cuda::memory_allocated>,
             "memory_allocated(device=None) -> int\n\nBytes in use by tensors.");
  bind_query(b, m, "max_memory_allocated", where_there_is_a_gpu<cuda::max_memory_allocated>,
             "max_memory_allocated(device=None) -> int\n\nThe most bytes that were in use by tensors.");
  bind_query(b, m, "memory_reserved", where_there_is_a_gpu<cuda::memory_reserved>,
             "memory_reserved(device=None) -> int\n\nBytes held from the driver, in use or kept for reuse.");
  bind_query(b, m, "max_memory_reserved", where_there_is_a_gpu<cuda::max_memory_reserved>,
             "max_memory_reserved(device=None) -> int\n\nThe most bytes that were held from the driver.");
  bind_query(b, m, "reset_peak_memory_stats", cuda::reset_peak_memory_stats,
             "reset_peak_memory_stats(device=None)\n\nStarts the max_ functions anew from the present values.");
  b.in(m, "empty_cache", &cuda::empty_cache,
       "empty_cache()\n\nGives all memory that no tensor uses back to the driver; waits for the devices.");
  b.in(
      m, "set_per_process_memory_fraction",
      [](double fraction, nb::handle device) { cuda::set_per_process_memory_fraction(fraction, index_of(device)); },
      "set_per_process_memory_fraction(fraction, device=None)\n\nLets norch hold at most this part of the device's "
      "memory.",
      "fraction"_a, "device"_a = nb::none());
  bind_query(
      b, m, "mem_get_info",
      [](int device) {
        const cuda::MemoryInfo info = cuda::mem_get_info(device);
        return std::make_pair(info.free, info.total);
      },
      "mem_get_info(device=None) -> tuple[int, int]\n\nBytes that are free on the device, and all it has.");
  b.method(
      "record_stream", [](const Tensor& t, const Stream& stream) { cuda::record_stream(t, stream); },
      "record_stream(stream)\n\nThe memory is not reused before the work that `stream` has queued when this tensor is "
      "freed.",
      "stream"_a);
}

void bind_streams(Binder& b, nb::module_& m) {
  nb::class_<Event>(m, "Event", "A mark in a stream: Event(enable_timing=False, blocking=False).")
      .def(nb::init<bool, bool>(), "enable_timing"_a = false, "blocking"_a = false)
      .def(
          "record", [](Event& e, const Stream* s) { s ? e.record(*s) : e.record(); },
          "Marks the end of what the stream (the current one by default) has queued so far.",
          "stream"_a = nb::none())
      .def(
          "wait", [](const Event& e, const Stream* s) { s ? e.wait(*s) : e.wait(); },
          "Work queued on the stream from now on waits for the mark.", "stream"_a = nb::none())
      .def("query", &Event::query, "Whether the work before the mark is done.")
      .def("synchronize", &Event::synchronize, "Waits for the mark.")
      .def("elapsed_time", &Event::elapsed_time, "Milliseconds from this mark to that of `end_event`.", "end_event"_a)
      .def_prop_ro("cuda_event", [](const Event& e) { return reinterpret_cast<uintptr_t>(e.handle()); });

  nb::class_<Stream>(m, "Stream",
                     "A queue of work on a GPU: Stream(device=None, priority=0). See norch.cuda.stream.")
      .def(
          "__init__", [](Stream* self, nb::handle device, int priority) { new (self) Stream(index_of(device), priority); },
          "device"_a = nb::none(), "priority"_a = 0)
      .def("query", &Stream::query, "Whether all work queued so far is done.")
      .def("synchronize", &Stream::synchronize, "Waits for all work queued so far.")
      .def("wait_stream", &Stream::wait_stream,
           "Work queued here from now on waits for what `stream` has queued so far.", "stream"_a)
      .def(
          "wait_event", [](const Stream& s, const Event& e) { e.wait(s); },
          "Work queued here from now on waits for the event.", "event"_a)
      .def_prop_ro("cuda_stream", [](const Stream& s) { return reinterpret_cast<uintptr_t>(s.handle()); })
      .def_prop_ro("device_index", &Stream::device)
      .def_prop_ro("device", [](const Stream& s) { return Device(DeviceType::CUDA, s.device()); })
      .def("__eq__", [](const Stream& a, const Stream& b) { return a == b; })
      .def("__eq__", [](const Stream&, nb::handle) { return false; })
      .def("__hash__",
           [](const Stream& s) { return reinterpret_cast<uintptr_t>(s.handle()) ^ static_cast<uintptr_t>(s.device()); })
      .def("__repr__", [](const Stream& s) {
        return nb::str("<norch.cuda.Stream device=cuda:{} cuda_stream={:#x}>")
            .format(s.device(), reinterpret_cast<uintptr_t>(s.handle()));
      });
  b.in(
      m, "ExternalStream",
      [](uintptr_t handle, nb::handle device) {
        return Stream::external(stream_from_int(handle), index_of(device));
      },
      "ExternalStream(stream_ptr, device=None) -> Stream\n\nA queue that another library made, by its address.",
      "stream_ptr"_a, "device"_a = nb::none());
  bind_query(b, m, "current_stream", cuda::current_stream, "current_stream(device=None) -> Stream");
  bind_query(b, m, "default_stream", Stream::default_stream, "default_stream(device=None) -> Stream");
  b.in(m, "set_stream", &cuda::set_stream, "set_stream(stream)\n\nMakes it current for its device on this thread.",
       "stream"_a);
}

void bind_graphs(Binder& b, nb::module_& m) {
  nb::class_<PoolHandle>(m, "GraphPool", "Memory that captures share; see graph_pool_handle.");
  b.in(
      m, "graph_pool_handle", [] { return PoolHandle{cuda::graph_pool_handle()}; },
      "graph_pool_handle() -> GraphPool\n\nMemory for several graphs that are replayed in the order of their captures.");
  b.in(m, "is_current_stream_capturing", &cuda::is_current_stream_capturing,
       "is_current_stream_capturing() -> bool\n\nWhether work on the current stream is being captured in a graph.");
  nb::class_<cuda::CUDAGraph>(m, "CUDAGraph", "A recorded run of work on a GPU. See norch.cuda.graph.")
      .def(nb::init<>())
      .def(
          "capture_begin",
          [](cuda::CUDAGraph& g, const PoolHandle* pool, const std::string& mode) {
            g.capture_begin(pool ? pool->pool : nullptr, capture_mode(mode));
          },
          "Begins to record what this thread does on the current stream, which must not be the default one.",
          "pool"_a = nb::none(), "capture_error_mode"_a = "global")
      .def("capture_end", &cuda::CUDAGraph::capture_end,
           "Ends the recording. Raises RuntimeError, saying why, if something could not be recorded.")
      .def("replay", &cuda::CUDAGraph::replay, "Queues the recorded work on the current stream.")
      .def("reset", &cuda::CUDAGraph::reset, "Waits for the replays and drops the recording.")
      .def(
          "pool", [](const cuda::CUDAGraph& g) { return PoolHandle{g.pool()}; },
          "The recording's memory, for other captures to share.");
}

void bind_tf32(Binder& b, nb::module_& m) {
  b.in(m, "_matmul_tf32", &cuda::matmul_tf32, "Whether matrix products of float32 may be of TF32.");
  b.in(m, "_set_matmul_tf32", &cuda::set_matmul_tf32, "See _matmul_tf32.", "allowed"_a);
  b.in(m, "_convolution_tf32", &cuda::convolution_tf32, "Whether convolutions of float32 may be of TF32.");
  b.in(m, "_set_convolution_tf32", &cuda::set_convolution_tf32, "See _convolution_tf32.", "allowed"_a);
}

}  // namespace

void bind_cuda(Binder& b) {
  nb::module_ m = b.root.def_submodule("_cuda", "What norch.cuda is made of.");
  bind_devices(b, m);
  bind_memory(b, m);
  bind_streams(b, m);
  bind_graphs(b, m);
  bind_tf32(b, m);
  // Where pip puts NVIDIA's libraries. Nothing is opened or looked at before it is needed.
  for (nb::handle folder : nb::module_::import_("sys").attr("path"))
    if (nb::isinstance<nb::str>(folder)) cuda::add_library_dir(nb::cast<std::string>(folder) + "/nvidia");
}

}  // namespace norch::python
