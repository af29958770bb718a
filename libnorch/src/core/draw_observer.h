// Who wants to know of every draw: the capture of CUDA graphs, which has to repeat them with new numbers.
#pragma once

#include <atomic>

#include "norch/generator.h"

namespace norch {

/// Called after each Generator::next() with the state that it returned, on the thread that drew. Null: nobody.
using DrawObserver = void (*)(Generator& generator, const PhiloxState& state);
extern std::atomic<DrawObserver> g_draw_observer;

}  // namespace norch
