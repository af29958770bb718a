// The Mersenne twister MT19937 (Matsumoto and Nishimura, "Mersenne twister: a 623-dimensionally equidistributed uniform
// pseudo-random number generator", ACM TOMACS 8, 1998), and what a stream of its numbers keeps between draws.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>

#include "norch/generator.h"

namespace norch {

class MersenneTwister {
 public:
  static constexpr int kWords = 624;

  explicit MersenneTwister(uint32_t seed = 5489) {
    words_[0] = seed;
    for (uint32_t i = 1; i < kWords; ++i) words_[i] = 1812433253u * (words_[i - 1] ^ (words_[i - 1] >> 30)) + i;
  }

  uint32_t operator()() {
    if (next_ == kWords || next_ == 0) refill();
    uint32_t y = words_[next_++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9D2C5680u;
    y ^= (y << 15) & 0xEFC60000u;
    return y ^ (y >> 18);
  }

  /// The state: its words, and how many of them have been drawn; 0 for words that a seed made, of which none is drawn.
  const std::array<uint32_t, kWords>& words() const { return words_; }
  uint32_t drawn() const { return next_; }
  void set(const std::array<uint32_t, kWords>& words, uint32_t drawn) {
    words_ = words;
    next_ = drawn;
  }

 private:
  void refill();

  std::array<uint32_t, kWords> words_;
  uint32_t next_ = 0;
};

/// The numbers of a generator whose engine is the twister.
struct TwisterStream {
  MersenneTwister engine;
  std::optional<double> next_normal;  // the second of a pair of normal numbers

  explicit TwisterStream(uint64_t seed) : engine(static_cast<uint32_t>(seed)) {}
  uint32_t bits32() { return engine(); }
  uint64_t bits64() {
    const uint64_t high = engine();
    return (high << 32) | engine();
  }
  /// A multiple of 2^-53 in [0, 1).
  double uniform() { return static_cast<double>(bits64() & ((uint64_t{1} << 53) - 1)) * 0x1.0p-53; }
  /// A normal number, by Box and Muller's formula; every second one was made with the one before it.
  double normal() {
    if (next_normal) {
      const double z = *next_normal;
      next_normal.reset();
      return z;
    }
    const double angle = 2.0 * 3.14159265358979323846 * uniform(), radius = std::sqrt(-2.0 * std::log1p(-uniform()));
    next_normal = radius * std::sin(angle);
    return radius * std::cos(angle);
  }
};

/// Holds a generator's stream while an op draws from it: nobody else draws meanwhile.
class TwisterDraw {
 public:
  explicit TwisterDraw(Generator& generator);
  TwisterStream* operator->() const { return stream_; }
  TwisterStream& operator*() const { return *stream_; }

 private:
  std::unique_lock<std::mutex> lock_;
  TwisterStream* stream_;
};

}  // namespace norch
