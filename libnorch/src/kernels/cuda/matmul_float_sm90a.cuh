// Products of float32 matrices on Hopper's tensor cores, to float32's accuracy.
//
// A number is the sum of three of bfloat16, which together hold its 24 bits: x = x0 + x1 + x2, each about 2^-8 of the one
// before. Of the nine products of the parts, the six above 2^-24 of the whole are made, each exactly, and summed smallest
// first: x2 y0 + x1 y1 + x0 y2 + x1 y0 + x0 y1 + x0 y0 (Henry, Tang and Heinecke, "Leveraging the bfloat16 artificial
// intelligence datatype for higher-precision computations", 2019). Tensor cores round sums towards zero, which would add
// up: they sum 32 terms, from zero, and those sums are added with float32's rounding (Ootomo and Yokota, "Recovering
// single precision accuracy from Tensor Cores while surpassing the FP32 theoretical peak performance", 2022), in two
// levels: each `steps_to_total` of them to a total in shared memory. So rounding grows with the root of their number. What
// remains of the rounding towards zero: sums of numbers of one sign come out too small by 0.86 2^-24 of themselves.
//
// Numbers are multiplied by 2^24 first, so that the parts of the smallest float32 are normal numbers. What then is too
// large, and inf and NaN, make sums of which nothing is left but that they are not finite: those parts of the result are
// computed again with float32's own instructions.
//
// A block of threads makes tiles of 128 x 128. Two warpgroups have 64 rows each, and split their rows of `a`, which come
// as they are, in registers; a third one loads, and splits the columns of b on their way to shared memory. Each takes the
// next tile without waiting for the others.
#pragma once

#include "kernels/cuda/matmul_float_tiles.cuh"

namespace norch::kernels::cuda {

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

/// Writes a number of the result.
__device__ __forceinline__ void write_one(const FloatProduct& p, const FloatTileWork& w, int row, int column, float sum) {
  if (row >= p.m || column >= p.n) return;
  float* const to = p.c + w.result * p.c_batch + row * p.c_row + column;
  sum *= p.alpha;
  if (p.bias) sum += __ldg(p.bias + column);
  if (p.beta != 0) sum += p.beta * *to;
  *to = sum;
}

/// A warpgroup's part of the result, in which each thread has two neighbours in every eight columns of two rows.
__device__ __forceinline__ void write_result(const FloatProduct& p, const FloatTileWork& w, int row, int column,
                                             float (&sums)[64]) {
  constexpr float kUnscale = 1 / (FloatProductShape::kScale * FloatProductShape::kScale);
  float* const to = p.c + w.result * p.c_batch + column;
#pragma unroll
  for (int e = 0; e < 64; ++e) sums[e] = sums[e] * kUnscale * p.alpha;
  if (p.bias) {
#pragma unroll
    for (int i = 0; i < 32; ++i) {
      const int j = i / 2 * 8 + i % 2;
      const float bias = column + j < p.n ? __ldg(p.bias + column + j) : 0;
      sums[i / 2 * 4 + i % 2] += bias;
      sums[i / 2 * 4 + i % 2 + 2] += bias;
    }
  }
  const bool pairs = (reinterpret_cast<uintptr_t>(to) | p.c_row * 4) % 8 == 0 && p.n % 2 == 0;
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    if (row + h * 8 >= p.m) return;
    float* const line = to + (row + h * 8) * p.c_row;
    if (p.beta != 0) {
#pragma unroll
      for (int i = 0; i < 32; ++i) {
        const int j = i / 2 * 8 + i % 2;
        if (column + j < p.n) sums[i / 2 * 4 + i % 2 + h * 2] += p.beta * line[j];
      }
    }
#pragma unroll
    for (int i = 0; i < 16; ++i) {
      const float x = sums[i * 4 + h * 2], y = sums[i * 4 + h * 2 + 1];
      if (pairs) {
        if (column + i * 8 < p.n) *reinterpret_cast<float2*>(line + i * 8) = make_float2(x, y);
      } else {
        if (column + i * 8 < p.n) line[i * 8] = x;
        if (column + i * 8 + 1 < p.n) line[i * 8 + 1] = y;
      }
    }
  }
}

