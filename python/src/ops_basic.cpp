// What every tensor can do: sizes, values, copies.
#include "bind.h"
#include "compat.h"
#include "norch/ops.h"
#include "norch/parallel.h"

namespace norch::python {

namespace {

using Format = std::optional<MemoryFormat>;

/// Tensor.to in all of PyTorch's forms: to(dtype), to(device), to(device, dtype), to(other).
Tensor to(const Tensor& t, nb::args args, bool non_blocking, bool copy, std::optional<Device> device,
          std::optional<DType> dtype, Format format) {
  static_cast<void>(non_blocking);
  size_t used = 0;
  for (nb::handle a : args) {
    DType type;
    Device where;
    if (is_tensor(a.ptr())) {
      device = unwrap(a.ptr()).device();
      dtype = unwrap(a.ptr()).dtype();
    } else if (nb::try_cast<DType>(a, type)) {
      dtype = type;
    } else if (used == 0 && device_from_python(a.ptr(), where)) {
      device = where;
    } else if (!a.is_none() && !PyBool_Check(a.ptr())) {
      NORCH_RAISE(TypeError, "to() received an invalid combination of arguments - got ", Py_TYPE(a.ptr())->tp_name,
                  "; expected to(dtype), to(device, dtype) or to(other)");
    } else if (PyBool_Check(a.ptr()) && used >= 2) {
      copy = copy || a.ptr() == Py_True;
    }
    ++used;
  }
  return t.to(device.value_or(t.device()), dtype.value_or(t.dtype()), copy,
              format.value_or(MemoryFormat::preserve));
}

}  // namespace

void bind_basic_ops(Binder& b) {
  b.function(
      "tensor",
      [](nb::handle data, std::optional<DType> dtype, std::optional<Device> device, bool requires_grad, bool) {
        const bool stays = !device && is_tensor(data.ptr());  // a tensor's copy lies where the tensor does
        Tensor t = tensor_from_python(data, dtype, stays ? unwrap(data.ptr()).device() : device_or_default(device));
        if (requires_grad) t.requires_grad_();
        return t;
      },
      "tensor(data, *, dtype=None, device=None, requires_grad=False) -> Tensor\n\nA new tensor with a copy of `data`: a "
      "number, nested sequences, an array or a tensor.",
      nb::arg("data").none(), nb::kw_only(), "dtype"_a = nb::none(), "device"_a = nb::none(), "requires_grad"_a = false,
      "pin_memory"_a = false);
  b.function("get_num_threads", &num_threads, "get_num_threads() -> int\n\nThe threads that CPU ops use.");
  b.function("set_num_threads", &set_num_threads,
             "set_num_threads(n)\n\nSets the threads that CPU ops use. Results do not depend on it.", "n"_a);
  b.function("get_default_dtype", &default_dtype, "get_default_dtype() -> dtype");
  b.function("set_default_dtype", &set_default_dtype,
             "set_default_dtype(d)\n\nSets the dtype of float tensors made without one.", "d"_a);
  b.function("promote_types", &promote_types, "promote_types(type1, type2) -> dtype", "type1"_a, "type2"_a);
  b.function("can_cast", &can_cast, "can_cast(from_, to) -> bool", "from_"_a, "to"_a);
  b.method("dim", &Tensor::dim, "dim() -> int");
  b.op("numel", &Tensor::numel, "numel(input) -> int", "input"_a);
  b.method(
      "size",
      [](const Tensor& t, std::optional<int64_t> dim) {
        return dim ? nb::steal(PyLong_FromLongLong(t.size(*dim))) : nb::steal(wrap_size(t.sizes()));
      },
      "size(dim=None) -> Size or int", "dim"_a = nb::none());
  b.method(
      "stride",
      [](const Tensor& t, std::optional<int64_t> dim) -> nb::object {
        if (dim) return nb::int_(t.stride(*dim));
        nb::list out;
        for (int64_t s : t.strides()) out.append(s);
        return nb::tuple(out);
      },
      "stride(dim=None) -> tuple or int", "dim"_a = nb::none());
  b.method("storage_offset", &Tensor::storage_offset, "storage_offset() -> int");
  b.method("element_size", &Tensor::itemsize, "element_size() -> int");
  b.method(
      "data_ptr", [](const Tensor& t) { return reinterpret_cast<uintptr_t>(t.numel() ? t.data_ptr() : nullptr); },
      "data_ptr() -> int\n\nThe address of the first element.");
  b.method(
      "is_contiguous",
      [](const Tensor& t, MemoryFormat memory_format) { return t.is_contiguous(memory_format); },
      "is_contiguous(memory_format=norch.contiguous_format) -> bool\n\nWhether the elements lie in memory in that order, "
      "without gaps.\n\n    >>> norch.zeros(2, 3, 4, 5).is_contiguous(memory_format=norch.channels_last)\n    False",
      "memory_format"_a = MemoryFormat::contiguous);
  b.op(
      "is_floating_point", [](const Tensor& t) { return t.is_floating_point(); }, "is_floating_point(input) -> bool",
      "input"_a);
  b.method(
      "item", [](const Tensor& t) { return t.item(); }, "item() -> number\n\nThe value of a one-element tensor.");
  b.op(
      "clone",
      [](const Tensor& t, Format memory_format) { return t.clone(memory_format.value_or(MemoryFormat::preserve)); },
      "clone(input, *, memory_format=norch.preserve_format) -> Tensor\n\nA copy in the graph.", "input"_a, nb::kw_only(),
      "memory_format"_a = nb::none());
  b.method(
      "contiguous", [](const Tensor& t, MemoryFormat memory_format) { return t.contiguous(memory_format); },
      "contiguous(memory_format=norch.contiguous_format) -> Tensor\n\nThis tensor, or a copy of that format.\n\n"
      "    >>> norch.zeros(2, 3, 4, 5).contiguous(memory_format=norch.channels_last).stride()\n    (60, 1, 15, 3)",
      "memory_format"_a = MemoryFormat::contiguous);
  b.method("to", &to,
           "to(dtype), to(device=None, dtype=None, non_blocking=False, copy=False, *, memory_format=None), to(other) -> "
           "Tensor\n\nThis tensor with another dtype, on another device or in another memory format; itself where nothing "
           "changes, unless copy.",
           "args"_a, "non_blocking"_a = false, "copy"_a = false, "device"_a = nb::none(), "dtype"_a = nb::none(),
           "memory_format"_a = nb::none());
  b.method(
      "cpu",
      [](const Tensor& t, Format f) { return t.to(kCPU, t.dtype(), false, f.value_or(MemoryFormat::preserve)); },
      "cpu(memory_format=norch.preserve_format) -> Tensor", "memory_format"_a = nb::none());
  b.method(
      "cuda",
      [](const Tensor& t, std::optional<Device> d, bool, Format f) {
        return t.to(d.value_or(kCUDA), t.dtype(), false, f.value_or(MemoryFormat::preserve));
      },
      "cuda(device=None, non_blocking=False, memory_format=norch.preserve_format) -> Tensor", "device"_a = nb::none(),
      "non_blocking"_a = false, "memory_format"_a = nb::none());
  const std::pair<const char*, DType> casts[] = {{"half", kFloat16}, {"bfloat16", kBFloat16}, {"float", kFloat32},
                                                 {"double", kFloat64}, {"bool", kBool},       {"byte", kUInt8},
                                                 {"char", kInt8},      {"short", kInt16},     {"int", kInt32},
                                                 {"long", kInt64},     {"cfloat", kComplex64}, {"cdouble", kComplex128}};
  for (auto& [name, type] : casts)
    b.method(
        name,
        [type = type](const Tensor& t, Format f) {
          return t.to(t.device(), type, false, f.value_or(MemoryFormat::preserve));
        },
        "The tensor in that dtype.", "memory_format"_a = nb::none());
  for (const char* source : {"src", "other"})  // PyTorch documents the one and takes the other
    b.method(
        "copy_", [](const Tensor& t, const Operand& src, bool) { return copy_(t, src); },
        "copy_(src, non_blocking=False) -> Tensor\n\nWrites `src`, broadcast and cast, into this tensor.",
        nb::arg(source), "non_blocking"_a = false);
}

}  // namespace norch::python
