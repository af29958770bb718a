#include "kernels/cuda/gather.cuh"

#include "kernels/dispatch.h"

namespace norch::kernels::cuda {

namespace {

constexpr int kPerThread = 4;
constexpr int kThreads = 256;

IndexedWalk walk_of(const Plan& p) {
  IndexedWalk w;
  for (int k = 0; k < p.operands; ++k) w.data[k] = p.data[k];
  for (int d = 0; d < p.ndim; ++d) w.add_dim(p, d);
  return w;
}

template <class U>
__global__ void __launch_bounds__(kThreads) gather_kernel(const __grid_constant__ IndexedWalk w, const DeviceAlong along) {
  const uint32_t first = blockIdx.x * (kThreads * kPerThread) + threadIdx.x;
  U value[kPerThread];
  int64_t to[kPerThread];
#pragma unroll
  for (int u = 0; u < kPerThread; ++u) {
    const uint32_t i = first + u * kThreads;
    if (i >= w.units) continue;
    int64_t o[3];
    w.offsets(i, o);
    to[u] = o[0];
    int64_t index = *reinterpret_cast<const int64_t*>(w.data[2] + o[2]);
    value[u] = along.resolve(index) ? *reinterpret_cast<const U*>(w.data[1] + o[1] + index * along.stride) : U{};
  }
#pragma unroll
  for (int u = 0; u < kPerThread; ++u)
    if (first + u * kThreads < w.units) *reinterpret_cast<U*>(w.data[0] + to[u]) = value[u];
}

template <class U>
__global__ void __launch_bounds__(kThreads) flip_kernel(const __grid_constant__ IndexedWalk w) {
  const uint32_t first = blockIdx.x * (kThreads * kPerThread) + threadIdx.x;
  U value[kPerThread];
  int64_t to[kPerThread];
#pragma unroll
  for (int u = 0; u < kPerThread; ++u) {
    const uint32_t i = first + u * kThreads;
    if (i >= w.units) continue;
    int64_t o[3];
    w.offsets(i, o);
    to[u] = o[0];
    value[u] = *reinterpret_cast<const U*>(w.data[1] + o[1]);
  }
#pragma unroll
  for (int u = 0; u < kPerThread; ++u)
    if (first + u * kThreads < w.units) *reinterpret_cast<U*>(w.data[0] + to[u]) = value[u];
}

__global__ void __launch_bounds__(kThreads) offsets_kernel(const __grid_constant__ IndexedWalk w, const DeviceAlong along,
                                                           bool accumulate) {
  const uint32_t i = blockIdx.x * kThreads + threadIdx.x;
  if (i >= w.units) return;
  int64_t o[3];
  w.offsets(i, o);
  int64_t index = *reinterpret_cast<const int64_t*>(w.data[1] + o[1]);
  int64_t* out = reinterpret_cast<int64_t*>(w.data[0] + o[0]);
  const int64_t before = accumulate ? *out : 0;
  *out = along.resolve(index) && before >= 0 ? before + index * along.stride : kBadOffset;
}

/// Runs kernel<unsigned type of `width` bytes>.
template <class F>
void by_width(int64_t width, F&& f) {
  switch (width) {
    case 1: return f(TypeTag<uint8_t>{});
    case 2: return f(TypeTag<uint16_t>{});
    case 4: return f(TypeTag<uint32_t>{});
    case 8: return f(TypeTag<uint64_t>{});
    default: return f(TypeTag<uint4>{});
  }
}

/// Turns elements that lie side by side under one index into wider ones, up to 16 bytes. Returns their width.
int64_t widen(Plan& p, const Along& a) {
  int64_t width = p.itemsize(0);
  if (p.strides[0][0] != width || p.strides[1][0] != width || p.strides[2][0] != 0) return width;
  for (int64_t to = 16; to > width; to /= 2) {
    const int64_t ratio = to / width;
    uint64_t misfits = static_cast<uint64_t>(p.shape[0] % ratio) * static_cast<uint64_t>(to);
    misfits |= reinterpret_cast<uintptr_t>(p.data[0]) | reinterpret_cast<uintptr_t>(p.data[1]);
    misfits |= static_cast<uint64_t>(a.stride);
    for (int d = 1; d < p.ndim; ++d)
      misfits |= static_cast<uint64_t>(p.strides[0][d]) | static_cast<uint64_t>(p.strides[1][d]);
    if (p.shape[0] % ratio != 0 || misfits % static_cast<uint64_t>(to) != 0) continue;
    p.shape[0] /= ratio;
    p.numel /= ratio;
    p.strides[0][0] = p.strides[1][0] = to;
    return to;
  }
  return width;
}

}  // namespace

void gather(const Plan& plan, const Along& along) {
  if (plan.numel == 0) return;
  Plan wide = plan;
  const int64_t width = widen(wide, along);
  for_each_part(wide, [&](const Plan& part) {
    by_width(width, [&](auto tag) {
      launch(gather_kernel<typename decltype(tag)::type>, blocks_for(part.numel, kThreads * kPerThread), kThreads, 0,
             walk_of(part), DeviceAlong(along));
    });
  });
}

void flip(const Plan& plan) {
  for_each_part(plan, [&](const Plan& part) {
    by_width(plan.itemsize(0), [&](auto tag) {
      launch(flip_kernel<typename decltype(tag)::type>, blocks_for(part.numel, kThreads * kPerThread), kThreads, 0,
             walk_of(part));
    });
  });
}

void index_offsets(const Plan& plan, const Along& along, bool accumulate) {
  for_each_part(plan, [&](const Plan& part) {
    launch(offsets_kernel, blocks_for(part.numel, kThreads), kThreads, 0, walk_of(part), DeviceAlong(along), accumulate);
  });
}

}  // namespace norch::kernels::cuda
