// Reductions over dims.
//
// `dims` names the dims to reduce (negative ones count from the end); an empty list means all of them. The result has
// the input's shape without those dims, or with size 1 for them with `keepdim`. Sums accumulate in at least float32
// and, on large inputs, pairwise or wider; the order depends on the shape only. NaN propagates unless said otherwise.
// \throws IndexError for a dim out of range, Error for one given twice.
#pragma once

#include <optional>
#include <utility>

#include "norch/tensor.h"

namespace norch {

/// Values and int64 indices along the reduced dim, of the same shape. Gradients flow to where the values came from.
struct ValuesAndIndices {
  Tensor values;
  Tensor indices;
};

/// Sum. Integers and bool sum in int64, unless `dtype` says otherwise (then the input is cast first). Empty: 0.
NORCH_API Tensor sum(const Tensor& t, Ints dims = {}, bool keepdim = false, std::optional<DType> dtype = {});
/// Sum that takes NaN for 0.
NORCH_API Tensor nansum(const Tensor& t, Ints dims = {}, bool keepdim = false, std::optional<DType> dtype = {});
/// Mean. Empty: NaN. \throws Error for integers without a float `dtype`.
NORCH_API Tensor mean(const Tensor& t, Ints dims = {}, bool keepdim = false, std::optional<DType> dtype = {});
/// Mean of the elements that are not NaN.
NORCH_API Tensor nanmean(const Tensor& t, Ints dims = {}, bool keepdim = false, std::optional<DType> dtype = {});
/// Product; dtypes as sum. Empty: 1. The gradient is right where factors are 0.
NORCH_API Tensor prod(const Tensor& t, Ints dims = {}, bool keepdim = false, std::optional<DType> dtype = {});
/// Sums the dims along which `sizes` would broadcast to the tensor's shape: the reverse of expand.
NORCH_API Tensor sum_to_size(const Tensor& t, Ints sizes);

/// Whether any (all) elements are not zero; bool, or uint8 for uint8. Empty: false (true).
NORCH_API Tensor any(const Tensor& t, Ints dims = {}, bool keepdim = false);
NORCH_API Tensor all(const Tensor& t, Ints dims = {}, bool keepdim = false);
/// Number of elements that are not zero, int64.
NORCH_API Tensor count_nonzero(const Tensor& t, Ints dims = {});

/// Largest (smallest) element; the gradient is shared evenly among equal ones.
/// \throws Error for an empty input without dims, IndexError for a reduced dim of size 0.
NORCH_API Tensor amax(const Tensor& t, Ints dims = {}, bool keepdim = false);
NORCH_API Tensor amin(const Tensor& t, Ints dims = {}, bool keepdim = false);
/// Both at once: (min, max). Over one dim, or all.
NORCH_API std::pair<Tensor, Tensor> aminmax(const Tensor& t, std::optional<int64_t> dim = {}, bool keepdim = false);
/// amax (amin) over everything, under the name and with the errors of max (min).
NORCH_API Tensor max(const Tensor& t);
NORCH_API Tensor min(const Tensor& t);
/// Largest (smallest) elements along a dim, and the first index of each.
NORCH_API ValuesAndIndices max(const Tensor& t, int64_t dim, bool keepdim = false);
NORCH_API ValuesAndIndices min(const Tensor& t, int64_t dim, bool keepdim = false);
/// The first index of the largest (smallest) element along `dim`, or in the flattened tensor. NaN counts as extreme.
NORCH_API Tensor argmax(const Tensor& t, std::optional<int64_t> dim = {}, bool keepdim = false);
NORCH_API Tensor argmin(const Tensor& t, std::optional<int64_t> dim = {}, bool keepdim = false);

/// Variance: sum of squared deviations over (n - correction). NaN or inf where n <= correction. Floats only.
NORCH_API Tensor var(const Tensor& t, Ints dims = {}, double correction = 1, bool keepdim = false);
/// Standard deviation, the square root of var.
NORCH_API Tensor std(const Tensor& t, Ints dims = {}, double correction = 1, bool keepdim = false);
/// (var, mean) and (std, mean) from one pass.
NORCH_API std::pair<Tensor, Tensor> var_mean(const Tensor& t, Ints dims = {}, double correction = 1,
                                             bool keepdim = false);
NORCH_API std::pair<Tensor, Tensor> std_mean(const Tensor& t, Ints dims = {}, double correction = 1,
                                             bool keepdim = false);

/// (sum |x|^p)^(1/p) of the elements as one vector; p may be 0 (count of non-zeros), inf or -inf. Floats only.
NORCH_API Tensor vector_norm(const Tensor& t, const Scalar& p = 2, Ints dims = {}, bool keepdim = false,
                             std::optional<DType> dtype = {});
/// log(sum(exp(x))), safe from overflow. Integers are taken as the default float dtype.
NORCH_API Tensor logsumexp(const Tensor& t, Ints dims, bool keepdim = false);

}  // namespace norch
