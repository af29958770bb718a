#include "kernels/cuda/loops.h"

#include <algorithm>
#include <cstring>

namespace norch::kernels::cuda {

namespace {

constexpr int64_t kMaxUnits = int64_t{1} << 31;
constexpr int64_t kMaxBytes = int64_t{1} << 32;

/// Whether units of `width` elements fit: along dim 0 every operand is adjacent or repeated, and all vectors are whole
/// and aligned. In a plan of one dim a remainder is left to the tail.
bool fits_vectors(const Plan& p, int width) {
  if (p.shape[0] < width) return false;
  if (p.ndim > 1 && p.shape[0] % width != 0) return false;
  for (int k = 0; k < p.operands; ++k) {
    if (p.is_immediate(k) || p.strides[k][0] == 0) {
      if (k == 0) return false;
      continue;
    }
    const int64_t bytes = width * p.itemsize(k);
    if (p.strides[k][0] != p.itemsize(k) || reinterpret_cast<uintptr_t>(p.data[k]) % bytes != 0) return false;
    for (int d = 1; d < p.ndim; ++d)
      if (p.strides[k][d] % bytes != 0) return false;
  }
  return true;
}

void launch_whole(const Plan& p, int width, WalkLauncher launch, const void* context) {
  const bool vectors = fits_vectors(p, width);
  const int64_t unit = vectors ? width : 1;
  Walk w;
  w.ndim = p.ndim;
  w.units = static_cast<uint32_t>(p.numel / unit);
  w.tail = p.ndim == 1 ? static_cast<uint32_t>(p.numel % unit) : 0;
  w.immediate = w.repeated = w.wide = 0;
  w.float_type = DType::Float32;
  for (int d = 0; d + 1 < p.ndim; ++d)
    w.size[d] = FastDivider(static_cast<uint32_t>(d == 0 ? p.shape[0] / unit : p.shape[d]));
  for (int k = 0; k < p.operands; ++k) {
    w.data[k] = p.data[k];
    if (p.dtype[k] == DType::Float32) w.wide |= 1u << k;
    if (is_floating_point(p.dtype[k]) && !p.is_immediate(k)) w.float_type = p.dtype[k];
    if (p.is_immediate(k)) {
      w.immediate |= 1u << k;
      std::memcpy(&w.value[k], p.data[k], norch::itemsize(p.dtype[k]));
    }
    if (p.strides[k][0] == 0) w.repeated |= 1u << k;
    for (int d = 0; d < p.ndim; ++d)
      w.strides[k][d] = static_cast<uint32_t>(p.strides[k][d] * (d == 0 ? unit : 1));
  }
  launch(w, vectors, context);
}

/// The part of `p` from `begin` to `end` along dim `d`.
Plan slice(const Plan& p, int d, int64_t begin, int64_t end) {
  Plan part = p;
  for (int k = 0; k < p.operands; ++k)
    if (!p.is_immediate(k)) part.data[k] += begin * p.strides[k][d];
  part.numel = p.numel / p.shape[d] * (end - begin);
  part.shape[d] = end - begin;
  if (end - begin == 1 && p.ndim > 1) {
    --part.ndim;
    for (int e = d; e < part.ndim; ++e) {
      part.shape[e] = part.shape[e + 1];
      for (int k = 0; k < p.operands; ++k) part.strides[k][e] = part.strides[k][e + 1];
    }
  }
  return part;
}

}  // namespace

void for_each_walk(const Plan& p, int width, WalkLauncher launch, const void* context) {
  if (p.numel == 0) return;
  if (p.ndim > Walk::kMaxDims) {
    for (int64_t i = 0; i < p.shape[p.ndim - 1]; ++i)
      for_each_walk(slice(p, p.ndim - 1, i, i + 1), width, launch, context);
    return;
  }
  // The dim along which some operand reaches furthest is the one to cut.
  int64_t furthest = 0;
  int cut = 0;
  bool fits = p.numel < kMaxUnits;
  for (int k = 0; k < p.operands; ++k) {
    int64_t reach = p.itemsize(k);
    for (int d = 0; d < p.ndim; ++d) {
      const int64_t along = (p.shape[d] - 1) * p.strides[k][d];
      reach += along;
      if (along > furthest) {
        furthest = along;
        cut = d;
      }
    }
    fits &= reach <= kMaxBytes;
  }
  if (fits) return launch_whole(p, width, launch, context);
  const int64_t half = p.shape[cut] / 2;
  const int64_t middle = half > 4096 ? half / 1024 * 1024 : half;  // keeps vectors aligned
  for_each_walk(slice(p, cut, 0, middle), width, launch, context);
  for_each_walk(slice(p, cut, middle, p.shape[cut]), width, launch, context);
}

}  // namespace norch::kernels::cuda
