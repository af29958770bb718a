// What CPU kernels of float32 and float64 alone share.
#pragma once

#include "kernels/dispatch.h"
#include "kernels/gemm.h"

namespace norch::kernels::cpu {

/// f(double{}) for float64, f(float{}) for anything else.
template <class F>
void visit_wide(DType t, const F& f) {
  if (t == DType::Float64)
    f(double{});
  else
    f(float{});
}

/// c (m, n), rows `c_row` apart, = a b (+ bias) or, with `add`, += a b. For files that are compiled once, not per
/// instruction set.
template <class T>
void multiply(int64_t m, int64_t n, int64_t k, const MatrixRef& a, const MatrixRef& b, T* c, int64_t c_row,
              bool add = false, const T* bias = nullptr) {
  Gemm g;
  g.dtype = dtype_of<T>;
  g.m = m;
  g.n = n;
  g.k = k;
  g.a = a;
  g.b = b;
  g.c = c;
  g.c_row = c_row;
  g.bias = bias;
  g.beta = add ? 1 : 0;
  kernels::gemm(kCPU, g);
}

}  // namespace norch::kernels::cpu
