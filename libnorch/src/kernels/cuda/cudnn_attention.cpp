// Attention through cuDNN. The graph is attention as one would write it down, node by node; cuDNN finds its flash
// attention in it (one kernel that never stores the scores), and has a plan for no other shape of graph: the order of the
// nodes, the types between them and even the multiplication by one are part of what it looks for. They are those of
// NVIDIA's cudnn-frontend (scaled_dot_product_flash_attention.h).
#include "kernels/attention.h"

#if NORCH_HAVE_CUDNN_H

#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/cuda/byte_key.h"
#include "kernels/cuda/cublaslt.h"
#include "kernels/cuda/cudnn_op_graph.h"
#include "kernels/cuda/library_files.h"

namespace norch::cuda {

namespace {

using kernels::AttentionTensor;
using kernels::FusedAttention;
using kernels::FusedAttentionGradients;
using Operand = CudnnGraph::Tensor;

/// The tensors that a run gives addresses for. Those between two nodes are numbered from kBetween.
enum Id : int64_t { kQ = 1, kK, kV, kOut, kLogSums, kGrad, kGradQ, kGradK, kGradV, kDots, kScale, kNever, kOne, kBetween };

Dims4 strides_of(const AttentionTensor& t) { return {t.batch, t.head, t.row, 1}; }

/// q k^T * scale, where causal with -inf in place of what a row must not see.
Operand scores(CudnnGraph& g, const FusedAttention& a, const Operand& q, const Operand& k_transposed,
               const Operand& scale) {
  const Dims4 sizes = {a.batch, a.heads, a.rows, a.columns};
  const Operand product = g.between(CUDNN_DATA_FLOAT, sizes);
  g.matmul(q, k_transposed, product);
  const Operand scaled = g.pointwise(CUDNN_POINTWISE_MUL, {product, scale});
  if (!a.causal) return scaled;
  const Operand row = g.between(CUDNN_DATA_INT32, sizes), column = g.between(CUDNN_DATA_INT32, sizes),
                seen = g.between(CUDNN_DATA_BOOLEAN, sizes);
  g.pointwise(CUDNN_POINTWISE_GEN_INDEX, {scaled}, row, CUDNN_DATA_FLOAT, 2);
  g.pointwise(CUDNN_POINTWISE_GEN_INDEX, {scaled}, column, CUDNN_DATA_FLOAT, 3);
  g.pointwise(CUDNN_POINTWISE_CMP_GE, {row, column}, seen, CUDNN_DATA_BOOLEAN);
  return g.pointwise(CUDNN_POINTWISE_BINARY_SELECT, {scaled, g.number(kNever), seen});
}

void forward_graph(CudnnGraph& g, const FusedAttention& a) {
  const cudnnDataType_t type = cudnn_data_type(a.dtype);
  const Dims4 per_score = {a.batch, a.heads, a.rows, a.columns}, per_row = {a.batch, a.heads, a.rows, 1};
  const Operand q = g.stored(kQ, type, {a.batch, a.heads, a.rows, a.width}, strides_of(a.q));
  const Operand k_transposed =
      g.stored(kK, type, {a.batch, a.kv_heads, a.width, a.columns}, transposed(strides_of(a.k)));
  const Operand v = g.stored(kV, type, {a.batch, a.kv_heads, a.columns, a.value_width}, strides_of(a.v));
  const Operand out = g.stored(kOut, type, {a.batch, a.heads, a.rows, a.value_width}, strides_of(a.out));

  const Operand score = scores(g, a, q, k_transposed, g.number(kScale));
  const Operand most = g.between(CUDNN_DATA_FLOAT, per_row), sum = g.between(CUDNN_DATA_FLOAT, per_row);
  g.reduce(CUDNN_REDUCE_TENSOR_MAX, score, most);
  const Operand power = g.pointwise(CUDNN_POINTWISE_EXP, {g.pointwise(CUDNN_POINTWISE_SUB, {score, most})});
  g.reduce(CUDNN_REDUCE_TENSOR_ADD, power, sum);
  const Operand log_sums = g.stored(kLogSums, CUDNN_DATA_FLOAT, per_row, packed(per_row));
  g.pointwise(CUDNN_POINTWISE_ADD, {most, g.pointwise(CUDNN_POINTWISE_LOG, {sum})}, log_sums);
  const Operand weight = g.between(type, per_score);
  g.pointwise(CUDNN_POINTWISE_DIV, {power, sum}, weight);
  g.matmul(weight, v, out);
}

/// With p the weights, dP = dOut v^T and dS = p * (dP - rowsum(dOut * out)) * scale: dV = p^T dOut, dK = dS^T q, dQ = dS k.
void backward_graph(CudnnGraph& g, const FusedAttention& a, const FusedAttentionGradients& to) {
  const cudnnDataType_t type = cudnn_data_type(a.dtype);
  const Dims4 q_sizes = {a.batch, a.heads, a.rows, a.width}, out_sizes = {a.batch, a.heads, a.rows, a.value_width},
             k_sizes = {a.batch, a.kv_heads, a.columns, a.width}, v_sizes = {a.batch, a.kv_heads, a.columns, a.value_width},
             per_score = {a.batch, a.heads, a.rows, a.columns}, per_row = {a.batch, a.heads, a.rows, 1};
  const Operand q = g.stored(kQ, type, q_sizes, strides_of(a.q));
  const Operand k_transposed = g.stored(kK, type, transposed(k_sizes), transposed(strides_of(a.k)));
  const Operand v_transposed = g.stored(kV, type, transposed(v_sizes), transposed(strides_of(a.v)));
  const Operand out = g.stored(kOut, type, out_sizes, strides_of(a.out));
  const Operand grad = g.stored(kGrad, type, out_sizes, strides_of(to.out));
  const Operand log_sums = g.stored(kLogSums, CUDNN_DATA_FLOAT, per_row, packed(per_row));
  const Operand grad_q = g.stored(kGradQ, type, q_sizes, strides_of(to.q));
  const Operand grad_k = g.stored(kGradK, type, k_sizes, strides_of(to.k));
  const Operand grad_v = g.stored(kGradV, type, v_sizes, strides_of(to.v));
  const Operand scale = g.number(kScale);

  const Operand dot = g.between(CUDNN_DATA_FLOAT, per_row);
  const Operand dots = g.stored(kDots, CUDNN_DATA_FLOAT, per_row, packed(per_row));
  g.reduce(CUDNN_REDUCE_TENSOR_ADD, g.pointwise(CUDNN_POINTWISE_MUL, {grad, out}), dot);
  g.pointwise(CUDNN_POINTWISE_MUL, {dot, g.number(kOne)}, dots);

  const Operand score = scores(g, a, q, k_transposed, scale);
  const Operand p = g.pointwise(CUDNN_POINTWISE_EXP, {g.pointwise(CUDNN_POINTWISE_SUB, {score, log_sums})});

  /// out = x^T y, summed over the heads that share one of `out`.
  const auto transposed_matmul = [&](const Operand& x, const Operand& y, const Operand& result) {
    const Operand t = g.between(type, transposed(per_score), transposed(packed(per_score)));
    g.view(x, t);
    if (a.heads == a.kv_heads) return g.matmul(t, y, result);
    const Operand every = g.between(type, {a.batch, a.heads, a.columns, y.sizes[3]});
    g.matmul(t, y, every);
    g.reduce(CUDNN_REDUCE_TENSOR_ADD, every, result);
  };
  transposed_matmul(p, grad, grad_v);
  const Operand grad_p = g.between(CUDNN_DATA_FLOAT, per_score);
  g.matmul(grad, v_transposed, grad_p);
  const Operand less = g.pointwise(CUDNN_POINTWISE_SUB, {grad_p, dots});
  const Operand grad_s = g.pointwise(CUDNN_POINTWISE_MUL, {g.pointwise(CUDNN_POINTWISE_MUL, {less, p}), scale});
  transposed_matmul(grad_s, q, grad_k);
  const Operand k = g.between(type, k_sizes, strides_of(a.k));
  g.view(k_transposed, k);
  g.matmul(grad_s, k, grad_q);
}

/// All that a plan depends on: a key of a ByteMap.
struct Key {
  int64_t batch, heads, kv_heads, rows, columns, width, value_width;
  Dims4 strides[8];  // of q, k, v, out and, backward, of the four gradients
  int32_t dtype, causal, backward, device;
};

/// The forward pass, or with `to` the backward one.
struct Task {
  FusedAttention a;
  std::optional<FusedAttentionGradients> to;
};

Key key_of(const Task& task, int device) {
  const FusedAttention& a = task.a;
  Key key;
  std::memset(static_cast<void*>(&key), 0, sizeof key);
  key.batch = a.batch;
  key.heads = a.heads;
  key.kv_heads = a.kv_heads;
  key.rows = a.rows;
  key.columns = a.columns;
  key.width = a.width;
  key.value_width = a.value_width;
  size_t i = 0;
  for (const AttentionTensor* t : {&a.q, &a.k, &a.v, &a.out}) key.strides[i++] = strides_of(*t);
  if (task.to)
    for (const AttentionTensor* t : {&task.to->out, &task.to->q, &task.to->k, &task.to->v})
      key.strides[i++] = strides_of(*t);
  key.dtype = static_cast<int32_t>(a.dtype);
  key.causal = a.causal;
  key.backward = task.to.has_value();
  key.device = device;
  return key;
}

CudnnPlan make_plan(const Task& task, cudnnHandle_t handle) {
  CudnnGraph g(kBetween);
  if (task.to) {
    backward_graph(g, task.a, *task.to);
  } else {
    forward_graph(g, task.a);
  }
  const std::optional<Descriptor> graph = g.finish(handle);
  if (!graph) return {};
  return cudnn_plan(*graph, handle,
                    [](const EngineNotes& notes) { return !notes.has(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC); });
}

constexpr size_t kMostPlans = 256;

const CudnnPlan& plan_of(const Task& task, int device, cudnnHandle_t handle) {
  // Never freed: at exit the library may be gone before this thread's storage.
  static thread_local auto* all = new norch::cuda::ByteMap<Key, CudnnPlan>;
  const Key key = key_of(task, device);
  const auto found = all->find(key);
  if (found != all->end()) return found->second;
  if (all->size() >= kMostPlans) all->clear();
  return all->emplace(key, make_plan(task, handle)).first->second;
}

bool run(Task task) {
  FusedAttention& a = task.a;
  const int device = current_device();
  const cudnnHandle_t handle = cudnn_handle(device);
  if (!handle) return false;
  const auto tidy = [&](AttentionTensor& t, int64_t heads, int64_t rows) {
    // The stride of a dim of one element says nothing. This is one that plans can share and cuDNN takes.
    if (heads == 1) t.head = t.row * rows;
    if (a.batch == 1) t.batch = std::max(t.head * heads, t.row * rows);
    return t.batch > 0 && t.head > 0 && t.row > 0;
  };
  if (!tidy(a.q, a.heads, a.rows) || !tidy(a.k, a.kv_heads, a.columns) || !tidy(a.v, a.kv_heads, a.columns) ||
      !tidy(a.out, a.heads, a.rows))
    return false;
  float scale = static_cast<float>(a.scale), one = 1;
  // Before 9.10, the least number stood for -inf.
  using Limits = std::numeric_limits<float>;
  float never = cudnn()->get_version() < 91000 ? Limits::lowest() : -Limits::infinity();
  std::vector<int64_t> ids{kQ, kK, kV, kOut, kLogSums, kScale};
  std::vector<void*> pointers{a.q.data, a.k.data, a.v.data, a.out.data, a.log_sums, &scale};
  const auto pass = [&](Id id, void* pointer) {
    ids.push_back(id);
    pointers.push_back(pointer);
  };
  if (a.causal) pass(kNever, &never);
  std::optional<Workspace> dots;
  if (task.to) {
    FusedAttentionGradients& to = *task.to;
    if (!tidy(to.out, a.heads, a.rows) || !tidy(to.q, a.heads, a.rows) || !tidy(to.k, a.kv_heads, a.columns) ||
        !tidy(to.v, a.kv_heads, a.columns))
      return false;
    try {
      dots.emplace(static_cast<size_t>(a.batch * a.heads * a.rows) * sizeof(float));
    } catch (const OutOfMemoryError&) {
      return false;
    }
    pass(kGrad, to.out.data);
    pass(kGradQ, to.q.data);
    pass(kGradK, to.k.data);
    pass(kGradV, to.v.data);
    pass(kDots, dots->data());
    pass(kOne, &one);
  }
  const CudnnPlan& plan = plan_of(task, device, handle);
  return plan.plan && cudnn_run(plan, handle, static_cast<int64_t>(ids.size()), ids.data(), pointers.data());
}

/// Whether cuDNN should do it. Of its geometry alone, so that the same call always gives the same bits. A plan takes half a
/// second, since cuDNN compiles a kernel for it. Lengths that are multiples of 128 are those of models of one length;
/// where every batch has another, most are not. Nor do the tails of other lengths come out right in every release.
bool worthwhile(const FusedAttention& a) {
  constexpr int64_t kMultiple = 128;
  constexpr double kLeastWork = 8e9;  // operations: about 20 us
  const double work = 4.0 * static_cast<double>(a.batch * a.heads * a.width) * static_cast<double>(a.rows * a.columns);
  return !a.mask.data && a.dropout <= 0 && a.rows % kMultiple == 0 && a.columns % kMultiple == 0 && work >= kLeastWork;
}

/// Whether cuDNN will find the compiler that it needs: it looks for NVRTC by name alone, and so does NVRTC for its other
/// half. From here on both names are those of libraries in the process.
bool load_compiler() {
  try {
    const Library nvrtc(library_files::nvrtc);
    int (*version)(int* major, int* minor) = nullptr;
    nvrtc.find(version, "nvrtcVersion");
    int major = 0, minor = 0;
    if (version(&major, &minor) != 0) return false;
    const std::string file = str("libnvrtc-builtins.so.", major, ".", minor);
    const Library builtins({"NVRTC", file.c_str(), library_files::nvrtc.package, nullptr});
    return true;
  } catch (const Error&) {
    return false;
  }
}

bool usable() {
  const size_t version = cudnn_version();
  if (version < 90000 || version == 91000 || version == 91001) return false;  // the last two compute wrong results
  static const bool compiler = load_compiler();
  return compiler;
}

/// Whether cuDNN's plan for backward_graph is one without atomic additions of floats.
bool fixed_order(int device) {
  int major = 0;
  if (cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) != cudaSuccess) return false;
  return major == 8 || major == 9;
}

constexpr int64_t kSize = 2;  // of an element

AttentionTensor from(AttentionTensor t, int64_t batch, int64_t head) {
  t.data = static_cast<char*>(t.data) + (batch * t.batch + head * t.head) * kSize;
  return t;
}

int64_t largest_divisor(int64_t n, int64_t most) {
  int64_t d = std::min(n, most);
  while (n % d != 0) --d;
  return d;
}

}  // namespace

