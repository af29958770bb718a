// The kernel that every optimizer's step runs in: see kernels/optim.h for what a step is.
#pragma once

#include <algorithm>

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/loops.cuh"
#include "kernels/optim.h"

namespace norch::kernels::cuda {

namespace optim_update {

constexpr int kThreads = 256;
constexpr int kTensors = 44;  // per launch: what fits into the 4 KiB of kernel arguments

/// The tensors of one launch. Block b works on part b - first_block[i] of the tensor i with
/// first_block[i] <= b < first_block[i + 1].
struct Table {
  int count = 0;
  unsigned first_block[kTensors + 1];
  int64_t n[kTensors];
  void* data[OptimTensor::kArrays][kTensors];
  double number[3][kTensors];
  float* step[kTensors];  // or null
  bool first[kTensors], aligned[kTensors];
};
static_assert(sizeof(Table) <= 3840, "kernel arguments are limited to 4 KiB");

/// Cuts the list into launches of up to kTensors tensors, whose blocks take `part` elements each, and calls
/// run(table, blocks) for each launch.
template <class Run>
void for_each_table(const OptimTensors& list, int64_t part, const Run& run) {
  Table table;
  int64_t blocks = 0;
  auto flush = [&] {
    if (blocks) run(table, static_cast<unsigned>(blocks));
    table.count = 0;
    blocks = 0;
  };
  for (const OptimTensor& t : list) {
    if (t.n == 0) continue;
    const int64_t own = blocks_for(t.n, part);
    if (table.count == kTensors || blocks + own > 0x7FFFFFFF) flush();
    const int i = table.count++;
    table.first_block[i] = static_cast<unsigned>(blocks);
    blocks += own;
    table.first_block[i + 1] = static_cast<unsigned>(blocks);
    table.n[i] = t.n;
    uintptr_t bits = 0;
    for (int k = 0; k < OptimTensor::kArrays; ++k) {
      table.data[k][i] = t.data[k];
      bits |= reinterpret_cast<uintptr_t>(t.data[k]);
    }
    table.aligned[i] = bits % 16 == 0;
    for (int k = 0; k < 3; ++k) table.number[k][i] = t.number[k];
    table.first[i] = t.first;
    table.step[i] = t.step;
  }
  flush();
}

__device__ __forceinline__ int find_tensor(const Table& table, unsigned block) {
  int low = 0, high = table.count;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (table.first_block[middle] <= block)
      low = middle;
    else
      high = middle;
  }
  return low;
}

/// Updates N elements whose values are in registers.
template <class T, int N, class F, class Per>
__device__ __forceinline__ void update(const F& f, const Per& per, T* p, const T* g, T* s0, T* s1, T* s2) {
  using C = ComputeType<T>;
#pragma unroll
  for (int j = 0; j < N; ++j) {
    C x = static_cast<C>(p[j]);
    const C d = static_cast<C>(g[j]);
    if constexpr (F::states == 0) {
      f(per, x, d);
    } else if constexpr (F::states == 1) {
      C a = static_cast<C>(s0[j]);
      f(per, x, d, a);
      s0[j] = static_cast<T>(a);
    } else if constexpr (F::states == 2) {
      C a = static_cast<C>(s0[j]), b = static_cast<C>(s1[j]);
      f(per, x, d, a, b);
      s0[j] = static_cast<T>(a);
      s1[j] = static_cast<T>(b);
    } else {
      C a = static_cast<C>(s0[j]), b = static_cast<C>(s1[j]), c = static_cast<C>(s2[j]);
      f(per, x, d, a, b, c);
      s0[j] = static_cast<T>(a);
      s1[j] = static_cast<T>(b);
      s2[j] = static_cast<T>(c);
    }
    p[j] = static_cast<T>(x);
  }
}

template <class T>
constexpr int kWidth = 16 / sizeof(T);
template <class T>
constexpr int64_t kStepPart = kThreads * kWidth<T> * 2;  // elements per block: two 16-byte accesses a thread

/// Counts the step about to be taken, for the tensors that have a count here. A template, so that every file that
/// includes this shares it.
template <int Threads>
__global__ void __launch_bounds__(Threads) count_kernel(const __grid_constant__ Table table, const float* skip) {
  if (skip && *skip != 0) return;
  if (threadIdx.x < table.count && table.step[threadIdx.x]) *table.step[threadIdx.x] += 1.0f;
}

/// What Adam's numbers of a tensor with its own step count are made of.
struct Bias {
  double lr, beta1, beta2;
};

template <class T, class F>
__global__ void __launch_bounds__(kThreads) step_kernel(const __grid_constant__ Table table, const F f, const Bias bias,
                                                        const float* skip) {
  if (skip && *skip != 0) return;
  using Vector = loops::Vector<T, kWidth<T>>;
  constexpr int W = kWidth<T>;
  const int i = find_tensor(table, blockIdx.x);
  PerTensor<ComputeType<T>> per;
  per.a = static_cast<ComputeType<T>>(table.number[0][i]);
  per.b = static_cast<ComputeType<T>>(table.number[1][i]);
  per.c = static_cast<ComputeType<T>>(table.number[2][i]);
  per.first = table.first[i];
  if (table.step[i]) {
    __shared__ double numbers[2];
    if (threadIdx.x == 0)
      adam_bias(bias.lr, bias.beta1, bias.beta2, static_cast<int64_t>(*table.step[i]), numbers);
    __syncthreads();
    per.a = static_cast<ComputeType<T>>(numbers[0]);
    per.b = static_cast<ComputeType<T>>(numbers[1]);
  }
  T* data[OptimTensor::kArrays];
#pragma unroll
  for (int k = 0; k < 2 + F::states; ++k) data[k] = static_cast<T*>(table.data[k][i]);
  const int64_t begin = (blockIdx.x - table.first_block[i]) * kStepPart<T>;
  const int64_t n = table.n[i], end = begin + kStepPart<T> < n ? begin + kStepPart<T> : n;
  int64_t done = begin;  // up to here whole vectors
  if (table.aligned[i]) {
    done = end - (end - begin) % W;
    for (int64_t j = begin + threadIdx.x * W; j < done; j += kThreads * W) {
      Vector v[OptimTensor::kArrays];
#pragma unroll
      for (int k = 0; k < 2 + F::states; ++k) v[k] = *reinterpret_cast<const Vector*>(data[k] + j);
      update<T, W>(f, per, v[0].v, v[1].v, v[2].v, v[3].v, v[4].v);
      *reinterpret_cast<Vector*>(data[0] + j) = v[0];
#pragma unroll
      for (int k = 2; k < 2 + F::states; ++k) *reinterpret_cast<Vector*>(data[k] + j) = v[k];
    }
  }
  for (int64_t j = done + threadIdx.x; j < end; j += kThreads) {
    update<T, 1>(f, per, data[0] + j, data[1] + j, F::states > 0 ? data[2] + j : nullptr,
                 F::states > 1 ? data[3] + j : nullptr, F::states > 2 ? data[4] + j : nullptr);
  }
}

template <class T, class F>
void update_all(const OptimTensors& list, const F& f, const float* skip = nullptr, const Bias& bias = {}) {
  for_each_table(list, kStepPart<T>, [&](const Table& table, unsigned blocks) {
    if (std::any_of(table.step, table.step + table.count, [](const float* step) { return step != nullptr; }))
      launch(count_kernel<kThreads>, 1, kThreads, 0, table, skip);
    launch(step_kernel<T, F>, blocks, kThreads, 0, table, f, bias, skip);
  });
}

}  // namespace optim_update
}  // namespace norch::kernels::cuda
