// Sorting and what follows from it.
#include "named_results.h"
#include "norch/ops/factory.h"
#include "norch/ops/sort.h"
#include "norch/ops/statistics.h"

namespace norch::python {

namespace {

NamedPair pair(PyObject* type, ValuesAndIndices r) { return {type, std::move(r.values), std::move(r.indices)}; }

/// unique and unique_consecutive return as many tensors as they are asked for.
nb::object results(const std::tuple<Tensor, Tensor, Tensor>& all, bool inverse, bool counts) {
  const auto& [values, index, count] = all;
  if (!inverse && !counts) return nb::cast(values);
  if (!counts) return nb::make_tuple(values, index);
  if (!inverse) return nb::make_tuple(values, count);
  return nb::make_tuple(values, index, count);
}

using Quantile = Tensor (*)(const Tensor&, const Tensor&, std::optional<int64_t>, bool, const std::string&);

void bind_quantile(Binder& b, const char* name, Quantile f) {
  b.op(
      name,
      [f](const Tensor& t, const Tensor& q, std::optional<int64_t> dim, bool keepdim, const std::string& interpolation) {
        return f(t, q, dim, keepdim, interpolation);
      },
      "quantile(input, q, dim=None, keepdim=False, *, interpolation='linear') -> Tensor\n\nnanquantile leaves NaN out.",
      "input"_a, "q"_a, "dim"_a = nb::none(), "keepdim"_a = false, nb::kw_only(), "interpolation"_a = "linear");
  b.op(
      name,
      [f, name](const Tensor& t, double q, std::optional<int64_t> dim, bool keepdim, const std::string& interpolation) {
        NORCH_CHECK(q >= 0 && q <= 1, name, "() q must be in the range [0, 1] but got ", q);
        NORCH_CHECK(t.dtype() == kFloat32 || t.dtype() == kFloat64, name,
                    "() input tensor must be either float or double dtype, got ", t.dtype());
        return f(t, full({}, q, t.options()), dim, keepdim, interpolation);
      },
      "With a number for q.", "input"_a, "q"_a, "dim"_a = nb::none(), "keepdim"_a = false, nb::kw_only(),
      "interpolation"_a = "linear");
}

}  // namespace

void bind_sorting(Binder& b) {
  b.op(
      "sort",
      [type = named_type("sort", {"values", "indices"})](const Tensor& t, int64_t dim, bool descending, std::optional<bool>) {
        return pair(type, sort(t, dim, descending));
      },
      "sort(input, dim=-1, descending=False, stable=False) -> (values, indices)\n\nSorted along `dim`; equal elements "
      "always keep their order, NaN is the largest.",
      "input"_a, "dim"_a = -1, "descending"_a = false, "stable"_a = false);
  b.op(
      "argsort", [](const Tensor& t, int64_t dim, bool descending, std::optional<bool>) { return argsort(t, dim, descending); },
      "argsort(input, dim=-1, descending=False, stable=False) -> Tensor\n\nThe indices that sort along `dim`.",
      "input"_a, "dim"_a = -1, "descending"_a = false, "stable"_a = false);
  b.op("msort", &msort, "msort(input) -> Tensor\n\nThe values of sort along dim 0.", "input"_a);
  b.op(
      "topk",
      [type = named_type("topk", {"values", "indices"})](const Tensor& t, int64_t k, int64_t dim, bool largest, bool) {
        return pair(type, topk(t, k, dim, largest));
      },
      "topk(input, k, dim=-1, largest=True, sorted=True) -> (values, indices)\n\nThe k largest or smallest elements "
      "along `dim`, best first.",
      "input"_a, "k"_a, "dim"_a = -1, "largest"_a = true, "sorted"_a = true);
  b.op(
      "kthvalue",
      [type = named_type("kthvalue", {"values", "indices"})](const Tensor& t, int64_t k, int64_t dim, bool keepdim) {
        return pair(type, kthvalue(t, k, dim, keepdim));
      },
      "kthvalue(input, k, dim=-1, keepdim=False) -> (values, indices)\n\nThe k-th smallest element along `dim`.",
      "input"_a, "k"_a, "dim"_a = -1, "keepdim"_a = false);
  struct Row {
    const char* name;
    Tensor (*all)(const Tensor&);
    ValuesAndIndices (*along)(const Tensor&, int64_t, bool);
  };
  for (const Row& row : {Row{"median", &median, &median}, Row{"nanmedian", &nanmedian, &nanmedian}}) {
    b.op(
        row.name, [f = row.all](const Tensor& t) { return f(t); },
        "The lower of the middle elements. nanmedian leaves NaN out, median gives NaN if there is one.", "input"_a);
    b.op(
        row.name,
        [f = row.along, type = named_type(row.name, {"values", "indices"})](const Tensor& t, int64_t dim,
                                                                             bool keepdim) {
          return pair(type, f(t, dim, keepdim));
        },
        "Along one dim: (values, indices).", "input"_a, "dim"_a, "keepdim"_a = false);
  }
  b.op(
      "mode",
      [type = named_type("mode", {"values", "indices"})](const Tensor& t, int64_t dim, bool keepdim) {
        return pair(type, mode(t, dim, keepdim));
      },
      "mode(input, dim=-1, keepdim=False) -> (values, indices)\n\nThe most frequent element along `dim`.", "input"_a,
      "dim"_a = -1, "keepdim"_a = false);
  bind_quantile(b, "quantile", &quantile);
  bind_quantile(b, "nanquantile", &nanquantile);
  b.op(
      "unique",
      [](const Tensor& t, bool, bool return_inverse, bool return_counts, std::optional<int64_t> dim) {
        return results(dim ? unique_dim(t, *dim) : unique(t, return_inverse, return_counts), return_inverse, return_counts);
      },
      "unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None) -> Tensor or tuple\n\nThe "
      "distinct elements in ascending order.",
      "input"_a, "sorted"_a = true, "return_inverse"_a = false, "return_counts"_a = false, "dim"_a = nb::none());
  b.op(
      "unique_consecutive",
      [](const Tensor& t, bool return_inverse, bool return_counts, std::optional<int64_t> dim) {
        return results(dim ? unique_dim(t, *dim, true) : unique_consecutive(t, return_inverse, return_counts), return_inverse, return_counts);
      },
      "unique_consecutive(input, return_inverse=False, return_counts=False, dim=None) -> Tensor or tuple\n\nOne element "
      "of each run of equal neighbours.",
      "input"_a, "return_inverse"_a = false, "return_counts"_a = false, "dim"_a = nb::none());
  b.op(
      "bincount",
      [](const Tensor& t, std::optional<Tensor> weights, int64_t minlength) {
        return bincount(t, weights.value_or(Tensor()), minlength);
      },
      "bincount(input, weights=None, minlength=0) -> Tensor\n\nHow often each of 0, 1, ... occurs, or the sum of its "
      "weights.",
      "input"_a, "weights"_a = nb::none(), "minlength"_a = 0);
  b.op("histc", &histc, "histc(input, bins=100, min=0, max=0) -> Tensor\n\nCounts of elements in equal intervals.",
       "input"_a, "bins"_a = 100, "min"_a = Scalar(0), "max"_a = Scalar(0));
}

}  // namespace norch::python
