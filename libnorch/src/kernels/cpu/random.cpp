#include "kernels/random.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/philox.h"
#include "kernels/cpu/twister.h"
#include "kernels/cpu/vector_math.h"
#include "kernels/random_rejection.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

constexpr int64_t kGrainBlocks = 1024;

/// Values of a batch in the order of the elements: v[k][j] is element j * rows + k.
template <class V, int Rows>
struct BatchValues {
  alignas(64) V v[Rows][kBatch];
};

// The samplers are not inlined into the loops over the elements of each dtype, which would compile them again.

template <class S, class V>
[[gnu::noinline]] void sample(const S& sampler, const BatchWords& words, BatchValues<V, 4>& out) {
  if constexpr (S::pairs) {
    for (int k = 0; k < 4; k += 2)
#pragma omp simd
      for (int64_t j = 0; j < kBatch; ++j) sampler.two(words.w[k][j], words.w[k + 1][j], out.v[k][j], out.v[k + 1][j]);
  } else {
    for (int k = 0; k < 4; ++k)
#pragma omp simd
      for (int64_t j = 0; j < kBatch; ++j) out.v[k][j] = sampler.one(words.w[k][j]);
  }
}

template <class S, class V>
[[gnu::noinline]] void sample(const S& sampler, const BatchWords& words, BatchValues<V, 2>& out) {
  if constexpr (S::pairs) {
#pragma omp simd
    for (int64_t j = 0; j < kBatch; ++j)
      sampler.two(join(words.w[0][j], words.w[1][j]), join(words.w[2][j], words.w[3][j]), out.v[0][j], out.v[1][j]);
  } else {
    for (int k = 0; k < 2; ++k)
#pragma omp simd
      for (int64_t j = 0; j < kBatch; ++j) out.v[k][j] = sampler.one(join(words.w[2 * k][j], words.w[2 * k + 1][j]));
  }
}

/// out[i] = the sampler's value of element i, with Rows elements to a block of Philox.
template <class T, class V, int Rows, class S>
void fill(const Tensor& out, PhiloxState state, const S& sampler) {
  T* const data = static_cast<T*>(out.data_ptr());
  const int64_t n = out.numel(), blocks = (n + Rows - 1) / Rows;
  // Cut at whole batches only; each element is computed the same way wherever the cuts fall.
  const int64_t batches = (blocks + kBatch - 1) / kBatch;
  parallel_for(batches, kGrainBlocks / kBatch, [&](int64_t begin, int64_t end) {
    BatchWords words;
    BatchValues<V, Rows> values;
    for (int64_t b = begin; b < end; ++b) {
      fill_words(state, static_cast<uint64_t>(b * kBatch), words);
      sample(sampler, words, values);
      T* to = data + b * kBatch * Rows;
      const int64_t count = std::min(n - b * kBatch * Rows, kBatch * Rows);
      if (count == kBatch * Rows) {
        for (int64_t j = 0; j < kBatch; ++j)
          for (int k = 0; k < Rows; ++k) to[j * Rows + k] = static_cast<T>(values.v[k][j]);
      } else {
        for (int64_t i = 0; i < count; ++i) to[i] = static_cast<T>(values.v[i % Rows][i / Rows]);
      }
    }
  });
}

/// Calls f(i, word) for elements [0, n) that take one word each, the first of them from `first_block`.
template <class F>
void for_each_word(int64_t n, PhiloxState state, const F& f, uint64_t first_block = 0) {
  constexpr int64_t kElements = kBatch * 4;
  parallel_for((n + kElements - 1) / kElements, kGrainBlocks / kBatch, [&](int64_t begin, int64_t end) {
    BatchWords words;
    for (int64_t b = begin; b < end; ++b) {
      fill_words(state, first_block + static_cast<uint64_t>(b * kBatch), words);
      const int64_t first = b * kElements, count = std::min(n - first, kElements);
      alignas(64) uint32_t flat[kElements];
      for (int64_t j = 0; j < kBatch; ++j)
        for (int k = 0; k < 4; ++k) flat[j * 4 + k] = words.w[k][j];
#pragma omp simd
      for (int64_t i = 0; i < count; ++i) f(first + i, flat[i]);
    }
  });
}

}  // namespace

void random_fill(Distribution d, const Tensor& out, PhiloxState state, double a, double b) {
  visit_distribution(d, out.dtype(), a, b, [&](const auto& sampler, auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    fill<T, C, std::is_same_v<C, double> ? 2 : 4>(out, state, sampler);
  });
}

void random_integers(const Tensor& out, PhiloxState state, int64_t low, uint64_t range) {
  visit_all(out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (range != 0 && range < (uint64_t{1} << 32))
      fill<T, int64_t, 2>(out, state, ShortIntegerSampler{low, static_cast<uint32_t>(range)});
    else
      fill<T, int64_t, 2>(out, state, IntegerSampler{low, range});
  });
}

void random_geometric(const Tensor& out, PhiloxState state, double p) {
  visit_numbers("geometric_", out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    fill<T, double, 2>(out, state, GeometricSampler(p));
  });
}

void random_bernoulli(const Tensor& out, PhiloxState state, double p) {
  visit_all(out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    fill<T, bool, 4>(out, state, BernoulliSampler(p));
  });
}

