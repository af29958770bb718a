#include "kernels/cpu/twister.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/mersenne_twister.h"
#include "kernels/dispatch.h"
#include "kernels/random_rejection.h"

namespace norch::kernels::cpu {

namespace {

constexpr double kTurn = 2 * kPi;

/// The elements of up to two tensors of one shape in the order of the first one's memory.
class Walk {
 public:
  explicit Walk(const Tensor& a) : Walk(a, a) {}
  Walk(const Tensor& a, const Tensor& b) {
    const int64_t dims = a.dim();
    std::vector<int64_t> order;  // fastest dim first
    for (int64_t d = dims; d-- > 0;) order.push_back(d);
    // Insertion by stride, as in PyTorch: strides of 0 leave the order as it is.
    for (size_t i = 1; i < order.size(); ++i) {
      size_t at = i;
      for (size_t j = i; j-- > 0;) {
        const int c = compare(a, b, order[j], order[at]);
        if (c > 0) {
          std::swap(order[j], order[at]);
          at = j;
        } else if (c < 0) {
          break;
        }
      }
    }
    for (const int64_t d : order)
      if (a.sizes()[d] != 1) dims_.push_back({a.sizes()[d], a.strides()[d], b.strides()[d]});
    if (dims_.empty()) dims_.push_back({1, 0, 0});
    empty_ = a.numel() == 0;
  }

  /// Calls f(offset in a, offset in b) for every element.
  template <class F>
  void each(const F& f) const {
    if (empty_) return;
    std::vector<int64_t> index(dims_.size(), 0);
    const Dim inner = dims_[0];
    for (int64_t a = 0, b = 0;;) {
      for (int64_t i = 0; i < inner.size; ++i) f(a + i * inner.a, b + i * inner.b);
      size_t d = 1;
      for (; d < dims_.size(); ++d) {
        a += dims_[d].a;
        b += dims_[d].b;
        if (++index[d] < dims_[d].size) break;
        a -= dims_[d].a * dims_[d].size;
        b -= dims_[d].b * dims_[d].size;
        index[d] = 0;
      }
      if (d == dims_.size()) return;
    }
  }

