#include "kernels/pool.h"

#include <algorithm>

#include "core/factory.h"
#include "kernels/cpu/parallel.h"
#include "kernels/dispatch.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

template <class T>
const T* data(const Tensor& t) {
  return static_cast<const T*>(t.data_ptr());
}

template <class T>
bool is_nan(T v) {
  return v != v;
}

/// Planes that are worth a thread's wake-up, at so many elements each.
int64_t grain(int64_t elements) { return 1 + 16384 / (elements + 1); }

/// Calls f(plane, row of the output) over all rows.
template <class F>
void over_rows(const Pool& p, const F& f) {
  parallel_for(p.planes * p.out[0], grain(p.out[1] * p.kernel[0] * p.kernel[1]), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) f(i / p.out[0], i % p.out[0]);
  });
}

}  // namespace

void max_pool(const Pool& p, const Tensor& out, const Tensor& indices, const Tensor& x) {
  visit_numbers("max_pool", out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    int64_t* index = indices.defined() ? static_cast<int64_t*>(indices.data_ptr()) : nullptr;
    over_rows(p, [&](int64_t plane, int64_t o0) {
      const T* src = data<T>(x) + plane * p.in[0] * p.in[1];
      const int64_t at = (plane * p.out[0] + o0) * p.out[1];
      T* dst = static_cast<T*>(out.data_ptr()) + at;
      const PoolWindow r = pool_window(p, 0, o0);
      const int64_t step0 = p.adaptive ? 1 : p.dilation[0], step1 = p.adaptive ? 1 : p.dilation[1];
      for (int64_t o1 = 0; o1 < p.out[1]; ++o1) {
        const PoolWindow c = pool_window(p, 1, o1);
        int64_t best = -1;
        C most = pool_least<C>();
        for (int64_t i = r.begin; i < r.end; i += step0)
          for (int64_t j = c.begin; j < c.end; j += step1) {
            const C v = static_cast<C>(src[i * p.in[1] + j]);
            if (v > most || best < 0 || is_nan(v)) {
              most = v;
              best = i * p.in[1] + j;
            }
          }
        dst[o1] = static_cast<T>(most);
        if (index) index[at + o1] = best;
      }
    });
  });
}

void max_pool_scatter(const Pool& p, const Tensor& gx, const Tensor& g, const Tensor& indices) {
  visit_float("max_pool", gx.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    const int64_t in = p.in[0] * p.in[1], out = p.out[0] * p.out[1];
    const int64_t* index = data<int64_t>(indices);
    T* dst = static_cast<T*>(gx.data_ptr());
    parallel_for(p.planes, grain(in + out), [&](int64_t begin, int64_t end) {
      // 16-bit floats are summed in float and rounded once.
      Tensor wide;
      if (sizeof(T) != sizeof(C)) wide = new_tensor({in}, dtype_of<C>, kCPU);
      for (int64_t plane = begin; plane < end; ++plane) {
        C* sums = static_cast<C*>(wide.defined() ? wide.data_ptr() : static_cast<void*>(dst + plane * in));
        std::fill(sums, sums + in, C(0));
        const T* grad = data<T>(g) + plane * out;
        for (int64_t o = 0; o < out; ++o)
          if (const int64_t i = index[plane * out + o]; i >= 0) sums[i] += static_cast<C>(grad[o]);
        if (wide.defined())
          for (int64_t i = 0; i < in; ++i) dst[plane * in + i] = static_cast<T>(sums[i]);
      }
    });
  });
}

void max_pool_gather(const Pool& p, const Tensor& out, const Tensor& x, const Tensor& indices) {
  visit_float("max_pool", out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const int64_t in = p.in[0] * p.in[1], n = p.out[0] * p.out[1];
    parallel_for(p.planes, grain(n), [&](int64_t begin, int64_t end) {
      for (int64_t plane = begin; plane < end; ++plane)
        for (int64_t o = plane * n; o < (plane + 1) * n; ++o) {
          const int64_t i = data<int64_t>(indices)[o];
          static_cast<T*>(out.data_ptr())[o] = i >= 0 ? data<T>(x)[plane * in + i] : T(0);
        }
    });
  });
}

void avg_pool(const Pool& p, const Tensor& out, const Tensor& x) {
  visit_float("avg_pool", out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    over_rows(p, [&](int64_t plane, int64_t o0) {
      const T* src = data<T>(x) + plane * p.in[0] * p.in[1];
      T* dst = static_cast<T*>(out.data_ptr()) + (plane * p.out[0] + o0) * p.out[1];
      const PoolWindow r = pool_window(p, 0, o0);
      for (int64_t o1 = 0; o1 < p.out[1]; ++o1) {
        const PoolWindow c = pool_window(p, 1, o1);
        C sum = 0;
        for (int64_t i = r.begin; i < r.end; ++i)
          for (int64_t j = c.begin; j < c.end; ++j) sum += static_cast<C>(src[i * p.in[1] + j]);
        const bool empty = r.begin >= r.end || c.begin >= c.end;
        dst[o1] = static_cast<T>(empty ? C(0) : sum / static_cast<C>(pool_divisor(p, r, c)));
      }
    });
  });
}

void avg_pool_backward(const Pool& p, const Tensor& gx, const Tensor& g) {
  visit_float("avg_pool", gx.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    const int64_t in = p.in[0] * p.in[1], out = p.out[0] * p.out[1];
    T* dst = static_cast<T*>(gx.data_ptr());
    parallel_for(p.planes, grain(in + out * p.kernel[0] * p.kernel[1]), [&](int64_t begin, int64_t end) {
      Tensor wide;
      if (sizeof(T) != sizeof(C)) wide = new_tensor({in}, dtype_of<C>, kCPU);
      for (int64_t plane = begin; plane < end; ++plane) {
        C* sums = static_cast<C*>(wide.defined() ? wide.data_ptr() : static_cast<void*>(dst + plane * in));
        std::fill(sums, sums + in, C(0));
        const T* grad = data<T>(g) + plane * out;
        for (int64_t o0 = 0; o0 < p.out[0]; ++o0) {
          const PoolWindow r = pool_window(p, 0, o0);
          for (int64_t o1 = 0; o1 < p.out[1]; ++o1) {
            const PoolWindow c = pool_window(p, 1, o1);
            if (r.begin >= r.end || c.begin >= c.end) continue;
            const C share = static_cast<C>(grad[o0 * p.out[1] + o1]) / static_cast<C>(pool_divisor(p, r, c));
            for (int64_t i = r.begin; i < r.end; ++i)
              for (int64_t j = c.begin; j < c.end; ++j) sums[i * p.in[1] + j] += share;
          }
        }
        if (wide.defined())
          for (int64_t i = 0; i < in; ++i) dst[plane * in + i] = static_cast<T>(sums[i]);
      }
    });
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
