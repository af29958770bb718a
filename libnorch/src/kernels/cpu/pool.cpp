#include "kernels/pool.h"

#include <algorithm>
#include <vector>

#include "kernels/cpu/planes.h"
#include "kernels/cpu/pool_last.h"

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

/// Calls f(plane, o0, o1, index of the row's first result) over all rows of the output.
template <class F>
void over_rows(const Pool& p, const F& f) {
  const int64_t taps = p.kernel[0] * p.kernel[1] * p.kernel[2];
  parallel_for(p.planes * p.out[0] * p.out[1], plane_grain(p.out[2] * taps), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      f(i / (p.out[0] * p.out[1]), i / p.out[1] % p.out[0], i % p.out[1], i * p.out[2]);
  });
}

/// Calls f(first, last, offset of the tap for output 0, index in the plane of that) for each tap of a row of windows: the
/// windows [first, last) hold it, and it moves by the stride from one to the next.
template <class F>
void over_row_taps(const Pool& p, const PoolWindow<int64_t>& w0, const PoolWindow<int64_t>& w1, const F& f) {
  for (int64_t i = w0.begin; i < w0.end; i += p.dilation[0])
    for (int64_t j = w1.begin; j < w1.end; j += p.dilation[1])
      for (int64_t k = 0; k < p.kernel[2]; ++k) {
        const int64_t shift = k * p.dilation[2] - p.pad[2], s = p.stride[2];
        const int64_t first = shift >= 0 ? 0 : (-shift + s - 1) / s;
        const int64_t last = shift >= p.in[2] ? 0 : std::min(p.out[2], (p.in[2] - 1 - shift) / s + 1);
        if (first < last) f(first, last, (i * p.in[1] + j) * p.in[2] + shift);
      }
}

/// One row of maxima of adaptive windows, or of tensors too large for 32-bit indices.
template <class T, class C, class I>
void max_row(const Pool& p, int64_t o0, int64_t o1, const T* src, T* dst, I* index) {
  for (int64_t o2 = 0; o2 < p.out[2]; ++o2) {
    int64_t best = -1;
    C most = pool_least<C>();
    PoolBox<int64_t>(p, o0, o1, o2).over(p, [&](int64_t i) {
      const C v = static_cast<C>(src[i]);
      if (v > most || best < 0 || is_nan(v)) {
        most = v;
        best = i;
      }
    });
    dst[o2] = static_cast<T>(most);
    if (index) index[o2] = static_cast<I>(best);
  }
}

/// n numbers, all `value` at first, on the stack where they are few. (Not thread_local: a library that is loaded late
/// gets little of that memory.)
template <class C>
class RowBuffer {
 public:
  RowBuffer(int64_t n, C value) {
    if (n > kSmall) {
      large_.resize(static_cast<size_t>(n));
      data_ = large_.data();
    }
    std::fill_n(data_, n, value);
  }
  RowBuffer(const RowBuffer&) = delete;
  RowBuffer& operator=(const RowBuffer&) = delete;
  C* data() { return data_; }

 private:
  static constexpr int64_t kSmall = 256;
  C small_[kSmall];
  std::vector<C> large_;
  C* data_ = small_;
};

/// Calls f(TypeTag<I>) with the type of a pool's indices.
template <class F>
void visit_index(const Pool& p, const F& f) {
  if (fits_32_bits(p))
    f(TypeTag<int32_t>{});
  else
    f(TypeTag<int64_t>{});
}

}  // namespace

void max_pool(const Pool& p, const Tensor& out, const Tensor& indices, const Tensor& x) {
  visit_numbers("max_pool", out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    T* const result = static_cast<T*>(out.data_ptr());
    if (!fits_32_bits(p)) {
      int64_t* index = indices.defined() ? static_cast<int64_t*>(indices.data_ptr()) : nullptr;
      if (p.channels_last) return max_pool_last<T, C>(p, result, index, data<T>(x));
      return over_rows(p, [&](int64_t plane, int64_t o0, int64_t o1, int64_t at) {
        max_row<T, C>(p, o0, o1, data<T>(x) + plane * p.in_size(), result + at, index ? index + at : nullptr);
      });
    }
    int32_t* const index = indices.defined() ? static_cast<int32_t*>(indices.data_ptr()) : nullptr;
    if (p.channels_last) return max_pool_last<T, C>(p, result, index, data<T>(x));
    over_rows(p, [&](int64_t plane, int64_t o0, int64_t o1, int64_t at) {
      const T* src = data<T>(x) + plane * p.in_size();
      T* dst = result + at;
      if (p.adaptive) return max_row<T, C>(p, o0, o1, src, dst, index ? index + at : nullptr);
      // Tap by tap over the whole row: the inner loop has no branches.
      RowBuffer<C> values(p.out[2], pool_least<C>());
      RowBuffer<int32_t> places(p.out[2], -1);
      C* const most = values.data();
      int32_t* const best = places.data();
      over_row_taps(p, pool_window(p, 0, o0), pool_window(p, 1, o1), [&](int64_t first, int64_t last, int64_t tap) {
        const int64_t s = p.stride[2];
        for (int64_t o = first; o < last; ++o) {
          const C v = static_cast<C>(src[tap + o * s]);
          const bool take = (v > most[o]) | is_nan(v) | (best[o] < 0);
          most[o] = take ? v : most[o];
          best[o] = take ? static_cast<int32_t>(tap + o * s) : best[o];
        }
      });
      for (int64_t o = 0; o < p.out[2]; ++o) dst[o] = static_cast<T>(most[o]);
      if (index) std::copy_n(best, p.out[2], index + at);
    });
  });
}

