// What ran on the GPUs and when, from NVIDIA's CUPTI, which is opened when a first trace starts.
#pragma once

#include <string>
#include <vector>

#include "norch/profiler.h"

namespace norch::cuda {

#if NORCH_WITH_CUDA
/// Starts to record kernels, copies and fills of all devices. Returns why it can't, empty when it records.
std::string start_trace();
/// Waits for the devices and returns what was recorded. Times are converted to the clock `now`; `event` is the number
/// of the innermost push_correlation around the launch.
std::vector<profiler::DeviceEvent> stop_trace(int64_t (*now)());
/// What this thread launches from here on belongs to event `id`, until the matching pop.
void push_correlation(uint64_t id) noexcept;
void pop_correlation() noexcept;
#else
inline std::string start_trace() { return "this build of norch has no CUDA"; }
inline std::vector<profiler::DeviceEvent> stop_trace(int64_t (*)()) { return {}; }
inline void push_correlation(uint64_t) noexcept {}
inline void pop_correlation() noexcept {}
#endif

}  // namespace norch::cuda
