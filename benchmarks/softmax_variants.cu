// Ways to write the softmax of rows of 1024 floats, timed beside a copy: which one the library should use.
//
//   nvcc -O3 -std=c++17 -arch=sm_90 benchmarks/softmax_variants.cu -o /tmp/softmax_variants && /tmp/softmax_variants
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

#define CHECK(call)                                                                       \
  do {                                                                                    \
    const cudaError_t e = (call);                                                         \
    if (e != cudaSuccess) return std::printf("%s: %s\n", #call, cudaGetErrorString(e)), 1; \
  } while (0)

namespace {

constexpr int kColumns = 1024, kVectors = 8;
enum Exp { kAccurate, kBase2 };
enum Hints { kNone, kStores, kBoth };

template <int kMath>
__device__ __forceinline__ float exponential(float d) {
  return kMath == kAccurate ? expf(d) : exp2f(d * 1.44269504088896341f);
}
template <int kHints>
__device__ __forceinline__ float4 load(const float4* p) {
  return kHints == kBoth ? __ldcs(p) : *p;
}
template <int kHints>
__device__ __forceinline__ void store(float4* p, float4 v) {
  if (kHints == kNone) *p = v;
  else __stcs(p, v);
}
__device__ __forceinline__ float largest(float a) {
  for (int mask = 1; mask < 32; mask *= 2) a = fmaxf(a, __shfl_xor_sync(0xFFFFFFFFu, a, mask));
  return a;
}
__device__ __forceinline__ float total(float a) {
  for (int mask = 1; mask < 32; mask *= 2) a += __shfl_xor_sync(0xFFFFFFFFu, a, mask);
  return a;
}

template <int kMath, int kHints>
__device__ __forceinline__ void finish(float4 (&v)[kVectors], float4* y) {
  float high = v[0].x, sum = 0;
#pragma unroll
  for (int k = 0; k < kVectors; ++k) high = fmaxf(fmaxf(fmaxf(high, v[k].x), v[k].y), fmaxf(v[k].z, v[k].w));
  high = largest(high);
#pragma unroll
  for (int k = 0; k < kVectors; ++k) {
    v[k].x = exponential<kMath>(v[k].x - high), sum += v[k].x;
    v[k].y = exponential<kMath>(v[k].y - high), sum += v[k].y;
    v[k].z = exponential<kMath>(v[k].z - high), sum += v[k].z;
    v[k].w = exponential<kMath>(v[k].w - high), sum += v[k].w;
  }
  const float scale = 1 / total(sum);
#pragma unroll
  for (int k = 0; k < kVectors; ++k)
    store<kHints>(y + k * 32, make_float4(v[k].x * scale, v[k].y * scale, v[k].z * scale, v[k].w * scale));
}

/// A warp per row; `rows_each` > 0: warps walk over rows and load the next one before they finish the last.
template <int kMath, int kHints, int kThreads, int kBlocks, bool kPersistent>
__global__ void __launch_bounds__(kThreads, kBlocks) softmax_kernel(float* out, const float* in, int64_t rows) {
  const int lane = threadIdx.x % 32;
  int64_t row = static_cast<int64_t>(blockIdx.x) * (kThreads / 32) + threadIdx.x / 32;
  if (row >= rows) return;
  const int64_t step = static_cast<int64_t>(gridDim.x) * (kThreads / 32);
  auto x = [&](int64_t r) { return reinterpret_cast<const float4*>(in + r * kColumns) + lane; };
  float4 v[kVectors];
#pragma unroll
  for (int k = 0; k < kVectors; ++k) v[k] = load<kHints>(x(row) + k * 32);
  if constexpr (kPersistent) {
    for (; row + step < rows; row += step) {
      float4 next[kVectors];
#pragma unroll
      for (int k = 0; k < kVectors; ++k) next[k] = load<kHints>(x(row + step) + k * 32);
      finish<kMath, kHints>(v, reinterpret_cast<float4*>(out + row * kColumns) + lane);
#pragma unroll
      for (int k = 0; k < kVectors; ++k) v[k] = next[k];
    }
  }
  finish<kMath, kHints>(v, reinterpret_cast<float4*>(out + row * kColumns) + lane);
}

/// A block of 256 threads per row, one vector each.
template <int kMath, int kHints>
__global__ void __launch_bounds__(256, 8) block_kernel(float* out, const float* in, int64_t) {
  __shared__ float parts[2][8];
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kColumns + threadIdx.x * 4;
  float4 v = load<kHints>(reinterpret_cast<const float4*>(in + at));
  float high = largest(fmaxf(fmaxf(v.x, v.y), fmaxf(v.z, v.w)));
  if (threadIdx.x % 32 == 0) parts[0][threadIdx.x / 32] = high;
  __syncthreads();
  for (int i = 0; i < 8; ++i) high = fmaxf(high, parts[0][i]);
  v.x = exponential<kMath>(v.x - high), v.y = exponential<kMath>(v.y - high);
  v.z = exponential<kMath>(v.z - high), v.w = exponential<kMath>(v.w - high);
  float sum = total(v.x + v.y + v.z + v.w);
  if (threadIdx.x % 32 == 0) parts[1][threadIdx.x / 32] = sum;
  __syncthreads();
  sum = 0;
  for (int i = 0; i < 8; ++i) sum += parts[1][i];
  const float s = 1 / sum;
  store<kHints>(reinterpret_cast<float4*>(out + at), make_float4(v.x * s, v.y * s, v.z * s, v.w * s));
}

using Kernel = void (*)(float*, const float*, int64_t);
struct Variant {
  const char* name;
  Kernel kernel;
  int threads, rows_per_block;
  bool persistent;
};

}  // namespace

int main() {
  const int64_t rows = 262144, n = rows * kColumns;
  float *in, *out;
  CHECK(cudaMalloc(&in, n * 4));
  CHECK(cudaMalloc(&out, n * 4));
  std::vector<float> host(1 << 24);
  uint32_t state = 1;
  for (float& v : host) state = state * 1664525u + 1013904223u, v = static_cast<float>(state >> 8) * 0x1p-22f - 2;
  for (int64_t at = 0; at < n; at += static_cast<int64_t>(host.size()))
    CHECK(cudaMemcpy(in + at, host.data(), host.size() * 4, cudaMemcpyHostToDevice));
  cudaEvent_t start, stop;
  CHECK(cudaEventCreate(&start));
  CHECK(cudaEventCreate(&stop));
  cudaDeviceProp device;
  CHECK(cudaGetDeviceProperties(&device, 0));

  const Variant variants[] = {
#define WARP(math, hints, threads, blocks, persistent) \
  {#math " " #hints " " #threads " threads " #blocks " blocks, persistent " #persistent, \
   softmax_kernel<math, hints, threads, blocks, persistent>, threads, threads / 32, persistent}
      WARP(kAccurate, kNone, 128, 1, false), WARP(kAccurate, kNone, 128, 8, false), WARP(kAccurate, kNone, 128, 10, false),
      WARP(kBase2, kNone, 128, 1, false),    WARP(kBase2, kNone, 128, 8, false),    WARP(kBase2, kNone, 128, 10, false),
      WARP(kBase2, kStores, 128, 8, false),  WARP(kBase2, kBoth, 128, 8, false),    WARP(kBase2, kNone, 64, 16, false),
      WARP(kBase2, kNone, 32, 32, false),    WARP(kBase2, kNone, 256, 4, false),    WARP(kAccurate, kNone, 256, 2, false),
      WARP(kBase2, kNone, 128, 5, true),     WARP(kBase2, kBoth, 128, 5, true),     WARP(kBase2, kNone, 128, 4, true),
      WARP(kAccurate, kNone, 128, 5, true),  WARP(kBase2, kNone, 256, 2, true),
      {"kBase2 kNone block per row", block_kernel<kBase2, kNone>, 256, 1, false},
      {"kAccurate kBoth block per row", block_kernel<kAccurate, kBoth>, 256, 1, false},
  };
  auto time = [&](auto run) {
    std::vector<float> ms;
    for (int i = 0; i < 23; ++i) {
      cudaEventRecord(start);
      run();
      cudaEventRecord(stop);
      cudaEventSynchronize(stop);
      float t = 0;
      cudaEventElapsedTime(&t, start, stop);
      if (i >= 3) ms.push_back(t);
    }
    std::sort(ms.begin(), ms.end());
    return ms[ms.size() / 2];
  };
  const float copy = time([&] { cudaMemcpyAsync(out, in, n * 4, cudaMemcpyDeviceToDevice); });
  std::printf("copy %.1f us, %.0f GB/s\n", copy * 1e3, 8e-6 * n / copy);
  std::vector<float> got(kColumns);
  for (const Variant& v : variants) {
    int resident = 0;
    CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&resident, v.kernel, v.threads, 0));
    const int64_t all = (rows + v.rows_per_block - 1) / v.rows_per_block;
    const unsigned blocks = static_cast<unsigned>(
        v.persistent ? std::min<int64_t>(all, static_cast<int64_t>(resident) * device.multiProcessorCount) : all);
    CHECK(cudaMemset(out, 0xFF, n * 4));
    const float ms = time([&] { v.kernel<<<blocks, v.threads>>>(out, in, rows); });
    CHECK(cudaGetLastError());
    double worst = 0;
    for (int64_t row : {int64_t{0}, int64_t{77777}, rows - 1}) {
      CHECK(cudaMemcpy(got.data(), out + row * kColumns, kColumns * 4, cudaMemcpyDeviceToHost));
      const float* x = host.data() + row * kColumns % static_cast<int64_t>(host.size());
      double sum = 0;
      for (int i = 0; i < kColumns; ++i) sum += std::exp(static_cast<double>(x[i]));
      for (int i = 0; i < kColumns; ++i) {
        const double error = std::abs(got[i] * sum / std::exp(static_cast<double>(x[i])) - 1);
        worst = error <= worst ? worst : error;  // NaN too
      }
    }
    std::printf("%7.1f us %6.0f GB/s %5.1f %% of copy, %2d warps, error %.1e%s  %s\n", ms * 1e3, 8e-6 * n / ms,
                100 * copy / ms, resident * v.threads / 32, worst, worst < 2e-6 ? "" : " WRONG", v.name);
  }
  return 0;
}
