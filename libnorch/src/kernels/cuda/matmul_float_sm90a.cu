#include "kernels/cuda/matmul_float_sm90a.cuh"

#include "kernels/cuda/cublaslt.h"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/matmul_float.h"
#include "kernels/cuda/sm90a.h"

namespace norch::kernels::cuda {

namespace {

using Shape = FloatProductShape;

/// C from the parts of its sums.
__global__ void __launch_bounds__(256) matmul_float_sum_kernel(FloatProduct p, const float* parts) {
  const int column = static_cast<int>(blockIdx.x) * 256 + static_cast<int>(threadIdx.x);
  if (column >= p.n) return;
  const int64_t rows = static_cast<int64_t>(p.batch) * p.m;
  for (int64_t row = blockIdx.y; row < rows; row += gridDim.y) {
    float sum = 0;
    for (int s = 0; s < p.splits; ++s) sum += parts[(s * rows + row) * p.n + column];
    float* const to = p.c + row / p.m * p.c_batch + row % p.m * p.c_row + column;
    sum *= p.alpha;
    if (p.bias) sum += p.bias[column];
    if (p.beta != 0) sum += p.beta * *to;
    *to = sum;
  }
}

/// Whether 16 bytes can be taken at once along the adjacent numbers.
bool aligned(const MatrixRef& x, int64_t batch) {
  const int64_t distance = x.col == 1 ? x.row : x.col;
  return (x.col == 1 || x.row == 1) && distance % 4 == 0 && (batch == 1 || x.batch % 4 == 0) &&
         reinterpret_cast<uintptr_t>(x.data) % 16 == 0;
}

int64_t tiles_along(int64_t size, int64_t tile) { return (size + tile - 1) / tile; }

/// How many parts the sums are cut into, so that all multiprocessors have work: what takes the least time by estimate, in
/// units of one step of a tile.
int64_t splits_of(int64_t tiles, int64_t steps, int64_t numbers) {
  constexpr int64_t kLeastSteps = 8, kMost = 16, kTileSteps = 3, kLaunchSteps = 4, kNumbersInStep = 1 << 19;
  constexpr int64_t blocks = 132;  // an H100's or H200's multiprocessors: a constant, so that sums do not depend on the card
  const auto time = [&](int64_t s) {
    const int64_t rounds = (tiles * s + blocks - 1) / blocks;
    return rounds * ((steps + s - 1) / s + kTileSteps) + (s > 1 ? kLaunchSteps + numbers * (2 * s + 1) / kNumbersInStep : 0);
  };
  int64_t best = 1;
  for (int64_t s = 2; s <= std::min(kMost, steps / kLeastSteps); ++s)
    if (time(s) < time(best)) best = s;
  return best;
}

/// As many sums in a total as there are totals; short sums have one level, which is enough for them.
int steps_to_total(int steps) {
  int root = 16;
  while (root * root < steps) ++root;
  return root;
}

}  // namespace

bool matmul_float_sm90a(const Gemm& g) {
  // Of short sums float32's own instructions round less; of small products, and where most of a tile is outside of the
  // result, cuBLASLt's kernels are as fast (measured on an H200: 512 x 512 x 512 is slower, 4096 x 64 x 4096 is not).
  if (g.k < 256 || g.batch * g.m * g.n * g.k < int64_t{1} << 28) return false;
  if (2 * g.m * g.n < tiles_along(g.m, Shape::kRows) * Shape::kRows * tiles_along(g.n, Shape::kColumns) * Shape::kColumns)
    return false;
  return matmul_float_sm90a_of_any_size(g);
}

bool matmul_float_sm90a_of_any_size(const Gemm& g) {
  constexpr int64_t kMost = INT32_MAX - 128;
  if (!has_sm90a() || g.k == 0 || !aligned(g.a, g.batch) || !aligned(g.b, g.batch)) return false;
  const bool across_a = g.a.col != 1, across_b = g.b.row != 1;
  if (across_a && !across_b) return false;  // what no gradient of a product of plain matrices needs
  const int64_t row_tiles = tiles_along(g.m, Shape::kRows), column_tiles = tiles_along(g.n, Shape::kColumns);
  const int64_t tiles = row_tiles * column_tiles * g.batch, steps = (g.k + Shape::kTerms - 1) / Shape::kTerms;
  if (std::max({g.m, g.n, g.k, g.batch, tiles}) > kMost / 16) return false;

  FloatProduct p{};
  p.a = static_cast<const float*>(g.a.data), p.b = static_cast<const float*>(g.b.data), p.c = static_cast<float*>(g.c);
  p.bias = static_cast<const float*>(g.bias);
  p.a_row = g.a.row, p.a_col = g.a.col, p.b_row = g.b.row, p.b_col = g.b.col, p.c_row = g.c_row;
  if (g.batch > 1) p.a_batch = g.a.batch, p.b_batch = g.b.batch, p.c_batch = g.c_batch;
  p.m = static_cast<int>(g.m), p.n = static_cast<int>(g.n), p.k = static_cast<int>(g.k), p.batch = static_cast<int>(g.batch);
  p.row_tiles = static_cast<int>(row_tiles), p.column_tiles = static_cast<int>(column_tiles);
  p.alpha = g.alpha.to<float>(), p.beta = g.beta.to<float>();
  const int64_t splits = splits_of(tiles, steps, g.batch * g.m * g.n);
  p.steps = static_cast<int>((steps + splits - 1) / splits);
  p.splits = static_cast<int>((steps + p.steps - 1) / p.steps);
  p.steps_to_total = steps_to_total(p.steps);

  const auto run = [&](const FloatProduct& product) {
    const unsigned blocks = static_cast<unsigned>(
        std::min<int64_t>(tiles * p.splits, norch::cuda::limits().multiprocessors));
    launch(across_a   ? matmul_float_sm90a_kernel<true, true>
           : across_b ? matmul_float_sm90a_kernel<false, true>
                      : matmul_float_sm90a_kernel<false, false>,
           blocks, Shape::kThreads, Shape::kShared, product);
  };
  if (p.splits == 1) {
    run(p);
    return true;
  }
  const norch::cuda::Workspace parts(static_cast<size_t>(p.splits * g.batch * g.m * g.n) * sizeof(float));
  FloatProduct part = p;
  part.c = static_cast<float*>(parts.data()), part.c_row = g.n, part.c_batch = g.m * g.n;
  part.bias = nullptr, part.alpha = 1, part.beta = 0;
  run(part);
  launch(matmul_float_sum_kernel, dim3(blocks_for(g.n, 256), static_cast<unsigned>(std::min<int64_t>(g.m * g.batch, 65535))),
         256, 0, p, static_cast<const float*>(parts.data()));
  return true;
}

}  // namespace norch::kernels::cuda
