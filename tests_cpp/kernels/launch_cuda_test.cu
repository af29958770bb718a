// Launches, their errors, index errors, and the loops with several inputs and outputs.
#include "cuda_testing.h"

#include "kernels/cuda/cublaslt.h"
#include "kernels/cuda/loops.cuh"

namespace norch::testing {
namespace {

using namespace norch::kernels::cuda;

class CudaLaunch : public CudaTest {
 protected:
  const TensorOptions gpu = TensorOptions(kFloat32).device(kCUDA);
};

__global__ void store_kernel(float* out, int64_t n, float value) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < n) out[i] = value;
}

__global__ void shared_kernel(float* out) {
  extern __shared__ float memory[];
  memory[threadIdx.x] = static_cast<float>(threadIdx.x);
  __syncthreads();
  out[threadIdx.x] = memory[blockDim.x - 1 - threadIdx.x];
}

__global__ void gather_kernel(float* out, const float* in, const int64_t* index, int64_t n, int64_t size,
                              IndexCheck check) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < n && check.valid(index[i], size, 1)) out[i] = in[index[i]];
}

TEST_F(CudaLaunch, ArgumentsAreConverted) {
  const Tensor x = zeros({100}, gpu);
  launch(store_kernel, blocks_for(100, 64), 64, 0, x.data<float>(), 99, 2);
  EXPECT_EQ(sum(x).item<float>(), 198.0f);
  launch(store_kernel, 0, 64, 0, x.data<float>(), 99, 7);  // no blocks: nothing happens
  EXPECT_EQ(sum(x).item<float>(), 198.0f);
}

TEST_F(CudaLaunch, ErrorsNameTheKernel) {
  const Tensor x = zeros({100}, gpu);
  try {
    launch(store_kernel, 1, 4096, 0, x.data<float>(), 1, 1);
    FAIL() << "4096 threads in a block";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("store_kernel"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("4096"), std::string::npos) << e.what();
  }
  EXPECT_THROW(launch(shared_kernel, 1, 32, size_t{1} << 30, x.data<float>()), Error);
  EXPECT_EQ(sum(x + 1).item<float>(), 100.0f);  // nothing is left of it
}

TEST_F(CudaLaunch, MuchSharedMemory) {
  const Tensor x = zeros({256}, gpu);
  launch(shared_kernel, 1, 256, size_t{100} << 10, x.data<float>());
  EXPECT_EQ(values(x)[0], 255);
}

TEST_F(CudaLaunch, FastDivision) {
  // Host arithmetic of the same formula, over awkward divisors and dividends.
  for (uint32_t d : {1u, 2u, 3u, 5u, 7u, 10u, 641u, 65535u, 65536u, 65537u, 1000003u, 0x3FFFFFFFu, 0x7FFFFFFFu}) {
    const FastDivider f(d);
    for (uint64_t n : {0ull, 1ull, 2ull, d - 1ull, d + 0ull, d + 1ull, 2ull * d - 1, 12345678ull, 0x7FFFFFFFull}) {
      if (n >= uint64_t{1} << 31) continue;
      const uint64_t high = (n * f.magic) >> 32;
      EXPECT_EQ(static_cast<uint32_t>(high + n) >> f.shift, n / d) << n << " / " << d;
    }
  }
}

TEST_F(CudaLaunch, IndexErrorsAreRaisedLaterAndOnce) {
  const Tensor in = numbers({50}, kFloat32).cuda(), out = zeros({1000}, gpu);
  Tensor index = zeros({1000}, TensorOptions(kInt64));
  index.data<int64_t>()[600] = 50;
  const Tensor bad = index.cuda(), good = zeros({1000}, TensorOptions(kInt64).device(kCUDA));
  auto gather = [&](const Tensor& i) {
    launch(gather_kernel, 4, 256, 0, out.data<float>(), in.data<float>(), i.data<int64_t>(), 1000, 50,
           index_check("gather"));
  };
  gather(bad);
  gather(bad);
  try {
    norch::cuda::synchronize();
    FAIL() << "the bad index was not reported";
  } catch (const IndexError& e) {
    EXPECT_EQ(std::string(e.what()).substr(0, 65), "gather: index 50 is out of bounds for dimension 1 with size 50 (f");
  }
  EXPECT_NO_THROW(norch::cuda::synchronize());
  gather(good);
  EXPECT_EQ(values(out)[999], values(in)[0]);  // the context lives
  gather(bad);
  EXPECT_THROW(sum(out).item<float>(), IndexError);
  EXPECT_NO_THROW(sum(out).item<float>());
  gather(bad);
  EXPECT_THROW(out.cpu(), IndexError);
}

struct Select {
  __device__ float operator()(bool c, float a, double b) const { return c ? a : static_cast<float>(b); }
};
struct Mix {
  __device__ float operator()(float a, int32_t b, float c, float d) const { return a * static_cast<float>(b) + c - d; }
};
struct SinCos {
  __device__ Two<float, double> operator()(float x) const { return {2 * x, 3.0 * x}; }
};

TEST_F(CudaLaunch, SeveralInputsAndOutputs) {
  for (int64_t n : {1, 5, 64, 1001, 100000}) {
    SCOPED_TRACE(str(n));
    const Tensor c = numbers({n}, kBool), a = numbers({n}, kFloat32, 2), b = numbers({n}, kFloat64, 3);
    const Tensor i = numbers({n}, kInt32, 4), h = numbers({n}, kFloat16, 5);
    Tensor out = empty({n}, gpu), second = empty({n}, TensorOptions(kFloat64).device(kCUDA));
    const Tensor cg = c.cuda(), ag = a.cuda(), bg = b.cuda(), ig = i.cuda(), hg = h.cuda();
    elementwise<float, bool, float, double>(make_plan({out}, {cg, ag, bg}), Select{});
    std::vector<double> got = values(out), cv = values(c), av = values(a), bv = values(b), iv = values(i), hv = values(h);
    for (size_t k = 0; k < got.size(); ++k) ASSERT_EQ(got[k], cv[k] != 0 ? av[k] : bv[k]);
    const Tensor one = full({}, 1.5).to(kFloat16);
    elementwise<float, Half, int32_t, Half, float>(make_plan({out}, {hg, ig, one, ag}), Mix{});
    got = values(out);
    for (size_t k = 0; k < got.size(); ++k) ASSERT_EQ(got[k], hv[k] * iv[k] + 1.5 - av[k]);
    elementwise2<float, double, float>(make_plan({out, second}, {ag}), SinCos{});
    got = values(out);
    const std::vector<double> other = values(second);
    for (size_t k = 0; k < got.size(); ++k) {
      ASSERT_EQ(got[k], 2 * av[k]);
      ASSERT_EQ(other[k], 3 * av[k]);
    }
  }
  // Strided outputs.
  const Tensor a = numbers({30, 40}, kFloat32).cuda();
  const Tensor x = empty({40, 30}, gpu), y = empty({30, 40}, TensorOptions(kFloat64).device(kCUDA));
  elementwise2<float, double, float>(make_plan({transpose(x, 0, 1), y}, {a}), SinCos{});
  expect_same(transpose(x, 0, 1), a.cpu() * 2);
  expect_same(y, (a.cpu() * 3).to(kFloat64));
}

TEST_F(CudaLaunch, CublasLtLoads) {
  EXPECT_GT(norch::cuda::cublaslt().get_version(), 0u);
  EXPECT_NE(norch::cuda::cublaslt_handle(), nullptr);
}

}  // namespace
}  // namespace norch::testing
