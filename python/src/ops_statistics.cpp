// Differences, summaries, histograms, sets, and sizes changed in place.
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include "bind.h"
#include "named_results.h"
#include "norch/ops.h"

namespace norch::python {

namespace {

using Maybe = std::optional<Tensor>;
Tensor or_none(const Maybe& t) { return t.value_or(Tensor()); }

/// gradient()'s spacing: a number for all dims, or a number or 1-d tensor for each.
TensorList spacing_of(const Tensor& t, nb::handle spacing, const std::optional<Shape>& dim) {
  const size_t dims = dim ? dim->size() : static_cast<size_t>(t.dim());
  TensorList out;
  if (spacing.is_none()) return out;
  const Tensor one = operand_from_python(spacing.ptr());
  if (one.defined() && one.dim() == 0) return TensorList(dims, one);
  NORCH_CHECK_TYPE(nb::isinstance<nb::sequence>(spacing), "gradient: spacing must be a number or a sequence of numbers or "
                   "tensors");
  for (nb::handle item : nb::borrow<nb::sequence>(spacing)) {
    const Tensor h = operand_from_python(item.ptr());
    NORCH_CHECK_TYPE(h.defined(), "gradient: spacing must hold numbers or tensors, but found ",
                     Py_TYPE(item.ptr())->tp_name);
    out.push_back(h);
  }
  return out;
}

void bind_calculus(Binder& b) {
  b.op(
      "diff",
      [](const Tensor& t, int64_t n, int64_t dim, const Maybe& prepend, const Maybe& append) {
        return diff(t, n, dim, or_none(prepend), or_none(append));
      },
      "diff(input, n=1, dim=-1, prepend=None, append=None) -> Tensor\n\nThe n-th difference of neighbours along a dim.\n\n"
      ">>> norch.diff(norch.tensor([1, 3, 2]))\ntensor([ 2, -1])",
      "input"_a, "n"_a = 1, "dim"_a = -1, "prepend"_a = nb::none(), "append"_a = nb::none());
  b.function(
      "gradient",
      [](const Tensor& t, nb::handle spacing, const std::optional<Shape>& dim, int64_t edge_order) {
        return gradient(t, spacing_of(t, spacing, dim), dim ? Ints(*dim) : Ints(), edge_order);
      },
      "gradient(input, *, spacing=1, dim=None, edge_order=1) -> tuple of Tensors\n\nSlopes along dims by central "
      "differences; spacing: the step, or for each dim its step or the places of the samples.\n\n"
      ">>> norch.gradient(norch.tensor([1., 2., 4., 8.]))\n(tensor([1.0000, 1.5000, 3.0000, 4.0000]),)",
      "input"_a, nb::kw_only(), "spacing"_a = nb::none(), "dim"_a = nb::none(), "edge_order"_a = 1);
  struct Row {
    const char* name;
    Tensor (*by_step)(const Tensor&, const Scalar&, int64_t);
    Tensor (*by_places)(const Tensor&, const Tensor&, int64_t);
  };
  for (const Row& row : {Row{"trapezoid", &trapezoid, &trapezoid},
                         Row{"cumulative_trapezoid", &cumulative_trapezoid, &cumulative_trapezoid}})
    b.function(
        row.name,
        [row](const Tensor& y, const Maybe& x, const std::optional<Scalar>& dx, int64_t dim) {
          NORCH_CHECK_TYPE(!x || !dx, row.name, "(): either x or dx may be given, not both");
          return x ? row.by_places(y, *x, dim) : row.by_step(y, dx.value_or(1), dim);
        },
        "trapezoid(y, x=None, *, dx=None, dim=-1) -> Tensor\n\nThe area under y by the trapezoidal rule "
        "(cumulative_trapezoid: up to every sample but the first).",
        "y"_a, "x"_a = nb::none(), nb::kw_only(), "dx"_a = nb::none(), "dim"_a = -1);
}

void bind_summaries(Binder& b) {
  b.op(
      "cov",
      [](const Tensor& t, int64_t correction, const Maybe& f, const Maybe& a) {
        return cov(t, correction, or_none(f), or_none(a));
      },
      "cov(input, *, correction=1, fweights=None, aweights=None) -> Tensor\n\nThe covariance matrix of the rows.",
      "input"_a, nb::kw_only(), "correction"_a = 1, "fweights"_a = nb::none(), "aweights"_a = nb::none());
  b.op("corrcoef", &corrcoef, "corrcoef(input) -> Tensor\n\nThe correlation coefficients of the rows.", "input"_a);
  b.op("renorm", &renorm, "renorm(input, p, dim, maxnorm) -> Tensor\n\nSlices along `dim` scaled down to a p-norm of at "
       "most maxnorm.", "input"_a, "p"_a, "dim"_a, "maxnorm"_a);

  using Bins = std::variant<int64_t, Tensor>;
  using Range = std::optional<std::vector<double>>;
  PyObject* one_dim = named_type("histogram", {"hist", "bin_edges"});
  b.op(
      "histogram",
      [one_dim](const Tensor& t, const Bins& bins, const Range& range, const Maybe& weight, bool density) {
        const Tensor points = reshape(t, {-1, 1});
        const Tensor w = weight ? reshape(*weight, {-1}) : Tensor();
        NORCH_CHECK(!weight || weight->sizes() == t.sizes(), "histogram: weight has to have the shape of the input, ",
                    t.sizes(), ", got ", weight ? Shape(weight->sizes()) : Shape());
        const int64_t* n = std::get_if<int64_t>(&bins);
        NORCH_CHECK(n || !range, "histogram: range goes with a number of bins, not with their edges");
        const Histogram h = n ? histogramdd(points, {*n}, range.value_or(std::vector<double>()), w, density)
                              : histogramdd(points, TensorList{std::get<Tensor>(bins)}, w, density);
        return NamedPair{one_dim, h.hist, h.edges[0]};
      },
      "histogram(input, bins=100, *, range=None, weight=None, density=False) -> (hist, bin_edges)\n\nCounts in `bins` equal "
      "intervals, or between given edges.",
      "input"_a, "bins"_a = 100, nb::kw_only(), "range"_a = nb::none(), "weight"_a = nb::none(), "density"_a = false);
  PyObject* many_dims = named_type("histogramdd", {"hist", "bin_edges"});
  b.function(
      "histogramdd",
      [many_dims](const Tensor& t, const std::variant<int64_t, Shape, TensorList>& bins, const Range& range,
                  const Maybe& weight, bool density) {
        Histogram h;
        const std::vector<double> limits = range.value_or(std::vector<double>());
        if (const TensorList* edges = std::get_if<TensorList>(&bins)) {
          h = histogramdd(t, *edges, or_none(weight), density);
        } else if (const Shape* counts = std::get_if<Shape>(&bins)) {
          h = histogramdd(t, *counts, limits, or_none(weight), density);
        } else {
          NORCH_CHECK(t.dim() >= 2, "histogramdd: input tensor should have at least 2 dimensions, but got ", t.dim());
          const Shape equal(static_cast<size_t>(t.size(-1)), std::get<int64_t>(bins));
          h = histogramdd(t, equal, limits, or_none(weight), density);
        }
        return nb::handle(many_dims)(nb::make_tuple(h.hist, h.edges));
      },
      "histogramdd(input, bins, *, range=None, weight=None, density=False) -> (hist, bin_edges)\n\nCounts of points "
      "(..., n) in a grid: bins for all dims, for each, or the edges of each.",
      "input"_a, "bins"_a, nb::kw_only(), "range"_a = nb::none(), "weight"_a = nb::none(), "density"_a = false);
}

void bind_sets(Binder& b) {
  const auto is_in = [](const Operand& elements, const Operand& tests, bool, bool invert) {
    return isin(elements, tests, invert);
  };
  b.function(
      "isin", is_in,
      "isin(elements, test_elements, *, assume_unique=False, invert=False) -> Tensor\n\nWhether each element is among the "
      "tests.\n\n>>> norch.isin(norch.tensor([1, 2, 3]), norch.tensor([3, 1]))\ntensor([ True, False,  True])",
      "elements"_a, "test_elements"_a, nb::kw_only(), "assume_unique"_a = false, "invert"_a = false);
  b.function("isin", is_in, "PyTorch's name of a number among the elements.", "element"_a, "test_elements"_a,
             nb::kw_only(), "assume_unique"_a = false, "invert"_a = false);
  b.function("isin", is_in, "PyTorch's name of a number as the only test.", "elements"_a, "test_element"_a,
             nb::kw_only(), "assume_unique"_a = false, "invert"_a = false);
  b.op("nonzero_static", &nonzero_static, "nonzero_static(input, *, size, fill_value=-1) -> Tensor\n\nnonzero cut or "
       "filled up to `size` rows.", "input"_a, nb::kw_only(), "size"_a, "fill_value"_a = -1);
  b.op("index_reduce", &index_reduce, "index_reduce(input, dim, index, source, reduce, *, include_self=True) -> "
       "Tensor\n\nSlices combined by 'prod', 'mean', 'amax' or 'amin'.", "input"_a, "dim"_a, "index"_a, "source"_a,
       "reduce"_a, nb::kw_only(), "include_self"_a = true);
  b.op(
      "diagflat", [](const Tensor& t, int64_t offset) { return diag(reshape(t, {-1}), offset); },
      "diagflat(input, offset=0) -> Tensor\n\nThe matrix with the elements on a diagonal.", "input"_a, "offset"_a = 0);
  b.function(
      "fill",
      [](const Tensor& t, const Operand& value) {
        NORCH_CHECK(value.tensor.dim() == 0, "fill: only supports 0-dimension value tensor but got tensor with ",
                    value.tensor.dim(), " dimensions.");
        return copy_(t.clone(), value);
      },
      "fill(input, value) -> Tensor\n\nA tensor like the input with one value.", "input"_a, "value"_a);
}

void bind_sizes(Binder& b) {
  b.function(
      "broadcast_shapes",
      [](const nb::args& shapes) {
        Shape out;
        for (nb::handle s : shapes) {
          Shape shape;
          NORCH_CHECK_TYPE(nb::try_cast<Shape>(s, shape), "broadcast_shapes: Input shapes should be of type ints, a tuple of "
                           "ints, or a list of ints, got ", Py_TYPE(s.ptr())->tp_name);
          for (int64_t n : shape)
            NORCH_CHECK(n >= 0, "broadcast_shapes: Trying to create tensor with negative dimension (", n, "): ", shape);
          out = broadcast_shapes(out, shape, "broadcast_shapes");
        }
        return out;
      },
      "broadcast_shapes(*shapes) -> Size\n\n>>> norch.broadcast_shapes((2, 1), 3)\nnorch.Size([2, 3])", "args"_a);
  using Format = std::optional<MemoryFormat>;
  const auto check_format = [](const char* name, Format f) {
    NORCH_CHECK(!f || *f == MemoryFormat::contiguous || *f == MemoryFormat::preserve, name,
                ": only the row-major format is there; use .to(memory_format=...) afterwards");
  };
  auto resized = [check_format](const Tensor& t, const nb::args& args, Format f) {
    check_format("resize_", f);
    Shape size;
    if (args.size() != 1 || !nb::try_cast<Shape>(args[0], size)) {
      size.clear();
      for (nb::handle a : args) {
        int64_t v;
        NORCH_CHECK_TYPE(int_from_python(a.ptr(), v), "resize_(): sizes are ints, but found ",
                         Py_TYPE(a.ptr())->tp_name);
        size.push_back(v);
      }
    }
    return resize_(t, size);
  };
  b.method("resize_", resized, "resize_(*sizes, memory_format=None) -> Tensor\n\nGives the tensor another shape and, if "
           "it needs it, more memory.", "args"_a, "memory_format"_a = nb::none());
  b.method(
      "resize_",
      [check_format](const Tensor& t, const Shape& size, Format f) {
        check_format("resize_", f);
        return resize_(t, size);
      },
      "The same.", "size"_a, nb::kw_only(), "memory_format"_a = nb::none());
  for (const char* other : {"tensor", "the_template"})
    b.method(
        "resize_as_",
        [check_format](const Tensor& t, const Tensor& like, Format f) {
          check_format("resize_as_", f);
          return resize_(t, like.sizes());
        },
        "resize_as_(the_template, *, memory_format=None) -> Tensor\n\nresize_ to another tensor's shape.", nb::arg(other),
        nb::kw_only(), "memory_format"_a = nb::none());
  b.method(
      "as_strided_",
      [](const Tensor& t, const Shape& size, const Shape& stride, std::optional<int64_t> offset) {
        return as_strided_(t, size, stride, offset);
      },
      "as_strided_(size, stride, storage_offset=None) -> Tensor", "size"_a, "stride"_a, "storage_offset"_a = nb::none());
  b.method(
      "fill_diagonal_",
      [](const Tensor& t, const Scalar& value, bool wrap) { return fill_diagonal_(t, value, wrap); },
      "fill_diagonal_(fill_value, wrap=False) -> Tensor\n\nSets the main diagonal; with `wrap` it starts anew below a tall "
      "matrix.", "fill_value"_a, "wrap"_a = false);
  // Python 2's division is a method still.
  b.method("__div__", [](const Tensor& t, const Operand& o) { return div(t, o); }, "__div__(other) -> Tensor", "other"_a);
  b.method("__idiv__", [](const Tensor& t, const Operand& o) { return div_(t, o); }, "__idiv__(other) -> Tensor",
           "other"_a);
  b.method("__rdiv__", [](const Tensor& t, const Operand& o) { return div(o, t); }, "__rdiv__(other) -> Tensor",
           "other"_a);
}

}  // namespace

void bind_statistics(Binder& b) {
  bind_calculus(b);
  bind_summaries(b);
  bind_sets(b);
  bind_sizes(b);
}

}  // namespace norch::python