 private:
  struct Dim {
    int64_t size, a, b;
  };
  /// Above 0: dim `x` runs slower than dim `y`; 0: either.
  static int compare(const Tensor& a, const Tensor& b, int64_t x, int64_t y) {
    for (const Tensor* t : {&a, &b}) {
      const int64_t sx = t->strides()[x], sy = t->strides()[y];
      if (sx == 0 || sy == 0) continue;
      if (sx != sy) return sx < sy ? -1 : 1;
      if (t->sizes()[x] > t->sizes()[y]) return 1;
    }
    return 0;
  }
  std::vector<Dim> dims_;
  bool empty_;
};

/// out = one() for every element.
template <class T, class One>
void fill(const Tensor& out, const One& one) {
  T* const to = static_cast<T*>(out.data_ptr());
  if (out.is_contiguous())
    for (int64_t i = 0; i < out.numel(); ++i) to[i] = one();
  else
    Walk(out).each([&](int64_t i, int64_t) { to[i] = one(); });
}

/// Fills a tensor of a float dtype with numbers that are made in float64.
template <class One>
void fill_floats(const char* op, const Tensor& out, Generator& generator, const One& one) {
  const TwisterDraw stream(generator);
  visit_float(op, out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    fill<T>(out, [&] { return static_cast<T>(static_cast<ComputeType<T>>(one(*stream))); });
  });
}

/// The type that uniform numbers are made in.
template <class T>
using UnitType = std::conditional_t<std::is_same_v<T, double>, double, float>;

/// In [0, 1): a multiple of 2^-24 (2^-53).
template <class U>
U unit(TwisterStream& stream) {
  if constexpr (std::is_same_v<U, double>)
    return stream.uniform();
  else
    return static_cast<float>(stream.bits32() & 0xFFFFFF) * 0x1.0p-24f;
}

// PyTorch's compiler fuses the multiply-adds at the end of most formulas; std::fma says where.

/// Box and Muller's formula for the 16 uniform numbers at x.
void box_muller_16(double* x, double mean, double std) {
  for (int k = 0; k < 8; ++k) {
    const double radius = std::sqrt(-2 * std::log(1 - x[k])), angle = kTurn * x[k + 8];
    x[k] = std::fma(radius * std::cos(angle), std, mean);
    x[k + 8] = std::fma(radius * std::sin(angle), std, mean);
  }
}
void box_muller_16(float* x, double mean, double std) {
  box_muller(kCPU, x, 1, static_cast<float>(mean), static_cast<float>(std));
}

/// At least 16 numbers, in groups of 16 (see box_muller). If n is no multiple of 16, the last 16 are a group drawn anew.
/// float32 and float64 draw the uniform numbers of all elements first, 16-bit floats group by group.
void normal_groups(float* x, int64_t n, TwisterStream& stream, double mean, double std) {
  for (int64_t i = 0; i < n; ++i) x[i] = unit<float>(stream);
  box_muller(kCPU, x, n / 16, static_cast<float>(mean), static_cast<float>(std));
}
void normal_groups(double* x, int64_t n, TwisterStream& stream, double mean, double std) {
  for (int64_t i = 0; i < n; ++i) x[i] = unit<double>(stream);
  for (int64_t i = 0; i + 16 <= n; i += 16) box_muller_16(x + i, mean, std);
}
template <class T>
void normal_group(T* x, TwisterStream& stream, double mean, double std) {
  UnitType<T> group[16];
  for (auto& u : group) u = unit<UnitType<T>>(stream);
  box_muller_16(group, mean, std);
  for (int k = 0; k < 16; ++k) x[k] = static_cast<T>(group[k]);
}
template <class T>
void normal_groups(T* x, int64_t n, TwisterStream& stream, double mean, double std) {
  for (int64_t i = 0; i + 16 <= n; i += 16) normal_group(x + i, stream, mean, std);
}

/// Integers of 32 bits are drawn for ranges below this, and of 64 bits above.
constexpr uint64_t kShortRange = uint64_t{1} << 28;

/// Uniform numbers in [0, 1) for the algorithms of random_rejection.h.
struct UnitSource {
  TwisterStream& stream;
  double uniform() { return stream.uniform(); }
  double normal() { return stream.normal(); }
};

}  // namespace

Generator* twister(Generator* generator, Device device) {
  if (!device.is_cpu()) return nullptr;
  Generator& g = generator ? *generator : default_generator();
  return g.engine() == RandomEngine::Twister ? &g : nullptr;
}

void twister_uniform(const Tensor& out, Generator& generator, double from, double to) {
  const TwisterDraw stream(generator);
  visit_float("uniform_", out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using U = UnitType<T>;
    const U low = static_cast<U>(from);
    const U range = static_cast<U>(to) - low;
    const U high = static_cast<U>(static_cast<T>(static_cast<U>(to)));
    fill<T>(out, [&] {
      const auto v = static_cast<T>(std::fma(unit<U>(*stream), range, low));
      // Rounding may reach the end of the half-open interval.
      return static_cast<U>(v) == high ? static_cast<T>(low) : v;
    });
  });
}

void twister_normal(const Tensor& out, Generator& generator, double mean, double std) {
  const int64_t n = out.numel();
  if (n < 16 || !out.is_contiguous())
    return fill_floats("normal_", out, generator, [&](TwisterStream& s) { return std::fma(s.normal(), std, mean); });
  const TwisterDraw stream(generator);
  visit_float("normal_", out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* const x = static_cast<T*>(out.data_ptr());
    normal_groups(x, n, *stream, mean, std);
    if (n % 16 != 0) normal_group(x + n - 16, *stream, mean, std);
  });
}

