// Attention through cuDNN against the same in float32, step by step.
#include "cuda_testing.h"

#include "kernels/attention.h"
#include "kernels/cuda/cudnn.h"

namespace norch::testing {
namespace {

using kernels::AttentionTensor;
using kernels::FusedAttention;
using kernels::FusedAttentionGradients;

struct Case {
  const char* what;
  DType dtype;
  int64_t batch, heads, kv_heads, rows, columns, width, value_width;
  bool causal, packed;  // packed: q, k and v are parts of one tensor (batch, rows, 3, heads, width)
};

const std::vector<Case>& cases() {
  static const std::vector<Case> list{
      {"causal", kBFloat16, 8, 16, 16, 512, 512, 64, 64, true, false},
      {"full", kFloat16, 8, 16, 16, 512, 512, 64, 64, false, false},
      {"packed", kBFloat16, 8, 16, 16, 512, 512, 64, 64, true, true},
      {"wide", kFloat16, 4, 16, 16, 512, 512, 128, 128, true, false},
      {"more columns", kBFloat16, 8, 16, 16, 384, 640, 64, 64, true, false},
      {"more rows", kBFloat16, 8, 16, 16, 640, 384, 64, 64, true, false},
      {"groups", kBFloat16, 8, 16, 4, 512, 512, 64, 64, true, false},
      {"one group", kFloat16, 8, 16, 1, 512, 512, 64, 64, false, false},
      {"one of the batch", kBFloat16, 1, 32, 32, 1024, 1024, 64, 64, true, false},
      {"one head", kBFloat16, 32, 1, 1, 1024, 1024, 64, 64, true, false},
      {"values of another width", kBFloat16, 8, 16, 16, 512, 512, 64, 96, true, false},
      {"no power of two", kFloat16, 8, 16, 16, 512, 512, 72, 72, false, false},
  };
  return list;
}

AttentionTensor place(const Tensor& t) { return {t.data_ptr(), t.stride(0), t.stride(1), t.stride(2)}; }

/// (batch, heads, rows, columns) as layers make it: a view of (batch, rows, heads, columns).
Tensor make(DType t, int64_t batch, int64_t heads, int64_t rows, int64_t columns, bool random = true) {
  const TensorOptions on = TensorOptions(kFloat32).device(kCUDA);
  const Tensor a = random ? randn({batch, rows, heads, columns}, on) : zeros({batch, rows, heads, columns}, on);
  return transpose(a.to(t), 1, 2);
}

struct Call {
  explicit Call(const Case& c) {
    a.dtype = c.dtype;
    a.batch = c.batch;
    a.heads = c.heads;
    a.kv_heads = c.kv_heads;
    a.rows = c.rows;
    a.columns = c.columns;
    a.width = c.width;
    a.value_width = c.value_width;
    a.scale = 0.17;
    a.causal = c.causal;
    if (c.packed) {
      const Tensor all = randn({c.batch, c.rows, 3, c.heads, c.width}, TensorOptions(kFloat32).device(kCUDA)).to(c.dtype);
      q = transpose(select(all, 2, 0), 1, 2), k = transpose(select(all, 2, 1), 1, 2), v = transpose(select(all, 2, 2), 1, 2);
    } else {
      q = make(c.dtype, c.batch, c.heads, c.rows, c.width);
      k = make(c.dtype, c.batch, c.kv_heads, c.columns, c.width);
      v = make(c.dtype, c.batch, c.kv_heads, c.columns, c.value_width);
    }
    grad = make(c.dtype, c.batch, c.heads, c.rows, c.value_width);
    clear();
  }

  void clear() {
    out = zeros_like(grad);
    dq = make(a.dtype, a.batch, a.heads, a.rows, a.width, false);
    dk = make(a.dtype, a.batch, a.kv_heads, a.columns, a.width, false);
    dv = make(a.dtype, a.batch, a.kv_heads, a.columns, a.value_width, false);
    log_sums = zeros({a.batch, a.heads, a.rows}, TensorOptions(kFloat32).device(kCUDA));
    a.q = place(q), a.k = place(k), a.v = place(v), a.out = place(out);
    a.log_sums = static_cast<float*>(log_sums.data_ptr());
    to = {place(grad), place(dq), place(dk), place(dv)};
  }
  std::vector<Tensor> results() const { return {out.clone(), log_sums.clone(), dq.clone(), dk.clone(), dv.clone()}; }

