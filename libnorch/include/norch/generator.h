// Random numbers: Philox 4x32-10, the same stream on every device; or, on the CPU, PyTorch's stream.
//
// Philox is counter-based (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): element i of the
// n-th draw is a function of the seed, n and i alone. A draw is one call of one op; it takes one value of `n`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "norch/export.h"
#include "norch/storage.h"

namespace norch {

/// The seed and draw number that a random op hands to its kernel.
struct PhiloxState {
  uint64_t seed;
  uint64_t draw;
};

/// What makes the numbers of a generator.
enum class RandomEngine : uint8_t {
  Philox,   ///< the same numbers on every device
  Twister,  ///< MT19937, read in PyTorch's ways: on the CPU, PyTorch's numbers bit for bit. GPUs draw from Philox.
};

struct TwisterStream;

/// A stream of random draws. Thread-safe.
class NORCH_API Generator final : public RefCounted {
 public:
  /// With the engine that set_random_engine() chose.
  explicit Generator(uint64_t seed = 0);
  Generator(uint64_t seed, RandomEngine engine);
  void manual_seed(uint64_t seed);
  /// A non-deterministic seed from the operating system, set and returned.
  uint64_t reseed();
  uint64_t initial_seed();
  RandomEngine engine();
  /// Starts the stream of the present seed anew, made by `engine`, unless that makes it already.
  void set_engine(RandomEngine engine);
  /// The Philox state for the next random op; advances the draw number.
  PhiloxState next();
  PhiloxState state();
  void set_state(PhiloxState s);

  /// Where the stream is, as bytes: seed and draw number (16 bytes) or, of the twister, the 5056 bytes that PyTorch has.
  std::vector<uint8_t> save_state();
  /// Goes on where save_state() was. \throws Error for anything else than a state of this engine.
  void load_state(const uint8_t* bytes, size_t size);

 protected:
  ~Generator() override;

 private:
  friend NORCH_API Generator& default_generator();
  friend class TwisterDraw;
  std::mutex mutex_;
  uint64_t seed_;
  uint64_t draw_ = 0;
  RandomEngine engine_;
  std::unique_ptr<TwisterStream> twister_;  // made when first drawn from
  bool seeded_ = true;                      // false only for the default generator until first used
};

/// The generator that ops use when none is given, one for all devices. Not seeded by hand, it takes its seed at first
/// use from the function set below.
NORCH_API Generator& default_generator();
/// Where the default generator's first seed comes from (the bindings hash the state of Python's `random`); the
/// operating system otherwise.
NORCH_API void set_default_seed_source(uint64_t (*source)());
/// Seeds the default generator.
NORCH_API void manual_seed(uint64_t seed);
/// The engine of the default generator and of those made from now on; Philox unless it is set.
NORCH_API void set_random_engine(RandomEngine engine);
NORCH_API RandomEngine random_engine();

}  // namespace norch
