// Views, parts, rearrangement.
#include "bind.h"
#include "norch/ops.h"

namespace norch::python {

namespace {

/// The ints of f(2, 3) or f((2, 3)).
Shape ints_of(const char* op, const nb::args& args) {
  Shape out;
  if (args.size() == 1 && nb::try_cast<Shape>(args[0], out)) return out;
  NORCH_CHECK_TYPE(args.size() <= static_cast<size_t>(kMaxTensorDims), op, "(): at most ", kMaxTensorDims, " ints");
  for (nb::handle a : args) {
    int64_t v;
    NORCH_CHECK_TYPE(int_from_python(a.ptr(), v), op, "(): argument must be ints or one sequence of ints, but found ",
                     Py_TYPE(a.ptr())->tp_name);
    out.push_back(v);
  }
  return out;
}

/// The tensors of f(a, b) or f([a, b]).
TensorList tensors_of(const char* op, const nb::args& args) {
  TensorList out;
  if (args.size() == 1 && nb::try_cast<TensorList>(args[0], out)) {
    for (const Tensor& t : out) NORCH_CHECK_TYPE(t.defined(), op, "(): expected tensors, but one is None");
    return out;
  }
  for (nb::handle a : args) {
    NORCH_CHECK_TYPE(is_tensor(a.ptr()), op, "(): arguments must be tensors, but found ", Py_TYPE(a.ptr())->tp_name);
    out.push_back(unwrap(a.ptr()));
  }
  return out;
}

/// A method that takes its ints one by one or as a sequence, positional or by name; a function if asked for.
template <class F>
void ints_method(Binder& b, const char* name, const char* keyword, F f, const char* doc, bool function) {
  b.method(
      name, [name, f](const Tensor& t, const nb::args& a) { return f(t, ints_of(name, a)); }, doc, "args"_a);
  b.method(
      name, [f](const Tensor& t, const Shape& v) { return f(t, v); }, doc, nb::arg(keyword));
  if (function)
    b.function(
        name, [f](const Tensor& t, const Shape& v) { return f(t, v); }, doc, "input"_a, nb::arg(keyword));
}

/// A function of any number of tensors.
template <class F>
void tensors_function(Binder& b, const char* name, F f, const char* doc) {
  b.function(
      name, [name, f](const nb::args& a) { return f(tensors_of(name, a)); }, doc, "args"_a);
}

void bind_shapes(Binder& b) {
  b.method(
      "view", [](const Tensor& t, DType d) { return view_dtype(t, d); },
      "view(dtype) -> Tensor\n\nThe same bytes as another dtype.", "dtype"_a);
  ints_method(b, "view", "size", [](const Tensor& t, const Shape& s) { return view(t, s); },
              "view(*shape) -> Tensor\n\nThe same memory under another shape; RuntimeError where strides do not allow it.",
              false);
  ints_method(b, "reshape", "shape", [](const Tensor& t, const Shape& s) { return reshape(t, s); },
              "reshape(input, shape) -> Tensor\n\nThe elements in row-major order under another shape: a view if "
              "possible, a copy otherwise.", true);
  b.method("view_as", &view_as, "view_as(other) -> Tensor", "other"_a);
  b.method("reshape_as", &reshape_as, "reshape_as(other) -> Tensor", "other"_a);
  b.op("flatten", &flatten, "flatten(input, start_dim=0, end_dim=-1) -> Tensor\n\nJoins a range of dims into one.",
       "input"_a, "start_dim"_a = 0, "end_dim"_a = -1);
  b.op(
      "unflatten", [](const Tensor& t, int64_t dim, const Shape& s) { return unflatten(t, dim, s); },
      "unflatten(input, dim, sizes) -> Tensor\n\nCuts one dim into several.", "input"_a, "dim"_a, "sizes"_a);
  b.op("ravel", &ravel, "ravel(input) -> Tensor\n\nAll elements in one dim.", "input"_a);

  ints_method(b, "expand", "size", [](const Tensor& t, const Shape& s) { return expand(t, s); },
              "expand(*sizes) -> Tensor\n\nA view with dims of size 1 repeated; -1 keeps a size.", false);
  b.method(
      "expand", [](const Tensor& t, const nb::args& a, bool) { return expand(t, ints_of("expand", a)); },
      "The same; `implicit` says nothing.", "args"_a, "implicit"_a);
  b.method("expand_as", &expand_as, "expand_as(other) -> Tensor", "other"_a);
  ints_method(b, "broadcast_to", "size", [](const Tensor& t, const Shape& s) { return expand(t, s); },
              "broadcast_to(input, size) -> Tensor\n\nAs expand.", true);
  tensors_function(b, "broadcast_tensors", [](const TensorList& l) { return broadcast_tensors(l); },
                   "broadcast_tensors(*tensors) -> tuple of Tensors");

  b.op("transpose", &transpose, "transpose(input, dim0, dim1) -> Tensor\n\nSwaps two dims.", "input"_a, "dim0"_a,
       "dim1"_a);
  b.op("swapdims", &transpose, "swapdims(input, dim0, dim1) -> Tensor", "input"_a, "dim0"_a, "dim1"_a);
  b.op("swapaxes", &transpose, "swapaxes(input, axis0, axis1) -> Tensor", "input"_a, "axis0"_a, "axis1"_a);
  b.op("t", &t, "t(input) -> Tensor\n\nTransposes a tensor of at most 2 dims.", "input"_a);
  b.op("adjoint", &adjoint, "adjoint(input) -> Tensor", "input"_a);
  ints_method(b, "permute", "dims", [](const Tensor& t, const Shape& s) { return permute(t, s); },
              "permute(input, dims) -> Tensor\n\nDims in another order.", true);
  for (const char* name : {"movedim", "moveaxis"})
    b.op(
        name, [](const Tensor& t, const Shape& from, const Shape& to) { return movedim(t, from, to); },
        "movedim(input, source, destination) -> Tensor", "input"_a, "source"_a, "destination"_a);

  b.op(
      "squeeze", [](const Tensor& t) { return squeeze(t); },
      "squeeze(input, dim=None) -> Tensor\n\nWithout dims of size 1: all, one, or those of a tuple.", "input"_a);
  b.op(
      "squeeze", [](const Tensor& t, std::optional<Shape> dim) { return dim ? squeeze(t, *dim) : squeeze(t); },
      "squeeze(input, dim) -> Tensor", "input"_a, "dim"_a.none());
  b.op("unsqueeze", &unsqueeze, "unsqueeze(input, dim) -> Tensor\n\nA new dim of size 1.", "input"_a, "dim"_a);
  b.method(
      "squeeze_", [](const Tensor& t) { return squeeze_(t); }, "squeeze_(dim=None) -> Tensor");
  b.method(
      "squeeze_", [](const Tensor& t, std::optional<Shape> dim) { return dim ? squeeze_(t, *dim) : squeeze_(t); },
      "squeeze_(dim) -> Tensor", "dim"_a.none());
  b.method("unsqueeze_", &unsqueeze_, "unsqueeze_(dim) -> Tensor", "dim"_a);
  for (const char* name : {"transpose_", "swapdims_"})
    b.method(name, &transpose_, "transpose_(dim0, dim1) -> Tensor", "dim0"_a, "dim1"_a);
  b.method("swapaxes_", &transpose_, "swapaxes_(axis0, axis1) -> Tensor", "axis0"_a, "axis1"_a);
  b.method("t_", &t_, "t_() -> Tensor");

  using OneToOne = Tensor (*)(const Tensor&);
  const std::pair<const char*, OneToOne> atleast[] = {
      {"atleast_1d", &atleast_1d}, {"atleast_2d", &atleast_2d}, {"atleast_3d", &atleast_3d}};
  for (auto& [name, f] : atleast)
    b.function(
        name,
        [name = name, f = f](const nb::args& a) -> nb::object {
          if (a.size() == 1 && is_tensor(a[0].ptr())) return nb::cast(f(unwrap(a[0].ptr())));
          TensorList out = tensors_of(name, a);
          for (Tensor& x : out) x = f(x);
          return nb::cast(out);
        },
        "atleast_nd(*tensors) -> Tensor or tuple of Tensors", "args"_a);

  b.op(
      "as_strided",
      [](const Tensor& t, const Shape& size, const Shape& stride, std::optional<int64_t> offset) {
        return as_strided(t, size, stride, offset);
      },
      "as_strided(input, size, stride, storage_offset=None) -> Tensor\n\nThe memory under any geometry.", "input"_a,
      "size"_a, "stride"_a, "storage_offset"_a = nb::none());
  b.op(
      "as_strided_scatter",
      [](const Tensor& t, const Tensor& src, const Shape& size, const Shape& stride, std::optional<int64_t> offset) {
        return as_strided_scatter(t, src, size, stride, offset);
      },
      "as_strided_scatter(input, src, size, stride, storage_offset=None) -> Tensor", "input"_a, "src"_a, "size"_a,
      "stride"_a, "storage_offset"_a = nb::none());
}

void bind_parts(Binder& b) {
  b.op("select", &select, "select(input, dim, index) -> Tensor\n\nOne slice along a dim, without it.", "input"_a,
       "dim"_a, "index"_a);
  b.op(
      "narrow",
      [](const Tensor& t, int64_t dim, const Operand& start, int64_t length) {
        NORCH_CHECK(start.tensor.dim() == 0 && is_integral(start.tensor.dtype()),
                    "narrow: start must be an 0-dim integral Tensor.");
        return narrow(t, dim, start.tensor.item<int64_t>(), length);
      },
      "narrow(input, dim, start, length) -> Tensor", "input"_a, "dim"_a, "start"_a, "length"_a);
  b.op("diagonal", &diagonal, "diagonal(input, offset=0, dim1=0, dim2=1) -> Tensor", "input"_a, "offset"_a = 0,
       "dim1"_a = 0, "dim2"_a = 1);
  b.method("unfold", &unfold, "unfold(dimension, size, step) -> Tensor\n\nAll windows along a dim.", "dimension"_a,
           "size"_a, "step"_a);

  auto split_any = [](const Tensor& t, const nb::object& size, int64_t dim) {
    int64_t n;
    Shape sizes;
    if (int_from_python(size.ptr(), n)) return split(t, n, dim);
    std::vector<int64_t> list;
    NORCH_CHECK_TYPE(nb::try_cast<Shape>(size, sizes) || nb::isinstance<nb::sequence>(size),
                     "split: split_size must be an int or a sequence of ints");
    if (sizes.size()) return split(t, Ints(sizes), dim);
    for (nb::handle h : nb::borrow<nb::sequence>(size)) {
      NORCH_CHECK_TYPE(int_from_python(h.ptr(), n), "split: split_size must be an int or a sequence of ints");
      list.push_back(n);
    }
    return split(t, Ints(list), dim);
  };
  b.function("split", split_any,
             "split(tensor, split_size_or_sections, dim=0) -> tuple of Tensors\n\nParts of one size or of given sizes.",
             "tensor"_a, "split_size_or_sections"_a, "dim"_a = 0);
  b.method("split", split_any, "split(split_size, dim=0) -> tuple of Tensors", "split_size"_a, "dim"_a = 0);
  b.op("unsafe_split", split_any, "unsafe_split(input, split_size, dim=0) -> tuple of Tensors\n\nAs split.", "input"_a,
       "split_size"_a, "dim"_a = 0);
  b.op("split_with_sizes", split_any, "split_with_sizes(input, split_sizes, dim=0) -> tuple of Tensors", "input"_a,
       "split_sizes"_a, "dim"_a = 0);
  b.op("chunk", &chunk, "chunk(input, chunks, dim=0) -> tuple of Tensors", "input"_a, "chunks"_a, "dim"_a = 0);
  b.op("unbind", &unbind, "unbind(input, dim=0) -> tuple of Tensors", "input"_a, "dim"_a = 0);

  auto tensor_split_any = [](const Tensor& t, const nb::object& where, int64_t dim) {
    int64_t n;
    if (is_tensor(where.ptr()) && unwrap(where.ptr()).dim() > 0) {
      const Tensor cuts = unwrap(where.ptr()).to(kCPU, kInt64).contiguous();
      NORCH_CHECK(cuts.dim() == 1, "tensor_split expected tensor_indices_or_sections to be 0-d or 1-d");
      return tensor_split(t, Ints(cuts.data<int64_t>(), static_cast<size_t>(cuts.numel())), dim);
    }
    if (int_from_python(where.ptr(), n)) return tensor_split(t, n, dim);
    return tensor_split(t, Ints(nb::cast<Shape>(where)), dim);
  };
  b.op("tensor_split", tensor_split_any,
       "tensor_split(input, indices_or_sections, dim=0) -> tuple of Tensors\n\nThat many parts, or cuts at the indices.",
       "input"_a, "indices_or_sections"_a, "dim"_a = 0);
  for (const char* where : {"sections", "indices", "tensor_indices_or_sections"})
    b.op("tensor_split", tensor_split_any, "The same.", "input"_a, nb::arg(where), "dim"_a = 0);
  auto named_split = [&b](const char* name, TensorList (*by_count)(const Tensor&, int64_t),
                          TensorList (*by_index)(const Tensor&, Ints)) {
    b.op(
        name,
        [by_count, by_index](const Tensor& t, const nb::object& where) {
          int64_t n;
          return int_from_python(where.ptr(), n) ? by_count(t, n) : by_index(t, nb::cast<Shape>(where));
        },
        "hsplit, vsplit, dsplit(input, indices_or_sections) -> tuple of Tensors", "input"_a, "indices_or_sections"_a);
    b.op(
        name, [by_count](const Tensor& t, int64_t sections) { return by_count(t, sections); },
        "The same, into so many parts.", "input"_a, "sections"_a);
    b.op(
        name, [by_index](const Tensor& t, const Shape& indices) { return by_index(t, indices); },
        "The same, cut at the indices.", "input"_a, "indices"_a);
    b.method(
        name,
        [by_index](const Tensor& t, int64_t first, int64_t second, const nb::args& more) {
          Shape cuts{first, second};
          for (nb::handle m : more) cuts.push_back(nb::cast<int64_t>(m));
          return by_index(t, cuts);
        },
        "The same, cut at each of several indices.", "first"_a, "second"_a, "more"_a);
  };
  named_split("hsplit", hsplit, hsplit);
  named_split("vsplit", vsplit, vsplit);
  named_split("dsplit", dsplit, dsplit);

  b.op("select_scatter", &select_scatter, "select_scatter(input, src, dim, index) -> Tensor", "input"_a, "src"_a,
       "dim"_a, "index"_a);
  b.op("slice_scatter", &slice_scatter, "slice_scatter(input, src, dim=0, start=None, end=None, step=1) -> Tensor",
       "input"_a, "src"_a, "dim"_a = 0, "start"_a = nb::none(), "end"_a = nb::none(), "step"_a = 1);
  b.op("diagonal_scatter", &diagonal_scatter, "diagonal_scatter(input, src, offset=0, dim1=0, dim2=1) -> Tensor",
       "input"_a, "src"_a, "offset"_a = 0, "dim1"_a = 0, "dim2"_a = 1);
}

void bind_rearrangement(Binder& b) {
  ints_method(b, "flip", "dims", [](const Tensor& t, const Shape& d) { return flip(t, d); },
              "flip(input, dims) -> Tensor\n\nReverses dims.", true);
  b.op("fliplr", &fliplr, "fliplr(input) -> Tensor", "input"_a);
  b.op("flipud", &flipud, "flipud(input) -> Tensor", "input"_a);
  b.op(
      "roll", [](const Tensor& t, const Shape& s, std::optional<Shape> d) { return roll(t, s, d ? Ints(*d) : Ints()); },
      "roll(input, shifts, dims=None) -> Tensor\n\nShifts elements around.", "input"_a, "shifts"_a, "dims"_a = nb::none());
  b.op(
      "rot90", [](const Tensor& t, int64_t k, std::optional<Shape> d) { return d ? rot90(t, k, *d) : rot90(t, k); },
      "rot90(input, k=1, dims=(0, 1)) -> Tensor", "input"_a, "k"_a = 1, "dims"_a = nb::none());
  ints_method(b, "repeat", "repeats", [](const Tensor& t, const Shape& r) { return repeat(t, r); },
              "repeat(*repeats) -> Tensor\n\nThe tensor side by side with itself.", false);
  ints_method(b, "tile", "dims", [](const Tensor& t, const Shape& r) { return tile(t, r); },
              "tile(input, dims) -> Tensor", true);
  auto interleave = [](const Tensor& t, const nb::object& repeats, std::optional<int64_t> dim, std::optional<int64_t>) {
    if (is_tensor(repeats.ptr())) return repeat_interleave(t, unwrap(repeats.ptr()), dim);
    int64_t n;
    if (int_from_python(repeats.ptr(), n)) return repeat_interleave(t, n, dim);
    return repeat_interleave(t, tensor_from_python(repeats, kInt64, kCPU), dim);
  };
  b.op("repeat_interleave", interleave,
       "repeat_interleave(input, repeats, dim=None) -> Tensor\n\nEach element several times.", "input"_a, "repeats"_a,
       "dim"_a = nb::none(), nb::kw_only(), "output_size"_a = nb::none());
  b.op("diag", &diag, "diag(input, diagonal=0) -> Tensor", "input"_a, "diagonal"_a = 0);
  b.op("diag_embed", &diag_embed, "diag_embed(input, offset=0, dim1=-2, dim2=-1) -> Tensor", "input"_a, "offset"_a = 0,
       "dim1"_a = -2, "dim2"_a = -1);
}

void bind_joins(Binder& b) {
  b.function("cat", &cat, "cat(tensors, dim=0, *, out=None) -> Tensor\n\nThe tensors one after another along a dim.",
             "tensors"_a, "dim"_a = 0);
  b.function("stack", &stack, "stack(tensors, dim=0) -> Tensor\n\nThe tensors along a new dim.", "tensors"_a,
             "dim"_a = 0);
  using Join = Tensor (*)(const TensorList&);
  const std::pair<const char*, Join> joins[] = {{"hstack", &hstack},
                                                {"vstack", &vstack},
                                                {"dstack", &dstack},
                                                {"column_stack", &column_stack}};
  for (auto& [name, f] : joins) b.function(name, f, "hstack, vstack, dstack, column_stack(tensors) -> Tensor", "tensors"_a);
  tensors_function(b, "block_diag", &block_diag, "block_diag(*tensors) -> Tensor");
  tensors_function(b, "cartesian_prod", &cartesian_prod, "cartesian_prod(*tensors) -> Tensor");
  b.function("combinations", &combinations, "combinations(input, r=2, with_replacement=False) -> Tensor", "input"_a,
             "r"_a = 2, "with_replacement"_a = false);
}

}  // namespace

void bind_view_ops(Binder& b) {
  bind_shapes(b);
  bind_parts(b);
  bind_rearrangement(b);
  bind_joins(b);
}

}  // namespace norch::python
