#include "kernels/norm.h"

#include <algorithm>

#include "core/factory.h"
#include "kernels/cuda/launch.cuh"

namespace norch::kernels::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kKept = 32;  // elements of a row that a thread keeps in registers

template <class T>
const T* pointer(const Tensor& t) {
  return t.defined() ? static_cast<const T*>(t.data_ptr()) : nullptr;
}
template <class T>
T* output(const Tensor& t) {
  return t.defined() ? static_cast<T*>(t.data_ptr()) : nullptr;
}

template <int V, class T>
struct alignas(sizeof(T) * V) Vector {
  T v[V];
};

/// Sums a and b over `group` neighbouring threads, up to a block; every thread gets the same bits.
template <class C>
__device__ __forceinline__ void sum_group(C& a, C& b, int group) {
  for (int mask = 1; mask < min(group, 32); mask *= 2) {
    a += __shfl_xor_sync(0xFFFFFFFFu, a, mask);
    b += __shfl_xor_sync(0xFFFFFFFFu, b, mask);
  }
  if (group > 32) {
    __shared__ C warps[2][kThreads / 32];
    if (threadIdx.x % 32 == 0) {
      warps[0][threadIdx.x / 32] = a;
      warps[1][threadIdx.x / 32] = b;
    }
    __syncthreads();
    a = b = C(0);
    const int first = threadIdx.x / group * (group / 32);  // a block of several groups: the group's own warps
    for (int i = 0; i < group / 32; ++i) {
      a += warps[0][first + i];
      b += warps[1][first + i];
    }
    __syncthreads();
  }
}

template <class T, class C = ComputeType<T>>
struct RowsIn {
  const T* x;
  const C* weight;
  const C* bias;
  int64_t rows, n;
};

template <class C>
__device__ __forceinline__ C affine(C x, const C* weight, const C* bias, int64_t i) {
  if (weight) x *= weight[i];
  if (bias) x += bias[i];
  return x;
}

/// A group of threads per row. Rows of up to kKept elements a thread are read once, longer ones again from the cache.
template <bool kCenter, bool kRegisters, int V, class T, class C = ComputeType<T>>
__global__ void __launch_bounds__(kThreads) forward_kernel(T* out, C* means, C* rstds, RowsIn<T> in, double eps,
                                                           int group) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * (kThreads / group) + threadIdx.x / group;
  const int me = threadIdx.x % group;
  const int64_t n = row < in.rows ? in.n : 0;
  const T* x = in.x + row * in.n;
  T* y = out + row * in.n;
  const C share = C(1) / static_cast<C>(in.n);
  constexpr int kParts = kKept / V;
  Vector<V, T> kept[kRegisters ? kParts : 1];
  // Calls f(vector, offset) for this thread's part of the row.
  auto each = [&](auto&& f) {
    if constexpr (kRegisters) {
#pragma unroll
      for (int k = 0; k < kParts; ++k) {
        const int64_t i = (static_cast<int64_t>(k) * group + me) * V;
        if (i < n) f(kept[k], i);
      }
    } else {
#pragma unroll 4
      for (int64_t i = static_cast<int64_t>(me) * V; i < n; i += static_cast<int64_t>(group) * V)
        f(*reinterpret_cast<const Vector<V, T>*>(x + i), i);
    }
  };
  if constexpr (kRegisters) {
#pragma unroll
    for (int k = 0; k < kParts; ++k) {
      const int64_t i = (static_cast<int64_t>(k) * group + me) * V;
      if (i < n) kept[k] = *reinterpret_cast<const Vector<V, T>*>(x + i);
    }
  }
  C sum = 0, squares = 0, mean = 0;
  if constexpr (kCenter) {
    each([&](const Vector<V, T>& a, int64_t) {
#pragma unroll
      for (int j = 0; j < V; ++j) sum += static_cast<C>(a.v[j]);
    });
    sum_group(sum, squares, group);
    mean = sum * share;
  }
  sum = squares = 0;
  each([&](const Vector<V, T>& a, int64_t) {
#pragma unroll
    for (int j = 0; j < V; ++j) {
      const C d = static_cast<C>(a.v[j]) - mean;
      sum += d;
      squares += d * d;
    }
  });
  sum_group(sum, squares, group);
  C var = squares * share;
  if constexpr (kCenter) {
    const C shift = sum * share;
    mean += shift;
    var -= shift * shift;
    var = var < C(0) ? C(0) : var;
  }
  const C rstd = C(1) / sqrt(var + static_cast<C>(eps));
  if (me == 0 && row < in.rows) {
    if (kCenter) means[row] = mean;
    rstds[row] = rstd;
  }
  each([&](const Vector<V, T>& a, int64_t i) {
    Vector<V, T> o;
#pragma unroll
    for (int j = 0; j < V; ++j)
      o.v[j] = static_cast<T>(affine((static_cast<C>(a.v[j]) - mean) * rstd, in.weight, in.bias, i + j));
    *reinterpret_cast<Vector<V, T>*>(y + i) = o;
  });
}