/// A warpgroup's 64 x 128 of the result in float32's own arithmetic.
__device__ __noinline__ void plain_product(const FloatProduct& p, const FloatTileWork& w, int row, float* shared, int id) {
  using S = FloatProductShape;
  const int thread = static_cast<int>(threadIdx.x) % 128, x = thread % 16, y = thread / 16;
  float* const right = shared + 64 * 8;
  const float *const a = p.a + w.matrix * p.a_batch, *const b = p.b + w.matrix * p.b_batch;
  const int last = min(p.k, w.steps * S::kTerms);
  float sums[8][8] = {};
  for (int k0 = w.step * S::kTerms; k0 < last; k0 += 8) {
#pragma unroll
    for (int u = thread; u < 64 * 8; u += 128) {
      const int k = k0 + u / 64, i = row + u % 64;
      shared[u] = k < last && i < p.m ? a[i * p.a_row + k * p.a_col] : 0;
    }
#pragma unroll
    for (int u = thread; u < S::kColumns * 8; u += 128) {
      const int k = k0 + u / S::kColumns, j = w.column + u % S::kColumns;
      right[u] = k < last && j < p.n ? b[k * p.b_row + j * p.b_col] : 0;
    }
    hopper::any_of<128>(id, false);
    const int terms = min(8, last - k0);
    for (int k = 0; k < terms; ++k)
#pragma unroll
      for (int i = 0; i < 8; ++i)
#pragma unroll
        for (int j = 0; j < 8; ++j)
          sums[i][j] = fmaf(shared[k * 64 + y + i * 8], right[k * S::kColumns + x + j * 16], sums[i][j]);
    hopper::any_of<128>(id, false);
  }
#pragma unroll
  for (int i = 0; i < 8; ++i)
#pragma unroll
    for (int j = 0; j < 8; ++j) write_one(p, w, row + y + i * 8, w.column + x + j * 16, sums[i][j]);
}

/// The loaders' way through the work.
template <bool across_a, bool across_b>
__device__ __forceinline__ void load_tiles(const FloatProduct& p, uint32_t left, uint32_t right, uint32_t full,
                                           uint32_t empty) {
  using S = FloatProductShape;
  const int thread = static_cast<int>(threadIdx.x) - S::kWorkers;
  const int64_t count = FloatTileWork::count(p);
  constexpr int kUnits = RightLoad<across_b>::kUnits;
  int64_t index = blockIdx.x, ahead = index;  // b is loaded two steps ahead
  FloatTileWork w(p, index);
  LeftLoad<across_a> a;
  RightLoad<across_b> b;
  a.begin(p, w, thread);
  b.begin(p, w, thread);
  int step = w.step, steps = w.steps, step_ahead = step, steps_ahead = steps;
  const auto advance_b = [&] {
    if (++step_ahead < steps_ahead) return b.advance(p);
    ahead += gridDim.x;
    if (ahead >= count) return;  // what is loaded then is not used
    const FloatTileWork next(p, ahead);
    step_ahead = next.step;
    steps_ahead = next.steps;
    b.begin(p, next, thread);
  };
#pragma unroll
  for (int s = 0; s < 2; ++s) {
#pragma unroll
    for (int u = 0; u < kUnits; ++u) b.fetch(s, u, p);
    advance_b();
  }
  int i = 0;
  const auto load_step = [&](auto which) {  // false after the last
    constexpr int s = decltype(which)::value;
    const int stage = i % S::kStages;
    hopper::wait_for_phase(empty + stage * 8, i / S::kStages - 1);
    ++i;
    a.copy(left + stage * S::kLeft, p);
    hopper::arrive_with_copies(full + stage * 8);
    const RightStage<across_b> to(right, stage);
#pragma unroll
    for (int u = 0; u < kUnits; ++u) {
      b.store(s, u, to, thread);
      b.fetch(s, u, p);
    }
    hopper::show_writes();
    hopper::arrive(full + stage * 8);
    advance_b();
    if (++step < steps) {
      a.advance(p);
      return true;
    }
    index += gridDim.x;
    if (index >= count) return false;
    const FloatTileWork next(p, index);
    step = next.step;
    steps = next.steps;
    a.begin(p, next, thread);
    return true;
  };
  while (load_step(std::integral_constant<int, 0>()) && load_step(std::integral_constant<int, 1>())) {
  }
}

/// sums += those of this thread at `at` in shared memory, unless `first`.
__device__ __forceinline__ void add_totals(float (&sums)[64], uint32_t at, bool first) {
  if (first) return;
#pragma unroll
  for (int i = 0; i < 16; ++i) {
    float total[4];
    mma::load_shared(total, at + i * 128 * 16);
#pragma unroll
    for (int r = 0; r < 4; ++r) sums[i * 4 + r] += total[r];
  }
}
/// Takes the sums there.
__device__ __forceinline__ void keep_totals(const float (&sums)[64], uint32_t at) {
#pragma unroll
  for (int i = 0; i < 16; ++i) {
    const uint32_t words[4] = {__float_as_uint(sums[i * 4]), __float_as_uint(sums[i * 4 + 1]),
                               __float_as_uint(sums[i * 4 + 2]), __float_as_uint(sums[i * 4 + 3])};
    mma::store_shared(at + i * 128 * 16, words);
  }
}

