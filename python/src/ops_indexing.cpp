// gather, scatter and their like.
#include "bind.h"
#include "norch/index.h"
#include "norch/ops.h"

namespace norch::python {

namespace {

/// index_put's tuple of index tensors, None for a whole dim.
std::vector<TensorIndex> items_of(const TensorList& indices) {
  std::vector<TensorIndex> items;
  for (const Tensor& t : indices) {
    if (t.defined())
      items.emplace_back(t);
    else
      items.emplace_back(Slice());
  }
  return items;
}

std::string reduce_name(const std::optional<std::string>& reduce, const char* op) {
  NORCH_CHECK(!reduce || !reduce->empty(), op, ": reduce argument must be either add or multiply.");
  return reduce.value_or("");
}

void bind_along_dim(Binder& b) {
  b.op("index_select", &index_select, "index_select(input, dim, index) -> Tensor\n\nThe slices at `index`.", "input"_a,
       "dim"_a, "index"_a);
  b.op("index_add", &index_add, "index_add(input, dim, index, source, *, alpha=1) -> Tensor", "input"_a, "dim"_a,
       "index"_a, "source"_a, nb::kw_only(), "alpha"_a = Scalar(1));
  b.method("index_add_", &index_add_, "index_add_(dim, index, source, *, alpha=1) -> Tensor", "dim"_a, "index"_a,
           "source"_a, nb::kw_only(), "alpha"_a = Scalar(1));
  b.op("index_copy", &index_copy, "index_copy(input, dim, index, source) -> Tensor", "input"_a, "dim"_a, "index"_a,
       "source"_a);
  b.method("index_copy_", &index_copy_, "index_copy_(dim, index, source) -> Tensor", "dim"_a, "index"_a, "source"_a);
  b.op(
      "index_fill",
      [](const Tensor& t, int64_t dim, const Tensor& i, const Operand& v) { return index_fill(t, dim, i, v.tensor); },
      "index_fill(input, dim, index, value) -> Tensor", "input"_a, "dim"_a, "index"_a, "value"_a);
  b.method(
      "index_fill_",
      [](const Tensor& t, int64_t dim, const Tensor& i, const Operand& v) { return index_fill_(t, dim, i, v.tensor); },
      "index_fill_(dim, index, value) -> Tensor", "dim"_a, "index"_a, "value"_a);

  b.op(
      "gather", [](const Tensor& t, int64_t dim, const Tensor& i, bool) { return gather(t, dim, i); },
      "gather(input, dim, index, *, sparse_grad=False) -> Tensor\n\nElements by an index of their own along a dim.",
      "input"_a, "dim"_a, "index"_a, nb::kw_only(), "sparse_grad"_a = false);
  b.op("take_along_dim", &take_along_dim, "take_along_dim(input, indices, dim=None) -> Tensor", "input"_a, "indices"_a,
       "dim"_a = nb::none());
}

template <Tensor (*OfTensor)(const Tensor&, int64_t, const Tensor&, const Tensor&, const std::string&),
          Tensor (*OfNumber)(const Tensor&, int64_t, const Tensor&, const Scalar&, const std::string&)>
void bind_scatter(Binder& b, const char* name, bool function) {
  auto of_tensor = [name](const Tensor& t, int64_t dim, const Tensor& i, const Tensor& src,
                          const std::optional<std::string>& reduce) {
    return OfTensor(t, dim, i, src, reduce_name(reduce, name));
  };
  auto of_number = [name](const Tensor& t, int64_t dim, const Tensor& i, const Scalar& value,
                          const std::optional<std::string>& reduce) {
    return OfNumber(t, dim, i, value, reduce_name(reduce, name));
  };
  const char* doc = "scatter(input, dim, index, src or value, *, reduce=None) -> Tensor\n\nWrites to places by an index "
                    "of their own along a dim; reduce: 'add' or 'multiply'.";
  b.method(name, of_tensor, doc, "dim"_a, "index"_a, "src"_a, nb::kw_only(), "reduce"_a = nb::none());
  b.method(name, of_number, doc, "dim"_a, "index"_a, "value"_a, nb::kw_only(), "reduce"_a = nb::none());
  if (!function) return;
  b.function(name, of_tensor, doc, "input"_a, "dim"_a, "index"_a, "src"_a, nb::kw_only(), "reduce"_a = nb::none());
  b.function(name, of_number, doc, "input"_a, "dim"_a, "index"_a, "value"_a, nb::kw_only(), "reduce"_a = nb::none());
}

void bind_scatters(Binder& b) {
  bind_scatter<&scatter, &scatter>(b, "scatter", true);
  bind_scatter<&scatter_, &scatter_>(b, "scatter_", false);
  b.op("scatter_add", &scatter_add, "scatter_add(input, dim, index, src) -> Tensor", "input"_a, "dim"_a, "index"_a,
       "src"_a);
  b.method("scatter_add_", &scatter_add_, "scatter_add_(dim, index, src) -> Tensor", "dim"_a, "index"_a, "src"_a);
  b.op("scatter_reduce", &scatter_reduce,
       "scatter_reduce(input, dim, index, src, reduce, *, include_self=True) -> Tensor\n\nreduce: 'sum', 'prod', "
       "'mean', 'amax' or 'amin'.",
       "input"_a, "dim"_a, "index"_a, "src"_a, "reduce"_a, nb::kw_only(), "include_self"_a = true);
  b.method("scatter_reduce_", &scatter_reduce_,
           "scatter_reduce_(dim, index, src, reduce, *, include_self=True) -> Tensor", "dim"_a, "index"_a, "src"_a,
           "reduce"_a, nb::kw_only(), "include_self"_a = true);
}

void bind_places(Binder& b) {
  b.op("take", &take, "take(input, index) -> Tensor\n\nElements by their place in row-major order.", "input"_a,
       "index"_a);
  b.method("put", &put, "put(index, source, accumulate=False) -> Tensor", "index"_a, "source"_a, "accumulate"_a = false);
  b.method("put_", &put_, "put_(index, source, accumulate=False) -> Tensor", "index"_a, "source"_a,
           "accumulate"_a = false);
  b.op(
      "index_put",
      [](const Tensor& t, const TensorList& i, const Tensor& v, bool a) { return index_put(t, items_of(i), v, a); },
      "index_put(input, indices, values, accumulate=False) -> Tensor", "input"_a, "indices"_a, "values"_a,
      "accumulate"_a = false);
  b.method(
      "index_put_",
      [](const Tensor& t, const TensorList& i, const Tensor& v, bool a) { return index_put_(t, items_of(i), v, a); },
      "index_put_(indices, values, accumulate=False) -> Tensor", "indices"_a, "values"_a, "accumulate"_a = false);

  b.function("put", &put, "put(input, index, source, accumulate=False) -> Tensor\n\nThe input with source[i] at place "
             "index[i], counted in row-major order.\n\n>>> norch.put(norch.zeros(2, 2), norch.tensor([3]), "
             "norch.tensor([1.0]))\ntensor([[0., 0.],\n        [0., 1.]])",
             "input"_a, "index"_a, "source"_a, "accumulate"_a = false);
  const char* unravel_doc =
      "unravel_index(indices, shape) -> tuple of Tensors\n\nThe coordinates of places counted in row-major order in a tensor "
      "of that shape.\n\n>>> norch.unravel_index(norch.tensor([5]), (2, 3))\n(tensor([1]), tensor([2]))";
  b.function(
      "unravel_index", [](const Tensor& i, int64_t shape) { return nb::tuple(nb::cast(unravel_index(i, {shape}))); },
      unravel_doc, "indices"_a, "shape"_a);
  b.function(
      "unravel_index", [](const Tensor& i, const Shape& shape) { return nb::tuple(nb::cast(unravel_index(i, shape))); },
      unravel_doc, "indices"_a, "shape"_a);
  b.function(
      "segment_reduce",
      [](const Tensor& data, const std::string& reduce, const std::optional<Tensor>& lengths,
         const std::optional<Tensor>& indices, const std::optional<Tensor>& offsets, int64_t axis, bool unsafe,
         std::optional<Scalar> initial) {
        NORCH_CHECK(!indices, "segment_reduce(): indices based reductions are not supported; give lengths or offsets");
        return segment_reduce(data, reduce, lengths.value_or(Tensor()), offsets.value_or(Tensor()), axis, unsafe, initial);
      },
      "segment_reduce(data, reduce, *, lengths=None, indices=None, offsets=None, axis=0, unsafe=False, initial=None) -> "
      "Tensor\n\n'sum', 'mean', 'max', 'min' or 'prod' of neighbours along `axis`: of as many as `lengths` says, or from one "
      "of the `offsets` to the next.\n\n>>> norch.segment_reduce(norch.tensor([1.0, 2.0, 4.0]), 'sum', "
      "lengths=norch.tensor([1, 2]))\ntensor([1., 6.])",
      "data"_a, "reduce"_a, nb::kw_only(), "lengths"_a = nb::none(), "indices"_a = nb::none(), "offsets"_a = nb::none(),
      "axis"_a = 0, "unsafe"_a = false, "initial"_a = nb::none());

  b.op("masked_select", &masked_select, "masked_select(input, mask) -> Tensor", "input"_a, "mask"_a);
  b.op("masked_scatter", &masked_scatter, "masked_scatter(input, mask, source) -> Tensor", "input"_a, "mask"_a,
       "source"_a);
  b.method("masked_scatter_", &masked_scatter_, "masked_scatter_(mask, source) -> Tensor", "mask"_a, "source"_a);
  b.op(
      "nonzero",
      [](const Tensor& t, bool as_tuple) -> nb::object {
        return as_tuple ? nb::cast(nonzero_tuple(t)) : nb::cast(nonzero(t));
      },
      "nonzero(input, *, as_tuple=False) -> Tensor or tuple of Tensors\n\nWhere elements are not zero.", "input"_a,
      nb::kw_only(), "as_tuple"_a = false);
  b.op("argwhere", &argwhere, "argwhere(input) -> Tensor", "input"_a);
  b.function("where", &nonzero_tuple, "where(condition) -> tuple of Tensors\n\nWhere the condition holds.",
             "condition"_a);

  b.function(
      "searchsorted",
      [](const Tensor& sorted, const Operand& values, bool int32, bool right, std::optional<std::string> side,
         const std::optional<Tensor>& sorter) {
        NORCH_CHECK(!side || *side == "left" || *side == "right",
                    "searchsorted(): side can only be 'left' or 'right' but got ", side.value_or(""));
        NORCH_CHECK(!(right && side == "left"),
                    "searchsorted(): side and right can't be set to opposites, got side of left while right was True");
        return searchsorted(sorted, values.tensor.to(sorted.device()), int32, right || side == "right",
                            sorter.value_or(Tensor()));
      },
      "searchsorted(sorted_sequence, input, *, out_int32=False, right=False, side=None, sorter=None) -> Tensor",
      "sorted_sequence"_a, "input"_a, nb::kw_only(), "out_int32"_a = false, "right"_a = false, "side"_a = nb::none(),
      "sorter"_a = nb::none());
  b.function(
      "bucketize",
      [](const Operand& input, const Tensor& boundaries, bool int32, bool right) {
        return bucketize(input.tensor.to(boundaries.device()), boundaries, int32, right);
      },
      "bucketize(input, boundaries, *, out_int32=False, right=False) -> Tensor", "input"_a, "boundaries"_a,
      nb::kw_only(), "out_int32"_a = false, "right"_a = false);
  b.functional(
      "embedding",
      [](const Tensor& input, const Tensor& weight, std::optional<int64_t> padding, bool scale, bool sparse) {
        return embedding(input, weight, padding, scale, sparse);
      },
      "embedding(input, weight, padding_idx=None, scale_grad_by_freq=False, sparse=False) -> Tensor\n\nRows of a table.",
      "input"_a, "weight"_a, "padding_idx"_a = nb::none(), "scale_grad_by_freq"_a = false, "sparse"_a = false);
  b.function(
      "embedding",
      [](const Tensor& weight, const Tensor& indices, int64_t padding, bool scale, bool sparse) {
        return embedding(indices, weight, padding < 0 ? std::nullopt : std::optional<int64_t>(padding), scale, sparse);
      },
      "embedding(weight, indices, padding_idx=-1, scale_grad_by_freq=False, sparse=False) -> Tensor\n\n"
      "nn.functional.embedding with its arguments in another order; a negative padding_idx is none.",
      "weight"_a, "indices"_a, "padding_idx"_a = -1, "scale_grad_by_freq"_a = false, "sparse"_a = false);
  b.functional("one_hot", &one_hot, "one_hot(tensor, num_classes=-1) -> Tensor", "tensor"_a, "num_classes"_a = -1);
}

}  // namespace

void bind_indexing_ops(Binder& b) {
  bind_along_dim(b);
  bind_scatters(b);
  bind_places(b);
}

}  // namespace norch::python
