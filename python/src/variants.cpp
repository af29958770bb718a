// The other ways to call what the rows of the ops_*.cpp files bound: out=, in-place methods, copies of views, and
// second names. One list each; what a list names and norch lacks is passed over.
#include <algorithm>
#include <string_view>

#include "bind.h"
#include "norch/ops.h"
#include "out.h"

namespace norch::python {

namespace {

// ---- out=

/// Functions that take out=. Results of the first list are cast to out's dtype, those of the second must have it.
constexpr const char* kOut[] = {
    "acos", "acosh", "add", "addcdiv", "addcmul", "addr", "all", "angle", "any", "argmax", "argmin", "argsort",
    "asin", "asinh", "atan", "atan2", "atanh", "bernoulli", "bitwise_and", "bitwise_left_shift", "bitwise_not",
    "bitwise_or", "bitwise_right_shift", "bitwise_xor", "bucketize", "cat", "chain_matmul", "cholesky",
    "cholesky_inverse", "cholesky_solve", "clamp", "clamp_max", "clamp_min", "column_stack", "complex", "copysign",
    "cos", "cosh", "cumprod", "cumsum", "deg2rad", "diff", "digamma", "div", "dstack", "eq", "erf", "erfc", "erfinv", "exp",
    "exp2", "expm1", "float_power", "floor_divide", "fmax", "fmin", "fmod", "frobenius_norm", "gcd", "ge", "geqrf", "gt", "histogramdd",
    "hstack", "hypot", "i0", "igamma", "igammac", "inverse", "isin", "isneginf", "isposinf", "kron", "lcm", "ldexp", "le",
    "lerp", "lgamma", "log", "log10", "log1p", "log2", "logaddexp", "logaddexp2", "logical_and", "logical_not",
    "logical_or", "logical_xor", "logit", "logsumexp", "lt", "matrix_power", "max", "maximum", "mean", "median",
    "min", "minimum", "mul", "mvlgamma", "nanmean", "nanmedian", "nansum", "ne", "nextafter",
    "nonzero", "nonzero_static", "normal", "normalize", "nuclear_norm", "orgqr", "outer", "polar", "polygamma", "pow", "prod", "rad2deg",
    "reciprocal", "remainder", "rsqrt", "searchsorted", "sigmoid", "signbit", "sin", "sinc", "sinh", "sqrt", "square",
    "stack", "std", "std_mean", "sub", "sum", "tan", "tanh", "threshold", "var", "var_mean", "vstack", "xlogy",
    // special
    "airy_ai", "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "chebyshev_polynomial_t", "chebyshev_polynomial_u",
    "chebyshev_polynomial_v", "chebyshev_polynomial_w", "entr", "erfcx", "hermite_polynomial_h",
    "hermite_polynomial_he", "i0e", "i1", "i1e", "laguerre_polynomial_l", "legendre_polynomial_p", "log_ndtr",
    "modified_bessel_i0", "modified_bessel_i1", "modified_bessel_k0", "modified_bessel_k1", "ndtr", "ndtri",
    "scaled_modified_bessel_k0", "scaled_modified_bessel_k1", "shifted_chebyshev_polynomial_t",
    "shifted_chebyshev_polynomial_u", "shifted_chebyshev_polynomial_v", "shifted_chebyshev_polynomial_w",
    "spherical_bessel_j0", "xlog1py", "zeta",
    // linalg
    "cond", "eig", "eigvals", "householder_product", "lstsq", "lu", "matrix_rank", "pinv", "tensorinv", "tensorsolve",
    // fft
    "fft", "fft2", "fftn", "hfft", "hfft2", "hfftn", "ifft", "ifft2", "ifftn", "ihfft", "ihfft2", "ihfftn", "irfft",
    "irfft2", "irfftn", "rfft", "rfft2", "rfftn"};
constexpr const char* kOutOfSameDtype[] = {
    "abs", "addbmm", "addmm", "addmv", "amax", "amin", "aminmax", "avg_pool2d", "avg_pool3d", "baddbmm", "bmm",
    "ceil", "conj_physical", "cross", "cummax", "cummin", "diag", "dot", "floor", "frac", "frexp", "gather",
    "gelu", "hardshrink", "heaviside", "histc", "histogram", "index_add", "index_copy", "index_reduce",
    "index_select", "inner", "kthvalue", "linear", "log_softmax", "logcumsumexp", "logsigmoid", "lu_solve",
    "lu_unpack", "masked_select", "matmul", "mm", "mode", "msort", "mv", "nan_to_num", "nanquantile", "neg", "norm",
    "ormqr", "qr", "quantile", "renorm", "round", "scatter", "scatter_add", "scatter_reduce", "sgn", "sign",
    "slice_scatter", "softmax", "softplus", "softshrink", "sort", "svd", "take", "take_along_dim", "tensordot",
    "topk", "triangular_solve", "tril", "triu", "trunc", "vdot", "where", "cholesky_ex", "det", "eigh", "eigvalsh",
    "inv", "inv_ex", "ldl_factor", "ldl_factor_ex", "ldl_solve", "lu_factor", "lu_factor_ex", "matrix_norm",
    "multi_dot", "multinomial", "slogdet", "solve", "solve_ex", "solve_triangular", "svdvals", "vecdot", "vector_norm"};
/// Functions that make new tensors: without a dtype or device they take that of `out`.
constexpr const char* kOutOfFactories[] = {"arange", "empty", "eye", "fftfreq", "full", "linspace", "logspace", "ones",
                                           "rand", "randint", "randn", "randperm", "range", "rfftfreq", "zeros"};

/// A result, one tensor or several, written into what `out` holds for it.
nb::object store(const char* name, nb::handle result, nb::handle out, bool same_dtype) {
  if (is_tensor(result.ptr())) {
    NORCH_CHECK_TYPE(is_tensor(out.ptr()), name, "(): argument 'out' must be Tensor, not ",
                     Py_TYPE(out.ptr())->tp_name);
    const Tensor value = unwrap(result.ptr()), target = unwrap(out.ptr());
    NORCH_CHECK(!same_dtype || value.dtype() == target.dtype(), name, "(): Expected out tensor to have dtype ",
                value.dtype(), ", but got ", target.dtype(), " instead");
    into(value, target);
    return nb::borrow(out);
  }
  const bool lists = (PyTuple_Check(result.ptr()) || PyList_Check(result.ptr())) &&
                     (PyTuple_Check(out.ptr()) || PyList_Check(out.ptr()));
  NORCH_CHECK_TYPE(lists && nb::len(result) == nb::len(out), name, "(): argument 'out' must be as many tensors as the "
                   "function gives");
  nb::list stored;
  for (size_t i = 0; i < nb::len(result); ++i) stored.append(store(name, result[i], out[i], same_dtype));
  if (nb::hasattr(result, "n_fields")) return nb::handle(Py_TYPE(result.ptr()))(stored);
  return PyTuple_Check(result.ptr()) ? nb::object(nb::tuple(stored)) : nb::object(stored);
}

/// Functions that read their inputs out of order: no element of these may lie where `out` is written. Elsewhere `out` may
/// be an input, as the whole of it.
constexpr const char* kOutApart[] = {"cat", "gather", "index_select", "kthvalue", "masked_select", "take",
                                     "take_along_dim"};

/// The bytes from the first to the last element.
std::pair<const char*, const char*> extent(const Tensor& t) {
  int64_t last = 0;
  for (int64_t d = 0; d < t.dim(); ++d) last += (t.sizes()[d] - 1) * t.strides()[d];
  const char* p = static_cast<const char*>(t.data_ptr());
  return {p, p + (last + 1) * static_cast<int64_t>(t.itemsize())};
}
/// Whether the elements lie side by side, in any order of the dims.
bool is_dense(const Tensor& t) {
  const auto [begin, end] = extent(t);
  return end - begin == t.numel() * static_cast<int64_t>(t.itemsize());
}

/// \throws Error if an input (or one of a list) shares some elements' memory with `out`. As in PyTorch, only tensors
/// without gaps are compared.
void check_apart(nb::handle input, nb::handle out, bool whole_too) {
  if (PyTuple_Check(out.ptr()) || PyList_Check(out.ptr())) {
    for (nb::handle o : out) check_apart(input, o, whole_too);
    return;
  }
  if (PyTuple_Check(input.ptr()) || PyList_Check(input.ptr())) {
    for (nb::handle i : input) check_apart(i, out, whole_too);
    return;
  }
  if (!is_tensor(input.ptr()) || !is_tensor(out.ptr())) return;
  const Tensor x = unwrap(input.ptr()), y = unwrap(out.ptr());
  if (x.is_same(y) && !whole_too) return;
  if (!x.is_same(y) && (!(x.storage() == y.storage()) || x.numel() == 0 || y.numel() == 0 || !is_dense(x) || !is_dense(y)))
    return;
  const auto [begin, end] = extent(x);
  const auto [from, to] = extent(y);
  const bool same = x.is_same(y) || (begin == from && end == to && x.strides() == y.strides());
  NORCH_CHECK(same ? !whole_too : end <= from || to <= begin, "unsupported operation: some elements of the input tensor "
              "and the written-to tensor refer to a single memory location. Please clone() the tensor before performing "
              "the operation.");
}

enum class Out { Cast, SameDtype, Factory };

/// One more overload of scope.name, chosen where `out` is named: calls without it cost nothing.
void give_out(nb::handle scope, const char* name, Out kind) {
  if (!nb::hasattr(scope, name)) return;
  const bool apart = std::any_of(std::begin(kOutApart), std::end(kOutApart),
                                 [name](const char* n) { return std::string_view(n) == name; });
  nb::cpp_function_def(
      [scope, name, kind, apart](const nb::args& args, nb::handle out, const nb::kwargs& kwargs) -> nb::object {
        nb::dict rest;
        check_apart(args, out, apart);
        for (auto [key, value] : kwargs) {
          rest[key] = value;
          check_apart(value, out, apart);
        }
        if (kind == Out::Factory && is_tensor(out.ptr()))
          for (const char* option : {"dtype", "device"})
            if (!rest.contains(option)) rest[option] = out.attr(option);
        const nb::object result = scope.attr(name)(*args, **rest);
        return out.is_none() ? result : store(name, result, out, kind == Out::SameDtype);
      },
      nb::scope(scope), nb::name(name), "The same, written into `out`, which is returned.", "args"_a, "out"_a.none(),
      "kwargs"_a);
}

/// Functions of norch.linalg whose first tensor is `A` or `x` in PyTorch's documentation and `input` in its code.
constexpr const char* kLinalgOfInput[] = {
    "cholesky", "cholesky_ex", "cond", "eig", "eigh", "eigvals", "eigvalsh", "ldl_factor", "ldl_factor_ex", "matrix_exp",
    "matrix_norm", "matrix_power", "matrix_rank", "norm", "pinv", "solve_triangular", "tensorinv", "tensorsolve",
    "vector_norm"};

/// One more overload of scope.name, chosen where the first tensor is named `input`.
void give_input(nb::handle scope, const char* name) {
  nb::cpp_function_def(
      [scope, name](const nb::args& args, nb::handle input, const nb::kwargs& kwargs) {
        if (args.size() > 0) throw nb::next_overload();
        return nb::object(scope.attr(name)(input, **kwargs));
      },
      nb::scope(scope), nb::name(name), "The same, by the name that PyTorch's code has.", "args"_a, "input"_a,
      "kwargs"_a);
}

// ---- in place

/// Methods whose in-place form is the method itself, copied over the tensor.
constexpr const char* kInPlace[] = {"conj_physical", "cumprod", "cumsum", "gcd", "heaviside", "i0", "igamma", "igammac",
                                    "index_reduce", "lcm", "ldexp", "mvlgamma", "renorm", "sgn"};
/// In-place methods that PyTorch has as functions too.
constexpr const char* kInPlaceFunctions[] = {"addmv_", "as_strided_", "clamp_", "clip_", "conj_physical_", "detach_",
                                             "gcd_", "i0_", "index_put_", "lcm_", "ldexp_", "resize_as_", "xlogy_"};

void give_in_place(nb::handle tensor, const char* name) {
  const std::string in_place = std::string(name) + "_";
  if (!nb::hasattr(tensor, name) || nb::hasattr(tensor, in_place.c_str())) return;
  nb::cpp_function_def(
      [tensor, name](const Tensor& self, const nb::args& args, const nb::kwargs& kwargs) {
        // Autograd may keep what the op read, which is about to be overwritten.
        bool recorded = autograd::grad_enabled() && self.requires_grad();
        for (nb::handle a : args) recorded = recorded || (is_tensor(a.ptr()) && unwrap(a.ptr()).requires_grad());
        const nb::object result = tensor.attr(name)(nb::cast(recorded ? self.clone() : self), *args, **kwargs);
        const Tensor value = nb::cast<Tensor>(result);
        NORCH_CHECK(value.sizes() == self.sizes(), name, "_: output with shape ", self.sizes(),
                    " doesn't match the broadcast shape ", value.sizes());
        NORCH_CHECK(can_cast(value.dtype(), self.dtype()), name, "_: result type ", value.dtype(),
                    " can't be cast to the desired output type ", self.dtype());
        return copy_(self, value);
      },
      nb::scope(tensor), nb::name(in_place.c_str()), nb::is_method(), "The same, written into the tensor.", "args"_a,
      "kwargs"_a);
}

/// norch.NAME from a method: the tensor may be named `input`.
void give_function(nb::handle scope, nb::handle tensor, const char* name) {
  if (nb::hasattr(scope, name) || !nb::hasattr(tensor, name)) return;
  nb::cpp_function_def(
      [method = nb::object(tensor.attr(name))](nb::handle input, const nb::args& args, const nb::kwargs& kwargs) {
        return nb::object(method(input, *args, **kwargs));
      },
      nb::scope(scope), nb::name(name), "The method of Tensor, as a function.", "input"_a, "args"_a, "kwargs"_a);
}

// ---- copies of views

constexpr const char* kViews[] = {"as_strided", "detach", "diagonal", "expand", "narrow", "permute", "select", "split",
                                  "split_with_sizes", "squeeze", "t", "transpose", "unbind", "unfold", "unsqueeze",
                                  "view", "view_as_complex", "view_as_real"};

nb::object cloned(nb::handle views) {
  if (is_tensor(views.ptr())) return nb::cast(unwrap(views.ptr()).clone());
  nb::list out;
  for (nb::handle v : views) out.append(cloned(v));
  return nb::tuple(out);
}

void give_copy(nb::handle scope, nb::handle tensor, const char* view) {
  const nb::handle source = nb::hasattr(tensor, view) ? tensor : scope;
  if (!nb::hasattr(source, view)) return;
  const std::string name = std::string(view) + "_copy";
  nb::cpp_function_def(
      [source, view](const nb::args& args, nb::handle out, const nb::kwargs& kwargs) {
        nb::dict rest;
        nb::list all;
        for (auto [key, value] : kwargs) {  // a method has no name for the tensor
          if (nb::cast<std::string>(key) == "input")
            all.append(value);
          else
            rest[key] = value;
        }
        for (nb::handle a : args) all.append(a);
        // A copy under another shape needs no strides that a view could have.
        if (std::string_view(view) == "view" && nb::len(all) > 0 && is_tensor(all[0].ptr()))
          all[0] = nb::cast(unwrap(nb::object(all[0]).ptr()).contiguous());
        const nb::object copies = cloned(source.attr(view)(*all, **rest));
        return out.is_none() ? copies : store(view, copies, out, true);
      },
      nb::scope(scope), nb::name(name.c_str()), "The view of that name, copied.", "args"_a, "out"_a = nb::none(),
      "kwargs"_a);
}

/// The one copy that PyTorch also has as a method.
void give_narrow_copy(nb::handle tensor) {
  nb::cpp_function_def(
      [tensor](nb::handle self, const nb::args& args, const nb::kwargs& kwargs) {
        return cloned(tensor.attr("narrow")(self, *args, **kwargs));
      },
      nb::scope(tensor), nb::name("narrow_copy"), nb::is_method(), "narrow, copied.", "args"_a, "kwargs"_a);
}

// ---- second names

struct Names {
  const char *name, *existing;
};

/// In module norch and on Tensor, in-place forms too, unless a row bound the name.
constexpr Names kAliases[] = {{"absolute", "abs"},
                              {"arccos", "acos"},
                              {"arccosh", "acosh"},
                              {"arcsin", "asin"},
                              {"arcsinh", "asinh"},
                              {"arctan", "atan"},
                              {"arctan2", "atan2"},
                              {"arctanh", "atanh"},
                              {"clip", "clamp"},
                              {"concat", "cat"},
                              {"concatenate", "cat"},
                              {"divide", "div"},
                              {"fix", "trunc"},
                              {"ger", "outer"},
                              {"greater", "gt"},
                              {"greater_equal", "ge"},
                              {"less", "lt"},
                              {"less_equal", "le"},
                              {"multiply", "mul"},
                              {"ndimension", "dim"},
                              {"nelement", "numel"},
                              {"negative", "neg"},
                              {"not_equal", "ne"},
                              {"row_stack", "vstack"},
                              {"subtract", "sub"},
                              {"trapz", "trapezoid"},
                              {"true_divide", "div"},
                              {"unsafe_chunk", "chunk"},
                              {"unsafe_split_with_sizes", "split_with_sizes"}};

/// In norch.special, for functions of module norch.
constexpr Names kSpecial[] = {{"digamma", "digamma"},
                              {"erf", "erf"},
                              {"erfc", "erfc"},
                              {"erfinv", "erfinv"},
                              {"exp2", "exp2"},
                              {"expit", "sigmoid"},
                              {"expm1", "expm1"},
                              {"gammainc", "igamma"},
                              {"gammaincc", "igammac"},
                              {"gammaln", "lgamma"},
                              {"i0", "i0"},
                              {"log1p", "log1p"},
                              {"log_softmax", "log_softmax"},
                              {"logit", "logit"},
                              {"logsumexp", "logsumexp"},
                              {"multigammaln", "mvlgamma"},
                              {"polygamma", "polygamma"},
                              {"psi", "digamma"},
                              {"round", "round"},
                              {"sinc", "sinc"},
                              {"softmax", "softmax"},
                              {"xlogy", "xlogy"}};

/// Functions of nn.functional that PyTorch also has in module torch, with the same arguments.
constexpr const char* kShared[] = {
    "adaptive_avg_pool1d", "avg_pool1d", "bilinear", "binary_cross_entropy_with_logits", "channel_shuffle", "conv1d",
    "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "cosine_embedding_loss", "ctc_loss",
    "hinge_embedding_loss", "layer_norm", "margin_ranking_loss", "max_pool1d", "max_pool2d", "max_pool3d",
    "pixel_shuffle", "pixel_unshuffle", "poisson_nll_loss", "prelu", "rms_norm", "rrelu", "triplet_margin_loss"};
/// And the other way round.
constexpr const char* kSharedByRoot[] = {"log_softmax", "sigmoid", "softmax", "tanh"};

void share(nb::handle to, const char* name, nb::handle from, const char* existing) {
  if (nb::hasattr(from, existing)) to.attr(name) = from.attr(existing);
}

}  // namespace

void bind_variants(Binder& b) {
  for (const char* name : kViews) give_copy(b.root, b.tensor, name);
  give_narrow_copy(b.tensor);
  for (const char* name : kInPlace) give_in_place(b.tensor, name);
  for (const char* name : kInPlaceFunctions) give_function(b.root, b.tensor, name);
  for (const char* module : {"", "_nn", "_special", "_linalg", "_fft"}) {
    const nb::object scope = *module ? nb::getattr(b.root, module, nb::none()) : nb::object(b.root);
    if (scope.is_none()) continue;
    for (const char* name : kOut) give_out(scope, name, Out::Cast);
    for (const char* name : kOutOfSameDtype) give_out(scope, name, Out::SameDtype);
    for (const char* name : kOutOfFactories) give_out(scope, name, Out::Factory);
  }
  for (const Names& n : kAliases) {
    if (nb::hasattr(b.root, n.name) || nb::hasattr(b.tensor, n.name)) continue;
    b.same(n.name, n.existing);
    b.same((std::string(n.name) + "_").c_str(), (std::string(n.existing) + "_").c_str());
  }
  for (const char* name : kLinalgOfInput) give_input(b.root.attr("_linalg"), name);
  const nb::object special = b.root.attr("_special");
  for (const Names& n : kSpecial) share(special, n.name, b.root, n.existing);
  for (const char* name : kShared)
    if (!nb::hasattr(b.root, name)) share(b.root, name, b.nn, name);
  for (const char* name : kSharedByRoot)
    if (!nb::hasattr(b.nn, name)) share(b.nn, name, b.root, name);
}

}  // namespace norch::python
