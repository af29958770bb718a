// Reductions, scans, sorting.
#include <nanobind/stl/variant.h>

#include "named_results.h"
#include "norch/ops/binary.h"
#include "norch/ops/linalg.h"
#include "norch/ops/scan.h"
#include "norch/ops/softmax.h"
#include "norch/ops/sort.h"
#include "norch/ops/view.h"

namespace norch::python {

PyObject* named_type(const char* name, std::initializer_list<const char*> fields) {
  nb::list names;
  for (const char* field : fields) names.append(field);
  const nb::object make = nb::module_::import_("norch.return_types").attr("_named_type");
  return make(name, nb::tuple(names)).release().ptr();  // lives as long as the module, which is never unloaded
}

namespace {

using Dims = std::optional<Shape>;

Ints list(const Dims& dims) { return dims ? Ints(*dims) : Ints(); }

/// norch.norm: p is a number, "fro" for 2, or "nuc" for the nuclear norm of matrices.
Tensor norm_row(const Tensor& t, const std::optional<std::variant<Scalar, std::string>>& p, const Dims& dim, bool keepdim,
                std::optional<DType> dtype) {
  if (!p) return vector_norm(t, 2, list(dim), keepdim, dtype);
  if (const Scalar* s = std::get_if<Scalar>(&*p)) return vector_norm(t, *s, list(dim), keepdim, dtype);
  const std::string& name = std::get<std::string>(*p);
  NORCH_CHECK(name == "fro" || name == "nuc", "norm: p is a number, 'fro' or 'nuc', got '", name, "'");
  if (name == "fro") return vector_norm(t, 2, list(dim), keepdim, dtype);
  return linalg::matrix_norm(t, name, dim ? Ints(*dim) : Ints{-2, -1}, keepdim, dtype);
}

/// any and all over dim=(), unlike other reductions, take each element by itself.
bool no_dims(const Dims& dim) { return dim && list(dim).empty(); }
Tensor truths(const Tensor& t) {
  const Tensor truth = ne(t, Tensor::wrap(0));
  return t.dtype() == kUInt8 ? truth.to(kUInt8) : truth;
}

void bind_sums(Binder& b) {
  struct Row {
    const char* name;
    Tensor (*f)(const Tensor&, Ints, bool, std::optional<DType>);
    const char* doc;
  };
  const Row rows[] = {
      {"sum", &sum, "sum(input, dim=None, keepdim=False, *, dtype=None) -> Tensor\n\nSum over one dim, several or all. "
                    "Integers sum in int64."},
      {"nansum", &nansum, "nansum(input, dim=None, keepdim=False, *, dtype=None) -> Tensor\n\nSum that takes NaN for 0."},
      {"mean", &mean, "mean(input, dim=None, keepdim=False, *, dtype=None) -> Tensor\n\nMean over one dim, several or "
                      "all."},
      {"nanmean", &nanmean, "nanmean(input, dim=None, keepdim=False, *, dtype=None) -> Tensor\n\nMean of the elements "
                            "that are not NaN."},
      {"prod", &prod, "prod(input, dim=None, keepdim=False, *, dtype=None) -> Tensor\n\nProduct. Integers multiply in "
                      "int64."}};
  for (const Row& row : rows)
    b.op(
        row.name,
        [f = row.f](const Tensor& t, const Dims& dim, bool keepdim, std::optional<DType> dtype) {
          return f(t, list(dim), keepdim, dtype);
        },
        row.doc, "input"_a, "dim"_a = nb::none(), "keepdim"_a = false, nb::kw_only(), "dtype"_a = nb::none());
  b.op(
      "any",
      [](const Tensor& t, const Dims& dim, bool keepdim) {
        return no_dims(dim) ? truths(t) : any(t, list(dim), keepdim);
      },
      "any(input, dim=None, keepdim=False) -> Tensor\n\nWhether any element is not zero.", "input"_a,
      "dim"_a = nb::none(), "keepdim"_a = false);
  b.op(
      "all",
      [](const Tensor& t, const Dims& dim, bool keepdim) {
        return no_dims(dim) ? truths(t) : all(t, list(dim), keepdim);
      },
      "all(input, dim=None, keepdim=False) -> Tensor\n\nWhether all elements are not zero.", "input"_a,
      "dim"_a = nb::none(), "keepdim"_a = false);
  b.op(
      "count_nonzero", [](const Tensor& t, const Dims& dim) { return count_nonzero(t, list(dim)); },
      "count_nonzero(input, dim=None) -> Tensor\n\nNumber of elements that are not zero.", "input"_a,
      "dim"_a = nb::none());
  b.op(
      "logsumexp", [](const Tensor& t, const Shape& dim, bool keepdim) { return logsumexp(t, dim, keepdim); },
      "logsumexp(input, dim, keepdim=False) -> Tensor\n\nlog(sum(exp(input))), safe from overflow.", "input"_a,
      "dim"_a, "keepdim"_a = false);
  b.op(
      "sum_to_size", [](const Tensor& t, const Shape& size) { return sum_to_size(t, size); },
      "sum_to_size(input, size) -> Tensor\n\nSums over the dims along which `size` would broadcast.", "input"_a,
      "size"_a);
  b.method(
      "sum_to_size",
      [](const Tensor& t, const nb::args& sizes) {
        Shape size;
        for (nb::handle s : sizes) size.push_back(nb::cast<int64_t>(s));
        return sum_to_size(t, size);
      },
      "sum_to_size(*size) -> Tensor", "args"_a);
}

void bind_extrema(Binder& b) {
  struct Row {
    const char* name;
    Tensor (*all)(const Tensor&);
    ValuesAndIndices (*along)(const Tensor&, int64_t, bool);
    Tensor (*elementwise)(const Tensor&, const Tensor&);
    Tensor (*a)(const Tensor&, Ints, bool);
    Tensor (*arg)(const Tensor&, std::optional<int64_t>, bool);
    const char *a_name, *arg_name;
  };
  const Row rows[] = {{"max", &max, &max, &maximum, &amax, &argmax, "amax", "argmax"},
                      {"min", &min, &min, &minimum, &amin, &argmin, "amin", "argmin"}};
  for (const Row& row : rows) {
    b.op(
        row.name, [f = row.all](const Tensor& t) { return f(t); },
        "The largest (max) or smallest (min) element; along `dim` a named tuple (values, indices); of two tensors the "
        "elementwise one.",
        "input"_a);
    b.op(
        row.name,
        [f = row.along, type = named_type(row.name, {"values", "indices"})](const Tensor& t, int64_t dim,
                                                                             bool keepdim) {
          ValuesAndIndices r = f(t, dim, keepdim);
          return NamedPair{type, r.values, r.indices};
        },
        "Along one dim: (values, indices).", "input"_a, "dim"_a, "keepdim"_a = false);
    b.op(
        row.name, [f = row.elementwise](const Tensor& t, const Tensor& other) { return f(t, other); },
        "Elementwise, of two tensors.", "input"_a, "other"_a);
    b.op(
        row.a_name,
        [f = row.a](const Tensor& t, const Dims& dim, bool keepdim) { return f(t, list(dim), keepdim); },
        "The largest (amax) or smallest (amin) elements over one dim, several or all; equal ones share the gradient.",
        "input"_a, "dim"_a = nb::none(), "keepdim"_a = false);
    b.op(
        row.arg_name,
        [f = row.arg](const Tensor& t, std::optional<int64_t> dim, bool keepdim) { return f(t, dim, keepdim); },
        "The first index of the largest (argmax) or smallest (argmin) element, along `dim` or in the flattened tensor.",
        "input"_a, "dim"_a = nb::none(), "keepdim"_a = false);
  }
  b.op(
      "aminmax",
      [type = named_type("aminmax", {"min", "max"})](const Tensor& t, std::optional<int64_t> dim, bool keepdim) {
        auto [low, high] = aminmax(t, dim, keepdim);
        return NamedPair{type, low, high};
      },
      "aminmax(input, *, dim=None, keepdim=False) -> (min, max)", "input"_a, nb::kw_only(), "dim"_a = nb::none(),
      "keepdim"_a = false);
}

void bind_moments(Binder& b) {
  struct One {
    const char* name;
    Tensor (*f)(const Tensor&, Ints, double, bool);
  };
  for (const One& row : {One{"var", &var}, One{"std", &norch::std}}) {
    b.op(
        row.name, [f = row.f](const Tensor& t, bool unbiased) { return f(t, {}, unbiased ? 1 : 0, false); },
        "Of all elements, over n - 1 (unbiased) or n.", "input"_a, "unbiased"_a);
    b.op(
        row.name,
        [f = row.f](const Tensor& t, const Dims& dim, std::optional<double> correction, bool keepdim) {
          return f(t, list(dim), correction.value_or(1), keepdim);
        },
        "Variance (var) or standard deviation (std): (input, dim=None, *, correction=1, keepdim=False) -> Tensor",
        "input"_a, "dim"_a = nb::none(), nb::kw_only(), "correction"_a = 1.0, "keepdim"_a = false);
    b.op(
        row.name,
        [f = row.f](const Tensor& t, const Dims& dim, bool unbiased, bool keepdim) {
          return f(t, list(dim), unbiased ? 1 : 0, keepdim);
        },
        "(input, dim, unbiased=True, keepdim=False) -> Tensor", "input"_a, "dim"_a.none(), "unbiased"_a = true,
        "keepdim"_a = false);
  }
  struct Two {
    const char* name;
    std::pair<Tensor, Tensor> (*f)(const Tensor&, Ints, double, bool);
  };
  for (const Two& row : {Two{"var_mean", &var_mean}, Two{"std_mean", &std_mean}}) {
    b.function(
        row.name, [f = row.f](const Tensor& t, bool unbiased) { return f(t, {}, unbiased ? 1 : 0, false); },
        "Of all elements, over n - 1 (unbiased) or n.", "input"_a, "unbiased"_a);
    b.function(
        row.name,
        [f = row.f](const Tensor& t, const Dims& dim, std::optional<double> correction, bool keepdim) {
          return f(t, list(dim), correction.value_or(1), keepdim);
        },
        "(input, dim=None, *, correction=1, keepdim=False) -> (variance or deviation, mean)", "input"_a,
        "dim"_a = nb::none(), nb::kw_only(), "correction"_a = 1.0, "keepdim"_a = false);
    b.function(
        row.name,
        [f = row.f](const Tensor& t, const Dims& dim, bool unbiased, bool keepdim) {
          return f(t, list(dim), unbiased ? 1 : 0, keepdim);
        },
        "(input, dim, unbiased=True, keepdim=False)", "input"_a, "dim"_a.none(), "unbiased"_a = true,
        "keepdim"_a = false);
  }
  b.op(
      "norm", &norm_row,
      "norm(input, p='fro', dim=None, keepdim=False, dtype=None) -> Tensor\n\n(sum |x|^p)^(1/p), also for p = 0, inf and "
      "-inf; 'nuc' is the sum of a matrix's singular values.",
      "input"_a, "p"_a = "fro", "dim"_a = nb::none(), "keepdim"_a = false, "dtype"_a = nb::none());
}

void bind_scans(Binder& b) {
  struct Row {
    const char* name;
    Tensor (*f)(const Tensor&, int64_t, std::optional<DType>);
    const char* doc;
  };
  for (const Row& row : {Row{"cumsum", &cumsum, "cumsum(input, dim, *, dtype=None) -> Tensor\n\nRunning sum."},
                         Row{"cumprod", &cumprod, "cumprod(input, dim, *, dtype=None) -> Tensor\n\nRunning product."}})
    b.op(row.name, row.f, row.doc, "input"_a, "dim"_a, nb::kw_only(), "dtype"_a = nb::none());
  b.op("logcumsumexp", &logcumsumexp, "logcumsumexp(input, dim) -> Tensor\n\nLogarithm of the running sum of exp.",
       "input"_a, "dim"_a);
  struct Select {
    const char* name;
    ValuesAndIndices (*f)(const Tensor&, int64_t);
  };
  for (const Select& row : {Select{"cummax", &cummax}, Select{"cummin", &cummin}})
    b.op(
        row.name,
        [f = row.f, type = named_type(row.name, {"values", "indices"})](const Tensor& t, int64_t dim) {
          ValuesAndIndices r = f(t, dim);
          return NamedPair{type, r.values, r.indices};
        },
        "(input, dim) -> (values, indices)\n\nRunning maximum (cummax) or minimum (cummin).", "input"_a, "dim"_a);
}

}  // namespace

void bind_reductions(Binder& b) {
  bind_sums(b);
  bind_extrema(b);
  bind_moments(b);
  bind_scans(b);
}

}  // namespace norch::python
