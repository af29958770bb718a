// Making tensors.
//
// What TensorOptions leaves out takes its default: default_dtype() unless a function infers the dtype from its numbers,
// the CPU, no gradient.
#pragma once

#include <string_view>

#include "norch/tensor.h"

namespace norch {

/// Uninitialised memory of the given shape.
NORCH_API Tensor empty(Ints sizes, const TensorOptions& options = {});
/// Uninitialised memory with the given strides (in elements, not negative), just large enough.
NORCH_API Tensor empty_strided(Ints sizes, Ints strides, const TensorOptions& options = {});
/// Filled with `value`. Without a dtype in the options the result has the value's: bool, int64 or the default float.
NORCH_API Tensor full(Ints sizes, const Scalar& value, const TensorOptions& options = {});
NORCH_API Tensor zeros(Ints sizes, const TensorOptions& options = {});
NORCH_API Tensor ones(Ints sizes, const TensorOptions& options = {});
/// Same shape, dtype, device and order of dims in memory as `like`; with options their dtype and device.
NORCH_API Tensor empty_like(const Tensor& like);
NORCH_API Tensor zeros_like(const Tensor& like);
NORCH_API Tensor ones_like(const Tensor& like);
NORCH_API Tensor full_like(const Tensor& like, const Scalar& value);
NORCH_API Tensor empty_like(const Tensor& like, const TensorOptions& options,
                            MemoryFormat format = MemoryFormat::preserve);
NORCH_API Tensor zeros_like(const Tensor& like, const TensorOptions& options,
                            MemoryFormat format = MemoryFormat::preserve);
NORCH_API Tensor ones_like(const Tensor& like, const TensorOptions& options,
                           MemoryFormat format = MemoryFormat::preserve);
NORCH_API Tensor full_like(const Tensor& like, const Scalar& value, const TensorOptions& options,
                           MemoryFormat format = MemoryFormat::preserve);

/// start, start + step, ... up to but without `end`: ceil((end - start) / step) numbers. The dtype is inferred: int64
/// unless a number is a float. \throws Error for step 0, a step away from `end`, or bounds that are not finite.
NORCH_API Tensor arange(const Scalar& start, const Scalar& end, const Scalar& step = 1,
                        const TensorOptions& options = {});
inline Tensor arange(const Scalar& end, const TensorOptions& options = {}) { return arange(0, end, 1, options); }
/// `steps` evenly spaced numbers from start to end, both included. \throws Error for negative `steps`.
NORCH_API Tensor linspace(const Scalar& start, const Scalar& end, int64_t steps, const TensorOptions& options = {});
/// base^start ... base^end, evenly spaced exponents.
NORCH_API Tensor logspace(const Scalar& start, const Scalar& end, int64_t steps, double base = 10,
                          const TensorOptions& options = {});
/// (n, m) with ones on the diagonal.
NORCH_API Tensor eye(int64_t n, int64_t m, const TensorOptions& options = {});
inline Tensor eye(int64_t n, const TensorOptions& options = {}) { return eye(n, n, options); }

/// The last two dims with zeros above (tril) or below (triu) the k-th diagonal. \throws Error for less than 2 dims.
NORCH_API Tensor tril(const Tensor& t, int64_t diagonal = 0);
NORCH_API Tensor triu(const Tensor& t, int64_t diagonal = 0);
NORCH_API Tensor tril_(const Tensor& self, int64_t diagonal = 0);
NORCH_API Tensor triu_(const Tensor& self, int64_t diagonal = 0);
/// Row and column indices (2, count) of the elements that tril (triu) of a (rows, cols) matrix keeps; int64 unless the
/// options say otherwise.
NORCH_API Tensor tril_indices(int64_t rows, int64_t cols, int64_t offset = 0, const TensorOptions& options = kInt64);
NORCH_API Tensor triu_indices(int64_t rows, int64_t cols, int64_t offset = 0, const TensorOptions& options = kInt64);
/// Views of the 1-d (or 0-d) inputs that together run over their grid; `indexing` is "ij", or "xy" with the first two
/// dims swapped.
NORCH_API TensorList meshgrid(const TensorList& tensors, std::string_view indexing = "ij");

/// Sets every element. Gradient: zero.
NORCH_API Tensor fill_(const Tensor& self, const Scalar& value);
NORCH_API Tensor zero_(const Tensor& self);

}  // namespace norch