template <int V, class T, class C = ComputeType<T>>
__global__ void __launch_bounds__(kThreads) input_gradient_kernel(T* dx, const T* grad, RowsIn<T> in, const C* means,
                                                                  const C* rstds, int group) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * (kThreads / group) + threadIdx.x / group;
  const int me = threadIdx.x % group;
  const int64_t n = row < in.rows ? in.n : 0;
  const C mean = n && means ? means[row] : C(0), rstd = n ? rstds[row] : C(0);
  auto each = [&](auto&& f) {
#pragma unroll 4
    for (int64_t i = static_cast<int64_t>(me) * V; i < n; i += static_cast<int64_t>(group) * V) {
      const Vector<V, T> g = *reinterpret_cast<const Vector<V, T>*>(grad + row * in.n + i);
      const Vector<V, T> x = *reinterpret_cast<const Vector<V, T>*>(in.x + row * in.n + i);
      C weighted[V], normal[V];
#pragma unroll
      for (int j = 0; j < V; ++j) {
        weighted[j] = static_cast<C>(g.v[j]) * (in.weight ? in.weight[i + j] : C(1));
        normal[j] = (static_cast<C>(x.v[j]) - mean) * rstd;
      }
      f(weighted, normal, i);
    }
  };
  C by_g = 0, by_gx = 0;
  each([&](const C(&w)[V], const C(&x)[V], int64_t) {
#pragma unroll
    for (int j = 0; j < V; ++j) {
      by_g += w[j];
      by_gx += w[j] * x[j];
    }
  });
  sum_group(by_g, by_gx, group);
  by_g = means ? by_g / static_cast<C>(in.n) : C(0);
  by_gx /= static_cast<C>(in.n);
  each([&](const C(&w)[V], const C(&x)[V], int64_t i) {
    Vector<V, T> o;
#pragma unroll
    for (int j = 0; j < V; ++j) o.v[j] = static_cast<T>(rstd * (w[j] - by_g - x[j] * by_gx));
    *reinterpret_cast<Vector<V, T>*>(dx + row * in.n + i) = o;
  });
}

/// Sums of two values over the rows of a block's part, columns side by side: partial[part][2][columns].
template <class C, class F>
__device__ __forceinline__ void column_sums(C* partial, int64_t columns, int64_t rows, int64_t per_part, const F& f) {
  __shared__ C shared[2][kThreads];
  const int64_t column = static_cast<int64_t>(blockIdx.x) * 32 + threadIdx.x;
  const int64_t last = min((blockIdx.y + 1) * per_part, rows);
  C a = 0, b = 0;
  if (column < columns)
#pragma unroll 4
    for (int64_t r = blockIdx.y * per_part + threadIdx.y; r < last; r += kThreads / 32) f(r, column, a, b);
  shared[0][threadIdx.y * 32 + threadIdx.x] = a;
  shared[1][threadIdx.y * 32 + threadIdx.x] = b;
  __syncthreads();
  if (threadIdx.y > 1 || column >= columns) return;
  C total = 0;
  for (int i = 0; i < kThreads / 32; ++i) total += shared[threadIdx.y][i * 32 + threadIdx.x];
  partial[(blockIdx.y * 2 + threadIdx.y) * columns + column] = total;
}

template <class T, class C = ComputeType<T>>
__global__ void __launch_bounds__(kThreads) weight_gradient_kernel(C* partial, const T* grad, RowsIn<T> in,
                                                                   const C* means, const C* rstds, int64_t per_part) {
  column_sums(partial, in.n, in.rows, per_part, [&](int64_t r, int64_t column, C& dw, C& db) {
    const C g = static_cast<C>(grad[r * in.n + column]);
    dw += g * (static_cast<C>(in.x[r * in.n + column]) - (means ? means[r] : C(0))) * rstds[r];
    db += g;
  });
}

template <class T, class C = ComputeType<T>>
__global__ void __launch_bounds__(kThreads) channel_columns_kernel(C* partial, const T* g, const T* x, const C* mean,
                                                                   int64_t rows, int64_t channels, int64_t per_part) {
  column_sums(partial, channels, rows, per_part, [&](int64_t r, int64_t k, C& a, C& b) {
    const C d = static_cast<C>(g[r * channels + k]);
    a += d;
    b += d * (static_cast<C>(x[r * channels + k]) - mean[k]);
  });
}