bool cudnn_attention(const FusedAttention& a) { return worthwhile(a) && usable() && run({a, {}}); }

bool cudnn_attention_backward(const FusedAttention& a, const FusedAttentionGradients& to) {
  // Beyond this length the own kernel is the faster one for narrow heads. On an H200, causal, 64 wide: 0.70 ms against
  // cuDNN's 0.62 for 32 x 12 heads of 1024 rows, 5.3 against 6.3 for 16 x 16 of 4096; 128 wide 11.0 against 7.9.
  constexpr int64_t kNarrow = 64, kLongestNarrow = 1024;
  if (std::max(a.width, a.value_width) <= kNarrow && a.rows * a.columns > kLongestNarrow * kLongestNarrow) return false;
  if (!worthwhile(a) || !usable() || !fixed_order(current_device())) return false;
  // The plan that adds in a fixed order stores dS, so it takes a part of the batch, or of the heads, at a time.
  constexpr int64_t kMostStored = int64_t{512} << 20;
  const int64_t per_head = a.rows * a.columns * kSize, group = a.heads / a.kv_heads;
  if (per_head * group > kMostStored) return false;
  const int64_t heads = per_head * a.heads <= kMostStored
                            ? a.heads
                            : group * largest_divisor(a.kv_heads, kMostStored / (per_head * group));
  const int64_t batch = heads < a.heads ? 1 : largest_divisor(a.batch, kMostStored / (per_head * heads));
  for (int64_t b = 0; b < a.batch; b += batch) {
    for (int64_t h = 0; h < a.heads; h += heads) {
      const int64_t kv = h / group;
      FusedAttention part = a;
      part.batch = batch;
      part.heads = heads;
      part.kv_heads = heads / group;
      part.q = from(a.q, b, h);
      part.k = from(a.k, b, kv);
      part.v = from(a.v, b, kv);
      part.out = from(a.out, b, h);
      part.log_sums = a.log_sums + (b * a.heads + h) * a.rows;
      if (!run({part, FusedAttentionGradients{from(to.out, b, h), from(to.q, b, h), from(to.k, b, kv), from(to.v, b, kv)}}))
        return false;
    }
  }
  return true;
}

}  // namespace norch::cuda

#else

namespace norch::cuda {

bool cudnn_attention(const kernels::FusedAttention&) { return false; }
bool cudnn_attention_backward(const kernels::FusedAttention&, const kernels::FusedAttentionGradients&) { return false; }

}  // namespace norch::cuda

#endif
