// What the rest of the library asks about a capture under way.
//
// A capture belongs to the thread that began it: what this thread does until the end either becomes part of the graph
// or raises. Other threads go on as always.
#pragma once

#include <cuda_runtime.h>

#include <memory>

#include "norch/generator.h"

namespace norch::cuda {

struct Arena;

/// Whether this thread is capturing.
bool capturing() noexcept;
/// The arena of this thread's capture if that is on `device`, otherwise null.
const std::shared_ptr<Arena>& capture_arena(int device) noexcept;
/// Raises while this thread captures: `what` cannot be part of a graph.
void refuse_in_capture(const char* what);

/// Lets this thread make calls in its scope that a capture forbids, such as getting memory.
class RelaxedCapture {
 public:
  RelaxedCapture() { swap(); }
  ~RelaxedCapture() { swap(); }

 private:
  void swap() noexcept {
    if (cudaThreadExchangeStreamCaptureMode(&mode_) != cudaSuccess) cudaGetLastError();
  }
  cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
};

/// The numbers of a draw as kernels take them: those of a captured draw lie in device memory, where each replay puts
/// the generator's seed and the number of its first draw.
struct DeviceDraw {
  uint64_t seed, draw;
  const uint64_t* replay;
#if defined(__CUDACC__)
  __device__ PhiloxState state() const {
    return replay ? PhiloxState{replay[0], replay[1] + draw} : PhiloxState{seed, draw};
  }
#endif
};
DeviceDraw device_draw(const PhiloxState& state);

}  // namespace norch::cuda
