// What the tests of ops share: reproducible inputs, comparison, numerical gradients.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>

#include "norch/norch.h"

namespace norch::testing {

/// Numbers in [-1, 1) that are not round but reproducible; small integers for integer dtypes.
inline Tensor numbers(Ints sizes, DType t = kFloat64, int64_t seed = 1) {
  Tensor out = empty(sizes, TensorOptions(kFloat64));
  double* p = out.data<double>();
  uint64_t s = static_cast<uint64_t>(seed) * 0x9E3779B97F4A7C15ull + 12345;
  for (int64_t i = 0; i < out.numel(); ++i) {
    s = s * 6364136223846793005ull + 1442695040888963407ull;
    const double u = static_cast<double>(s >> 40) / (1 << 24) * 2 - 1;
    p[i] = is_floating_point(t) ? u : std::floor(u * 5);
  }
  return out.to(t);
}

/// The largest absolute difference; shapes must agree.
inline double max_difference(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(Shape(a.sizes()).vec(), Shape(b.sizes()).vec());
  if (a.sizes() != b.sizes()) return INFINITY;
  const Tensor x = a.detach().cpu().to(kFloat64).contiguous(), y = b.detach().cpu().to(kFloat64).contiguous();
  double worst = 0;
  for (int64_t i = 0; i < x.numel(); ++i) {
    const double d = std::fabs(x.data<double>()[i] - y.data<double>()[i]);
    if (!(d <= worst)) worst = d;
  }
  return worst;
}

/// The text of the error that f raises.
inline std::string message(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

/// Checks the gradients of f at float64 `inputs` against central differences, and the gradients' own gradients.
inline void check_gradients(const std::function<Tensor(const TensorList&)>& f, TensorList inputs, int order = 2) {
  for (Tensor& t : inputs) t = t.detach().clone().requires_grad_();
  const Tensor out = f(inputs);
  const Tensor weights = numbers(out.sizes(), kFloat64, 99);
  const TensorList grads = autograd::grad({out}, inputs, {weights}, true, order > 1, true, true);
  for (size_t i = 0; i < inputs.size(); ++i) {
    double* p = inputs[i].data<double>();
    const Tensor grad = grads[i].detach().contiguous();
    for (int64_t e = 0; e < inputs[i].numel(); e += 1 + inputs[i].numel() / 9) {
      const double kept = p[e], h = 1e-5;
      p[e] = kept + h;
      const double up = sum(f(inputs) * weights).item<double>();
      p[e] = kept - h;
      const double down = sum(f(inputs) * weights).item<double>();
      p[e] = kept;
      EXPECT_NEAR(grad.data<double>()[e], (up - down) / (2 * h), 1e-6) << "order " << order << ", input " << i;
    }
  }
  if (order <= 1) return;
  const auto gradients = [&](const TensorList& x) {
    const TensorList g = autograd::grad({f(x)}, x, {weights}, true, true, true, true);
    Tensor total = sum(g[0] * g[0]);
    for (size_t i = 1; i < g.size(); ++i) total = total + sum(g[i] * g[i]);
    return total;
  };
  if (gradients(inputs).requires_grad()) check_gradients(gradients, inputs, 1);
}

}  // namespace norch::testing
