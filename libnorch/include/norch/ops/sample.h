// Samples of distributions whose parameters are tensors, with gradients by them: what norch.distributions is made of.
//
// Computed in float64; the result has the parameters' dtype. `generator` null is the default one.
#pragma once

#include "norch/generator.h"
#include "norch/tensor.h"

namespace norch {

/// Gamma numbers of the given shape parameters (rate 1), at least the smallest normal number of the dtype.
/// Differentiable: dx / d shape at a fixed quantile is standard_gamma_grad(shape, x).
NORCH_API Tensor standard_gamma(const Tensor& shape, Generator* generator = nullptr);
/// dx / d shape of gamma numbers x.
NORCH_API Tensor standard_gamma_grad(const Tensor& shape, const Tensor& x);

/// Dirichlet numbers of the concentrations in the last dim: positive, of sum 1. Differentiable.
NORCH_API Tensor sample_dirichlet(const Tensor& concentration, Generator* generator = nullptr);
/// dx / da / (1 - x) of beta numbers x with parameters a and total - a, which a component of a Dirichlet number is.
NORCH_API Tensor dirichlet_grad(const Tensor& x, const Tensor& a, const Tensor& total);

/// Successes of `count` trials of probability `p`; both of one float dtype and shape (they broadcast).
/// The gradient is zero.
NORCH_API Tensor binomial(const Tensor& count, const Tensor& p, Generator* generator = nullptr);

}  // namespace norch
