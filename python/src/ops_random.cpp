// Random tensors and dropout.
#include "bind.h"
#include "compat.h"
#include "generator.h"
#include "layout.h"
#include "norch/ops.h"
#include "norch/ops/dropout.h"
#include "norch/ops/random.h"
#include "norch/ops/sample.h"
#include "truth.h"

namespace norch::python {

namespace {

using MaybeDType = std::optional<DType>;
using MaybeDevice = std::optional<Device>;

/// The keywords that every factory ends with. pin_memory is accepted for PyTorch's sake.
#define REST_OF_KEYWORDS "requires_grad"_a = false, "layout"_a = nb::none(), "pin_memory"_a = false

TensorOptions options_of(const MaybeDType& dtype, const MaybeDevice& device, bool requires_grad) {
  TensorOptions o = TensorOptions(device_or_default(device)).requires_grad(requires_grad);
  return dtype ? o.dtype(*dtype) : o;
}

TensorOptions options_like(const Tensor& t, const MaybeDType& dtype, const MaybeDevice& device, bool requires_grad) {
  return TensorOptions(dtype.value_or(t.dtype())).device(device.value_or(t.device())).requires_grad(requires_grad);
}

/// A size given as several ints or as one sequence, by position or as `size`.
Shape size_of(const char* op, const nb::args& args, const std::optional<Shape>& size) {
  if (size) {
    NORCH_CHECK_TYPE(args.size() == 0, op, "() got sizes both by position and as 'size'");
    return *size;
  }
  Shape shape;
  if (args.size() == 1 && nb::try_cast<Shape>(args[0], shape)) return shape;
  for (nb::handle a : args) {
    int64_t n;
    NORCH_CHECK_TYPE(int_from_python(a.ptr(), n), op, "(): sizes must be ints or one sequence of ints, not ",
                     Py_TYPE(a.ptr())->tp_name);
    shape.push_back(n);
  }
  return shape;
}

template <class F>
void bind_sized(Binder& b, const char* name, F f, const char* doc) {
  b.function(
      name,
      [name, f](nb::args args, const std::optional<Shape>& size, const GeneratorObject* generator, MaybeDType dtype,
                MaybeDevice device, bool requires_grad, Strided, bool) {
        return f(size_of(name, args, size), options_of(dtype, device, requires_grad), get(generator));
      },
      doc, "args"_a, "size"_a = nb::none(), "generator"_a = nb::none(), "dtype"_a = nb::none(),
      "device"_a = nb::none(), REST_OF_KEYWORDS);
}

void bind_random_factories(Binder& b) {
  bind_sized(
      b, "rand", [](const Shape& s, const TensorOptions& o, Generator* g) { return rand(s, o, g); },
      "rand(*size, generator=None, dtype=None, device=None, requires_grad=False) -> Tensor\n\nUniform in [0, 1).");
  bind_sized(
      b, "randn", [](const Shape& s, const TensorOptions& o, Generator* g) { return randn(s, o, g); },
      "randn(*size, generator=None, dtype=None, device=None, requires_grad=False) -> Tensor\n\nNormal, mean 0 and "
      "variance 1.");
  auto randint_row = [](int64_t low, int64_t high, const Shape& size, const GeneratorObject* g, MaybeDType dtype,
                        MaybeDevice device, bool requires_grad, Strided = {}, bool = false) {
    return randint(low, high, size, options_of(dtype, device, requires_grad), get(g));
  };
  b.function("randint", randint_row,
             "randint(low, high, size, *, generator=None, dtype=int64, device=None, requires_grad=False) -> Tensor\n\n"
             "Integers in [low, high).",
             "low"_a, "high"_a, "size"_a, nb::kw_only(), "generator"_a = nb::none(), "dtype"_a = nb::none(),
             "device"_a = nb::none(), REST_OF_KEYWORDS);
  b.function(
      "randint",
      [randint_row](int64_t high, const Shape& size, const GeneratorObject* g, MaybeDType dtype, MaybeDevice device,
                    bool requires_grad, Strided, bool) { return randint_row(0, high, size, g, dtype, device, requires_grad); },
      "randint(high, size, *, ...) -> Tensor\n\nIntegers in [0, high).", "high"_a, "size"_a, nb::kw_only(),
      "generator"_a = nb::none(), "dtype"_a = nb::none(), "device"_a = nb::none(), REST_OF_KEYWORDS);
  b.function(
      "randperm",
      [](int64_t n, const GeneratorObject* g, MaybeDType dtype, MaybeDevice device, bool requires_grad, Strided, bool) {
        return randperm(n, options_of(dtype, device, requires_grad), get(g));
      },
      "randperm(n, *, generator=None, dtype=int64, device=None, requires_grad=False) -> Tensor\n\nA permutation of "
      "0 .. n-1.",
      "n"_a, nb::kw_only(), "generator"_a = nb::none(), "dtype"_a = nb::none(), "device"_a = nb::none(),
      REST_OF_KEYWORDS);

  b.function(
      "rand_like",
      [](const Tensor& t, const GeneratorObject* g, MaybeDType dtype, MaybeDevice device, bool requires_grad, Strided, bool,
         std::optional<MemoryFormat> format) {
        return rand_like(t, options_like(t, dtype, device, requires_grad), format.value_or(MemoryFormat::preserve), get(g));
      },
      "rand_like(input, *, dtype=None, device=None, requires_grad=False, memory_format=norch.preserve_format) -> Tensor",
      "input"_a, nb::kw_only(), "generator"_a = nb::none(), "dtype"_a = nb::none(), "device"_a = nb::none(),
      REST_OF_KEYWORDS, "memory_format"_a = nb::none());
  b.function(
      "randn_like",
      [](const Tensor& t, const GeneratorObject* g, MaybeDType dtype, MaybeDevice device, bool requires_grad, Strided, bool,
         std::optional<MemoryFormat> format) {
        return randn_like(t, options_like(t, dtype, device, requires_grad), format.value_or(MemoryFormat::preserve), get(g));
      },
      "randn_like(input, *, dtype=None, device=None, requires_grad=False, memory_format=norch.preserve_format) -> Tensor",
      "input"_a, nb::kw_only(), "generator"_a = nb::none(), "dtype"_a = nb::none(), "device"_a = nb::none(),
      REST_OF_KEYWORDS, "memory_format"_a = nb::none());
  auto randint_like_row = [](const Tensor& t, int64_t low, int64_t high, const GeneratorObject* g, MaybeDType dtype,
                             MaybeDevice device, bool requires_grad, Strided, bool, std::optional<MemoryFormat> format) {
    return randint_like(t, low, high, options_like(t, dtype, device, requires_grad),
                        format.value_or(MemoryFormat::preserve), get(g));
  };
  b.function("randint_like", randint_like_row,
             "randint_like(input, low, high, *, dtype=None, device=None, requires_grad=False) -> Tensor", "input"_a,
             "low"_a, "high"_a, nb::kw_only(), "generator"_a = nb::none(), "dtype"_a = nb::none(),
             "device"_a = nb::none(), REST_OF_KEYWORDS, "memory_format"_a = nb::none());
  b.function(
      "randint_like",
      [randint_like_row](const Tensor& t, int64_t high, const GeneratorObject* g, MaybeDType dtype, MaybeDevice device,
                         bool requires_grad, Strided, bool, std::optional<MemoryFormat> format) {
        return randint_like_row(t, 0, high, g, dtype, device, requires_grad, Strided(), false, format);
      },
      "randint_like(input, high, *, ...) -> Tensor", "input"_a, "high"_a, nb::kw_only(), "generator"_a = nb::none(),
      "dtype"_a = nb::none(), "device"_a = nb::none(), REST_OF_KEYWORDS, "memory_format"_a = nb::none());
}

void bind_in_place(Binder& b) {
  b.method(
      "uniform_",
      [](const Tensor& t, double from, double to, const GeneratorObject* g) { return uniform_(t, from, to, get(g)); },
      "uniform_(from=0, to=1, *, generator=None) -> Tensor\n\nFills with uniform numbers in [from, to).", "from"_a = 0.0,
      "to"_a = 1.0, nb::kw_only(), "generator"_a = nb::none());
  b.method(
      "normal_",
      [](const Tensor& t, double mean, double std, const GeneratorObject* g) { return normal_(t, mean, std, get(g)); },
      "normal_(mean=0, std=1, *, generator=None) -> Tensor", "mean"_a = 0.0, "std"_a = 1.0, nb::kw_only(),
      "generator"_a = nb::none());
  b.method(
      "log_normal_",
      [](const Tensor& t, double mean, double std, const GeneratorObject* g) {
        return log_normal_(t, mean, std, get(g));
      },
      "log_normal_(mean=1, std=2, *, generator=None) -> Tensor", "mean"_a = 1.0, "std"_a = 2.0, nb::kw_only(),
      "generator"_a = nb::none());
  b.method(
      "exponential_",
      [](const Tensor& t, double lambd, const GeneratorObject* g) { return exponential_(t, lambd, get(g)); },
      "exponential_(lambd=1, *, generator=None) -> Tensor", "lambd"_a = 1.0, nb::kw_only(), "generator"_a = nb::none());
  b.method(
      "cauchy_",
      [](const Tensor& t, double median, double sigma, const GeneratorObject* g) {
        return cauchy_(t, median, sigma, get(g));
      },
      "cauchy_(median=0, sigma=1, *, generator=None) -> Tensor", "median"_a = 0.0, "sigma"_a = 1.0, nb::kw_only(),
      "generator"_a = nb::none());
  b.method(
      "geometric_", [](const Tensor& t, double p, const GeneratorObject* g) { return geometric_(t, p, get(g)); },
      "geometric_(p, *, generator=None) -> Tensor", "p"_a, nb::kw_only(), "generator"_a = nb::none());
  b.method(
      "random_", [](const Tensor& t, const GeneratorObject* g) { return random_(t, 0, {}, get(g)); },
      "random_(from=0, to=None, *, generator=None) -> Tensor\n\nFills with integers in [from, to).", nb::kw_only(),
      "generator"_a = nb::none());
  b.method(
      "random_", [](const Tensor& t, int64_t to, const GeneratorObject* g) { return random_(t, 0, to, get(g)); },
      "random_(to, *, generator=None) -> Tensor", "to"_a, nb::kw_only(), "generator"_a = nb::none());
  b.method(
      "random_",
      [](const Tensor& t, int64_t from, std::optional<int64_t> to, const GeneratorObject* g) {
        return random_(t, from, to, get(g));
      },
      "random_(from, to, *, generator=None) -> Tensor", "from"_a, "to"_a = nb::none(), nb::kw_only(),
      "generator"_a = nb::none());
  b.method(
      "bernoulli_",
      [](const Tensor& t, const Tensor& p, const GeneratorObject* g) { return bernoulli_(t, p, get(g)); },
      "bernoulli_(p=0.5, *, generator=None) -> Tensor\n\nFills with 1 with probability p, otherwise 0.", "p"_a,
      nb::kw_only(), "generator"_a = nb::none());
  b.method(
      "bernoulli_", [](const Tensor& t, double p, const GeneratorObject* g) { return bernoulli_(t, p, get(g)); },
      "bernoulli_(p=0.5, *, generator=None) -> Tensor", "p"_a = 0.5, nb::kw_only(), "generator"_a = nb::none());
}

void bind_draws(Binder& b) {
  b.op(
      "bernoulli",
      [](const Tensor& t, std::optional<double> p, const GeneratorObject* g) {
        return p ? bernoulli_(empty(t.sizes(), t.options()), *p, get(g)) : bernoulli(t, get(g));
      },
      "bernoulli(input, p=None, *, generator=None) -> Tensor\n\n1 with the probability that the element (or p) holds, "
      "otherwise 0.",
      "input"_a, "p"_a = nb::none(), nb::kw_only(), "generator"_a = nb::none());
  b.op(
      "multinomial",
      [](const Tensor& t, int64_t num_samples, bool replacement, const GeneratorObject* g) {
        return multinomial(t, num_samples, replacement, get(g));
      },
      "multinomial(input, num_samples, replacement=False, *, generator=None) -> Tensor\n\nIndices drawn with the weights "
      "in each row.",
      "input"_a, "num_samples"_a, "replacement"_a = false, nb::kw_only(), "generator"_a = nb::none());
  b.function(
      "binomial",
      [](const Tensor& count, const Tensor& prob, const GeneratorObject* g) { return binomial(count, prob, get(g)); },
      "binomial(count, prob, generator=None) -> Tensor\n\nSuccesses of `count` trials of probability `prob`.", "count"_a,
      "prob"_a, "generator"_a = nb::none());
  b.function(
      "_standard_gamma",
      [](const Tensor& t, const GeneratorObject* g) { return standard_gamma(t, get(g)); },
      "_standard_gamma(input, generator=None) -> Tensor\n\nGamma numbers of the shapes in input, differentiable.",
      "input"_a, "generator"_a = nb::none());
  b.function("_standard_gamma_grad", &standard_gamma_grad,
             "_standard_gamma_grad(input, output) -> Tensor\n\nHow gamma numbers `output` move with their shapes.",
             "input"_a, "output"_a);
  b.function(
      "_sample_dirichlet",
      [](const Tensor& t, const GeneratorObject* g) { return sample_dirichlet(t, get(g)); },
      "_sample_dirichlet(input, generator=None) -> Tensor\n\nDirichlet numbers of the concentrations, differentiable.",
      "input"_a, "generator"_a = nb::none());
  b.function("_dirichlet_grad", &dirichlet_grad,
             "_dirichlet_grad(x, alpha, total) -> Tensor\n\nHow a component x of Dirichlet numbers moves with its "
             "concentration, divided by 1 - x.",
             "x"_a, "alpha"_a, "total"_a);
  b.function(
      "poisson", [](const Tensor& t, const GeneratorObject* g) { return poisson(t, get(g)); },
      "poisson(input, generator=None) -> Tensor\n\nPoisson numbers of the rates in input.", "input"_a,
      "generator"_a = nb::none());
  b.function(
      "normal",
      [](const Operand& mean, const Operand& std, const GeneratorObject* g) { return normal(mean, std, get(g)); },
      "normal(mean, std, *, generator=None) -> Tensor\n\nNormal numbers of the given means and standard deviations.",
      "mean"_a = 0.0, "std"_a = 1.0, nb::kw_only(), "generator"_a = nb::none());
  b.function(
      "normal",
      [](double mean, double std, const Shape& size, const GeneratorObject* g, MaybeDType dtype, MaybeDevice device,
         bool requires_grad, Strided, bool) {
        numel_of(size, "normal");  // its errors name this function
        Tensor t = normal_(empty(size, options_of(dtype, device, false)), mean, std, get(g));
        if (requires_grad) t.requires_grad_();
        return t;
      },
      "normal(mean, std, size, *, generator=None, dtype=None, device=None) -> Tensor", "mean"_a, "std"_a, "size"_a,
      nb::kw_only(), "generator"_a = nb::none(), "dtype"_a = nb::none(), "device"_a = nb::none(),
      REST_OF_KEYWORDS);
}

void bind_dropout(Binder& b) {
  b.functional(
      "dropout",
      [](const Tensor& t, double p, bool training, Truth inplace) {
        return inplace ? dropout_(t, p, training) : dropout(t, p, training);
      },
      "dropout(input, p=0.5, training=True, inplace=False) -> Tensor\n\nZero with probability p, otherwise "
      "x / (1 - p).",
      "input"_a, "p"_a = 0.5, "training"_a = true, "inplace"_a.none() = false);
  b.function("dropout", &norch::dropout, "dropout(input, p, train) -> Tensor", "input"_a, "p"_a, "train"_a);
  b.function("dropout_", &norch::dropout_, "dropout_(input, p, train) -> Tensor", "input"_a, "p"_a, "train"_a);
  b.function("alpha_dropout", &norch::alpha_dropout, "alpha_dropout(input, p, train) -> Tensor", "input"_a, "p"_a,
             "train"_a);
  b.function(
      "feature_dropout", [](const Tensor& t, double p, bool train) { return feature_dropout(t, p, train); },
      "feature_dropout(input, p, train) -> Tensor\n\nDrops whole channels.", "input"_a, "p"_a, "train"_a);
  b.function(
      "feature_alpha_dropout", [](const Tensor& t, double p, bool train) { return feature_alpha_dropout(t, p, train); },
      "feature_alpha_dropout(input, p, train) -> Tensor", "input"_a, "p"_a, "train"_a);
  struct InPlace {
    const char* name;
    Tensor (*f)(const Tensor&, double, bool);
  };
  const InPlace in_place[] = {
      {"alpha_dropout_", [](const Tensor& t, double p, bool train) { return alpha_dropout(t, p, train); }},
      {"feature_dropout_", [](const Tensor& t, double p, bool train) { return feature_dropout(t, p, train); }},
      {"feature_alpha_dropout_", [](const Tensor& t, double p, bool train) { return feature_alpha_dropout(t, p, train); }},
  };
  for (const InPlace& row : in_place)
    b.function(
        row.name,
        [f = row.f](const Tensor& t, double p, bool train) {
          const Tensor out = f(t, p, train);
          return out.is_same(t) ? t : copy_(t, out);
        },
        "The same, written into the tensor.", "input"_a, "p"_a, "train"_a);

  // `batched` is the number of dims of an input with a batch dim; dropout2d takes three dims as a batch, too.
  auto channels = [&](const char* name, int64_t batched, int64_t lowest, int64_t unbatched_dims, const char* doc) {
    b.functional(
        name,
        [=](const Tensor& t, double p, bool training, Truth inplace) {
          if (t.dim() != batched && t.dim() != lowest) {
            const std::string text = str(name, ": Expected ", lowest, "D or ", batched, "D input, but received a ",
                                         t.dim(), "D input");
            NORCH_CHECK(batched != 3, text);
            // PyTorch only warns here: of all dims but the first ones a channel is made.
            if (PyErr_WarnEx(PyExc_UserWarning, text.c_str(), 1) != 0) throw nb::python_error();
          }
          Tensor out = feature_dropout(t, p, training, t.dim() == batched ? 2 : unbatched_dims);
          return inplace && !out.is_same(t) ? copy_(t, out) : out;
        },
        doc, "input"_a, "p"_a = 0.5, "training"_a = true, "inplace"_a.none() = false);
  };
  channels("dropout1d", 3, 2, 1, "dropout1d(input, p=0.5, training=True, inplace=False) -> Tensor\n\nDrops whole channels.");
  channels("dropout2d", 4, 3, 2, "dropout2d(input, p=0.5, training=True, inplace=False) -> Tensor\n\nDrops whole channels.");
  channels("dropout3d", 5, 4, 1, "dropout3d(input, p=0.5, training=True, inplace=False) -> Tensor\n\nDrops whole channels.");
  for (const char* name : {"alpha_dropout", "feature_alpha_dropout"}) {
    const bool features = name[0] == 'f';
    b.functional(
        name,
        [features](const Tensor& t, double p, bool training, Truth inplace) {
          Tensor out = features ? feature_alpha_dropout(t, p, training) : alpha_dropout(t, p, training);
          return inplace && !out.is_same(t) ? copy_(t, out) : out;
        },
        "As in PyTorch: keeps mean 0 and variance 1 of SELU networks.", "input"_a, "p"_a = 0.5, "training"_a = false,
        "inplace"_a.none() = false);
  }
}

}  // namespace

void bind_random_ops(Binder& b) {
  bind_random_factories(b);
  bind_in_place(b);
  bind_draws(b);
  bind_dropout(b);
}

}  // namespace norch::python
