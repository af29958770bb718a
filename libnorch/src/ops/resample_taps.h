// Which positions along one dim each position of a resampled dim is made of.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace norch {

enum class Filter : uint8_t { nearest, nearest_exact, linear, cubic, lanczos };

/// Output o is the sum of weight[t] * x[index[t]] over t in [begin[o], begin[o + 1]).
struct TapTable {
  std::vector<int32_t> begin, index;
  std::vector<double> weight;
};

/// The taps of `out` positions over `in`. `factor` is the scale factor where positions are computed from it.
TapTable taps_of(Filter filter, int64_t in, int64_t out, std::optional<double> factor, bool align_corners,
                 bool antialias);
/// The weights rounded to 16-bit fixed point, as for images of bytes: their sums are then exact in float.
TapTable quantised(const TapTable& exact);
/// The same sums seen from the input: for each of `in` positions, the outputs it goes to.
TapTable transposed(const TapTable& t, int64_t in);

}  // namespace norch