void twister_log_normal(const Tensor& out, Generator& generator, double mean, double std) {
  fill_floats("log_normal_", out, generator, [&](TwisterStream& s) { return std::exp(std::fma(s.normal(), std, mean)); });
}

void twister_exponential(const Tensor& out, Generator& generator, double lambd) {
  fill_floats("exponential_", out, generator, [&](TwisterStream& s) { return -1 / lambd * std::log1p(-s.uniform()); });
}

void twister_cauchy(const Tensor& out, Generator& generator, double median, double sigma) {
  fill_floats("cauchy_", out, generator, [&](TwisterStream& s) {
    return std::fma(sigma, std::tan(kPi * (s.uniform() - 0.5)), median);
  });
}

void twister_geometric(const Tensor& out, Generator& generator, double p) {
  const TwisterDraw stream(generator);
  visit_numbers("geometric_", out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    fill<T>(out, [&] {
      return static_cast<T>(static_cast<ComputeType<T>>(std::ceil(std::log(stream->uniform()) / std::log1p(-p))));
    });
  });
}

void twister_integers(const Tensor& out, Generator& generator, int64_t low, uint64_t range) {
  const TwisterDraw stream(generator);
  visit_all(out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto from = static_cast<uint64_t>(low);
    if (range == 0)
      fill<T>(out, [&] { return static_cast<T>(static_cast<int64_t>(stream->bits64())); });
    else if (range >= kShortRange)
      fill<T>(out, [&] { return static_cast<T>(static_cast<int64_t>(stream->bits64() % range + from)); });
    else
      fill<T>(out, [&] { return static_cast<T>(static_cast<int64_t>(stream->bits32() % range + from)); });
  });
}

void twister_any_integers(const Tensor& out, Generator& generator) {
  const TwisterDraw stream(generator);
  visit_all(out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_same_v<T, bool>) {
      fill<T>(out, [&] { return (stream->bits32() & 1) != 0; });
    } else if constexpr (std::is_same_v<T, double>) {
      fill<T>(out, [&] { return static_cast<T>(static_cast<int64_t>(stream->bits64() % ((uint64_t{1} << 53) + 1))); });
    } else if constexpr (std::is_same_v<T, int64_t>) {
      fill<T>(out, [&] { return static_cast<T>(stream->bits64() & 0x7FFFFFFFFFFFFFFFu); });
    } else {
      uint64_t range;
      if constexpr (std::is_integral_v<T>)
        range = static_cast<uint64_t>(std::numeric_limits<T>::max()) + 1;
      else
        range = (uint64_t{1} << (std::is_same_v<T, float> ? 24 : std::is_same_v<T, Half> ? 11 : 8)) + 1;
      fill<T>(out, [&] { return static_cast<T>(static_cast<int64_t>(stream->bits32() % range)); });
    }
  });
}

void twister_bernoulli(const Tensor& out, Generator& generator, double p) {
  const TwisterDraw stream(generator);
  visit_all(out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    fill<T>(out, [&] { return static_cast<T>(stream->uniform() < p); });
  });
}

void twister_bernoulli_each(const Tensor& out, Generator& generator, const Tensor& p) {
  const TwisterDraw stream(generator);
  const Walk walk(out, p);
  visit_all(out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* const to = static_cast<T*>(out.data_ptr());
    visit_float("bernoulli", p.dtype(), [&](auto p_tag) {
      using P = typename decltype(p_tag)::type;
      const P* const ps = static_cast<const P*>(p.data_ptr());
      walk.each([&](int64_t i, int64_t j) {
        to[i] = static_cast<T>(unit<UnitType<P>>(*stream) <
                               static_cast<ComputeType<P>>(ps[j]));
      });
    });
  });
}

