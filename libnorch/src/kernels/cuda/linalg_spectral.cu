#include <limits>

#include "kernels/cuda/linalg.cuh"
#include "kernels/linalg.h"
#include "norch/ops/binary.h"
#include "norch/ops/factory.h"
#include "norch/ops/reduce.h"
#include "norch/ops/ternary.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"
#include "ops/linalg_common.h"

namespace norch::kernels::cuda {

using norch::cuda::check_status;
using norch::cuda::CusolverSession;

namespace {

/// A bool for each matrix: whether it has NaN or infinity.
Tensor has_bad(const Tensor& a) { return logical_not(all(isfinite(a), {-2, -1})); }

/// Bad matrices become zeros, for algorithms that might not end otherwise.
void clear_bad(const Tensor& a, const Tensor& bad) {
  copy_into(a, masked_fill(a, unsqueeze(unsqueeze(bad, -1), -1), Tensor::wrap(0)));
}

/// cuSOLVER has singular values for at least as many rows as columns.
void tall_svd(const Tensor& a, const Tensor& u, const Tensor& s, const Tensor& vh, const Tensor& info) {
  const Matrices x(a);
  const cudaDataType type = data_type("svd", a.dtype()), real = data_type("svd", s.dtype());
  const bool vectors = u.defined();
  const signed char job = !vectors ? 'N' : u.size(-1) == x.m ? 'A' : 'S';
  const auto place = [&](const Tensor& t, int64_t i) -> void* {
    return t.defined() ? Matrices(t)[i] : nullptr;
  };
  CusolverSession session;
  const auto& f = session.functions();
  size_t device = 0, host = 0;
  check_status(f.gesvd_size(session.handle(), session.params(), job, job, x.m, x.n, type, x[0], x.m, real, s.data_ptr(),
                            type, place(u, 0), x.m, type, place(vh, 0), x.n, type, &device, &host),
               "cusolverDnXgesvd_bufferSize");
  const SolverWorkspace work(device, host);
  for (int64_t i = 0; i < x.count; ++i)
    check_status(f.gesvd(session.handle(), session.params(), job, job, x.m, x.n, type, x[i], x.m, real,
                         static_cast<char*>(s.data_ptr()) + i * x.n * s.itemsize(), type, place(u, i), x.m, type,
                         place(vh, i), x.n, type, work.device(), device, work.host(), host, info.data<int32_t>() + i),
                 "cusolverDnXgesvd");
}

}  // namespace

void svd(const Tensor& a, const Tensor& u, const Tensor& s, const Tensor& vh, const Tensor& info) {
  const Tensor bad = has_bad(a);
  clear_bad(a, bad);
  if (a.size(-2) >= a.size(-1)) {
    tall_svd(a, u, s, vh, info);
  } else {
    // A^H = V S U^H
    const auto turned = [](const Tensor& t) {
      Shape shape(t.sizes());
      std::swap(shape[shape.size() - 1], shape[shape.size() - 2]);
      return linalg::detail::new_columns(shape, t.dtype(), t.device());
    };
    const Tensor left = vh.defined() ? turned(vh) : Tensor(), right = u.defined() ? turned(u) : Tensor();
    tall_svd(linalg::detail::copy_columns(adjoint(a)), left, s, right, info);
    if (u.defined()) {
      copy_into(u, adjoint(right));
      copy_into(vh, adjoint(left));
    }
  }
  copy_into(info, masked_fill(info, bad, Tensor::wrap(-4)));
}

void eigh(const Tensor& a, const Tensor& w, const Tensor& info, bool vectors, bool upper) {
  const Tensor bad = has_bad(upper ? triu(a) : tril(a));
  clear_bad(a, bad);
  const Matrices x(a);
  const cudaDataType type = data_type("eigh", a.dtype()), real = data_type("eigh", w.dtype());
  {
    CusolverSession session;
    const auto& f = session.functions();
    size_t device = 0, host = 0;
    check_status(f.syevd_size(session.handle(), session.params(), vectors, upper, x.n, type, x[0], x.n, real,
                              w.data_ptr(), type, &device, &host),
                 "cusolverDnXsyevd_bufferSize");
    const SolverWorkspace work(device, host);
    for (int64_t i = 0; i < x.count; ++i)
      check_status(f.syevd(session.handle(), session.params(), vectors, upper, x.n, type, x[i], x.n, real,
                           static_cast<char*>(w.data_ptr()) + i * x.n * w.itemsize(), type, work.device(), device,
                           work.host(), host, info.data<int32_t>() + i),
                   "cusolverDnXsyevd");
  }
  const Tensor nan = Tensor::wrap(std::numeric_limits<double>::quiet_NaN());
  copy_into(w, masked_fill(w, unsqueeze(bad, -1), nan));
  copy_into(a, masked_fill(a, unsqueeze(unsqueeze(bad, -1), -1), nan));
}

void eig(const Tensor& a, const Tensor& w, const Tensor& v, const Tensor& info) {
  const OnHost matrices(a), values(w), codes(info);
  if (v.defined()) {
    const OnHost vectors(v);
    kernels::eig(kCPU, matrices.tensor(), values.tensor(), vectors.tensor(), codes.tensor());
    vectors.write_back();
  } else {
    kernels::eig(kCPU, matrices.tensor(), values.tensor(), Tensor(), codes.tensor());
  }
  values.write_back();
  codes.write_back();
}

}  // namespace norch::kernels::cuda
