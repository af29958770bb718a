// Attention's forward pass through cuDNN; going backward, its plans either add up dQ with atomic operations or store dS,
// which takes longer than norch's own kernels. The graph is attention as one would write it down, node by node; cuDNN finds
// its flash attention in it (one kernel that never stores the scores), and has a plan for no other shape of graph: the order
// of the nodes and the types between them are part of what it looks for. They are those of NVIDIA's cudnn-frontend
// (scaled_dot_product_flash_attention.h).
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
using Operand = CudnnGraph::Tensor;

/// The tensors that a run gives addresses for. Those between two nodes are numbered from kBetween.
enum Id : int64_t { kQ = 1, kK, kV, kOut, kLogSums, kScale, kNever, kBetween };

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

void attention_graph(CudnnGraph& g, const FusedAttention& a) {
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

/// All that a plan depends on: a key of a ByteMap.
struct Key {
  int64_t batch, heads, kv_heads, rows, columns, width, value_width;
  Dims4 strides[4];  // of q, k, v, out
  int32_t dtype, causal, device, unused;
};

Key key_of(const FusedAttention& a, int device) {
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
  key.dtype = static_cast<int32_t>(a.dtype);
  key.causal = a.causal;
  key.device = device;
  return key;
}

CudnnPlan make_plan(const FusedAttention& a, cudnnHandle_t handle) {
  CudnnGraph g(kBetween);
  attention_graph(g, a);
  const std::optional<Descriptor> graph = g.finish(handle);
  if (!graph) return {};
  return cudnn_plan(*graph, handle,
                    [](const EngineNotes& notes) { return !notes.has(CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC); });
}

constexpr size_t kMostPlans = 256;

const CudnnPlan& plan_of(const FusedAttention& a, int device, cudnnHandle_t handle) {
  // Never freed: at exit the library may be gone before this thread's storage.
  static thread_local auto* all = new norch::cuda::ByteMap<Key, CudnnPlan>;
  const Key key = key_of(a, device);
  const auto found = all->find(key);
  if (found != all->end()) return found->second;
  if (all->size() >= kMostPlans) all->clear();
  return all->emplace(key, make_plan(a, handle)).first->second;
}

bool run(FusedAttention a) {
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
  float scale = static_cast<float>(a.scale);
  // Before 9.10, the least number stood for -inf.
  using Limits = std::numeric_limits<float>;
  float never = cudnn()->get_version() < 91000 ? Limits::lowest() : -Limits::infinity();
  std::vector<int64_t> ids{kQ, kK, kV, kOut, kLogSums, kScale};
  std::vector<void*> pointers{a.q.data, a.k.data, a.v.data, a.out.data, a.log_sums, &scale};
  if (a.causal) {
    ids.push_back(kNever);
    pointers.push_back(&never);
  }
  const CudnnPlan& plan = plan_of(a, device, handle);
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

}  // namespace

bool cudnn_attention(const FusedAttention& a) { return worthwhile(a) && usable() && run(a); }

}  // namespace norch::cuda

#else

namespace norch::cuda {

bool cudnn_attention(const kernels::FusedAttention&) { return false; }

}  // namespace norch::cuda

#endif
