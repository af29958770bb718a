// Functions that make tensors.
#include "bind.h"
#include "compat.h"
#include "layout.h"
#include "norch/ops.h"

namespace norch::python {

namespace {

using MaybeDType = std::optional<DType>;
using MaybeDevice = std::optional<Device>;

/// The keywords that every factory takes. pin_memory is accepted for PyTorch's sake.
#define FACTORY_KEYWORDS                                                                               \
  nb::kw_only(), "dtype"_a = nb::none(), "layout"_a = nb::none(), "device"_a = nb::none(), \
      "pin_memory"_a = false, "requires_grad"_a = false
#define FACTORY_PARAMETERS MaybeDType dtype, Strided, MaybeDevice device, bool, bool requires_grad

TensorOptions options(const MaybeDType& dtype, const MaybeDevice& device, bool requires_grad) {
  TensorOptions o;
  if (dtype) o = o.dtype(*dtype);
  return o.device(device_or_default(device)).requires_grad(requires_grad);
}
/// The same with a tensor's dtype and device as defaults.
TensorOptions options(const Tensor& like, const MaybeDType& dtype, const MaybeDevice& device, bool requires_grad) {
  return options(dtype ? dtype : like.dtype(), device ? device : like.device(), requires_grad);
}

/// A shape given as f(2, 3), f((2, 3)) or f(size=(2, 3)).
Shape shape_of(const nb::args& args, const std::optional<Shape>& size) {
  if (size) {
    NORCH_CHECK_TYPE(args.size() == 0, "the size is given twice, by position and as size=");
    return *size;
  }
  Shape s;
  if (args.size() == 1 && nb::try_cast<Shape>(args[0], s)) return s;
  for (nb::handle a : args) {
    int64_t v;
    NORCH_CHECK_TYPE(int_from_python(a.ptr(), v), "a size is an integer or a sequence of integers, not ",
                     Py_TYPE(a.ptr())->tp_name);
    s.push_back(v);
  }
  return s;
}

using Factory = Tensor (*)(Ints, const TensorOptions&);
using LikeFactory = Tensor (*)(const Tensor&, const TensorOptions&, MemoryFormat);
using Format = std::optional<MemoryFormat>;

void bind_filled(Binder& b) {
  struct Row {
    const char* name;
    Factory f;
    LikeFactory like;
    const char* doc;
  };
  const Row rows[] = {
      {"empty", &empty, &empty_like,
       "empty(*size, dtype=None, device=None, requires_grad=False) -> Tensor\n\nUninitialised."},
      {"zeros", &zeros, &zeros_like,
       "zeros(*size, dtype=None, device=None, requires_grad=False) -> Tensor\n\nFilled with 0."},
      {"ones", &ones, &ones_like,
       "ones(*size, dtype=None, device=None, requires_grad=False) -> Tensor\n\nFilled with 1."},
  };
  for (const Row& row : rows) {
    b.function(
        row.name,
        [f = row.f, like = row.like, name = row.name](const nb::args& args, const std::optional<Shape>& size,
                                                      MaybeDType dtype, Strided, MaybeDevice device, bool,
                                                      bool requires_grad, Format format) {
          const Shape shape = shape_of(args, size);
          const TensorOptions o = options(dtype, device, requires_grad);
          if (!format || *format == MemoryFormat::contiguous) return f(shape, o);
          NORCH_CHECK(*format != MemoryFormat::preserve, name, ": preserve_format needs a tensor to be like; use ", name,
                      "_like");
          numel_of(shape, name);  // its errors name this function
          return like(empty_strided(shape, format_strides(shape, *format), o.requires_grad(false)), o, *format);
        },
        row.doc, "args"_a, "size"_a = nb::none(), "dtype"_a = nb::none(), "layout"_a = nb::none(),
        "device"_a = nb::none(), "pin_memory"_a = false, "requires_grad"_a = false, "memory_format"_a = nb::none());
    b.method(
        (std::string("new_") + row.name).c_str(),
        [f = row.f](const Tensor& t, const nb::args& args, const std::optional<Shape>& size, MaybeDType dtype,
                    Strided, MaybeDevice device, bool, bool requires_grad) {
          return f(shape_of(args, size), options(t, dtype, device, requires_grad));
        },
        "As the function, with this tensor's dtype and device as defaults.", "args"_a, "size"_a = nb::none(),
        "dtype"_a = nb::none(), "layout"_a = nb::none(), "device"_a = nb::none(), "pin_memory"_a = false,
        "requires_grad"_a = false);
    b.op(
        (std::string(row.name) + "_like").c_str(),
        [f = row.like](const Tensor& t, FACTORY_PARAMETERS, Format format) {
          return f(t, options(t, dtype, device, requires_grad), format.value_or(MemoryFormat::preserve));
        },
        "As the function, with the tensor's shape, dtype, device and order of dims in memory as defaults.", "input"_a, FACTORY_KEYWORDS,
        "memory_format"_a = nb::none());
  }
}

void bind_full(Binder& b) {
  const char* full_doc =
      "full(size, fill_value, *, dtype=None, device=None, requires_grad=False) -> Tensor\n\nFilled with one value, whose "
      "dtype (bool, int64 or the default float) is the result's unless given.";
  b.function(
      "full",
      [](const Shape& size, const Scalar& fill_value, FACTORY_PARAMETERS) {
        return full(size, fill_value, options(dtype, device, requires_grad));
      },
      full_doc, "size"_a, "fill_value"_a, FACTORY_KEYWORDS);
  b.method(
      "new_full",
      [](const Tensor& t, const Shape& size, const Scalar& fill_value, FACTORY_PARAMETERS) {
        return full(size, fill_value, options(t, dtype, device, requires_grad));
      },
      full_doc, "size"_a, "fill_value"_a, FACTORY_KEYWORDS);
  b.op(
      "full_like",
      [](const Tensor& t, const Scalar& fill_value, FACTORY_PARAMETERS, Format format) {
        return full_like(t, fill_value, options(t, dtype, device, requires_grad),
                         format.value_or(MemoryFormat::preserve));
      },
      "full_like(input, fill_value) -> Tensor", "input"_a, "fill_value"_a, FACTORY_KEYWORDS,
      "memory_format"_a = nb::none());
  b.method(
      "new_tensor",
      [](const Tensor& t, nb::handle data, FACTORY_PARAMETERS) {
        const Tensor made = tensor_from_python(data, dtype ? dtype : t.dtype(), device.value_or(t.device()));
        if (requires_grad) made.requires_grad_();
        return made;
      },
      "new_tensor(data) -> Tensor\n\nA new tensor with a copy of `data`, this tensor's dtype and device.", "data"_a, FACTORY_KEYWORDS);
  b.function(
      "scalar_tensor",
      [](const Scalar& s, FACTORY_PARAMETERS) {
        return full({}, s, options(dtype ? dtype : default_dtype(), device, requires_grad));
      },
      "scalar_tensor(s) -> Tensor\n\nA 0-d tensor.", "s"_a, FACTORY_KEYWORDS);
}

void bind_strided(Binder& b) {
  b.function(
      "empty_permuted",
      [](const Shape& size, const Shape& physical_layout, FACTORY_PARAMETERS) {
        NORCH_CHECK(size.size() == physical_layout.size(), "empty_permuted: Number of dimensions in size does not match the "
                    "length of the physical_layout; i.e. len(size) = ", size.size(),
                    " is not equal to len(physical_layout) = ", physical_layout.size());
        numel_of(size, "empty_permuted");
        Shape strides(size.size(), 0);
        uint64_t seen = 0;
        int64_t stride = 1;
        for (size_t i = size.size(); i-- > 0;) {
          const int64_t d = physical_layout[i];
          NORCH_CHECK(d >= 0 && d < static_cast<int64_t>(size.size()), "empty_permuted: Dimension out of range (expected to "
                      "be between 0 and ", size.size() - 1, ", but got ", d, " at index ", i, ")");
          NORCH_CHECK(!((seen >> d) & 1), "empty_permuted: Duplicate dim not allowed");
          seen |= uint64_t{1} << d;
          strides[d] = stride;
          stride *= std::max<int64_t>(size[d], 1);
        }
        return empty_strided(size, strides, options(dtype, device, requires_grad));
      },
      "empty_permuted(size, physical_layout) -> Tensor\n\nUninitialised and dense, its dims in memory in the given order.",
      "size"_a, "physical_layout"_a, FACTORY_KEYWORDS);
  const char* strided_doc = "empty_strided(size, stride) -> Tensor\n\nUninitialised, with the given strides.";
  b.function(
      "empty_strided",
      [](const Shape& size, const Shape& stride, FACTORY_PARAMETERS) {
        return empty_strided(size, stride, options(dtype, device, requires_grad));
      },
      strided_doc, "size"_a, "stride"_a, FACTORY_KEYWORDS);
  b.method(
      "new_empty_strided",
      [](const Tensor& t, const Shape& size, const Shape& stride, FACTORY_PARAMETERS) {
        return empty_strided(size, stride, options(t, dtype, device, requires_grad));
      },
      strided_doc, "size"_a, "stride"_a, FACTORY_KEYWORDS);
}

void bind_fill(Binder& b) {
  b.op(
      "fill_",
      [](const Tensor& t, const Operand& value) {
        NORCH_CHECK(value.tensor.dim() == 0, "fill_: fill_ only supports 0-dimension value tensor but got tensor with ",
                    value.tensor.dim(), " dimensions.");
        return value.tensor.is_wrapped_number() ? fill_(t, value.tensor.item()) : copy_(t, value);
      },
      "fill_(input, value) -> Tensor\n\nSets every element.", "input"_a, "value"_a);
  b.op("zero_", &zero_, "zero_(input) -> Tensor\n\nSets every element to 0.", "input"_a);
}

void bind_sequences(Binder& b) {
  const char* arange_doc =
      "arange(start=0, end, step=1, *, dtype=None, device=None, requires_grad=False) -> Tensor\n\nstart, start + step, "
      "... up to but without end; int64 unless a number is a float.";
  b.function(
      "arange",
      [](const Scalar& end, FACTORY_PARAMETERS) {
        return arange(0, end, 1, options(dtype, device, requires_grad));
      },
      arange_doc, "end"_a, FACTORY_KEYWORDS);
  b.function(
      "arange",
      [](const Scalar& start, const Scalar& end, const Scalar& step, FACTORY_PARAMETERS) {
        return arange(start, end, step, options(dtype, device, requires_grad));
      },
      arange_doc, "start"_a, "end"_a, "step"_a = 1, FACTORY_KEYWORDS);
  b.function(
      "linspace",
      [](const Scalar& start, const Scalar& end, int64_t steps, FACTORY_PARAMETERS) {
        return linspace(start, end, steps, options(dtype, device, requires_grad));
      },
      "linspace(start, end, steps, *, dtype=None, device=None, requires_grad=False) -> Tensor\n\n`steps` evenly spaced "
      "numbers, both ends included.",
      "start"_a, "end"_a, "steps"_a, FACTORY_KEYWORDS);
  b.function(
      "logspace",
      [](const Scalar& start, const Scalar& end, int64_t steps, double base, FACTORY_PARAMETERS) {
        return logspace(start, end, steps, base, options(dtype, device, requires_grad));
      },
      "logspace(start, end, steps, base=10.0) -> Tensor\n\nPowers of base with evenly spaced exponents.", "start"_a,
      "end"_a, "steps"_a, "base"_a = 10.0, FACTORY_KEYWORDS);
  b.function(
      "eye",
      [](int64_t n, std::optional<int64_t> m, FACTORY_PARAMETERS) {
        return eye(n, m.value_or(n), options(dtype, device, requires_grad));
      },
      "eye(n, m=None, *, dtype=None, device=None, requires_grad=False) -> Tensor\n\nOnes on the diagonal.", "n"_a,
      "m"_a = nb::none(), FACTORY_KEYWORDS);

  b.op("tril", &tril, "tril(input, diagonal=0) -> Tensor\n\nZeros above the diagonal.", "input"_a, "diagonal"_a = 0);
  b.op("triu", &triu, "triu(input, diagonal=0) -> Tensor\n\nZeros below the diagonal.", "input"_a, "diagonal"_a = 0);
  b.method("tril_", &tril_, "tril_(diagonal=0) -> Tensor", "diagonal"_a = 0);
  b.method("triu_", &triu_, "triu_(diagonal=0) -> Tensor", "diagonal"_a = 0);
  using Indices = Tensor (*)(int64_t, int64_t, int64_t, const TensorOptions&);
  const std::pair<const char*, Indices> indices[] = {{"tril_indices", &tril_indices}, {"triu_indices", &triu_indices}};
  for (auto& [name, f] : indices)
    b.function(
        name,
        [f = f](int64_t row, int64_t col, int64_t offset, FACTORY_PARAMETERS) {
          return f(row, col, offset, options(dtype ? dtype : kInt64, device, requires_grad));
        },
        "Row and column indices (2, count) of the triangle of a (row, col) matrix.", "row"_a, "col"_a, "offset"_a = 0,
        FACTORY_KEYWORDS);
  b.function(
      "meshgrid",
      [](const nb::args& args, const std::optional<std::string>& indexing) {
        TensorList tensors;
        if (args.size() == 1 && !is_tensor(args[0].ptr()))
          tensors = nb::cast<TensorList>(args[0]);
        else
          tensors = nb::cast<TensorList>(args);
        for (const Tensor& t : tensors) NORCH_CHECK_TYPE(t.defined(), "meshgrid(): expected tensors, but one is None");
        return meshgrid(tensors, indexing.value_or("ij"));
      },
      "meshgrid(*tensors, indexing='ij') -> tuple of Tensors\n\nViews of the inputs that together run over their grid.",
      "tensors"_a, "indexing"_a = "ij");
}

}  // namespace

void bind_factories(Binder& b) {
  bind_filled(b);
  bind_full(b);
  bind_strided(b);
  bind_fill(b);
  bind_sequences(b);
}

}  // namespace norch::python
