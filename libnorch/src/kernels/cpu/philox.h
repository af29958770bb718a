// Many blocks of Philox at once.
#pragma once

#include "kernels/random.h"

namespace norch::kernels::cpu::NORCH_ISA {

/// Blocks of Philox that are made together, word by word, so that the loops vectorise.
inline constexpr int64_t kBatch = 32;

struct BatchWords {
  alignas(64) uint32_t w[4][kBatch];
};

/// Not inlined: the ten rounds would be compiled again for each distribution and dtype.
[[gnu::noinline]] inline void fill_words(PhiloxState state, uint64_t first, BatchWords& words) {
#pragma omp simd
  for (int64_t j = 0; j < kBatch; ++j) {
    const Words x = philox(state.seed, state.draw, first + static_cast<uint64_t>(j));
    words.w[0][j] = x.w[0];
    words.w[1][j] = x.w[1];
    words.w[2][j] = x.w[2];
    words.w[3][j] = x.w[3];
  }
}

}  // namespace norch::kernels::cpu::NORCH_ISA
