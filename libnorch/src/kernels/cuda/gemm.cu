// Floats go to cuBLASLt, the rest to a plain kernel.
//
// What cuBLASLt needs to know of a product (descriptor, layouts, algorithm) is kept per thread under the product's
// geometry, so that a repeated product costs one look-up. float32 is computed as float32 unless matmul_tf32() is set,
// 16-bit floats accumulate in float32, and only algorithms that sum in a fixed order are asked for.
#include "kernels/complex.h"
#include "kernels/gemm.h"

#include <algorithm>
#include <climits>
#include <vector>

#include "kernels/cuda/byte_key.h"
#include "kernels/cuda/cublaslt.h"
#include "kernels/cuda/gemm_plain.cuh"
#include "kernels/cuda/matmul_float.h"

namespace norch::kernels::cuda {

namespace {

using norch::cuda::cublaslt;
using norch::cuda::cublaslt_handle;

/// All that a plan depends on: a key of a ByteMap.
struct Key {
  int64_t m, n, k, batch, lda, ldb, ldc, batch_a, batch_b, batch_c;
  int16_t dtype, c_dtype;
  int32_t trans_a, trans_b, has_bias, has_beta, alignment, device, tf32;
};

struct Plan {
  cublasLtMatmulDesc_t desc = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, c = nullptr;
  cublasLtMatmulAlgo_t algo;
  size_t workspace = 0;
  bool found = false;

