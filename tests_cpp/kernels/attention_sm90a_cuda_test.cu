// Attention's gradients by the two kernels that a GPU of compute capability 9.0 has, one of which is every other GPU's.
#include "kernels/sm90a_testing.h"

#include "kernels/cuda/attention_backward.cuh"

namespace norch::testing {
namespace {

using kernels::AttentionTensor;
using kernels::FusedAttention;
using kernels::FusedAttentionGradients;
namespace own = kernels::cuda;

struct Case {
  const char* what;
  int64_t batch, heads, kv_heads, rows, columns, width, value_width;
  bool causal;
};

const Case kCases[] = {
    {"one block", 1, 1, 1, 128, 128, 64, 64, false},
    {"causal", 2, 3, 3, 512, 512, 64, 64, true},
    {"causal, wide", 2, 3, 3, 512, 512, 128, 128, true},
    {"causal, wide, the last keys first", 22, 30, 30, 1024, 1024, 128, 128, true},
    {"groups, odd lengths", 2, 4, 2, 333, 777, 64, 64, false},
    {"one group, odd lengths, wide", 2, 4, 1, 999, 999, 128, 128, true},
    {"keys that no row sees", 1, 2, 2, 300, 1111, 64, 64, true},
    {"odd widths", 1, 2, 2, 1111, 300, 40, 24, true},
    {"values wider than keys", 1, 2, 2, 257, 385, 56, 104, false},
    {"one row", 3, 2, 2, 1, 500, 128, 128, false},
};

Tensor make(int64_t batch, int64_t heads, int64_t rows, int64_t columns) {
  return randn({batch, heads, rows, columns}, TensorOptions(kFloat32).device(kCUDA)).to(kBFloat16);
}

AttentionTensor place(const Tensor& t) { return {t.data_ptr(), t.stride(0), t.stride(1), t.stride(2)}; }

class AttentionSm90a : public Sm90aTest {};

TEST_F(AttentionSm90a, GivesTheGradientsOfTheOtherKernel) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.what);
    const Tensor q = make(c.batch, c.heads, c.rows, c.width), k = make(c.batch, c.kv_heads, c.columns, c.width),
                 v = make(c.batch, c.kv_heads, c.columns, c.value_width), grad = make(c.batch, c.heads, c.rows, c.value_width),
                 out = zeros_like(grad),
                 log_sums = zeros({c.batch, c.heads, c.rows}, TensorOptions(kFloat32).device(kCUDA));
    FusedAttention a;
    a.dtype = DType::BFloat16;
    a.batch = c.batch, a.heads = c.heads, a.kv_heads = c.kv_heads, a.rows = c.rows, a.columns = c.columns;
    a.width = c.width, a.value_width = c.value_width, a.scale = 0.17, a.causal = c.causal;
    a.q = place(q), a.k = place(k), a.v = place(v), a.out = place(out);
    a.log_sums = static_cast<float*>(log_sums.data_ptr());
    own::fused_attention(a);

    const auto gradients = [&](const auto& run) {
      const std::vector<Tensor> to{full_like(q, NAN), full_like(k, NAN), full_like(v, NAN)};
      run(FusedAttentionGradients{place(grad), place(to[0]), place(to[1]), place(to[2])});
      return to;
    };
    const std::vector<Tensor> want = gradients([&](const FusedAttentionGradients& to) {
      using Narrow = own::BackwardShape<64, 2, 32, 4, 2>;
      using Wide = own::BackwardShape<128, 1, 64, 8, 1>;
      if (std::max(c.width, c.value_width) <= 64)
        own::launch_attention_backward<BFloat16, Narrow>(own::attention_backward_kernel<BFloat16, Narrow, false>, a, to);
      else
        own::launch_attention_backward<BFloat16, Wide>(own::attention_backward_kernel<BFloat16, Wide, false>, a, to);
    });
    const auto run = [&](const FusedAttentionGradients& to) { own::attention_backward_sm90a(a, to); };
    const std::vector<Tensor> got = gradients(run), again = gradients(run);
    for (size_t i = 0; i < 3; ++i) {
      const double off = amax(abs(got[i] - want[i]).to(kFloat32)).item<double>();
      EXPECT_LE(off, 1e-2 * amax(abs(want[i]).to(kFloat32)).item<double>()) << "dq, dk, dv: " << i;
      EXPECT_TRUE(equal(got[i], again[i])) << "another run's dq, dk, dv: " << i;
    }
  }
}

}  // namespace
}  // namespace norch::testing
