#include "kernels/norm.h"

#include <algorithm>

#include "core/factory.h"
#include "kernels/cuda/group.cuh"

namespace norch::kernels::cuda {

namespace {

constexpr int kThreads = 256;

template <class T>
const T* pointer(const Tensor& t) {
  return t.defined() ? static_cast<const T*>(t.data_ptr()) : nullptr;
}
template <class T>
T* output(const Tensor& t) {
  return t.defined() ? static_cast<T*>(t.data_ptr()) : nullptr;
}

/// Two sums made in one pass.
template <class C>
struct Sums {
  C a, b;
  __device__ __forceinline__ Sums operator+(const Sums& o) const { return {a + o.a, b + o.b}; }
};

template <class T, class C = ComputeType<T>>
struct RowsIn {
  const T* x;
  const C* weight;
  const C* bias;
  int64_t rows, n;
};

/// Elements [i, i + V) of an optional parameter.
template <int V, class C>
__device__ __forceinline__ Vector<V, C> parameter(const C* p, int64_t i, C otherwise) {
  if (p) return *reinterpret_cast<const Vector<V, C>*>(p + i);
  Vector<V, C> all;
#pragma unroll
  for (C& v : all.v) v = otherwise;
  return all;
}

/// A group of threads per row. The variance is taken around the mean in a second pass over what is in registers, or
/// over memory for rows that do not fit, and corrected by what rounding left of the mean.
template <class Walk, class T, class C = ComputeType<T>>
__global__ void __launch_bounds__(Walk::kThreads, Walk::kBlocks) forward_kernel(T* out, C* means, C* rstds,
                                                                                RowsIn<T> in, double eps, int size) {
  using Part = typename Walk::Part;
  constexpr int V = Walk::kWidth, kCount = Walk::kCount;
  const Group group(Walk::kSize ? Walk::kSize : size);
  const int64_t own = group.row(), row = min(own, in.rows - 1), n = in.n;
  const int64_t step = Walk::kWhole ? n : static_cast<int64_t>(group.size) * kCount;
  const T* x = in.x + row * n;
  T* y = out + row * n;
  const C share = C(1) / static_cast<C>(n);
  C kept[kCount];
  if constexpr (Walk::kWhole) Part::load(kept, group, x, 0, n, C(0));
  // Calls f for the vectors of the row, up to `end`, as Part::each.
  auto each = [&](int64_t end, auto&& f) {
    for (int64_t begin = 0; begin < n; begin += step) {
      if constexpr (!Walk::kWhole) Part::load(kept, group, x, begin, n, C(0));
      Part::each(group, begin, end, f);
      if constexpr (Walk::kWhole) break;
    }
  };
  C mean = 0;
  if (means) {
    C sum = 0;
    each(n, [&](int k, int64_t) {
#pragma unroll
      for (int j = 0; j < V; ++j) sum += kept[k + j];
    });
    mean = group.sum(sum) * share;
  }
  Sums<C> off{0, 0};  // of the distances from the mean, and of their squares
  each(n, [&](int k, int64_t) {
#pragma unroll
    for (int j = 0; j < V; ++j) {
      const C d = kept[k + j] - mean;
      off.a += d;
      off.b += d * d;
    }
  });
  off = group.sum(off);
  C var = off.b * share;
  if (means) {
    const C shift = off.a * share;
    mean += shift;
    var -= shift * shift;
    var = var < C(0) ? C(0) : var;
  }
  const C rstd = C(1) / sqrt(var + static_cast<C>(eps));
  if (own >= in.rows) return;
  if (group.rank == 0) {
    if (means) means[row] = mean;
    rstds[row] = rstd;
  }
  each(n, [&](int k, int64_t i) {
    const Vector<V, C> w = parameter<V>(in.weight, i, C(1)), b = parameter<V>(in.bias, i, C(0));
    Vector<V, T> o;
#pragma unroll
    for (int j = 0; j < V; ++j) o.v[j] = static_cast<T>((kept[k + j] - mean) * rstd * w.v[j] + b.v[j]);
    *reinterpret_cast<Vector<V, T>*>(y + i) = o;
  });
}

/// One row's part of the backward: dx = rstd (w g - mean(w g) - xn mean(w g xn)) with xn = (x - mean) rstd.
template <class C>
struct RowStats {
  C mean, rstd;
  __device__ __forceinline__ RowStats(const C* means, const C* rstds, int64_t row)
      : mean(means ? means[row] : C(0)), rstd(rstds[row]) {}
  __device__ __forceinline__ C normal(C x) const { return (x - mean) * rstd; }
  __device__ __forceinline__ C gradient(C weighted, C normal, const Sums<C>& means) const {
    return rstd * (weighted - means.a - normal * means.b);
  }
};

/// All three gradients in one pass over g and x. Blocks walk over rows; a thread has V columns of them, whose sums over
/// its rows stay in registers: partial[block][2][n]. The next row is on its way while the present one is summed.
template <class T, class C = ComputeType<T>>
__global__ void __launch_bounds__(kMostThreads) backward_kernel(T* dx, C* partial, const T* grad, RowsIn<T> in,
                                                                const C* means, const C* rstds, int size) {
  constexpr int V = 16 / sizeof(T);
  const Group group(size);
  const int64_t n = in.n, i = static_cast<int64_t>(group.rank) * V;
  const int together = blockDim.x / size;
  const bool inside = i < n;
  const Vector<V, C> w = parameter<V>(inside ? in.weight : nullptr, i, C(1));
  C dw[V] = {}, db[V] = {};
  Vector<V, T> g{}, x{};
  auto load = [&](int64_t row) {
    if (!inside || row >= in.rows) return;
    g = *reinterpret_cast<const Vector<V, T>*>(grad + row * n + i);
    x = *reinterpret_cast<const Vector<V, T>*>(in.x + row * n + i);
  };
  const int64_t stride = static_cast<int64_t>(gridDim.x) * together;
  int64_t first = static_cast<int64_t>(blockIdx.x) * together;
  load(first + threadIdx.x / size);
  for (; first < in.rows; first += stride) {  // for all threads of the block alike
    const int64_t row = first + threadIdx.x / size;
    const bool live = inside && row < in.rows;
    const RowStats<C> stats(means, rstds, min(row, in.rows - 1));
    C weighted[V], normal[V];
    Sums<C> all{0, 0};
#pragma unroll
    for (int j = 0; j < V; ++j) {
      const C of_g = live ? static_cast<C>(g.v[j]) : C(0);
      normal[j] = live ? stats.normal(static_cast<C>(x.v[j])) : C(0);
      weighted[j] = of_g * w.v[j];
      all.a += weighted[j];
      all.b += weighted[j] * normal[j];
      dw[j] += of_g * normal[j];
      db[j] += of_g;
    }
    load(row + stride);
    if (!dx) continue;
    all = group.sum(all);
    all = {means ? all.a / static_cast<C>(n) : C(0), all.b / static_cast<C>(n)};
    if (!live) continue;
    Vector<V, T> o;
#pragma unroll
    for (int j = 0; j < V; ++j) o.v[j] = static_cast<T>(stats.gradient(weighted[j], normal[j], all));
    *reinterpret_cast<Vector<V, T>*>(dx + row * n + i) = o;
  }
  if (!partial) return;
  // Groups of one block add theirs up, in order.
  __shared__ C room[V][kThreads];
  for (int which = 0; which < 2; ++which) {
    C(&mine)[V] = which ? db : dw;
    if (together > 1) {
      __syncthreads();
#pragma unroll
      for (int j = 0; j < V; ++j) room[j][threadIdx.x] = mine[j];
      __syncthreads();
    }
    if (!inside || threadIdx.x >= size) continue;
#pragma unroll
    for (int j = 0; j < V; ++j)
      for (int other = 1; other < together; ++other) mine[j] += room[j][other * size + threadIdx.x];
    Vector<V, C> o;
#pragma unroll
    for (int j = 0; j < V; ++j) o.v[j] = mine[j];
    *reinterpret_cast<Vector<V, C>*>(partial + (static_cast<int64_t>(blockIdx.x) * 2 + which) * n + i) = o;
  }
}

/// dx alone, for rows that a block cannot hold or that cannot be read by 16 bytes.
template <class Walk, class T, class C = ComputeType<T>>
__global__ void __launch_bounds__(Walk::kThreads, Walk::kBlocks)
    input_gradient_kernel(T* dx, const T* grad, RowsIn<T> in, const C* means, const C* rstds, int size) {
  using Part = typename Walk::Part;
  constexpr int V = Walk::kWidth, kCount = Walk::kCount;
  const Group group(Walk::kSize ? Walk::kSize : size);
  const int64_t own = group.row(), row = min(own, in.rows - 1), n = in.n;
  const int64_t step = static_cast<int64_t>(group.size) * kCount;
  const RowStats<C> stats(means, rstds, row);
  C g[kCount], x[kCount];
  // Calls f(weighted, normal, i) with vectors of the row.
  auto each = [&](auto&& f) {
    for (int64_t begin = 0; begin < n; begin += step) {
      Part::load(g, group, grad + row * n, begin, n, C(0));
      Part::load(x, group, in.x + row * n, begin, n, C(0));
      Part::each(group, begin, n, [&](int k, int64_t i) {
        const Vector<V, C> w = parameter<V>(in.weight, i, C(1));
        C weighted[V], normal[V];
#pragma unroll
        for (int j = 0; j < V; ++j) {
          weighted[j] = g[k + j] * w.v[j];
          normal[j] = stats.normal(x[k + j]);
        }
        f(weighted, normal, i);
      });
    }
  };
  Sums<C> all{0, 0};
  each([&](const C(&w)[V], const C(&xn)[V], int64_t) {
#pragma unroll
    for (int j = 0; j < V; ++j) {
      all.a += w[j];
      all.b += w[j] * xn[j];
    }
  });
  all = group.sum(all);
  all = {means ? all.a / static_cast<C>(n) : C(0), all.b / static_cast<C>(n)};
  if (own >= in.rows) return;
  each([&](const C(&w)[V], const C(&xn)[V], int64_t i) {
    Vector<V, T> o;
#pragma unroll
    for (int j = 0; j < V; ++j) o.v[j] = static_cast<T>(stats.gradient(w[j], xn[j], all));
    *reinterpret_cast<Vector<V, T>*>(dx + row * n + i) = o;
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
  const Sums<C> all = Group(kThreads).sum(Sums<C>{a, b});
  if (threadIdx.x != 0) return;
  partial[blockIdx.y * 2 * s.channels + k] = all.a;
  partial[(blockIdx.y * 2 + 1) * s.channels + k] = all.b;
}

/// Adds the parts: 32 columns and 32 runs of parts a block; grid.y picks which of the two sums. Either result may be
/// null.
template <class C>
__global__ void __launch_bounds__(1024) join_parts_kernel(C* first, C* second, const C* partial, int64_t columns,
                                                          int64_t parts) {
  __shared__ C runs[32][32];
  C* const out = blockIdx.y ? second : first;
  const int64_t column = static_cast<int64_t>(blockIdx.x) * 32 + threadIdx.x;
  C sum = 0;
  if (out && column < columns)
#pragma unroll 4
    for (int64_t part = threadIdx.y; part < parts; part += 32) sum += partial[(part * 2 + blockIdx.y) * columns + column];
  runs[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || !out || column >= columns) return;
  for (int run = 1; run < 32; ++run) sum += runs[run][threadIdx.x];
  out[column] = sum;
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
Tensor room_for(int64_t parts, int64_t columns, Device device) {
  return new_tensor({parts, 2, columns}, dtype_of<C>, device);
}

template <class C>
void join_parts(const Tensor& first, const Tensor& second, const Tensor& partial, int64_t columns, int64_t parts) {
  launch(join_parts_kernel<C>, dim3(blocks_for(columns, 32), 2), dim3(32, 32), 0, output<C>(first), output<C>(second),
         static_cast<const C*>(partial.data<C>()), columns, parts);
}

}  // namespace

void layer_norm(int64_t rows, int64_t n, const Tensor& out, const Tensor& mean, const Tensor& rstd, const Tensor& x,
                const Tensor& weight, const Tensor& bias, double eps) {
  visit_float("layer_norm", x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    const RowsIn<T> in{x.data<T>(), pointer<C>(weight), pointer<C>(bias), rows, n};
    constexpr int kKept = 128 / sizeof(C);
    const bool vectors = rows_have_vectors<T>(n, {in.x, out.data_ptr(), in.weight, in.bias});
    visit_row_walk<T, kKept, kKept / 2>(n, vectors, [&](auto walk, int group) {
      const int threads = block_of_groups(group);
      launch(forward_kernel<decltype(walk), T>, blocks_for(rows, threads / group), threads, 0, out.data<T>(),
             output<C>(mean), output<C>(rstd), in, eps, group);
    });
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
    const T* grad = g.data<T>();
    const bool columns = dweight.defined() || dbias.defined();
    const bool vectors = rows_have_vectors<T>(n, {in.x, grad, dx.defined() ? dx.data_ptr() : nullptr, in.weight});
    if (columns && vectors && n <= kMostThreads * V) {
      const int group = group_for(n, V, kMostThreads), threads = std::max(group, kThreads);
      // As many blocks as an H100 runs at once: a constant, so that sums do not depend on the card.
      const int64_t parts = std::min<int64_t>(blocks_for(rows, threads / group), 132 * 1024 / threads);
      const Tensor partial = room_for<C>(parts, n, x.device());
      launch(backward_kernel<T>, static_cast<unsigned>(parts), threads, 0, output<T>(dx), partial.data<C>(), grad, in,
             means, rstds, group);
      join_parts<C>(dweight, dbias, partial, n, parts);
      return;
    }
    if (dx.defined()) {
      constexpr int kKept = 64 / sizeof(C);  // of each of two rows
      visit_row_walk<T, kKept, kKept>(n, vectors, [&](auto walk, int group) {
        const int block = block_of_groups(group);
        launch(input_gradient_kernel<decltype(walk), T>, blocks_for(rows, block / group), block, 0, dx.data<T>(), grad,
               in, means, rstds, group);
      });
    }
    if (!columns) return;
    const unsigned strips = blocks_for(n, 32);
    const Parts p(rows, strips, 32);
    const Tensor partial = room_for<C>(p.parts, n, x.device());
    launch(weight_gradient_kernel<T>, dim3(strips, static_cast<unsigned>(p.parts)), dim3(32, kThreads / 32), 0,
           partial.data<C>(), grad, in, means, rstds, p.per_part);
    join_parts<C>(dweight, dbias, partial, n, p.parts);
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
    const Tensor partial = room_for<C>(p.parts, s.channels, x.device());
    const dim3 grid(blocks, static_cast<unsigned>(p.parts));
    if (columns)
      launch(channel_columns_kernel<T>, grid, dim3(32, kThreads / 32), 0, partial.data<C>(), g.data<T>(), x.data<T>(),
             mean.data<C>(), s.outer, s.channels, p.per_part);
    else
      launch(channel_rows_kernel<T>, grid, kThreads, 0, partial.data<C>(), g.data<T>(), x.data<T>(), mean.data<C>(), s,
             p.per_part);
    join_parts<C>(sum_g, sum_gx, partial, s.channels, p.parts);
  });
}

}  // namespace norch::kernels::cuda