  Plan() = default;
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
  ~Plan() {
    if (a) cublaslt().layout_destroy(a);
    if (b) cublaslt().layout_destroy(b);
    if (c) cublaslt().layout_destroy(c);
    if (desc) cublaslt().desc_destroy(desc);
  }
};

/// Plans are dropped all together when there are many: shapes that keep changing must not fill the memory.
constexpr size_t kMostPlans = 2048;
using Plans = norch::cuda::ByteMap<Key, Plan>;

Plans& plans() {
  // Never freed: at exit the library may be gone before this thread's storage.
  static thread_local Plans* all = new Plans;
  if (all->size() >= kMostPlans) all->clear();
  return *all;
}

cudaDataType_t data_type(DType t) {
  switch (t) {
    case DType::Float16: return CUDA_R_16F;
    case DType::BFloat16: return CUDA_R_16BF;
    case DType::Float32: return CUDA_R_32F;
    case DType::Complex64: return CUDA_C_32F;
    case DType::Complex128: return CUDA_C_64F;
    default: return CUDA_R_64F;
  }
}

int alignment_of(const void* p) {
  const uintptr_t bits = reinterpret_cast<uintptr_t>(p) | 256;
  return static_cast<int>(bits & (~bits + 1));
}

template <class V>
void set(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t what, V value) {
  norch::cuda::check(cublaslt().desc_set_attribute(desc, what, &value, sizeof value), "cublasLtMatmulDescSetAttribute");
}

cublasLtMatrixLayout_t layout(cudaDataType_t type, int64_t rows, int64_t cols, int64_t ld, int64_t batch,
                              int64_t distance) {
  cublasLtMatrixLayout_t made = nullptr;
  norch::cuda::check(cublaslt().layout_create(&made, type, static_cast<uint64_t>(rows), static_cast<uint64_t>(cols), ld),
                     "cublasLtMatrixLayoutCreate");
  if (batch > 1) {
    const int32_t count = static_cast<int32_t>(batch);
    cublaslt().layout_set_attribute(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count);
    cublaslt().layout_set_attribute(made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &distance, sizeof distance);
  }
  return made;
}

using Candidates = std::vector<cublasLtMatmulHeuristicResult_t>;

/// The library's candidates, best first by its own estimate.
Candidates candidates(const Plan& plan, cublasLtMatmulPreference_t preference) {
  Candidates all(8);
  int found = 0;
  const cublasStatus_t status =
      cublaslt().algo_get_heuristic(cublaslt_handle(), plan.desc, plan.a, plan.b, plan.c, plan.c, preference,
                                    static_cast<int>(all.size()), all.data(), &found);
  all.resize(status == CUBLAS_STATUS_SUCCESS ? static_cast<size_t>(found) : 0);
  const auto fails = [](const auto& candidate) { return candidate.state != CUBLAS_STATUS_SUCCESS; };
  all.erase(std::remove_if(all.begin(), all.end(), fails), all.end());
  return all;
}

/// A candidate's attribute of type V, which the library prescribes; `otherwise` where it has none.
template <class V>
V config_of(const cublasLtMatmulHeuristicResult_t& candidate, cublasLtMatmulAlgoConfigAttributes_t what, V otherwise) {
  V value = otherwise;
  size_t written = 0;
  const cublasStatus_t status = cublaslt().algo_config_get_attribute(&candidate.algo, what, &value, sizeof value, &written);
  return status == CUBLAS_STATUS_SUCCESS ? value : otherwise;
}

/// Which candidate to take: the first, but for large products with results of 16 bits. There the library's estimate
/// favours tiles of 192 x 192 or 256 x 128 on which all warpgroups of a block work together. Hopper's kernels whose
/// warpgroups take turns, each with a tile of its own, are mostly faster: those of 128 x 128 in pairs of blocks take
/// 79 to 99 % of the time for sums of less than 8,192 (91 % in the mean of 25 shapes; 109 % for one of 50,304), and
/// instead of 192 x 192 for sums of up to 1,024 those of 128 x 160 take 75 to 100 % and those of 176 x 128 90 %.
/// Measured on an H200 with CUDA 13. At the card's limit of power, where a long step of training runs, all kernels of
/// a product come near to each other.
size_t choice([[maybe_unused]] const Key& key, [[maybe_unused]] const Candidates& all) {
#if CUDART_VERSION >= 13000
  const bool narrow = key.dtype == static_cast<int>(DType::BFloat16) || key.dtype == static_cast<int>(DType::Float16);
  if (!narrow || key.c_dtype != key.dtype || key.batch > 1) return 0;
  if (key.m * key.n < int64_t{16} << 20 || key.k >= 8192) return 0;
  const auto tile_of = [](const auto& c) { return config_of<uint32_t>(c, CUBLASLT_ALGO_CONFIG_TILE_ID, 0); };
  const auto find = [&](uint32_t tile, uint16_t pair, bool together) {
    constexpr uint32_t kTogether = 4;  // the bit of the option that says so
    for (size_t i = 1; i < all.size(); ++i)
      if (tile_of(all[i]) == tile && config_of<int32_t>(all[i], CUBLASLT_ALGO_CONFIG_SPLITK_NUM, 1) <= 1 &&
          config_of<uint16_t>(all[i], CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID, 0) == pair &&
          (together || !(config_of<uint32_t>(all[i], CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION, kTogether) & kTogether)))
        return i;
    return size_t{0};
  };
  if (const size_t i = find(CUBLASLT_MATMUL_TILE_128x128, CUBLASLT_CLUSTER_SHAPE_2x1x1, false)) return i;
  if (tile_of(all[0]) != CUBLASLT_MATMUL_TILE_192x192 || key.k > 1024) return 0;
  if (const size_t i = find(CUBLASLT_MATMUL_TILE_128x160, CUBLASLT_CLUSTER_SHAPE_2x1x1, true)) return i;
  return find(CUBLASLT_MATMUL_TILE_176x128, CUBLASLT_CLUSTER_SHAPE_1x2x1, false);
#else
  return 0;
#endif
}

/// cuBLASLt counts by columns: a row-major product C = A B is its C^T = B^T A^T, so its A is our B.
void make_plan(Plan& plan, const Key& key, const void* bias) {
  const cudaDataType_t type = data_type(static_cast<DType>(key.dtype));
  const bool wide = type == CUDA_R_64F || type == CUDA_C_64F;
  const bool own_scale = wide || type == CUDA_C_32F;  // alpha and beta are of the matrices' type, otherwise float
  const auto& lt = cublaslt();
  const cublasComputeType_t compute = wide       ? CUBLAS_COMPUTE_64F
                                      : key.tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                                 : CUBLAS_COMPUTE_32F;
  norch::cuda::check(lt.desc_create(&plan.desc, compute, own_scale ? type : CUDA_R_32F), "cublasLtMatmulDescCreate");
  set(plan.desc, CUBLASLT_MATMUL_DESC_TRANSA, key.trans_b ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(plan.desc, CUBLASLT_MATMUL_DESC_TRANSB, key.trans_a ? CUBLAS_OP_T : CUBLAS_OP_N);
  if (key.has_bias) {
    set(plan.desc, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    set(plan.desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
  }
  plan.a = layout(type, key.trans_b ? key.k : key.n, key.trans_b ? key.n : key.k, key.ldb, key.batch, key.batch_b);
  plan.b = layout(type, key.trans_a ? key.m : key.k, key.trans_a ? key.k : key.m, key.lda, key.batch, key.batch_a);
  plan.c = layout(data_type(static_cast<DType>(key.c_dtype)), key.n, key.m, key.ldc, key.batch, key.batch_c);

  cublasLtMatmulPreference_t preference = nullptr;
  norch::cuda::check(lt.preference_create(&preference), "cublasLtMatmulPreferenceCreate");
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t what, auto value) {
    lt.preference_set_attribute(preference, what, &value, sizeof value);
  };
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<uint64_t>(norch::cuda::kCublasWorkspaceBytes));
  // Parts of a sum may be added from the workspace, by a second step; never in place, in the order of arrival.
  prefer(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  for (auto what : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                    CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    prefer(what, static_cast<uint32_t>(key.alignment));
  const Candidates all = candidates(plan, preference);
  lt.preference_destroy(preference);
  plan.found = !all.empty();
  if (all.empty()) return;
  const cublasLtMatmulHeuristicResult_t& chosen = all[choice(key, all)];
  plan.algo = chosen.algo;
  plan.workspace = chosen.workspaceSize;
}

/// Rows of C become the bias.
template <class T>
__global__ void __launch_bounds__(256) spread_bias(T* c, const T* bias, int64_t total, int64_t n, int64_t c_row) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x;
  if (i < total) c[i / n * c_row + i % n] = bias[i % n];
}

/// How cuBLASLt is told of a matrix: by its rows (0) or by its columns (1), and their distance; -1 if it can't be.
struct Layout {
  int32_t transposed = 0;
  int64_t ld = -1;
};
Layout layout_of(const MatrixRef& x, int64_t rows, int64_t cols) {
  if ((x.col == 1 || cols == 1) && (x.row >= cols || rows == 1)) return {0, rows == 1 ? cols : x.row};
  if ((x.row == 1 || rows == 1) && (x.col >= rows || cols == 1)) return {1, cols == 1 ? rows : x.col};
  return {};
}

/// False if cuBLASLt has no way for it; C is as it was then.
template <class T>
bool library_gemm(const Gemm& g, const void* bias, const Scalar& beta) {
  const Layout a = layout_of(g.a, g.m, g.k), b = layout_of(g.b, g.k, g.n);
  if (a.ld < 0 || b.ld < 0 || g.batch > INT_MAX || g.m > INT_MAX || g.n > INT_MAX || g.k > INT_MAX) return false;
  int alignment = std::min(std::min(alignment_of(g.a.data), alignment_of(g.b.data)), alignment_of(g.c));
  if (bias) alignment = std::min(alignment, alignment_of(bias));
  Key key{};
  key.m = g.m, key.n = g.n, key.k = g.k, key.batch = g.batch;
  key.lda = a.ld, key.ldb = b.ld, key.ldc = g.m == 1 ? g.n : g.c_row;
  if (g.batch > 1) key.batch_a = g.a.batch, key.batch_b = g.b.batch, key.batch_c = g.c_batch;
  key.dtype = static_cast<int16_t>(g.dtype);
  key.c_dtype = static_cast<int16_t>(g.wide_c ? DType::Float32 : g.dtype);
  key.trans_a = a.transposed, key.trans_b = b.transposed;
  key.has_bias = bias != nullptr, key.has_beta = beta.to_bool();
  key.alignment = alignment;
  key.device = norch::cuda::current_device();
  key.tf32 = (g.dtype == DType::Float32 || g.dtype == DType::Complex64) && norch::cuda::matmul_tf32();
  Plans& all = plans();
  auto at = all.find(key);
  if (at == all.end()) {
    at = all.try_emplace(key).first;
    make_plan(at->second, key, bias);
  }
  Plan& plan = at->second;
  if (!plan.found) return false;
  if (bias) set(plan.desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
  const norch::cuda::Workspace workspace(plan.workspace);
  const ComputeType<T> scale_a = g.alpha.to<ComputeType<T>>(), scale_c = beta.to<ComputeType<T>>();
  norch::cuda::check(cublaslt().matmul(cublaslt_handle(), plan.desc, &scale_a, g.b.data, plan.a, g.a.data, plan.b,
                                       &scale_c, g.c, plan.c, g.c, plan.c, &plan.algo, workspace.data(), plan.workspace,
                                       norch::cuda::current_stream()),
                     "cublasLtMatmul");
  return true;
}

template <class T>
inline constexpr bool is_narrow = !is_complex_v<T> && sizeof(T) <= 4;

template <class T>
void float_gemm(const Gemm& g) {
  const bool small = (g.m * g.n <= 4096 && g.k <= 64 && g.batch <= 64) || g.k == 0;
  if constexpr (sizeof(T) == 2)
    if (g.wide_c) {
      if (small || !library_gemm<T>(g, nullptr, g.beta)) plain_gemm<T, float>(g);
      return;
    }
  if (small) return plain_gemm<T>(g);
  if constexpr (std::is_same_v<T, float>)
    if (!norch::cuda::matmul_tf32() && matmul_float_sm90a(g)) return;
  // The fused bias wants 16-byte alignment and is there for float32 and less.
  if (g.bias && is_narrow<T> && alignment_of(g.bias) >= 16 && library_gemm<T>(g, g.bias, 0)) return;
  if (g.bias && g.batch == 1) {
    const T* bias = static_cast<const T*>(g.bias);
    launch(spread_bias<T>, blocks_for(g.m * g.n, 256), 256, 0, static_cast<T*>(g.c), bias, g.m * g.n, g.n, g.c_row);
    Gemm rest = g;
    rest.bias = nullptr;
    if (library_gemm<T>(rest, nullptr, 1)) return;
  } else if (!g.bias && library_gemm<T>(g, nullptr, g.beta)) {
    return;
  }
  plain_gemm<T>(g);
}

}  // namespace

#if !NORCH_HAVE_SM90A
bool matmul_float_sm90a(const Gemm&) { return false; }
bool matmul_float_sm90a_of_any_size(const Gemm&) { return false; }
#endif

void gemm(const Gemm& g) {
  if (g.batch == 0 || g.m == 0 || g.n == 0) return;
  visit_all(g.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_same_v<T, bool>)
      NORCH_RAISE(NotImplementedError, "matmul: not implemented for bool; convert to an integer dtype");
    else if constexpr (std::is_integral_v<T>)
      plain_gemm<T>(g);
    else
      float_gemm<T>(g);
  });
}

void gemm_complex(const Gemm& g) {
  if (g.batch == 0 || g.m == 0 || g.n == 0) return;
  visit_complex("matmul", g.dtype, [&](auto tag) { float_gemm<typename decltype(tag)::type>(g); });
}

}  // namespace norch::kernels::cuda
