// CUDA graphs from C++. tests_py/test_cuda_graphs.py has the rest.
#include "cuda_testing.h"

namespace norch::testing {
namespace {

class CudaGraphs : public CudaTest {
 protected:
  const TensorOptions gpu = TensorOptions(kFloat32).device(kCUDA);
};

TEST_F(CudaGraphs, AdamCountsItsStepsInReplays) {
  std::vector<Tensor> results;
  for (const bool graph : {false, true}) {
    const Tensor p = ones({1000}, gpu).requires_grad_(), x = arange(Scalar(0), Scalar(1000), Scalar(1), gpu);
    optim::Adam adam({p}, optim::AdamOptions().lr(0.01).capturable(true));
    auto step = [&] {
      adam.zero_grad();
      autograd::backward({sum(p * p * x)});
      adam.step();
    };
    cuda::StreamGuard side{cuda::Stream()};
    step();
    cuda::CUDAGraph g;
    if (graph) {
      g.capture_begin();
      step();
      g.capture_end();
    }
    for (int i = 0; i < 10; ++i) graph ? g.replay() : step();
    results.push_back(p.detach().cpu());
  }
  EXPECT_EQ(values(results[0]), values(results[1]));
}

TEST_F(CudaGraphs, AFailedCaptureLeavesEverythingAsItWas) {
  const Tensor x = ones({16}, gpu);
  cuda::synchronize();
  cuda::StreamGuard side{cuda::Stream()};
  cuda::CUDAGraph g;
  g.capture_begin();
  EXPECT_TRUE(cuda::is_current_stream_capturing());
  EXPECT_THROW(sum(x).item<float>(), Error);
  EXPECT_THROW(g.capture_end(), Error);
  EXPECT_FALSE(cuda::is_current_stream_capturing());
  EXPECT_EQ(sum(x).item<float>(), 16);
  g.capture_begin();
  const Tensor y = x + x;
  g.capture_end();
  g.replay();
  EXPECT_EQ(sum(y).item<float>(), 32);
}

}  // namespace
}  // namespace norch::testing