/// One block per channel and part.
template <class T, class C = ComputeType<T>>
__global__ void __launch_bounds__(kThreads) channel_rows_kernel(C* partial, const T* g, const T* x, const C* mean,
                                                                ChannelShape s, int64_t per_part) {
  const int64_t k = blockIdx.x, last = min((blockIdx.y + 1) * per_part, s.outer);
  const C center = mean[k];
  C a = 0, b = 0;
  auto add = [&](int64_t at) {
    const C d = static_cast<C>(g[at]);
    a += d;
    b += d * (static_cast<C>(x[at]) - center);
  };
  // Short runs share the block's threads: `lanes` threads each.
  const int lanes = s.inner >= kThreads ? kThreads : 1 << (31 - __clz(static_cast<int>(s.inner)));
  const int lane = threadIdx.x % lanes, together = kThreads / lanes;
  for (int64_t r = blockIdx.y * per_part + threadIdx.x / lanes; r < last; r += together) {
    const int64_t base = (r * s.channels + k) * s.inner;
#pragma unroll 4
    for (int64_t i = lane; i < s.inner; i += lanes) add(base + i);
  }
  sum_group(a, b, kThreads);
  if (threadIdx.x != 0) return;
  partial[blockIdx.y * 2 * s.channels + k] = a;
  partial[(blockIdx.y * 2 + 1) * s.channels + k] = b;
}

/// Adds the parts in order. Either result may be null.
template <class C>
__global__ void __launch_bounds__(kThreads) join_parts_kernel(C* first, C* second, const C* partial, int64_t columns,
                                                              int64_t parts) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= columns) return;
  C a = 0, b = 0;
  for (int64_t part = 0; part < parts; ++part) {
    a += partial[part * 2 * columns + i];
    b += partial[(part * 2 + 1) * columns + i];
  }
  if (first) first[i] = a;
  if (second) second[i] = b;
}

/// out = a x + b y + c by channel; V neighbouring elements a thread, Index wide enough for all.
template <bool kTwo, int V, class Index, class T, class C = ComputeType<T>>
__global__ void __launch_bounds__(kThreads) affine_kernel(T* out, const T* x, const T* y, const C* a, const C* b,
                                                          const C* c, Index vectors, Index channels, Index inner) {
  const Index v = static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x;
  if (v >= vectors) return;
  const Index first = v * V;
  Index run = first / inner, at = first - run * inner, k = run % channels;
  const Vector<V, T> u = reinterpret_cast<const Vector<V, T>*>(x)[v];
  Vector<V, T> w{}, o;
  if (kTwo) w = reinterpret_cast<const Vector<V, T>*>(y)[v];
#pragma unroll
  for (int j = 0; j < V; ++j) {
    C r = static_cast<C>(u.v[j]) * a[k] + c[k];
    if (kTwo) r += static_cast<C>(w.v[j]) * b[k];
    o.v[j] = static_cast<T>(r);
    if (++at == inner) {
      at = 0;
      if (++k == channels) k = 0;
    }
  }
  reinterpret_cast<Vector<V, T>*>(out)[v] = o;
}

int group_for(int64_t n, int per_thread) {
  int group = 1;
  while (group < kThreads && static_cast<int64_t>(group) * per_thread < n) group *= 2;
  return group;
}
bool aligned(std::initializer_list<const void*> pointers) {
  for (const void* p : pointers)
    if (reinterpret_cast<uintptr_t>(p) % 16 != 0) return false;
  return true;
}

/// Cuts rows into parts so that about 1024 blocks work.
struct Parts {
  int64_t per_part, parts;
  Parts(int64_t rows, int64_t blocks, int64_t least) {
    const int64_t wanted = std::max<int64_t>(1, std::min(1024 / std::max<int64_t>(blocks, 1), rows / least));
    per_part = std::max<int64_t>(1, (rows + wanted - 1) / wanted);
    parts = std::max<int64_t>(1, (rows + per_part - 1) / per_part);
  }
};

template <class C>
Tensor room_for(const Parts& p, int64_t columns, Device device) {
  return new_tensor({p.parts, 2, columns}, dtype_of<C>, device);
}

}  // namespace

void layer_norm(int64_t rows, int64_t n, const Tensor& out, const Tensor& mean, const Tensor& rstd, const Tensor& x,
                const Tensor& weight, const Tensor& bias, double eps) {
  visit_float("layer_norm", x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    constexpr int V = 16 / sizeof(T);
    const RowsIn<T> in{x.data<T>(), pointer<C>(weight), pointer<C>(bias), rows, n};
    const bool registers = n <= kThreads * kKept;
    const bool vectors = n % V == 0 && aligned({x.data_ptr(), out.data_ptr()});
    const int group = registers ? group_for(n, n <= 1024 ? kKept : kKept / 2) : kThreads;
    auto go = [&](auto kernel) {
      launch(kernel, blocks_for(rows, kThreads / group), kThreads, 0, out.data<T>(), output<C>(mean), output<C>(rstd),
             in, eps, group);
    };
    auto pick = [&](auto center) {
      constexpr bool kCenter = decltype(center)::value;
      if (registers)
        vectors ? go(forward_kernel<kCenter, true, V, T>) : go(forward_kernel<kCenter, true, 1, T>);
      else
        vectors ? go(forward_kernel<kCenter, false, V, T>) : go(forward_kernel<kCenter, false, 1, T>);
    };
    mean.defined() ? pick(std::true_type{}) : pick(std::false_type{});
  });
}

