// Convolutions through cuDNN against norch's own kernels on the same GPU, and against the CPU.
#include "cuda_testing.h"

#include "kernels/cuda/cudnn.h"

namespace norch::testing {
namespace {

class CudaConv : public CudaTest, public ::testing::WithParamInterface<DType> {};

INSTANTIATE_TEST_SUITE_P(Floats, CudaConv, ::testing::Values(kFloat32, kBFloat16, kFloat16, kFloat64),
                         [](const auto& info) { return std::string(name(info.param)); });

struct Case {
  const char* what;
  Shape x, w;
  Shape stride, padding, dilation;
  int64_t groups;
  bool transposed;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> list{
      {"3x3", {4, 16, 14, 14}, {32, 16, 3, 3}, {1, 1}, {1, 1}, {1, 1}, 1, false},
      {"1x1", {2, 24, 9, 7}, {40, 24, 1, 1}, {1, 1}, {0, 0}, {1, 1}, 1, false},
      {"7x7 stride 2", {2, 3, 33, 31}, {16, 3, 7, 7}, {2, 2}, {3, 3}, {1, 1}, 1, false},
      {"dilated, uneven", {2, 8, 17, 20}, {8, 8, 3, 2}, {2, 3}, {2, 1}, {2, 3}, 1, false},
      {"groups", {2, 16, 10, 10}, {32, 4, 3, 3}, {1, 1}, {1, 1}, {1, 1}, 4, false},
      {"groups of 8 and 16 channels", {2, 16, 9, 10}, {32, 8, 3, 3}, {2, 1}, {1, 1}, {1, 1}, 2, false},
      {"many channels", {3, 72, 12, 10}, {136, 72, 3, 3}, {1, 1}, {1, 1}, {1, 1}, 1, false},
      {"depthwise", {2, 16, 12, 12}, {16, 1, 3, 3}, {1, 1}, {1, 1}, {1, 1}, 16, false},
      {"1d", {3, 8, 50}, {12, 8, 5}, {2}, {2}, {1}, 1, false},
      {"3d", {2, 4, 6, 7, 8}, {8, 4, 3, 3, 3}, {1, 2, 1}, {1, 1, 0}, {1, 1, 2}, 1, false},
      {"3d, groups, dilated", {2, 4, 22, 22, 19}, {2, 2, 4, 5, 6}, {3, 2, 1}, {1, 2, 3}, {4, 4, 4}, 2, false},
      {"input left over", {2, 4, 10, 11}, {4, 4, 2, 2}, {3, 3}, {0, 0}, {1, 1}, 1, false},
      {"transposed", {2, 16, 7, 8}, {16, 8, 3, 3}, {2, 2}, {1, 1}, {1, 1}, 1, true},
      {"transposed groups 1d", {2, 8, 20}, {8, 3, 4}, {3}, {1}, {2}, 2, true},
      {"few channels", {24, 3, 130, 122}, {64, 3, 7, 7}, {2, 2}, {3, 3}, {1, 1}, 1, false},
      {"patches", {48, 3, 160, 160}, {96, 3, 16, 16}, {16, 16}, {0, 0}, {1, 1}, 1, false},
      {"few channels 1d", {32, 2, 30000}, {64, 2, 9}, {4}, {2}, {1}, 1, false},
      {"one element", {1, 1, 1, 1}, {1, 1, 1, 1}, {1, 1}, {0, 0}, {1, 1}, 1, false},
  };
  return list;
}

std::vector<Tensor> run(const Case& c, const Tensor& x, const Tensor& w, const Tensor& bias) {
  const Tensor a = x.detach().requires_grad_(), b = w.detach().requires_grad_(), d = bias.detach().requires_grad_();
  const size_t dims = c.stride.size();
  Tensor y;
  if (c.transposed)
    y = dims == 1 ? conv_transpose1d(a, b, d, c.stride, c.padding, {0}, c.groups, c.dilation)
                  : conv_transpose2d(a, b, d, c.stride, c.padding, {0}, c.groups, c.dilation);
  else
    y = dims == 1   ? conv1d(a, b, d, c.stride, c.padding, c.dilation, c.groups)
        : dims == 2 ? conv2d(a, b, d, c.stride, c.padding, c.dilation, c.groups)
                    : conv3d(a, b, d, c.stride, c.padding, c.dilation, c.groups);
  std::vector<Tensor> out{y.detach()};
  for (const Tensor& g : autograd::grad({y}, {a, b, d}, {numbers(y.sizes(), y.dtype(), 9).to(y.device())})) out.push_back(g);
  return out;
}

/// expect_same for sums of many products: the tolerance is relative to their usual size, for cuDNN may round the sums of parts
/// to the dtype, or (Winograd) sum differences of products, and a small sum then has the error of a large one.
void expect_sums(const Tensor& gpu, const Tensor& cpu, double tolerance) {
  double squares = 0;
  for (const double v : values(cpu)) squares += v * v;
  const double scale = 1 + std::sqrt(squares / static_cast<double>(cpu.numel()));
  // expect_same adds 1 to the size of an element.
  expect_same(gpu.to(kFloat64) / scale, cpu.to(kFloat64) / scale, tolerance);
}

TEST_P(CudaConv, SameAsTheOwnKernelsAndTheCpu) {
  if (!cuda::cudnn_available()) GTEST_SKIP() << "no cuDNN";
  const DType t = GetParam();
  const double tolerance = t == kFloat64 ? 1e-12 : t == kFloat32 ? 1e-4 : t == kFloat16 ? 2e-3 : 1.6e-2;
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.what);
    const int64_t channels = c.transposed ? c.w[1] * c.groups : c.w[0];
    const Tensor x = numbers(c.x, t, 1), w = numbers(c.w, t, 2) * 0.25, bias = numbers({channels}, t, 3);
    const Tensor xg = x.cuda(), wg = w.cuda(), bg = bias.cuda();
    const std::vector<Tensor> cpu = run(c, x, w, bias), gpu = run(c, xg, wg, bg), again = run(c, xg, wg, bg);
    const Tensor last = xg.dim() == 4 ? xg.contiguous(MemoryFormat::channels_last) : xg;
    const std::vector<Tensor> gpu_last = run(c, last, wg, bg);
    std::vector<Tensor> own, own_last;
    {
      const cuda::WithoutCudnn without;
      own = run(c, xg, wg, bg);
      own_last = run(c, last, wg, bg);
    }
    for (size_t k = 0; k < cpu.size(); ++k) {
      SCOPED_TRACE(str("result ", k));
      const std::pair<const char*, const std::vector<Tensor>*> all[] = {{"own kernels", &own},
                                                                        {"own kernels, channels-last", &own_last},
                                                                        {"cuDNN", &gpu},
                                                                        {"cuDNN, channels-last", &gpu_last}};
      for (const auto& [how, results] : all) {
        SCOPED_TRACE(how);
        expect_sums((*results)[k], cpu[k], tolerance);
      }
      expect_same(again[k], gpu[k].cpu());  // the same bits
    }
  }
}

TEST_F(CudaTest, CudnnIsFound) {
  if (!cuda::cudnn_available()) GTEST_SKIP() << "no cuDNN";
  EXPECT_GE(cuda::cudnn_version(), 80000u);
  Tensor x, w, y;
  kernels::Conv c;
  c.n = 8;
  c.c_in = c.c_out = 64;
  for (int d : {1, 2}) {
    c.in[d] = c.out[d] = 28;
    c.kernel[d] = 3;
    c.pad[d] = 1;
  }
  // The common case must have a plan, in every dtype and for all three results.
  for (const DType t : {kFloat32, kBFloat16, kFloat16, kFloat64}) {
    const TensorOptions on(TensorOptions(t).device(kCUDA));
    x = zeros({8, 64, 28, 28}, on), w = zeros({64, 64, 3, 3}, on), y = zeros({8, 64, 28, 28}, on);
    for (const auto result : {cuda::ConvResult::y, cuda::ConvResult::x, cuda::ConvResult::w})
      EXPECT_TRUE(cuda::cudnn_convolve(result, c, t, x.data_ptr(), w.data_ptr(), y.data_ptr()))
          << name(t) << ", result " << static_cast<int>(result);
  }
}

}  // namespace
}  // namespace norch::testing
