#include "norch/generator.h"

#include <cstring>
#include <random>

#include "core/draw_observer.h"
#include "core/mersenne_twister.h"
#include "norch/error.h"

namespace norch {

namespace {
std::atomic<uint64_t (*)()> g_seed_source{nullptr};
std::atomic<RandomEngine> g_engine{RandomEngine::Philox};

uint64_t os_seed() {
  std::random_device rd;
  return (static_cast<uint64_t>(rd()) << 32) | rd();
}

/// PyTorch's layout of a CPU generator's state.
struct TwisterBytes {
  uint64_t seed;
  int32_t left;    // words up to the next refill, and one
  int32_t seeded;  // 1
  uint64_t next;
  uint64_t words[MersenneTwister::kWords];
  double normal_x;  // unused
  double normal_y;  // the second of a pair of normal numbers
  double normal_rho;  // unused
  int32_t normal_is_valid;
  uint8_t unused[12];
};
static_assert(sizeof(TwisterBytes) == 5056, "PyTorch's size");
}  // namespace

std::atomic<DrawObserver> g_draw_observer{nullptr};

Generator::Generator(uint64_t seed) : Generator(seed, random_engine()) {}
Generator::Generator(uint64_t seed, RandomEngine engine) : seed_(seed), engine_(engine) {}
Generator::~Generator() = default;

void Generator::manual_seed(uint64_t seed) {
  std::lock_guard<std::mutex> lock(mutex_);
  seed_ = seed;
  draw_ = 0;
  twister_.reset();
  seeded_ = true;
}

uint64_t Generator::reseed() {
  const uint64_t seed = os_seed();
  manual_seed(seed);
  return seed;
}

uint64_t Generator::initial_seed() { return state().seed; }

RandomEngine Generator::engine() {
  std::lock_guard<std::mutex> lock(mutex_);
  return engine_;
}

void Generator::set_engine(RandomEngine engine) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (engine == engine_) return;
  engine_ = engine;
  draw_ = 0;
  twister_.reset();
}

PhiloxState Generator::state() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (seeded_) return {seed_, draw_};
  }
  // The source may call into Python, so it runs outside the lock.
  auto* source = g_seed_source.load();
  const uint64_t seed = source ? source() : os_seed();
  std::lock_guard<std::mutex> lock(mutex_);
  if (!seeded_) {
    seed_ = seed;
    seeded_ = true;
  }
  return {seed_, draw_};
}

PhiloxState Generator::next() {
  state();  // seeds the default generator if it has not been used yet
  PhiloxState s;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    s = {seed_, draw_++};
  }
  if (const DrawObserver observer = g_draw_observer.load(std::memory_order_relaxed)) observer(*this, s);
  return s;
}

void Generator::set_state(PhiloxState s) {
  std::lock_guard<std::mutex> lock(mutex_);
  seed_ = s.seed;
  draw_ = s.draw;
  twister_.reset();
  seeded_ = true;
}

std::vector<uint8_t> Generator::save_state() {
  if (engine() == RandomEngine::Philox) {
    const PhiloxState s = state();
    std::vector<uint8_t> bytes(sizeof(s));
    std::memcpy(bytes.data(), &s, sizeof(s));
    return bytes;
  }
  const TwisterDraw stream(*this);
  const MersenneTwister& engine = stream->engine;
  TwisterBytes s{};
  s.seed = seed_;
  s.left = engine.drawn() == 0 ? 1 : MersenneTwister::kWords + 1 - static_cast<int32_t>(engine.drawn());
  s.seeded = 1;
  s.next = engine.drawn();
  for (int i = 0; i < MersenneTwister::kWords; ++i) s.words[i] = engine.words()[i];
  if (stream->next_normal) {
    s.normal_y = *stream->next_normal;
    s.normal_is_valid = 1;
  }
  std::vector<uint8_t> bytes(sizeof(s));
  std::memcpy(bytes.data(), &s, sizeof(s));
  return bytes;
}

void Generator::load_state(const uint8_t* bytes, size_t size) {
  const bool twister = engine() == RandomEngine::Twister;
  const size_t expected = twister ? sizeof(TwisterBytes) : sizeof(PhiloxState);
  NORCH_CHECK(size == expected, "RNG state is wrong size: expected ", expected, " bytes, got ", size);
  if (!twister) {
    PhiloxState s;
    std::memcpy(&s, bytes, sizeof(s));
    return set_state(s);
  }
  TwisterBytes s;
  std::memcpy(&s, bytes, sizeof(s));
  const bool fresh = s.left == 1 && s.next == 0;
  NORCH_CHECK(s.seeded == 1 && (fresh || (s.left >= 1 && s.left <= MersenneTwister::kWords &&
                                          s.next + static_cast<uint64_t>(s.left) == MersenneTwister::kWords + 1)),
              "Invalid mt19937 state: left=", s.left, ", next=", s.next, ", seeded=", s.seeded,
              "; expected the bytes that get_state() returned");
  std::array<uint32_t, MersenneTwister::kWords> words;
  for (int i = 0; i < MersenneTwister::kWords; ++i) words[i] = static_cast<uint32_t>(s.words[i]);
  std::lock_guard<std::mutex> lock(mutex_);
  seed_ = s.seed;
  seeded_ = true;
  twister_ = std::make_unique<TwisterStream>(s.seed);
  twister_->engine.set(words, static_cast<uint32_t>(s.next));
  if (s.normal_is_valid) twister_->next_normal = s.normal_y;
}

TwisterDraw::TwisterDraw(Generator& generator) {
  generator.state();  // seeds the default generator if it has not been used yet
  lock_ = std::unique_lock<std::mutex>(generator.mutex_);
  if (!generator.twister_) generator.twister_ = std::make_unique<TwisterStream>(generator.seed_);
  stream_ = generator.twister_.get();
}

Generator& default_generator() {
  static Generator* generator = [] {
    auto* g = new Generator;
    g->inc_ref();
    g->seeded_ = false;
    return g;
  }();
  return *generator;
}

void set_default_seed_source(uint64_t (*source)()) { g_seed_source.store(source); }
void manual_seed(uint64_t seed) { default_generator().manual_seed(seed); }

void set_random_engine(RandomEngine engine) {
  g_engine.store(engine);
  default_generator().set_engine(engine);
}
RandomEngine random_engine() { return g_engine.load(); }

}  // namespace norch
