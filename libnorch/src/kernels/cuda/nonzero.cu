#include "kernels/nonzero.h"

#include <cub/device/device_reduce.cuh>
#include <cub/device/device_select.cuh>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/iterator/transform_iterator.h>

#include "core/factory.h"
#include "kernels/cuda/launch.cuh"
#include "kernels/dispatch.h"

namespace norch::kernels::cuda {

namespace {

constexpr int kThreads = 256;

struct IsTrue {
  __host__ __device__ int64_t operator()(uint8_t b) const { return b != 0; }
};
struct Flag {
  __host__ __device__ bool operator()(uint8_t b) const { return b != 0; }
};

constexpr int kMostDims = 16;
struct Sizes {
  int64_t dims;
  bool small;  // all places are below 2^31
  int64_t size[kMostDims];
  FastDivider fast[kMostDims];
};

/// The coordinates of dims [0, dims) of each place; `above` is what places are divided by first.
__global__ void __launch_bounds__(kThreads) unravel_kernel(int64_t* out, const int64_t* flat, int64_t n, int64_t above,
                                                           int64_t pitch, const __grid_constant__ Sizes s) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= n) return;
  const int64_t found = flat[i];
  int64_t* const to = out + i * pitch;
  int64_t place = above == 1 ? found : found / above;
  uint32_t low = static_cast<uint32_t>(place);
  for (int64_t d = s.dims - 1; d >= 0; --d) {
    int64_t coordinate;
    if (s.small && found >= 0) {
      uint32_t rest = low;
      low = s.fast[d].divide_in_place(rest);
      coordinate = rest;
    } else {
      coordinate = place % s.size[d];
      place /= s.size[d];
    }
    to[d] = found < 0 ? INT64_MIN / 2 : coordinate;  // a bad place stays a bad index
  }
}

/// NaN counts as greater than every number.
template <class T>
__device__ __forceinline__ bool before(T a, T b) {
  return a < b || (b != b && a == a);
}

template <class T>
__global__ void __launch_bounds__(kThreads) search_kernel(int64_t* out, const T* sorted, const T* values,
                                                          const int64_t* order, int64_t count, int64_t n, int64_t per_row,
                                                          bool right) {
  using C = ComputeType<T>;
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= count) return;
  const int64_t row = i / per_row * n;
  const C x = static_cast<C>(values[i]);
  int64_t low = 0, high = n;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    int64_t place = middle;
    if (order) {
      place = order[row + middle];
      place = place < 0 ? 0 : place >= n ? n - 1 : place;
    }
    const C y = static_cast<C>(sorted[row + place]);
    if (right ? !before(x, y) : before(y, x))
      low = middle + 1;
    else
      high = middle;
  }
  out[i] = low;
}

}  // namespace

Tensor flat_nonzero(const Tensor& mask) {
  const int64_t n = mask.numel();
  const Device device = mask.device();
  if (n == 0) return new_tensor({0}, DType::Int64, device);
  NORCH_CHECK(n <= 0x7FFFFFFF, "nonzero is not supported for tensors with more than INT_MAX elements on CUDA");
  const cudaStream_t stream = norch::cuda::current_stream();
  const uint8_t* m = static_cast<const uint8_t*>(mask.data_ptr());
  const int items = static_cast<int>(n);
  // One value serves both counts: that of all true elements, and the one that the selection itself reports.
  const Tensor count = new_tensor({1}, DType::Int64, device);
  int64_t* c = count.data<int64_t>();
  auto ones = thrust::make_transform_iterator(m, IsTrue{});
  size_t bytes = 0;
  check(cub::DeviceReduce::Sum(nullptr, bytes, ones, c, items, stream), "cub::DeviceReduce::Sum");
  const Tensor room = new_tensor({static_cast<int64_t>(bytes)}, DType::UInt8, device);
  check(cub::DeviceReduce::Sum(room.data_ptr(), bytes, ones, c, items, stream), "cub::DeviceReduce::Sum");
  int64_t total = 0;
  norch::cuda::copy_to_host(&total, c, sizeof(total), device.index);

  const Tensor out = new_tensor({total}, DType::Int64, device);
  if (total == 0) return out;
  const thrust::counting_iterator<int64_t> places(0);
  auto flags = thrust::make_transform_iterator(m, Flag{});
  bytes = 0;
  check(cub::DeviceSelect::Flagged(nullptr, bytes, places, flags, out.data<int64_t>(), c, items, stream),
        "cub::DeviceSelect::Flagged");
  const Tensor more = new_tensor({static_cast<int64_t>(bytes)}, DType::UInt8, device);
  check(cub::DeviceSelect::Flagged(more.data_ptr(), bytes, places, flags, out.data<int64_t>(), c, items, stream),
        "cub::DeviceSelect::Flagged");
  return out;
}

void unravel(const Tensor& out, const Tensor& flat, Ints sizes) {
  const int64_t n = flat.numel(), dims = static_cast<int64_t>(sizes.size());
  if (n == 0) return;
  int64_t all = 1, above = 1;
  for (int64_t size : sizes) all *= size;
  // From the innermost dims outwards, some at a time.
  for (int64_t end = dims; end > 0;) {
    Sizes s;
    s.dims = end < kMostDims ? end : kMostDims;
    s.small = all <= 0x7FFFFFFF;
    end -= s.dims;
    int64_t product = 1;
    for (int64_t d = 0; d < s.dims; ++d) {
      s.size[d] = sizes[static_cast<size_t>(end + d)];
      if (s.small) s.fast[d] = FastDivider(static_cast<uint32_t>(s.size[d]));
      product *= s.size[d];
    }
    launch(unravel_kernel, blocks_for(n, kThreads), kThreads, 0, out.data<int64_t>() + end, flat.data<int64_t>(), n, above,
           dims, s);
    above *= product;
  }
}

void searchsorted(const Tensor& out, const Tensor& sorted, const Tensor& values, const Tensor& order, bool right) {
  const int64_t n = sorted.sizes().back();
  const int64_t per_row = sorted.dim() <= 1 ? std::max<int64_t>(values.numel(), 1) : values.sizes().back();
  visit_all(sorted.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    launch(search_kernel<T>, blocks_for(values.numel(), kThreads), kThreads, 0, out.data<int64_t>(),
           static_cast<const T*>(sorted.data_ptr()), static_cast<const T*>(values.data_ptr()),
           order.defined() ? order.data<int64_t>() : nullptr, values.numel(), n, per_row, right);
  });
}

}  // namespace norch::kernels::cuda