  /// The same results, in float32.
  std::vector<Tensor> expected() const {
    const Tensor x = q.to(kFloat32).requires_grad_(), y = k.to(kFloat32).requires_grad_(), z = v.to(kFloat32).requires_grad_();
    const int64_t n = a.heads / a.kv_heads;
    Tensor s = matmul(x, transpose(repeat_interleave(y, n, 1), -2, -1)) * a.scale;
    if (a.causal) s = masked_fill(s, logical_not(tril(ones({a.rows, a.columns}, TensorOptions(kBool).device(kCUDA)))),
                                    Tensor::wrap(-INFINITY));
    const Tensor o = matmul(softmax(s, -1), repeat_interleave(z, n, 1));
    const std::vector<Tensor> g = autograd::grad({o}, {x, y, z}, {grad.to(kFloat32)});
    return {o.detach(), logsumexp(s.detach(), {-1}), g[0], g[1], g[2]};
  }

  FusedAttention a;
  FusedAttentionGradients to;
  Tensor q, k, v, grad, out, log_sums, dq, dk, dv;
};

const char* const kResults[] = {"out", "log_sums", "dq", "dk", "dv"};

class CudnnAttention : public CudaTest {
 protected:
  void SetUp() override {
    CudaTest::SetUp();
    if (IsSkipped()) return;
    if (!cuda::cudnn_available()) GTEST_SKIP() << "no cuDNN";
    manual_seed(1);
    Call call(cases()[0]);
    if (!cuda::cudnn_attention(call.a)) GTEST_SKIP() << "cuDNN " << cuda::cudnn_version() << " has no attention here, or NVRTC is missing";
  }
};

TEST_F(CudnnAttention, IsAttention) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.what);
    Call call(c);
    ASSERT_TRUE(cuda::cudnn_attention(call.a));
    kernels::fused_attention_backward(kCUDA, call.a, call.to);
    const std::vector<Tensor> got = call.results(), want = call.expected();
    for (size_t i = 0; i < got.size(); ++i) {
      const double off = amax(abs(got[i].to(kFloat32) - want[i])).item<double>(), most = amax(abs(want[i])).item<double>();
      EXPECT_LE(off, most * (c.dtype == kBFloat16 ? 1e-2 : 2e-3)) << kResults[i];
    }
    for (int repeat = 0; repeat < 3; ++repeat) {
      call.clear();
      ASSERT_TRUE(cuda::cudnn_attention(call.a));
      kernels::fused_attention_backward(kCUDA, call.a, call.to);
      const std::vector<Tensor> again = call.results();
      for (size_t i = 0; i < got.size(); ++i) EXPECT_TRUE(equal(again[i], got[i])) << kResults[i] << " of another run";
    }
  }
}

TEST_F(CudnnAttention, MayBeCapturedBeforeItEverRan) {
  Call call({"", kFloat16, 8, 16, 16, 768, 768, 64, 64, true, false});
  cuda::synchronize();
  cuda::StreamGuard side{cuda::Stream()};
  cuda::CUDAGraph graph;
  graph.capture_begin();
  ASSERT_TRUE(cuda::cudnn_attention(call.a));
  graph.capture_end();
  graph.replay();
  const std::vector<Tensor> replayed = call.results();
  call.clear();
  ASSERT_TRUE(cuda::cudnn_attention(call.a));
  const std::vector<Tensor> run = call.results();
  for (size_t i = 0; i < run.size(); ++i) EXPECT_TRUE(equal(run[i], replayed[i])) << kResults[i];
}

TEST_F(CudnnAttention, LeavesTheRestToTheCaller) {
  Call call(cases()[0]);
  {
    const cuda::WithoutCudnn without;
    EXPECT_FALSE(cuda::cudnn_attention(call.a));
  }
  FusedAttention dropping = call.a, uneven = call.a, small = call.a;
  dropping.dropout = 0.1;
  uneven.columns -= 8;
  small.batch = 1;
  for (const FusedAttention& a : {dropping, uneven, small}) EXPECT_FALSE(cuda::cudnn_attention(a));
}

}  // namespace
}  // namespace norch::testing
