// Random numbers: Philox 4x32-10 and what is made of it, compiled for both devices.
//
// Philox maps (seed, draw, block) to four words of 32 bits. A kernel fills contiguous tensors; element i takes its words
// from block i / 4, word i % 4, or, where it needs 64 bits, from block i / 2, words 2 * (i % 2) and the next. So an
// element depends on seed, draw and i alone, not on the device, its threads, or the size of the tensor.
#pragma once

#include <cmath>
#include <type_traits>

#include "kernels/dispatch.h"
#include "kernels/kernel.h"
#include "kernels/special_math.h"
#include "norch/generator.h"
#include "norch/tensor.h"

namespace norch::kernels {

/// Continuous distributions and their parameters (a, b): uniform in [a, b); normal and log-normal with mean a and
/// standard deviation b (of the logarithm); exponential with rate a; Cauchy with median a and scale b.
enum class Distribution : uint8_t { Uniform, Normal, LogNormal, Exponential, Cauchy };

/// Fills `out`, of a float dtype.
NORCH_KERNEL(random_fill, void(Distribution d, const Tensor& out, PhiloxState state, double a, double b))
/// Integers low + [0, range), range 0 standing for 2^64; any dtype but bool is converted from them.
NORCH_KERNEL(random_integers, void(const Tensor& out, PhiloxState state, int64_t low, uint64_t range))
/// Number of trials up to the first success of probability p, at least 1; any dtype but bool.
NORCH_KERNEL(random_geometric, void(const Tensor& out, PhiloxState state, double p))
/// 1 with probability p, otherwise 0; any dtype.
NORCH_KERNEL(random_bernoulli, void(const Tensor& out, PhiloxState state, double p))
/// The same with a probability per element; `p` is contiguous, of out's shape and a float dtype.
NORCH_KERNEL(random_bernoulli_each, void(const Tensor& out, PhiloxState state, const Tensor& p))
/// out = x * scale with probability 1 - p, otherwise 0; contiguous, of one float dtype. Of a part of a tensor,
/// `first_block` is the place of its first element there, over 4.
NORCH_KERNEL(dropout, void(const Tensor& out, const Tensor& x, PhiloxState state, double p, double scale,
                           uint64_t first_block))
/// out[r, k] = an index drawn with the probabilities whose running sums are the rows of cdf: out is int64 rows x n,
/// cdf float64 rows x classes, not decreasing.
NORCH_KERNEL(random_categories, void(const Tensor& out, const Tensor& cdf, PhiloxState state))
/// Poisson numbers with the rates in `rate`, contiguous, of out's shape and dtype. A rate below 0 or not finite raises
/// (NaN on CUDA).
NORCH_KERNEL(random_poisson, void(const Tensor& out, const Tensor& rate, PhiloxState state))

inline namespace NORCH_ISA {

struct Words {
  uint32_t w[4];
};

NORCH_HD Words philox(uint64_t seed, uint64_t draw, uint64_t block) {
  uint32_t c0 = static_cast<uint32_t>(block), c1 = static_cast<uint32_t>(block >> 32);
  uint32_t c2 = static_cast<uint32_t>(draw), c3 = static_cast<uint32_t>(draw >> 32);
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
#if defined(__CUDA_ARCH__)
#pragma unroll
#endif
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = static_cast<uint64_t>(0xD2511F53u) * c0;
    const uint64_t p1 = static_cast<uint64_t>(0xCD9E8D57u) * c2;
    const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
    const uint32_t n2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c0 = n0;
    c1 = static_cast<uint32_t>(p1);
    c2 = n2;
    c3 = static_cast<uint32_t>(p0);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

NORCH_HD uint64_t join(uint32_t low, uint32_t high) { return (static_cast<uint64_t>(high) << 32) | low; }

/// x * a + b, rounded twice on every device.
NORCH_HD float multiply_add(float x, float a, float b) {
#if defined(__CUDA_ARCH__)
  return __fadd_rn(__fmul_rn(x, a), b);
#else
  return x * a + b;
#endif
}
NORCH_HD double multiply_add(double x, double a, double b) {
#if defined(__CUDA_ARCH__)
  return __dadd_rn(__dmul_rn(x, a), b);
#else
  return x * a + b;
#endif
}

/// floor(r * range / 2^64): uniform in [0, range) but for a bias of at most range / 2^64. Range 0 keeps r.
NORCH_HD uint64_t below(uint64_t r, uint64_t range) {
  if (range == 0) return r;
#if defined(__CUDA_ARCH__)
  return __umul64hi(r, range);
#else
  // Long multiplication: vectorises, and needs no 128-bit type.
  const uint64_t rl = r & 0xFFFFFFFFu, rh = r >> 32, al = range & 0xFFFFFFFFu, ah = range >> 32;
  const uint64_t middle = rh * al + ((rl * al) >> 32);
  return rh * ah + (middle >> 32) + ((rl * ah + (middle & 0xFFFFFFFFu)) >> 32);
#endif
}

/// The number of digits of the uniform numbers of a dtype: they are multiples of 2^-digits, so that they stay below 1
/// in it.
template <class T>
inline constexpr int kDigits = std::is_same_v<T, double>     ? 53
                               : std::is_same_v<T, float>    ? 24
                               : std::is_same_v<T, BFloat16> ? 8
                                                             : 11;

/// In (0, 1): multiples of 2^-24 (2^-53), half way between those of one digit less.
NORCH_HD float open_unit(uint32_t w) { return (static_cast<float>(w >> 9) + 0.5f) * 0x1.0p-23f; }
NORCH_HD double open_unit(uint64_t r) { return (static_cast<double>(r >> 12) + 0.5) * 0x1.0p-52; }
/// In (0, 1] with a fine grid near 0, which the tails of the normal distribution come from.
NORCH_HD float tail_unit(uint32_t w) { return static_cast<float>(w) * 0x1.0p-32f + 0x1.0p-33f; }
NORCH_HD double tail_unit(uint64_t r) { return static_cast<double>(r) * 0x1.0p-64 + 0x1.0p-65; }

/// sin and cos of 2 pi u for u in [0, 1). Written out so that loops over it vectorise on every CPU: u is reduced to an
/// eighth of a turn, exactly, and the polynomials are the usual minimax ones.
NORCH_HD void sin_cos_turn(float u, float& sin, float& cos) {
  const int quarter = static_cast<int>(u * 4.0f + 0.5f);
  const float x = (u - static_cast<float>(quarter) * 0.25f) * 6.283185307179586f, z = x * x;
  const float s = x + x * z * (-1.6666654611e-1f + z * (8.3321608736e-3f + z * -1.9515295891e-4f));
  const float c =
      1.0f - 0.5f * z + z * z * (4.166664568298827e-2f + z * (-1.388731625493765e-3f + z * 2.443315711809948e-5f));
  const float a = quarter & 1 ? c : s, b = quarter & 1 ? s : c;
  sin = quarter & 2 ? -a : a;
  cos = (quarter + 1) & 2 ? -b : b;
}
NORCH_HD void sin_cos_turn(double u, double& sin, double& cos) {
  const int quarter = static_cast<int>(u * 4.0 + 0.5);
  const double x = (u - static_cast<double>(quarter) * 0.25) * 6.283185307179586, z = x * x;
  double s = 1.58962301576546568060e-10;
  s = s * z - 2.50507477628578072866e-8;
  s = s * z + 2.75573136213857245213e-6;
  s = s * z - 1.98412698295895385996e-4;
  s = s * z + 8.33333333332211858878e-3;
  s = s * z - 1.66666666666666307295e-1;
  s = x + x * z * s;
  double c = -1.13585365213876817300e-11;
  c = c * z + 2.08757008419747316778e-9;
  c = c * z - 2.75573141792967388112e-7;
  c = c * z + 2.48015872888517045348e-5;
  c = c * z - 1.38888888888730564116e-3;
  c = c * z + 4.16666666666665929218e-2;
  c = 1.0 - 0.5 * z + z * z * c;
  const double a = quarter & 1 ? c : s, b = quarter & 1 ? s : c;
  sin = quarter & 2 ? -a : a;
  cos = (quarter + 1) & 2 ? -b : b;
}

// Samplers make the values of one block: four of type float (`words` 1), or two of 64 bits (`words` 2). R is what one
// element's random bits are: uint32_t or uint64_t. one() takes the bits of one element, two() those of a pair.

template <class C>
using Bits = std::conditional_t<std::is_same_v<C, double>, uint64_t, uint32_t>;

/// C is float or double; T the dtype that is filled.
template <class T>
struct UniformSampler {
  using C = ComputeType<T>;
  static constexpr bool pairs = false;
  C low, high, range;
  UniformSampler(double a, double b)
      : low(static_cast<C>(a)), high(static_cast<C>(b)), range(static_cast<C>(b - a)) {}
  NORCH_HD C one(Bits<C> r) const {
    constexpr int kBits = sizeof(r) * 8, kShift = kBits - kDigits<T>;
    constexpr C kUnit = C(1) / static_cast<C>(uint64_t{1} << kDigits<T>);
    const C v = multiply_add(static_cast<C>(r >> kShift) * kUnit, range, low);
    // Rounding, here or to the dtype, may reach the end of a half-open interval.
    return static_cast<C>(static_cast<T>(v)) < high ? v : low;
  }
};

template <class C>
struct NormalSampler {
  static constexpr bool pairs = true;
  C mean, deviation;
  NormalSampler(double a, double b) : mean(static_cast<C>(a)), deviation(static_cast<C>(b)) {}
  NORCH_HD void two(Bits<C> r0, Bits<C> r1, C& first, C& second) const {
    const C radius = std::sqrt(C(-2) * std::log(tail_unit(r0)));
    C sin, cos;
    if constexpr (std::is_same_v<C, double>)
      sin_cos_turn(static_cast<double>(r1 >> 11) * 0x1.0p-53, sin, cos);
    else
      sin_cos_turn(static_cast<float>(r1 >> 8) * 0x1.0p-24f, sin, cos);
    first = mean + deviation * (radius * cos);
    second = mean + deviation * (radius * sin);
  }
};

template <class C>
struct LogNormalSampler {
  static constexpr bool pairs = true;
  NormalSampler<C> normal;
  LogNormalSampler(double a, double b) : normal(a, b) {}
  NORCH_HD void two(Bits<C> r0, Bits<C> r1, C& first, C& second) const {
    normal.two(r0, r1, first, second);
    first = std::exp(first);
    second = std::exp(second);
  }
};

template <class C>
struct ExponentialSampler {
  static constexpr bool pairs = false;
  C minus_mean;
  ExponentialSampler(double rate, double) : minus_mean(static_cast<C>(-1 / rate)) {}
  NORCH_HD C one(Bits<C> r) const { return std::log(open_unit(r)) * minus_mean; }
};

template <class C>
struct CauchySampler {
  static constexpr bool pairs = false;
  C median, scale;
  CauchySampler(double a, double b) : median(static_cast<C>(a)), scale(static_cast<C>(b)) {}
  NORCH_HD C one(Bits<C> r) const {
    return median + scale * std::tan(C(3.14159265358979323846) * (open_unit(r) - C(0.5)));
  }
};

struct IntegerSampler {
  static constexpr bool pairs = false;
  int64_t low;
  uint64_t range;
  NORCH_HD int64_t one(uint64_t r) const { return static_cast<int64_t>(static_cast<uint64_t>(low) + below(r, range)); }
};

/// The same numbers for a range below 2^32, in half the multiplications.
struct ShortIntegerSampler {
  static constexpr bool pairs = false;
  int64_t low;
  uint32_t range;
  NORCH_HD int64_t one(uint64_t r) const {
    const uint64_t carry = (static_cast<uint64_t>(static_cast<uint32_t>(r)) * range) >> 32;
    return low + static_cast<int64_t>((static_cast<uint64_t>(static_cast<uint32_t>(r >> 32)) * range + carry) >> 32);
  }
};

struct GeometricSampler {
  static constexpr bool pairs = false;
  double scale;
  explicit GeometricSampler(double p) : scale(1 / std::log1p(-p)) {}
  NORCH_HD double one(uint64_t r) const {
    const double k = std::ceil(std::log(open_unit(r)) * scale);
    return k < 1 ? 1 : k;
  }
};

/// The words below which a 32-bit word counts as an event of probability p.
inline uint64_t event_threshold(double p) { return static_cast<uint64_t>(p * 0x1.0p32); }

struct BernoulliSampler {
  static constexpr bool pairs = false;
  uint64_t threshold;
  explicit BernoulliSampler(double p) : threshold(event_threshold(p)) {}
  NORCH_HD bool one(uint32_t r) const { return r < threshold; }
};

/// Calls run(sampler, tag) for the distribution and float dtype.
template <class Run>
void visit_distribution(Distribution d, DType dtype, double a, double b, Run&& run) {
  visit_float("random", dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    switch (d) {
      case Distribution::Uniform: return run(UniformSampler<T>(a, b), tag);
      case Distribution::Normal: return run(NormalSampler<C>(a, b), tag);
      case Distribution::LogNormal: return run(LogNormalSampler<C>(a, b), tag);
      case Distribution::Exponential: return run(ExponentialSampler<C>(a, b), tag);
      default: return run(CauchySampler<C>(a, b), tag);
    }
  });
}

/// The first class whose running sum exceeds u * total; never one of probability 0.
NORCH_HD int64_t find_category(const double* cdf, int64_t classes, double u) {
  const double total = cdf[classes - 1];
  double x = u * total;
  int64_t low = 0, high = classes;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (cdf[middle] > x)
      high = middle;
    else
      low = middle + 1;
  }
  if (low < classes) return low;
  // u * total was rounded up to total: the last class with any probability.
  for (low = classes - 1; low > 0 && cdf[low - 1] == total; --low) {
  }
  return low;
}

/// The uniform numbers of one element that needs an unknown number of them: block i, with the number of the attempt in
/// its upper 16 bits.
class Attempts {
 public:
  NORCH_HD Attempts(PhiloxState state, int64_t i) : state_(state), block_(static_cast<uint64_t>(i)) {}
  /// In (0, 1).
  NORCH_HD double uniform() {
    if (kept_) {
      kept_ = false;
      return second_;
    }
    const Words x = philox(state_.seed, state_.draw, block_);
    block_ += uint64_t{1} << 48;
    second_ = open_unit(join(x.w[2], x.w[3]));
    kept_ = true;
    return open_unit(join(x.w[0], x.w[1]));
  }
  NORCH_HD double normal() {
    const double radius = std::sqrt(-2 * std::log(uniform()));
    double sin, cos;
    sin_cos_turn(uniform(), sin, cos);
    return radius * cos;
  }

 private:
  PhiloxState state_;
  uint64_t block_;
  double second_ = 0;
  bool kept_ = false;
};

}  // namespace NORCH_ISA
}  // namespace norch::kernels
