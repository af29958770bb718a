// Groups of threads, and the row kernels built on them, over rows of all lengths.
#include "cuda_testing.h"

#include "kernels/cuda/group.cuh"

namespace norch::testing {
namespace {

using namespace norch::kernels::cuda;

class CudaRows : public CudaTest {};

/// A run of threads, joined only with the run that follows it.
struct Run {
  int first, last, ordered;
};

__global__ void join_kernel(int* out, int size) {
  const Group group(size);
  auto join = [](const Run& a, const Run& b) {
    return Run{a.first, b.last, a.ordered && b.ordered && a.last + 1 == b.first};
  };
  const int me = static_cast<int>(threadIdx.x), first = me / size * size;
  bool right = group.rank == me - first && group.row() == blockIdx.x * (blockDim.x / size) + me / size;
  // One join after another uses the same shared memory.
  for (int round = 0; round < 3; ++round) {
    const int shift = round * 10000;
    const Run all = group.join(Run{me + shift, me + shift, 1}, join);
    right = right && all.ordered && all.first == first + shift && all.last == first + size - 1 + shift;
    right = right && group.sum(1.5f) == 1.5f * static_cast<float>(size);
    right = right && group.join(me % 7 == 3, [](bool a, bool b) { return a || b; }) == [&] {
      for (int i = first; i < first + size; ++i)
        if (i % 7 == 3) return true;
      return false;
    }();
  }
  out[blockIdx.x * blockDim.x + threadIdx.x] = right;
}

TEST_F(CudaRows, GroupsOfAllSizesJoinTheirOwnThreads) {
  for (int block = 32; block <= 1024; block *= 2) {
    for (int size = 1; size <= block; size *= 2) {
      const Tensor out = zeros({3, block}, TensorOptions(kInt32).device(kCUDA));
      launch(join_kernel, 3, block, 0, out.data<int>(), size);
      EXPECT_EQ(sum(out).item<int64_t>(), 3 * block) << "groups of " << size << " in blocks of " << block;
    }
  }
}

/// Every length up to 1100, then some between and around the sizes where kernels change.
std::vector<int64_t> lengths() {
  std::vector<int64_t> list;
  for (int64_t n = 1; n <= 1100; ++n) list.push_back(n);
  for (int64_t n = 1111; n <= 20000; n += 397) list.push_back(n);
  for (int64_t n = 2048; n <= 32768; n *= 2)
    for (int64_t by : {-8, -1, 0, 1, 8}) list.push_back(n + by);
  list.push_back(50257);
  return list;
}

class CudaRowsOf : public CudaRows, public ::testing::WithParamInterface<DType> {
 protected:
  static constexpr int64_t kRows = 5, kMost = 50257;
  void SetUp() override {
    CudaRows::SetUp();
    if (IsSkipped()) return;
    Ref<Generator> generator(new Generator(7));
    for (int k = 0; k < 2; ++k) {
      cpu_[k] = randn({kRows * kMost + 1}, {}, generator.get()).to(GetParam());
      gpu_[k] = cpu_[k].cuda();
    }
    weight_ = randn({kMost}, {}, generator.get()).to(GetParam());
    weight_gpu_ = weight_.cuda();
    tolerance_ = GetParam() == kFloat64 ? 1e-12 : GetParam() == kFloat32 ? 2e-5 : GetParam() == kFloat16 ? 2e-3 : 1.6e-2;
  }
  /// Rows of n elements, from the first element on or, not aligned, from the second.
  Tensor rows(const Tensor& t, int64_t n, bool aligned) { return as_strided(t, {kRows, n}, {n, 1}, aligned ? 0 : 1); }

  template <class F>
  void compare(const F& f) {
    for (const int64_t n : lengths()) {
      for (const bool aligned : {true, false}) {
        if (!aligned && n > 40 && n % 11) continue;
        SCOPED_TRACE(str("rows of ", n, aligned ? "" : ", not aligned"));
        const auto gpu = f(rows(gpu_[0], n, aligned), rows(gpu_[1], n, aligned), narrow(weight_gpu_, 0, 0, n));
        const auto cpu = f(rows(cpu_[0], n, aligned), rows(cpu_[1], n, aligned), narrow(weight_, 0, 0, n));
        for (size_t k = 0; k < cpu.size(); ++k) expect_same(gpu[k], cpu[k], tolerance_);
        if (HasFailure()) return;  // the first wrong length is enough
      }
    }
  }