/// A warpgroup's way through its half of the tiles.
template <bool across_a, bool across_b>
__device__ __forceinline__ void multiply_tiles(const FloatProduct& p, int group, int warp, uint32_t left, uint32_t right,
                                               uint32_t full, uint32_t empty, uint32_t totals, float* room) {
  using S = FloatProductShape;
  const int lane = static_cast<int>(threadIdx.x) % 32, g = lane / 4, t = lane % 4;
  const int64_t count = FloatTileWork::count(p);
  totals += threadIdx.x % 128 * 16;
  int i = 0;
  for (int64_t index = blockIdx.x; index < count; index += gridDim.x) {
    FloatTileWork w(p, index);
    float sums[64] = {}, raw[2][4][2];
    const auto load = [&](int number) {
      hopper::wait_for_phase(full + number % S::kStages * 8, number / S::kStages);
      load_left<across_a>(raw, left + number % S::kStages * S::kLeft, warp * 16, lane);
    };
    load(i);
    int till_total = p.steps_to_total;
    bool first = true;
    for (int step = w.step; step < w.steps; ++step, ++i) {
      if (till_total-- == 0) {
        add_totals(sums, totals, first);
        keep_totals(sums, totals);
#pragma unroll
        for (int e = 0; e < 64; ++e) sums[e] = 0;
        till_total = p.steps_to_total - 1;
        first = false;
      }
      const int stage = i % S::kStages;
      uint32_t a[3][2][4];
      split_left(a, raw);
      const RightStage<across_b> b(right, stage);
      float c[64];
      constexpr int kPairs[6][2] = {{2, 0}, {1, 1}, {0, 2}, {1, 0}, {0, 1}, {0, 0}};
      hopper::begin_products();
#pragma unroll
      for (int pair = 0; pair < 6; ++pair) {
#pragma unroll
        for (int k = 0; k < 2; ++k)
          hopper::multiply<BFloat16, across_b>(c, a[kPairs[pair][0]][k], b.operand(kPairs[pair][1], k), k > 0 || pair > 0);
      }
      hopper::commit_products();
      if (step + 1 < w.steps) load(i + 1);
      hopper::wait_for_products<0>();
      hopper::hold(c);
#pragma unroll
      for (int r = 0; r < 8; ++r) hopper::hold(raw[r / 4][r % 4]);
      __syncwarp();  // one lane tells that the whole warp has read
      if (lane == 0) hopper::arrive(empty + stage * 8);
#pragma unroll
      for (int e = 0; e < 64; ++e) sums[e] += c[e];
    }
    add_totals(sums, totals, first);
    bool lost = false;
#pragma unroll
    for (int e = 0; e < 64; ++e) lost |= !(fabsf(sums[e]) < S::kLargest);
    if (hopper::any_of<128>(1 + group, lost)) {
      plain_product(p, w, w.row + group * 64, room, 1 + group);
      continue;
    }
    const int row = w.row + warp * 16 + g, column = w.column + 2 * t;
    write_result(p, w, row, column, sums);
  }
}

#endif

template <bool across_a, bool across_b>
__global__ void __launch_bounds__(FloatProductShape::kThreads, 1)
    matmul_float_sm90a_kernel(const __grid_constant__ FloatProduct p) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  using S = FloatProductShape;
  extern __shared__ __align__(1024) char shared_floats[];
  const uint32_t left = mma::shared_address(shared_floats), right = left + S::kStages * S::kLeft;
  const uint32_t totals = right + S::kStages * S::kRight, full = totals + S::kTotals, empty = full + S::kStages * 8;
  const int warp = __shfl_sync(0xFFFFFFFFu, static_cast<int>(threadIdx.x) / 32, 0), group = warp / 4;
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < S::kStages; ++stage) {
      hopper::make_barrier(full + stage * 8, 2 * S::kLoaders);
      hopper::make_barrier(empty + stage * 8, S::kWorkers / 32);
    }
  }
  __syncthreads();
  if (group >= 2) {
    hopper::fewer_registers<120>();
    load_tiles<across_a, across_b>(p, left, right, full, empty);
  } else {
    hopper::more_registers<192>();
    const int own = group * (S::kTotals / 2);
    multiply_tiles<across_a, across_b>(p, group, warp, left, right, full, empty, totals + own,
                                       reinterpret_cast<float*>(shared_floats + S::kStages * S::kStage + own));
  }
#endif
}

}  // namespace norch::kernels::cuda
