// What the linalg kernels of the CPU share: loops over a batch, workspaces.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>

#include "kernels/cpu/lapack.h"
#include "kernels/cpu/parallel.h"
#include "kernels/dispatch.h"
#include "norch/tensor.h"

namespace norch::kernels::cpu {

/// Calls f(TypeTag<T>) for the element types that LAPACK has.
template <class F>
void visit_lapack(const char* op, DType t, const F& f) {
  switch (t) {
    case DType::Float32: return f(TypeTag<float>{});
    case DType::Float64: return f(TypeTag<double>{});
    case DType::Complex64: return f(TypeTag<Complex<float>>{});
    case DType::Complex128: return f(TypeTag<Complex<double>>{});
    default: NORCH_RAISE(NotImplementedError, op, ": not implemented for ", t, "; convert to float32 or float64");
  }
}

/// Rows, columns and number of the matrices of a batch.
struct Matrices {
  int m, n;
  int64_t count, step;  // step: elements from one matrix to the next
  explicit Matrices(const Tensor& t)
      : m(static_cast<int>(t.size(-2))), n(static_cast<int>(t.size(-1))), count(1), step(int64_t{m} * n) {
    for (int64_t d = 0; d + 2 < t.dim(); ++d) count *= t.sizes()[d];
  }
};

/// Calls f(begin, end) on parts of a batch of matrices that take about `flops` operations each.
template <class F>
void for_each_part(int64_t count, double flops, const F& f) {
  const double grain = 50000 / std::max(flops, 1.0);
  parallel_for(count, std::max<int64_t>(1, static_cast<int64_t>(std::min(grain, 1e9))), f);
}

template <class T>
using RealOf = typename blas::Lapack<T>::Real;

/// The workspace length that LAPACK wrote as a number of the element type.
template <class T>
int workspace_size(const char* op, T number) {
  RealOf<T> answer;
  std::memcpy(&answer, &number, sizeof answer);  // the real part of a complex one
  // Lengths above 2^24 were rounded when LAPACK put them into a float.
  const double n = std::ceil(static_cast<double>(answer) * (1 + std::numeric_limits<RealOf<T>>::epsilon()));
  NORCH_CHECK(n <= std::numeric_limits<int>::max(), op, ": the matrix is too large for LAPACK, which would need a ",
              "workspace of ", n, " elements");
  return std::max(1, static_cast<int>(n));
}

/// Uninitialised memory for the time of one call.
template <class T>
std::unique_ptr<T[]> workspace(int64_t n) {
  return std::unique_ptr<T[]>(new T[static_cast<size_t>(std::max<int64_t>(n, 1))]);
}

/// Whether none of n numbers is NaN or infinite.
template <class T>
bool all_finite(const T* numbers, int64_t n) {
  using R = RealOf<T>;
  const R* x = reinterpret_cast<const R*>(numbers);
  bool finite = true;
  for (int64_t i = 0; i < n * static_cast<int64_t>(sizeof(T) / sizeof(R)); ++i)
    finite &= std::abs(x[i]) <= std::numeric_limits<R>::max();
  return finite;
}

}  // namespace norch::kernels::cpu
