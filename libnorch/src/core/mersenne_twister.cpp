#include "core/mersenne_twister.h"

namespace norch {

namespace {
uint32_t twist(uint32_t high, uint32_t low) {
  const uint32_t y = (high & 0x80000000u) | (low & 0x7FFFFFFFu);
  return (y >> 1) ^ (low & 1 ? 0x9908B0DFu : 0);
}
}  // namespace

void MersenneTwister::refill() {
  constexpr int kShift = 397;
  int i = 0;
  for (; i < kWords - kShift; ++i) words_[i] = words_[i + kShift] ^ twist(words_[i], words_[i + 1]);
  for (; i < kWords - 1; ++i) words_[i] = words_[i + kShift - kWords] ^ twist(words_[i], words_[i + 1]);
  words_[i] = words_[kShift - 1] ^ twist(words_[i], words_[0]);
  next_ = 0;
}

}  // namespace norch