void layer_norm_backward(int64_t rows, int64_t n, const Tensor& dx, const Tensor& dweight, const Tensor& dbias,
                         const Tensor& g, const Tensor& x, const Tensor& mean, const Tensor& rstd,
                         const Tensor& weight) {
  visit_float("layer_norm", x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    constexpr int V = 16 / sizeof(T);
    const RowsIn<T> in{x.data<T>(), pointer<C>(weight), nullptr, rows, n};
    const C *means = pointer<C>(mean), *rstds = pointer<C>(rstd);
    if (dx.defined()) {
      const int group = group_for(n, 16);
      auto go = [&](auto kernel) {
        launch(kernel, blocks_for(rows, kThreads / group), kThreads, 0, dx.data<T>(), g.data<T>(), in, means, rstds,
               group);
      };
      const bool vectors = n % V == 0 && aligned({x.data_ptr(), g.data_ptr(), dx.data_ptr()});
      vectors ? go(input_gradient_kernel<V, T>) : go(input_gradient_kernel<1, T>);
    }
    if (!dweight.defined() && !dbias.defined()) return;
    const unsigned strips = blocks_for(n, 32);
    const Parts p(rows, strips, 32);
    const Tensor partial = room_for<C>(p, n, x.device());
    launch(weight_gradient_kernel<T>, dim3(strips, static_cast<unsigned>(p.parts)), dim3(32, kThreads / 32), 0,
           partial.data<C>(), g.data<T>(), in, means, rstds, p.per_part);
    launch(join_parts_kernel<C>, blocks_for(n, kThreads), kThreads, 0, output<C>(dweight), output<C>(dbias),
           partial.data<C>(), n, p.parts);
  });
}

void channel_affine(const ChannelShape& s, const Tensor& out, const Tensor& x, const Tensor& a, const Tensor& y,
                    const Tensor& b, const Tensor& c) {
  visit_float("batch_norm", out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    constexpr int V = 16 / sizeof(T);
    const int64_t total = s.outer * s.channels * s.inner;
    auto go = [&](auto kernel, int width) {
      launch(kernel, blocks_for(total / width, kThreads), kThreads, 0, out.data<T>(), x.data<T>(), pointer<T>(y),
             a.data<C>(), pointer<C>(b), c.data<C>(), total / width, s.channels, s.inner);
    };
    auto pick = [&](auto two) {
      constexpr bool kTwo = decltype(two)::value;
      const bool vectors = total % V == 0 && aligned({out.data_ptr(), x.data_ptr(), kTwo ? y.data_ptr() : nullptr});
      if (total < (int64_t{1} << 31))
        vectors ? go(affine_kernel<kTwo, V, uint32_t, T>, V) : go(affine_kernel<kTwo, 1, uint32_t, T>, 1);
      else
        go(affine_kernel<kTwo, 1, int64_t, T>, 1);
    };
    y.defined() ? pick(std::true_type{}) : pick(std::false_type{});
  });
}

void channel_sums(const ChannelShape& s, const Tensor& sum_g, const Tensor& sum_gx, const Tensor& g, const Tensor& x,
                  const Tensor& mean) {
  visit_float("batch_norm", x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    const bool columns = s.inner == 1;
    const unsigned blocks = columns ? blocks_for(s.channels, 32) : static_cast<unsigned>(s.channels);
    const Parts p(s.outer, blocks, columns ? 32 : std::max<int64_t>(1, 4096 / s.inner));
    const Tensor partial = room_for<C>(p, s.channels, x.device());
    const dim3 grid(blocks, static_cast<unsigned>(p.parts));
    if (columns)
      launch(channel_columns_kernel<T>, grid, dim3(32, kThreads / 32), 0, partial.data<C>(), g.data<T>(), x.data<T>(),
             mean.data<C>(), s.outer, s.channels, p.per_part);
    else
      launch(channel_rows_kernel<T>, grid, kThreads, 0, partial.data<C>(), g.data<T>(), x.data<T>(), mean.data<C>(), s,
             p.per_part);
    launch(join_parts_kernel<C>, blocks_for(s.channels, kThreads), kThreads, 0, sum_g.data<C>(), sum_gx.data<C>(),
           partial.data<C>(), s.channels, p.parts);
  });
}

}  // namespace norch::kernels::cuda
