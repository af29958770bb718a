// The tests of kernels for GPUs of compute capability 9.0 (*_sm90a.cu).
#pragma once

#include "cuda_testing.h"

#include "kernels/cuda/sm90a.h"

namespace norch::testing {

/// Skips itself where the device does not run those kernels.
class Sm90aTest : public CudaTest {
 protected:
  void SetUp() override {
    CudaTest::SetUp();
    if (IsSkipped()) return;
    if (!kernels::cuda::has_sm90a()) GTEST_SKIP() << "not a GPU of compute capability 9.0, or not built for one";
    manual_seed(1);
  }
};

}  // namespace norch::testing
