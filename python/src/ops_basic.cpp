// What every tensor can do: sizes, values, copies.
#include "bind.h"
#include "norch/ops.h"
#include "norch/parallel.h"

namespace norch::python {

namespace {

/// Tensor.to in all of PyTorch's forms: to(dtype), to(device), to(device, dtype), to(other).
Tensor to(const Tensor& t, nb::args args, bool non_blocking, bool copy, std::optional<Device> device,
          std::optional<DType> dtype) {
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
  return t.to(device.value_or(t.device()), dtype.value_or(t.dtype()), copy);
}

}  // namespace

void bind_basic_ops(Binder& b) {
  b.function(
      "tensor",
      [](nb::handle data, std::optional<DType> dtype, std::optional<Device> device, bool requires_grad) {
        Tensor t = tensor_from_python(data, dtype, device.value_or(Device()));
        if (requires_grad) t.requires_grad_();
        return t;
      },
      "tensor(data, *, dtype=None, device=None, requires_grad=False) -> Tensor\n\nA new tensor with a copy of `data`: a "
      "number, nested sequences, an array or a tensor.",
      "data"_a, nb::kw_only(), "dtype"_a = nb::none(), "device"_a = nb::none(), "requires_grad"_a = false);
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
      "is_contiguous", [](const Tensor& t) { return t.is_contiguous(); }, "is_contiguous() -> bool");
  b.op(
      "is_floating_point", [](const Tensor& t) { return t.is_floating_point(); }, "is_floating_point(input) -> bool",
      "input"_a);
  b.method(
      "item", [](const Tensor& t) { return t.item(); }, "item() -> number\n\nThe value of a one-element tensor.");
  b.op(
      "clone", [](const Tensor& t) { return t.clone(); }, "clone(input) -> Tensor\n\nA copy in the graph.", "input"_a);
  b.method(
      "contiguous", [](const Tensor& t) { return t.contiguous(); },
      "contiguous() -> Tensor\n\nThis tensor, or a copy in row-major order.");
  b.method("to", &to, "to(dtype), to(device=None, dtype=None, non_blocking=False, copy=False), to(other) -> Tensor",
           "args"_a, "non_blocking"_a = false, "copy"_a = false, "device"_a = nb::none(), "dtype"_a = nb::none());
  b.method(
      "cpu", [](const Tensor& t) { return t.cpu(); }, "cpu() -> Tensor");
  b.method(
      "cuda", [](const Tensor& t, std::optional<Device> d, bool) { return t.to(d.value_or(kCUDA)); },
      "cuda(device=None, non_blocking=False) -> Tensor", "device"_a = nb::none(), "non_blocking"_a = false);
  const std::pair<const char*, DType> casts[] = {{"half", kFloat16}, {"bfloat16", kBFloat16}, {"float", kFloat32},
                                                 {"double", kFloat64}, {"bool", kBool},       {"byte", kUInt8},
                                                 {"char", kInt8},      {"short", kInt16},     {"int", kInt32},
                                                 {"long", kInt64}};
  for (auto& [name, type] : casts)
    b.method(
        name, [type = type](const Tensor& t) { return t.to(type); }, "The tensor in that dtype.");
  b.method(
      "copy_", [](const Tensor& t, const Tensor& src, bool) { return copy_(t, src); },
      "copy_(src, non_blocking=False) -> Tensor\n\nWrites `src`, broadcast and cast, into this tensor.", "src"_a,
      "non_blocking"_a = false);
}

}  // namespace norch::python
