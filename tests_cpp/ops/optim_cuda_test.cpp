// Optimizer steps on the GPU: what is different there. tests_py compares the results of every rule with the CPU's.
#include "norch/optim.h"

#include "cuda_testing.h"

namespace norch::optim {
namespace {

class OptimCuda : public testing::CudaTest {};

/// Four parameters after two steps, whose step counts lie where `on_gpu` says.
TensorList after_two_steps(const std::vector<bool>& on_gpu) {
  TensorList params, grads, exp_avgs, exp_avg_sqs, unused, steps;
  for (size_t i = 0; i < on_gpu.size(); ++i) {
    params.push_back(testing::numbers({static_cast<int64_t>(5 + i)}, kFloat32, static_cast<uint32_t>(i)).cuda());
    grads.push_back(ones_like(params[i]));
    steps.push_back(zeros({}, TensorOptions(kFloat32).device(on_gpu[i] ? Device(kCUDA) : Device(kCPU))));
  }
  for (int step = 0; step < 2; ++step) adam_step(params, grads, exp_avgs, exp_avg_sqs, unused, steps, AdamOptions());
  for (const Tensor& s : steps) EXPECT_EQ(s.item<float>(), 2.0f);
  return params;
}

TEST_F(OptimCuda, StepCountsMayLieOnBothDevices) {
  const TensorList all = after_two_steps({true, true, true, true});
  for (const std::vector<bool>& places :
       {std::vector<bool>{true, false, true, false}, std::vector<bool>{false, true, false, true}}) {
    const TensorList mixed = after_two_steps(places);
    for (size_t i = 0; i < all.size(); ++i) testing::expect_same(mixed[i], all[i].cpu());
  }
}

}  // namespace
}  // namespace norch::optim