void twister_poisson(const Tensor& out, Generator& generator, const Tensor& rate) {
  const TwisterDraw stream(generator);
  const Walk walk(out, rate);
  visit_float("poisson", out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* const to = static_cast<T*>(out.data_ptr());
    const T* const rates = static_cast<const T*>(rate.data_ptr());
    walk.each([&](int64_t i, int64_t j) {
      const double r = static_cast<double>(static_cast<ComputeType<T>>(rates[j]));
      NORCH_CHECK(r >= 0 && r < 1e300, "poisson: invalid Poisson rate, expected rate to be non-negative, got ", r);
      UnitSource source{*stream};
      to[i] = static_cast<T>(static_cast<ComputeType<T>>(poisson_number(r, source)));
    });
  });
}

void twister_gamma(const Tensor& out, Generator& generator, const Tensor& shape, bool single) {
  const TwisterDraw stream(generator);
  UnitSource source{*stream};
  for (int64_t i = 0; i < out.numel(); ++i) {
    const double a = shape.data<double>()[i];
    out.data<double>()[i] = single ? gamma_number(static_cast<float>(a), source) : gamma_number(a, source);
  }
}

void twister_binomial(const Tensor& out, Generator& generator, const Tensor& count, const Tensor& p) {
  const TwisterDraw stream(generator);
  UnitSource source{*stream};
  for (int64_t i = 0; i < out.numel(); ++i)
    out.data<double>()[i] = binomial_number(count.data<double>()[i], p.data<double>()[i], source);
}

void twister_permutation(const Tensor& out, Generator& generator) {
  const TwisterDraw stream(generator);
  const auto n = static_cast<uint64_t>(out.numel());
  int64_t* const x = out.data<int64_t>();
  for (uint64_t i = 0; i < n; ++i) x[i] = static_cast<int64_t>(i);
  // Fisher and Yates, from the front. Remainders of 32-bit words would favour some where there are very many.
  const bool wide = n >= std::numeric_limits<uint32_t>::max() / 20;
  for (uint64_t i = 0; i + 1 < n; ++i) {
    const uint64_t r = wide ? stream->bits64() : stream->bits32();
    std::swap(x[i], x[i + r % (n - i)]);
  }
}

void twister_categories(const Tensor& out, Generator& generator, const Tensor& probabilities) {
  const TwisterDraw stream(generator);
  const int64_t rows = out.sizes()[0], n = out.sizes()[1], classes = probabilities.sizes()[1];
  int64_t* to = out.data<int64_t>();
  visit_float("multinomial", probabilities.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    const T* weights = static_cast<const T*>(probabilities.data_ptr());
    // Running sums, rounded to the dtype where that is float64 or float32 and kept in float32 otherwise.
    std::vector<C> ends(static_cast<size_t>(classes));
    for (int64_t r = 0; r < rows; ++r, weights += classes) {
      C sum = 0;
      for (int64_t c = 0; c < classes; ++c) ends[static_cast<size_t>(c)] = sum += static_cast<C>(weights[c]);
      for (C& end : ends) end /= sum;
      ends.back() = 1;
      for (int64_t k = 0; k < n; ++k) {
        const double u = stream->uniform();
        const auto found = std::lower_bound(ends.begin(), ends.end(), u,
                                            [](C end, double v) { return static_cast<double>(end) < v; });
        *to++ = found - ends.begin();
      }
    }
  });
}

void twister_slopes(const Tensor& out, Generator& generator, const Tensor& x, double lower, double upper) {
  const TwisterDraw stream(generator);
  const Walk walk(out, x);
  visit_float("rrelu", out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* const to = static_cast<T*>(out.data_ptr());
    const T* const from = static_cast<const T*>(x.data_ptr());
    const double low = static_cast<UnitType<T>>(lower), range = static_cast<UnitType<T>>(upper) - low;
    walk.each([&](int64_t i, int64_t j) {
      const bool kept = static_cast<ComputeType<T>>(from[j]) > 0;
      to[i] = kept ? static_cast<T>(ComputeType<T>(1))
                   : static_cast<T>(static_cast<ComputeType<T>>(stream->uniform() * range + low));
    });
  });
}

}  // namespace norch::kernels::cpu
