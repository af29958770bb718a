#include "ops/resample_taps.h"

#include <algorithm>
#include <cmath>

namespace norch {

namespace {

constexpr double kPi = 3.14159265358979323846;

/// Keys' cubic convolution with parameter a ("Cubic Convolution Interpolation for Digital Image Processing", 1981).
double cubic(double x, double a) {
  x = std::abs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return 0;
}

double sinc(double x) { return x == 0 ? 1 : std::sin(kPi * x) / (kPi * x); }

/// Half the width of the filter where it does not shrink.
double reach(Filter f) { return f == Filter::linear ? 1 : f == Filter::cubic ? 2 : 3; }

/// The filter as antialiasing uses it; the cubic's parameter is Pillow's there.
double smooth(Filter f, double x) {
  switch (f) {
    case Filter::linear: return std::max(0.0, 1 - std::abs(x));
    case Filter::cubic: return cubic(x, -0.5);
    default: return std::abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0;
  }
}

void add(TapTable& t, int64_t index, double weight) {
  t.index.push_back(static_cast<int32_t>(index));
  t.weight.push_back(weight);
}

void antialiased(TapTable& t, Filter filter, int64_t in, int64_t out, double scale) {
  const double width = std::max(scale, 1.0), support = reach(filter) * width;
  for (int64_t o = 0; o < out; ++o) {
    const double center = scale * (static_cast<double>(o) + 0.5);
    const int64_t first = std::max<int64_t>(static_cast<int64_t>(center - support + 0.5), 0);
    const int64_t last = std::min<int64_t>(static_cast<int64_t>(center + support + 0.5), in);
    double total = 0;
    const size_t from = t.weight.size();
    for (int64_t i = first; i < last; ++i) {
      const double w = smooth(filter, (static_cast<double>(i) - center + 0.5) / width);
      add(t, i, w);
      total += w;
    }
    if (total != 0)
      for (size_t k = from; k < t.weight.size(); ++k) t.weight[k] /= total;
    t.begin.push_back(static_cast<int32_t>(t.index.size()));
  }
}

}  // namespace

TapTable taps_of(Filter filter, int64_t in, int64_t out, std::optional<double> factor, bool align_corners,
                 bool antialias) {
  TapTable t;
  t.begin.push_back(0);
  const double ratio = factor ? 1 / *factor : static_cast<double>(in) / static_cast<double>(out);
  const double scale = !align_corners ? ratio : out > 1 ? static_cast<double>(in - 1) / static_cast<double>(out - 1) : 0;
  if (antialias) {
    antialiased(t, filter, in, out, scale);
    return t;
  }
  const auto inside = [in](int64_t i) { return std::min(std::max<int64_t>(i, 0), in - 1); };
  for (int64_t o = 0; o < out; ++o) {
    if (filter == Filter::nearest || filter == Filter::nearest_exact) {
      // In float, as PyTorch: which pixel is nearest hangs on the rounding.
      const float at = filter == Filter::nearest ? static_cast<float>(o) : static_cast<float>(o) + 0.5f;
      add(t, inside(static_cast<int64_t>(std::floor(at * static_cast<float>(ratio)))), 1);
    } else {
      double at = align_corners ? scale * static_cast<double>(o) : scale * (static_cast<double>(o) + 0.5) - 0.5;
      if (filter == Filter::linear) at = std::max(at, 0.0);
      const int64_t i = std::min(static_cast<int64_t>(std::floor(at)), in - 1);
      const double past = std::min(std::max(at - static_cast<double>(i), 0.0), 1.0);
      if (filter == Filter::linear) {
        add(t, i, 1 - past);
        add(t, inside(i + 1), past);
      } else {
        for (int64_t k = -1; k <= 2; ++k) add(t, inside(i + k), cubic(static_cast<double>(k) - past, -0.75));
      }
    }
    t.begin.push_back(static_cast<int32_t>(t.index.size()));
  }
  return t;
}

TapTable quantised(const TapTable& exact) {
  TapTable t;
  t.begin.push_back(0);
  for (size_t o = 0; o + 1 < exact.begin.size(); ++o) {
    const size_t from = static_cast<size_t>(exact.begin[o]), to = static_cast<size_t>(exact.begin[o + 1]);
    for (size_t k = from; k < to; ++k) {
      if (k > from && exact.index[k] == exact.index[k - 1])
        t.weight.back() += exact.weight[k];  // a pixel at the border stands for those behind it, with one weight
      else
        add(t, exact.index[k], exact.weight[k]);
    }
    t.begin.push_back(static_cast<int32_t>(t.index.size()));
  }
  double largest = 0;
  for (double w : t.weight) largest = std::max(largest, w);
  double one = 1;  // the largest power of two with which every weight fits 16 bits
  while (one < (1 << 22) && std::floor(largest * one * 2 + 0.5) < (1 << 15)) one *= 2;
  for (double& w : t.weight) w = std::trunc(w * one + (w < 0 ? -0.5 : 0.5)) / one;
  return t;
}

TapTable transposed(const TapTable& t, int64_t in) {
  TapTable r;
  r.begin.assign(static_cast<size_t>(in) + 1, 0);
  for (int32_t i : t.index) ++r.begin[static_cast<size_t>(i) + 1];
  for (size_t i = 1; i < r.begin.size(); ++i) r.begin[i] += r.begin[i - 1];
  std::vector<int32_t> next(r.begin.begin(), r.begin.end() - 1);
  r.index.resize(t.index.size());
  r.weight.resize(t.index.size());
  for (size_t o = 0; o + 1 < t.begin.size(); ++o)
    for (int32_t k = t.begin[o]; k < t.begin[o + 1]; ++k) {
      const size_t at = static_cast<size_t>(next[static_cast<size_t>(t.index[static_cast<size_t>(k)])]++);
      r.index[at] = static_cast<int32_t>(o);
      r.weight[at] = t.weight[static_cast<size_t>(k)];
    }
  return r;
}

}  // namespace norch