void random_bernoulli_each(const Tensor& out, PhiloxState state, const Tensor& p) {
  visit_all(out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* to = static_cast<T*>(out.data_ptr());
    visit_float("bernoulli", p.dtype(), [&](auto p_tag) {
      using P = typename decltype(p_tag)::type;
      const P* ps = static_cast<const P*>(p.data_ptr());
      for_each_word(out.numel(), state, [=](int64_t i, uint32_t w) {
        const double event = static_cast<double>(static_cast<ComputeType<P>>(ps[i])) * 0x1.0p32;
        to[i] = static_cast<T>(static_cast<double>(w) < event);
      });
    });
  });
}

void dropout(const Tensor& out, const Tensor& x, PhiloxState state, double p, double scale, uint64_t first_block) {
  visit_float("dropout", x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    T* to = static_cast<T*>(out.data_ptr());
    const T* from = static_cast<const T*>(x.data_ptr());
    const C by = static_cast<C>(scale);
    const uint64_t threshold = event_threshold(p);
    const auto drop = [=](int64_t i, uint32_t w) {
      to[i] = w < threshold ? static_cast<T>(C(0)) : static_cast<T>(static_cast<C>(from[i]) * by);
    };
    for_each_word(out.numel(), state, drop, first_block);
  });
}

void random_categories(const Tensor& out, const Tensor& cdf, PhiloxState state) {
  const int64_t classes = cdf.sizes()[1], n = out.sizes()[1];
  const double* rows = cdf.data<double>();
  int64_t* to = out.data<int64_t>();
  for (int64_t i = 0; i < out.numel(); ++i) {
    const Words x = philox(state.seed, state.draw, static_cast<uint64_t>(i / 2));
    const uint64_t r = i % 2 ? join(x.w[2], x.w[3]) : join(x.w[0], x.w[1]);
    to[i] = find_category(rows + (i / n) * classes, classes, static_cast<double>(r >> 11) * 0x1.0p-53);
  }
}

void random_poisson(const Tensor& out, const Tensor& rate, PhiloxState state) {
  visit_float("poisson", out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* to = static_cast<T*>(out.data_ptr());
    const T* rates = static_cast<const T*>(rate.data_ptr());
    parallel_for(out.numel(), kGrainBlocks, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const double r = static_cast<double>(static_cast<ComputeType<T>>(rates[i]));
        NORCH_CHECK(r >= 0 && r < 1e300, "poisson: invalid Poisson rate, expected rate to be non-negative, got ", r);
        Attempts attempts(state, i);
        to[i] = static_cast<T>(static_cast<ComputeType<T>>(poisson_number(r, attempts)));
      }
    });
  });
}

namespace {

/// Cephes' logf, for x in (0, 1].
float cephes_log(float x) {
  int32_t bits;
  std::memcpy(&bits, &x, 4);
  float exponent = static_cast<float>((bits >> 23) - 126);
  bits = (bits & 0x007FFFFF) | 0x3F000000;
  std::memcpy(&x, &bits, 4);
  const bool low = x < 0.707106781186547524f;
  exponent -= low ? 1.0f : 0.0f;
  x = (x - 1.0f) + (low ? x : 0.0f);
  const float z = x * x;
  float y = 7.0376836292e-2f;
  y = std::fma(y, x, -1.1514610310e-1f);
  y = std::fma(y, x, 1.1676998740e-1f);
  y = std::fma(y, x, -1.2420140846e-1f);
  y = std::fma(y, x, 1.4249322787e-1f);
  y = std::fma(y, x, -1.6668057665e-1f);
  y = std::fma(y, x, 2.0000714765e-1f);
  y = std::fma(y, x, -2.4999993993e-1f);
  y = std::fma(y, x, 3.3333331174e-1f);
  y = std::fma(y * x, z, exponent * -2.12194440e-4f);
  y = std::fma(z, -0.5f, y);
  return std::fma(exponent, 0.693359375f, x + y);
}

/// Cephes' sinf and cosf, for x >= 0.
void cephes_sin_cos(float x, float& sin, float& cos) {
  const int32_t octant = (static_cast<int32_t>(x * 1.27323954473516f) + 1) & ~1;
  const float y = static_cast<float>(octant);
  x = std::fma(y, -0.78515625f, x);
  x = std::fma(y, -2.4187564849853515625e-4f, x);
  x = std::fma(y, -3.77489497744594108e-8f, x);
  const float z = x * x;
  float c = 2.443315711809948e-5f;
  c = std::fma(c, z, -1.388731625493765e-3f);
  c = std::fma(c, z, 4.166664568298827e-2f);
  c = std::fma(c * z, z, -0.5f * z) + 1.0f;
  float s = -1.9515295891e-4f;
  s = std::fma(s, z, 8.3321608736e-3f);
  s = std::fma(s, z, -1.6666654611e-1f);
  s = std::fma(s * z, x, x);
  const float a = octant & 2 ? c : s, b = octant & 2 ? s : c;
  sin = octant & 4 ? -a : a;
  cos = (octant + 2) & 4 ? -b : b;
}

}  // namespace

void box_muller(float* x, int64_t groups, float mean, float std) {
  for (int64_t g = 0; g < groups; ++g, x += 16) {
#pragma omp simd
    for (int k = 0; k < 8; ++k) {
      const float radius = std::sqrt(-2.0f * cephes_log(1.0f - x[k]));
      float sin, cos;
      cephes_sin_cos(6.283185307179586f * x[k + 8], sin, cos);
      x[k] = std::fma(radius * cos, std, mean);
      x[k + 8] = std::fma(radius * sin, std, mean);
    }
  }
}

}  // namespace norch::kernels::cpu::NORCH_ISA
