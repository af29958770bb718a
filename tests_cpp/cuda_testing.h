// What tests on the GPU share. The CPU is the oracle: run the same ops on both and compare.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "core/factory.h"
#include "kernels/dispatch.h"
#include "norch/norch.h"

namespace norch::testing {

/// Skips, visibly, where there is no GPU. Fails if a test leaves a CUDA error behind.
class CudaTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!cuda::is_available()) GTEST_SKIP() << "no GPU: " << cuda::why_unavailable();
  }
  void TearDown() override {
    if (cuda::is_available()) {
      EXPECT_NO_THROW(cuda::synchronize());
    }
  }
};

inline const std::vector<DType>& all_dtypes() {
  static const std::vector<DType> list{kBool,  kUInt8,   kInt8,     kInt16,   kInt32,
                                       kInt64, kFloat16, kBFloat16, kFloat32, kFloat64};
  return list;
}

/// A CPU tensor of repeatable numbers: small integers for integer types, multiples of 1/8 in [-4, 4) for floats (exact
/// in all of them). Never zero in a row of more than a few.
inline Tensor numbers(Ints sizes, DType dtype, uint32_t seed = 1) {
  Tensor t = new_tensor(sizes, dtype, kCPU);
  uint32_t state = seed * 2654435761u + 12345u;
  visit_all(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* p = static_cast<T*>(t.data_ptr());
    for (int64_t i = 0; i < t.numel(); ++i) {
      state = state * 1664525u + 1013904223u;
      const int n = static_cast<int>(state >> 26);  // 0..63
      if constexpr (std::is_same_v<T, bool>)
        p[i] = n % 2 != 0;
      else if constexpr (is_floating_point(dtype_of<T>))
        p[i] = static_cast<T>(static_cast<float>(n - 32) / 8);
      else
        p[i] = static_cast<T>(is_signed(dtype_of<T>) ? n - 32 : n);
    }
  });
  return t;
}

/// The elements as doubles, wherever they are.
inline std::vector<double> values(const Tensor& t) {
  const Tensor c = t.detach().cpu().contiguous();
  std::vector<double> out(static_cast<size_t>(c.numel()));
  visit_all(c.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* p = static_cast<const T*>(c.data_ptr());
    for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<double>(static_cast<ComputeType<T>>(p[i]));
  });
  return out;
}

/// Same dtype, shape and values: |gpu - cpu| <= tolerance * (1 + |cpu|); NaN equals NaN.
inline void expect_same(const Tensor& gpu, const Tensor& cpu, double tolerance = 0) {
  ASSERT_TRUE(gpu.is_cuda());
  ASSERT_TRUE(cpu.is_cpu());
  ASSERT_EQ(gpu.dtype(), cpu.dtype());
  ASSERT_EQ(str(gpu.sizes()), str(cpu.sizes()));
  const std::vector<double> a = values(gpu), b = values(cpu);
  size_t wrong = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const bool same = a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i])) ||
                      std::abs(a[i] - b[i]) <= tolerance * (1 + std::abs(b[i]));
    if (!same && ++wrong <= 3)
      ADD_FAILURE() << "element " << i << " of " << str(cpu) << ": " << a[i] << " on the GPU, " << b[i] << " on the CPU";
  }
  EXPECT_EQ(wrong, 0u) << "of " << a.size() << " elements";
}

}  // namespace norch::testing
