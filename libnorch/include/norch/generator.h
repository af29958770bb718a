// Random numbers: Philox 4x32-10, the same stream on every device.
//
// Philox is counter-based (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): element i of the
// n-th draw is a function of the seed, n and i alone. A draw is one call of one op; it takes one value of `n`.
#pragma once

#include <cstdint>
#include <mutex>

#include "norch/export.h"
#include "norch/storage.h"

namespace norch {

/// The seed and draw number that a random op hands to its kernel.
struct PhiloxState {
  uint64_t seed;
  uint64_t draw;
};

/// A stream of random draws. Thread-safe; the state is two integers.
class NORCH_API Generator final : public RefCounted {
 public:
  explicit Generator(uint64_t seed = 0) : seed_(seed) {}
  void manual_seed(uint64_t seed);
  /// A non-deterministic seed from the operating system, set and returned.
  uint64_t reseed();
  uint64_t initial_seed();
  /// The state for the next random op; advances the draw number.
  PhiloxState next();
  PhiloxState state();
  void set_state(PhiloxState s);

 private:
  friend NORCH_API Generator& default_generator();
  std::mutex mutex_;
  uint64_t seed_;
  uint64_t draw_ = 0;
  bool seeded_ = true;  // false only for the default generator until first used
};

/// The generator that ops use when none is given, one for all devices. Not seeded by hand, it takes its seed at first
/// use from the function set below.
NORCH_API Generator& default_generator();
/// Where the default generator's first seed comes from (the bindings hash the state of Python's `random`); the
/// operating system otherwise.
NORCH_API void set_default_seed_source(uint64_t (*source)());
/// Seeds the default generator.
NORCH_API void manual_seed(uint64_t seed);

}  // namespace norch
