#include "norch/generator.h"

#include <random>

#include "core/draw_observer.h"

namespace norch {

namespace {
std::atomic<uint64_t (*)()> g_seed_source{nullptr};

uint64_t os_seed() {
  std::random_device rd;
  return (static_cast<uint64_t>(rd()) << 32) | rd();
}
}  // namespace

std::atomic<DrawObserver> g_draw_observer{nullptr};

void Generator::manual_seed(uint64_t seed) {
  std::lock_guard<std::mutex> lock(mutex_);
  seed_ = seed;
  draw_ = 0;
  seeded_ = true;
}

uint64_t Generator::reseed() {
  const uint64_t seed = os_seed();
  manual_seed(seed);
  return seed;
}

uint64_t Generator::initial_seed() { return state().seed; }

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
  seeded_ = true;
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

}  // namespace norch