void max_pool_scatter(const Pool& p, const Tensor& gx, const Tensor& g, const Tensor& indices) {
  visit_float("max_pool", gx.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    const int64_t in = p.in_size(), out = p.out_size();
    visit_index(p, [&](auto index_tag) {
      using I = typename decltype(index_tag)::type;
      if (p.channels_last) return scatter_last<T, C>(p, static_cast<T*>(gx.data_ptr()), data<T>(g), data<I>(indices));
      sum_planes<T>(gx, p.planes, in, in + out, [&](int64_t plane, C* sums) {
        const T* grad = data<T>(g) + plane * out;
        const I* index = data<I>(indices) + plane * out;
        for (int64_t o = 0; o < out; ++o)
          if (index[o] >= 0) sums[index[o]] += static_cast<C>(grad[o]);
      });
    });
  });
}

void max_pool_gather(const Pool& p, const Tensor& out, const Tensor& x, const Tensor& indices) {
  visit_float("max_pool", out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const int64_t in = p.in_size(), n = p.out_size();
    T* const result = static_cast<T*>(out.data_ptr());
    visit_index(p, [&](auto index_tag) {
      using I = typename decltype(index_tag)::type;
      if (p.channels_last) return gather_last<T>(p, result, data<T>(x), data<I>(indices));
      parallel_for(p.planes, plane_grain(n), [&](int64_t begin, int64_t end) {
        for (int64_t plane = begin; plane < end; ++plane)
          for (int64_t o = plane * n; o < (plane + 1) * n; ++o) {
            const int64_t i = data<I>(indices)[o];
            result[o] = i >= 0 ? data<T>(x)[plane * in + i] : T(0);
          }
      });
    });
  });
}

void avg_pool(const Pool& p, const Tensor& out, const Tensor& x) {
  const auto run = [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    if (p.channels_last) return avg_pool_last<T, C>(p, static_cast<T*>(out.data_ptr()), data<T>(x));
    over_rows(p, [&](int64_t plane, int64_t o0, int64_t o1, int64_t at) {
      const T* src = data<T>(x) + plane * p.in_size();
      T* dst = static_cast<T*>(out.data_ptr()) + at;
      PoolBox<int64_t> box(p, o0, o1, 0);
      if (p.adaptive) {
        for (int64_t o = 0; o < p.out[2]; ++o) {
          box.w[2] = pool_window(p, 2, o);
          C sum = 0;
          box.over(p, [&](int64_t i) { sum += static_cast<C>(src[i]); });
          dst[o] = static_cast<T>(sum / static_cast<C>(box.divisor(p)));
        }
        return;
      }
      RowBuffer<C> sums(p.out[2], C(0));
      C* const sum = sums.data();
      over_row_taps(p, box.w[0], box.w[1], [&](int64_t first, int64_t last, int64_t tap) {
        const int64_t s = p.stride[2];
        for (int64_t o = first; o < last; ++o) sum[o] += static_cast<C>(src[tap + o * s]);
      });
      for (int64_t o = 0; o < p.out[2]; ++o) {
        box.w[2] = pool_window(p, 2, o);
        dst[o] = static_cast<T>(box.empty() ? C(0) : sum[o] / static_cast<C>(box.divisor(p)));
      }
    });
  };
  if (out.dtype() == DType::Int64)
    run(TypeTag<int64_t>{});
  else
    visit_float("avg_pool", out.dtype(), run);
}

void avg_pool_backward(const Pool& p, const Tensor& gx, const Tensor& g) {
  visit_float("avg_pool", gx.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    if (p.channels_last) return avg_backward_last<T, C>(p, static_cast<T*>(gx.data_ptr()), data<T>(g));
    const int64_t in = p.in_size(), out = p.out_size();
    const int64_t work = in + out * p.kernel[0] * p.kernel[1] * p.kernel[2];
    sum_planes<T>(gx, p.planes, in, work, [&](int64_t plane, C* sums) {
      const T* grad = data<T>(g) + plane * out;
      std::vector<C> shares(static_cast<size_t>(p.out[2]));
      C* const share = shares.data();
      for (int64_t o0 = 0; o0 < p.out[0]; ++o0)
        for (int64_t o1 = 0; o1 < p.out[1]; ++o1) {
          PoolBox<int64_t> box(p, o0, o1, 0);
          for (int64_t o = 0; o < p.out[2]; ++o) {
            box.w[2] = pool_window(p, 2, o);
            share[o] = box.empty() ? C(0) : static_cast<C>(*grad) / static_cast<C>(box.divisor(p));
            ++grad;
            if (p.adaptive) box.over(p, [&](int64_t i) { sums[i] += share[o]; });
          }
          if (p.adaptive) continue;
          over_row_taps(p, box.w[0], box.w[1], [&](int64_t first, int64_t last, int64_t tap) {
            const int64_t s = p.stride[2];
            for (int64_t o = first; o < last; ++o) sums[tap + o * s] += share[o];
          });
        }
    });
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
