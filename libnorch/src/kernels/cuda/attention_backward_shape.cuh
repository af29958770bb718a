// What the kernel of attention_backward_sm90a.cuh takes in a step, where that lies in shared memory, and its products.
#pragma once

#include "kernels/cuda/attention_tiles.cuh"
#include "kernels/cuda/hopper.cuh"

namespace norch::kernels::cuda {

/// A step takes `rows` rows; upwards: see KeyBlock.
template <int width, int rows, bool upwards>
struct HopperShape {
  static constexpr int kWidth = width, kRows = rows, kKeys = 128;
  static constexpr bool kUpwards = upwards;
  /// Two warpgroups make weights, one the gradient of q; of the fourth, the first warp keeps the order and two load.
  static constexpr int kWorkers = 256, kThreads = kWorkers + 256, kLoaders = 64;
  /// Of a thread. As many as the hardware has; with fewer, the compiler lets no products overlap.
  static constexpr int kWorkerRegisters = width == 64 ? 200 : 208, kGradQRegisters = width == 64 ? 72 : 64,
                       kOtherRegisters = width == 64 ? 40 : 32;
  static_assert(2 * kWorkerRegisters + kGradQRegisters + kOtherRegisters == 512);
  static constexpr int kPanels = width / 64, kRowPanels = rows / 64;
  static_assert(kPanels * kRowPanels == 2, "the gradient of q of a step has two halves, 64 x 64 each");
  using RowPanel = Tile<rows, 64>;   // of q and of the gradient of out
  using KeyPanel = Tile<kKeys, 64>;  // of k, of v and of the gradients of scores
  static constexpr int kRowTile = kPanels * RowPanel::kBytes, kKeyTile = kPanels * KeyPanel::kBytes;
  static constexpr int kStages = 2, kStage = 2 * kRowTile, kStepInfo = rows * 8, kRowValues = kStepInfo + 16;
  static constexpr int kValueTiles = width == 64 ? 2 : 1;        // what there is room for
  static constexpr int kScores = kRowPanels * KeyPanel::kBytes;  // gradients of them
  // In shared memory: the keys of this block and of the next; the values; the gradients of scores of this step and of
  // the one before; rows of q and of the gradient of out; the gradient of q; RowValues, and 16 bytes about the step.
  static constexpr int kKeysAt = 0, kValuesAt = 2 * kKeyTile, kScoresAt = kValuesAt + kValueTiles * kKeyTile,
                       kStagesAt = kScoresAt + 2 * kScores, kGradQAt = kStagesAt + kStages * kStage,
                       kRowValuesAt = kGradQAt + rows * width * 4, kSignalsAt = kRowValuesAt + kStages * kRowValues,
                       kShared = kSignalsAt + 256;  // Signals
};

#ifdef __CUDA_ARCH_FEAT_SM90_ALL

inline constexpr int kTerms = 16, kTermBytes = kTerms * 2, kTermRows = kTerms * 128;  // of one product: columns, or rows

/// c = x y^T, of `width` columns in panels of X and Y.
template <class T, int width, class X, class Y, int count>
__device__ __forceinline__ void multiply_columns(float (&c)[count], uint32_t x, uint32_t y) {
#pragma unroll
  for (int w = 0; w < width / kTerms; ++w)
    hopper::multiply<T, false, false>(c, hopper::operand(x + w / 4 * X::kBytes + w % 4 * kTermBytes),
                                      hopper::operand(y + w / 4 * Y::kBytes + w % 4 * kTermBytes), w > 0);
}

/// c = x^T y, of `rows` rows of one panel each.
template <class T, int rows>
__device__ __forceinline__ void multiply_rows(float (&c)[32], uint32_t x, uint32_t y) {
#pragma unroll
  for (int k = 0; k < rows / kTerms; ++k)
    hopper::multiply<T, true, true>(c, hopper::operand(x + k * kTermRows), hopper::operand(y + k * kTermRows), k > 0);
}

/// c += a y, of the rows of panels of Y.
template <class T, class Y, int terms, int count>
__device__ __forceinline__ void multiply_rows(float (&c)[count], const uint32_t (&a)[terms][4], uint32_t y) {
#pragma unroll
  for (int k = 0; k < terms; ++k) hopper::multiply<T, true>(c, a[k], hopper::operand(y + k * kTermRows, Y::kBytes));
}

#endif

}  // namespace norch::kernels::cuda
