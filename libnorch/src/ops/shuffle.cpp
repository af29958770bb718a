// Pixels and channels in another order: reshape, permute, reshape. Channels-last images stay so: theirs are reshaped with
// the channels as the last dim.
#include "core/channels_last.h"
#include "norch/ops/resample.h"
#include "norch/ops/view.h"

namespace norch {

namespace {

Shape lead_of(const char* op, const Tensor& input) {
  NORCH_CHECK(input.dim() >= 3, op, " expects input to have at least 3 dimensions, but got input with ", input.dim(),
              " dimension(s)");
  return Shape(input.sizes().slice(0, static_cast<size_t>(input.dim() - 3)));
}

bool is_channels_last(const Tensor& t) { return suggested_format(t) == MemoryFormat::channels_last; }

/// (lead..., parts[0..4]) with the last five dims in another order, the first `channels` of which make the channels of
/// the result, then (lead..., to...).
Tensor rearranged(const Tensor& input, const Shape& lead, Ints parts, Ints order, size_t channels, Ints to) {
  const bool last = is_channels_last(input);
  Shape split(lead), dims, joined(lead);
  const int64_t n = static_cast<int64_t>(lead.size());
  for (int64_t d = 0; d < n; ++d) dims.push_back(d);
  for (int64_t p : parts) split.push_back(p);
  for (size_t i = 0; i < 5; ++i) dims.push_back(n + order[last ? (i + channels) % 5 : i]);
  for (size_t i = 0; i < 3; ++i) joined.push_back(to[last ? (i + 1) % 3 : i]);
  const Tensor out = reshape(permute(reshape(input, split), dims), joined);
  return last ? permute(out, {0, 3, 1, 2}) : out;
}

}  // namespace

Tensor pixel_shuffle(const Tensor& input, int64_t upscale_factor) {
  const int64_t r = upscale_factor;
  const Shape lead = lead_of("pixel_shuffle", input);
  NORCH_CHECK(r > 0, "pixel_shuffle expects a positive upscale_factor, but got ", r);
  const int64_t c = input.size(-3), h = input.size(-2), w = input.size(-1);
  NORCH_CHECK(r < (int64_t{1} << 31) && c % (r * r) == 0, "pixel_shuffle expects its input's 'channel' dimension to be "
              "divisible by the square of upscale_factor, but input.size(-3)=", c, " is not divisible by ", r, "^2");
  const int64_t channels = c / (r * r);
  return rearranged(input, lead, {channels, r, r, h, w}, {0, 3, 1, 4, 2}, 1, {channels, h * r, w * r});
}

Tensor pixel_unshuffle(const Tensor& input, int64_t downscale_factor) {
  const int64_t r = downscale_factor;
  const Shape lead = lead_of("pixel_unshuffle", input);
  NORCH_CHECK(r > 0, "pixel_unshuffle expects a positive downscale_factor, but got ", r);
  const int64_t c = input.size(-3), h = input.size(-2), w = input.size(-1);
  NORCH_CHECK(h % r == 0, "pixel_unshuffle expects height to be divisible by downscale_factor, but input.size(-2)=", h,
              " is not divisible by ", r);
  NORCH_CHECK(w % r == 0, "pixel_unshuffle expects width to be divisible by downscale_factor, but input.size(-1)=", w,
              " is not divisible by ", r);
  return rearranged(input, lead, {c, h / r, r, w / r, r}, {0, 2, 4, 1, 3}, 3, {c * r * r, h / r, w / r});
}

Tensor channel_shuffle(const Tensor& input, int64_t groups) {
  NORCH_CHECK(input.dim() > 2, "channel_shuffle expects input with > 2 dims, but got input with sizes ", input.sizes());
  NORCH_CHECK(groups > 0, "Number of groups to divide channels in must be positive. Value of groups:", groups);
  const Ints s = input.sizes();
  NORCH_CHECK(s[1] % groups == 0, "Number of channels must be divisible by groups. Got ", s[1], " channels and ", groups,
              " groups.");
  if (is_channels_last(input)) {
    const Tensor rows = reshape(permute(input, {0, 2, 3, 1}), {s[0], s[2], s[3], groups, s[1] / groups});
    return permute(reshape(transpose(rows, 3, 4), {s[0], s[2], s[3], s[1]}), {0, 3, 1, 2});
  }
  Shape split{s[0], groups, s[1] / groups};
  for (int64_t d : s.slice(2)) split.push_back(d);
  return reshape(transpose(reshape(input, split), 1, 2), s);
}

}  // namespace norch
