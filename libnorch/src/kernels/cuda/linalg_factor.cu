#include "kernels/cuda/linalg.cuh"
#include "kernels/linalg.h"
#include "norch/ops/factory.h"
#include "norch/ops/view.h"

namespace norch::kernels::cuda {

using norch::cuda::check_status;
using norch::cuda::CublasSession;
using norch::cuda::CusolverSession;

namespace {

constexpr int kThreads = 128;

/// The swaps of one matrix depend on one another: a thread does them all.
__global__ void __launch_bounds__(kThreads) order_kernel(int64_t* order, const int32_t* pivots, int64_t m, int64_t k,
                                                         int64_t count, IndexCheck check) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= count) return;
  int64_t* row = order + i * m;
  for (int64_t j = 0; j < m; ++j) row[j] = j;
  for (int64_t j = 0; j < k; ++j) {
    const int64_t other = static_cast<int64_t>(pivots[i * k + j]) - 1;
    if (!check.valid(other, m)) continue;
    const int64_t x = row[j];
    row[j] = row[other];
    row[other] = x;
  }
}

/// The addresses of the matrices of two batches, for cuBLAS.
__global__ void __launch_bounds__(kThreads) addresses_kernel(char** out, char* a, size_t a_step, char* b, size_t b_step,
                                                             int64_t count) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= count) return;
  out[i] = a + i * a_step;
  out[count + i] = b + i * b_step;
}

template <class T, class F>
void run_trsm(F trsm, CublasSession& session, bool left, bool upper, char op, bool unit, const Matrices& x,
              const Matrices& y, void* addresses) {
  const T one(1);
  const T* const* a = static_cast<const T* const*>(addresses);
  T* const* b = static_cast<T* const*>(addresses) + y.count;
  constexpr int64_t kMost = 1 << 30;
  for (int64_t first = 0; first < y.count; first += kMost)
    check_status(trsm(session.handle(), left ? 0 : 1, upper ? 1 : 0, op == 'N' ? 0 : op == 'T' ? 1 : 2, unit ? 1 : 0,
                      static_cast<int>(y.m), static_cast<int>(y.n), &one, a + first, static_cast<int>(x.n), b + first,
                      static_cast<int>(y.m), static_cast<int>(std::min(kMost, y.count - first))),
                 "cublasXtrsmBatched");
}

}  // namespace

void cholesky(const Tensor& a, const Tensor& info, bool upper) {
  const Matrices x(a);
  const cudaDataType type = data_type("cholesky", a.dtype());
  CusolverSession s;
  size_t device = 0, host = 0;
  check_status(s.functions().potrf_size(s.handle(), s.params(), upper, x.n, type, x[0], x.n, type, &device, &host),
               "cusolverDnXpotrf_bufferSize");
  const SolverWorkspace work(device, host);
  for (int64_t i = 0; i < x.count; ++i)
    check_status(s.functions().potrf(s.handle(), s.params(), upper, x.n, type, x[i], x.n, type, work.device(), device,
                                     work.host(), host, info.data<int32_t>() + i),
                 "cusolverDnXpotrf");
}

void lu(const Tensor& a, const Tensor& pivots, const Tensor& info, bool pivot) {
  const Matrices x(a);
  const cudaDataType type = data_type("lu_factor", a.dtype());
  const int64_t k = std::min(x.m, x.n);
  const Tensor wide = new_tensor({x.count, k}, DType::Int64, a.device());
  {
    CusolverSession s;
    size_t device = 0, host = 0;
    check_status(s.functions().getrf_size(s.handle(), s.params(), x.m, x.n, type, x[0], x.m, type, &device, &host),
                 "cusolverDnXgetrf_bufferSize");
    const SolverWorkspace work(device, host);
    for (int64_t i = 0; i < x.count; ++i)
      check_status(s.functions().getrf(s.handle(), s.params(), x.m, x.n, type, x[i], x.m,
                                       pivot ? wide.data<int64_t>() + i * k : nullptr, type, work.device(), device,
                                       work.host(), host, info.data<int32_t>() + i),
                   "cusolverDnXgetrf");
  }
  copy_into(pivots, pivot ? reshape(wide, pivots.sizes()) : arange(1, k + 1, 1, pivots.options()));
}

void lu_order(const Tensor& order, const Tensor& pivots) {
  const int64_t m = order.size(-1), k = pivots.size(-1), count = order.numel() / m;
  launch(order_kernel, blocks_for(count, kThreads), kThreads, 0, order.data<int64_t>(), pivots.data<int32_t>(), m, k,
         count, index_check("lu_unpack"));
}

void qr(const Tensor& a, const Tensor& tau) {
  const Matrices x(a);
  const cudaDataType type = data_type("qr", a.dtype());
  const int64_t k = std::min(x.m, x.n);
  const Tensor info = new_tensor({1}, DType::Int32, a.device());
  CusolverSession s;
  size_t device = 0, host = 0;
  check_status(s.functions().geqrf_size(s.handle(), s.params(), x.m, x.n, type, x[0], x.m, type, tau.data_ptr(), type,
                                        &device, &host),
               "cusolverDnXgeqrf_bufferSize");
  const SolverWorkspace work(device, host);
  for (int64_t i = 0; i < x.count; ++i)
    check_status(s.functions().geqrf(s.handle(), s.params(), x.m, x.n, type, x[i], x.m, type,
                                     static_cast<char*>(tau.data_ptr()) + i * k * tau.itemsize(), type, work.device(),
                                     device, work.host(), host, info.data<int32_t>()),
                 "cusolverDnXgeqrf");
}

void solve_triangular(const Tensor& a, const Tensor& b, bool left, bool upper, char op, bool unit) {
  const Matrices x(a), y(b);
  const Tensor addresses = new_tensor({2 * y.count}, DType::Int64, b.device());
  launch(addresses_kernel, blocks_for(y.count, kThreads), kThreads, 0, static_cast<char**>(addresses.data_ptr()), x.data,
         x.step, y.data, y.step, y.count);
  CublasSession s;
  const auto& f = s.functions();
  void* list = addresses.data_ptr();
  switch (a.dtype()) {
    case DType::Float32: return run_trsm<float>(f.strsm, s, left, upper, op, unit, x, y, list);
    case DType::Float64: return run_trsm<double>(f.dtrsm, s, left, upper, op, unit, x, y, list);
    case DType::Complex64: return run_trsm<Complex<float>>(f.ctrsm, s, left, upper, op, unit, x, y, list);
    default: return run_trsm<Complex<double>>(f.ztrsm, s, left, upper, op, unit, x, y, list);
  }
}

void ldl(const Tensor& a, const Tensor& pivots, const Tensor& info, bool hermitian) {
  const OnHost factors(a), swaps(pivots), codes(info);
  kernels::ldl(kCPU, factors.tensor(), swaps.tensor(), codes.tensor(), hermitian);
  factors.write_back();
  swaps.write_back();
  codes.write_back();
}

void ldl_solve(const Tensor& a, const Tensor& pivots, const Tensor& b, bool hermitian) {
  const OnHost factors(a), swaps(pivots), x(b);
  kernels::ldl_solve(kCPU, factors.tensor(), swaps.tensor(), x.tensor(), hermitian);
  x.write_back();
}

}  // namespace norch::kernels::cuda