  Tensor cpu_[2], gpu_[2], weight_, weight_gpu_;
  double tolerance_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Floats, CudaRowsOf, ::testing::Values(kFloat32, kBFloat16, kFloat16, kFloat64),
                         [](const auto& info) { return std::string(name(info.param)); });

TEST_P(CudaRowsOf, Reduce) {
  compare([](const Tensor& x, const Tensor&, const Tensor&) {
    return std::vector<Tensor>{mean(x, {1}), amax(x, {1}), argmax(x, 1), any(gt(x, Tensor::wrap(2.0)), {1})};
  });
}

TEST_P(CudaRowsOf, Softmax) {
  compare([](const Tensor& x, const Tensor& g, const Tensor&) {
    const Tensor y = softmax(x, 1), logs = log_softmax(x, 1);
    // The gradients from the same results: rounding of y to 16 bits would otherwise count twice.
    return std::vector<Tensor>{y, logs, softmax_backward(g, softmax(x, 1).to(x.dtype()), 1),
                               log_softmax_backward(g * 0.125, logs, 1)};
  });
}

TEST_P(CudaRowsOf, Norms) {
  compare([](const Tensor& x, const Tensor& g, const Tensor& w) {
    std::vector<Tensor> out;
    const Shape n{x.sizes()[1]};
    for (const bool rms : {false, true}) {
      const Tensor a = x.detach().requires_grad_(), b = w.detach().requires_grad_();
      const Tensor y = rms ? rms_norm(a, n, b, 0.1) : layer_norm(a, n, b, w, 0.1);
      out.push_back(y.detach());
      for (const Tensor& d : autograd::grad({y}, {a, b}, {g})) out.push_back(d);
      // Without a gradient for the weight.
      out.push_back(autograd::grad({rms ? rms_norm(a, n, w, 0.1) : layer_norm(a, n, w, {}, 0.1)}, {a}, {g})[0]);
    }
    return out;
  });
}

TEST_F(CudaRows, SoftmaxOfInfinitiesAndNan) {
  const double inf = INFINITY;
  for (const int64_t n : {3, 100, 1024, 5000, 40000}) {
    Tensor x = zeros({5, n});
    fill_(select(x, 0, 0), -inf);
    fill_(select(x, 0, 1), -inf);
    fill_(narrow(select(x, 0, 1), 0, n - 1, 1), 2);
    fill_(narrow(select(x, 0, 2), 0, n / 2, 1), inf);
    fill_(narrow(select(x, 0, 3), 0, n / 2, 1), NAN);
    fill_(narrow(select(x, 0, 4), 0, 0, n / 2), -inf);
    expect_same(softmax(x.cuda(), 1), softmax(x, 1), 1e-6);
    expect_same(log_softmax(x.cuda(), 1), log_softmax(x, 1), 1e-6);
  }
}

TEST_F(CudaRows, ManyRowsShareABlockAndAllAreWritten) {
  for (const int64_t n : {1, 3, 8, 33, 768, 1024, 1536, 4096}) {
    const int64_t rows = n > 1000 ? 601 : 4099;  // more than are worked on at once
    const Tensor x = randn({rows, n}), g = randn({rows, n}), w = randn({n});
    const Tensor a = x.cuda().requires_grad_(), b = w.cuda().requires_grad_();
    const Tensor c = x.detach().requires_grad_(), d = w.detach().requires_grad_();
    expect_same(softmax(a.detach(), 1), softmax(x, 1), 1e-5);
    const auto gpu = autograd::grad({layer_norm(a, {n}, b)}, {a, b}, {g.cuda()}), cpu = autograd::grad({layer_norm(c, {n}, d)}, {c, d}, {g});
    expect_same(gpu[0], cpu[0], 1e-4);
    expect_same(gpu[1], cpu[1], 2e-4);
  }
}

}  // namespace
}  // namespace norch::testing
