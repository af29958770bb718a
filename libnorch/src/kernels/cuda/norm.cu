#include "kernels/cuda/norm.cuh"

namespace norch::kernels::cuda {

namespace {

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

/// Where a result in float32 goes once more, rounded to bfloat16 or float16.
struct Twin {
  uint16_t* data = nullptr;
  bool bfloat16 = false;

  Twin() = default;
  explicit Twin(const Tensor& t)
      : data(t.defined() ? static_cast<uint16_t*>(t.data_ptr()) : nullptr),
        bfloat16(t.defined() && t.dtype() == DType::BFloat16) {}
  template <int V>
  __device__ __forceinline__ void store(int64_t i, const Vector<V, float>& wide) const {
    Vector<V, uint16_t> narrow;
#pragma unroll
    for (int j = 0; j < V; ++j)
      narrow.v[j] = bfloat16 ? BFloat16::from_float(wide.v[j]) : Half::from_float(wide.v[j]);
    *reinterpret_cast<Vector<V, uint16_t>*>(data + i) = narrow;
  }
};

/// A group of threads per row. The variance is taken around the mean in a second pass over what is in registers, or
/// over memory for rows that do not fit, and corrected by what rounding left of the mean.
template <class Walk, class T, class C = ComputeType<T>>
__global__ void __launch_bounds__(Walk::kThreads, Walk::kBlocks) forward_kernel(T* out, Twin twin, C* means, C* rstds,
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
    if constexpr (std::is_same_v<T, float>)
      if (twin.data) twin.store<V>(row * n + i, o);
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

/// Copies N bytes from device to shared memory without waiting for them: copy_wait does, for all but the newest `Left`
/// groups of copies, a group being what a thread started between two copy_group. (Before Ampere it is an ordinary copy.)
#if defined(__NVCC__) && __CUDA_ARCH__ >= 800
#define NORCH_COPIES_AHEAD 1
#endif
template <int N>
__device__ __forceinline__ void copy_ahead(void* to, const void* from) {
#if NORCH_COPIES_AHEAD
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  if constexpr (N == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address), "l"(from));
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(address), "l"(from), "n"(N));
#else
  memcpy(to, from, N);
#endif
}
__device__ __forceinline__ void copy_group() {
#if NORCH_COPIES_AHEAD
  asm volatile("cp.async.commit_group;");
#endif
}
template <int Left>
__device__ __forceinline__ void copy_wait() {
#if NORCH_COPIES_AHEAD
  asm volatile("cp.async.wait_group %0;" ::"n"(Left) : "memory");
#endif
}

/// All three gradients in one pass over g, of type G, and x. Blocks walk over rows; a thread has V columns of them, whose
/// sums over its rows stay in registers: partial[block][2][n]. Its parts of the next rows are on their way to shared
/// memory, each thread's to `places` places of its own, while the present row is summed. With `add` dx is added to what is
/// there; `twin` gets what dx gets.
template <class T, class G, class C = ComputeType<T>>
__global__ void __launch_bounds__(kMostThreads) backward_kernel(T* dx, bool add, Twin twin, C* partial,
                                                                const G* grad, RowsIn<T> in, const C* means,
                                                                const C* rstds, int size, int places) {
  constexpr int V = 16 / sizeof(T);
  extern __shared__ uint4 room_ahead[];  // [places][thread] of x, then of g
  auto* const xs = reinterpret_cast<Vector<V, T>*>(room_ahead) + threadIdx.x;
  auto* const gs = reinterpret_cast<Vector<V, G>*>(reinterpret_cast<Vector<V, T>*>(room_ahead) + places * blockDim.x) +
                   threadIdx.x;
  const Group group(size);
  const int64_t n = in.n, i = static_cast<int64_t>(group.rank) * V;
  const int together = blockDim.x / size;
  const bool inside = i < n;
  const Vector<V, C> w = parameter<V>(inside ? in.weight : nullptr, i, C(1));
  const C share = C(1) / static_cast<C>(n);
  C dw[V] = {}, db[V] = {};
  const int64_t stride = static_cast<int64_t>(gridDim.x) * together;
  int64_t first = static_cast<int64_t>(blockIdx.x) * together;
  auto start = [&](int64_t row, int place) {
    if (inside && row < in.rows) {
      copy_ahead<sizeof(*xs)>(xs + place * blockDim.x, in.x + row * n + i);
      copy_ahead<sizeof(*gs)>(gs + place * blockDim.x, grad + row * n + i);
    }
    copy_group();
  };
  for (int k = 0; k == 0 || k + 1 < places; ++k) start(first + k * stride + threadIdx.x / size, k);
  int place = 0;
  RowStats<C> next(means, rstds, min(first + threadIdx.x / size, in.rows - 1));
  for (; first < in.rows; first += stride) {  // for all threads of the block alike
    const int64_t row = first + threadIdx.x / size;
    const bool live = inside && row < in.rows;
    const RowStats<C> stats = next;
    next = RowStats<C>(means, rstds, min(row + stride, in.rows - 1));
    if (places == 4)
      copy_wait<2>();
    else if (places == 3)
      copy_wait<1>();
    else
      copy_wait<0>();
    Vector<V, G> g{};
    Vector<V, T> x{}, sum{};
    if (live) {
      g = gs[place * blockDim.x];
      x = xs[place * blockDim.x];
      if (dx && add) sum = *reinterpret_cast<const Vector<V, T>*>(dx + row * n + i);
    }
    // Into the place of the row before, which this thread is done with.
    if (places > 1) start(row + (places - 1) * stride, place ? place - 1 : places - 1);
    place = place + 1 < places ? place + 1 : 0;
    C weighted[V], normal[V];
    Sums<C> all{0, 0};
#pragma unroll
    for (int j = 0; j < V; ++j) {
      const C of_g = static_cast<C>(g.v[j]);
      normal[j] = live ? stats.normal(static_cast<C>(x.v[j])) : C(0);
      weighted[j] = of_g * w.v[j];
      all.a += weighted[j];
      all.b += weighted[j] * normal[j];
      dw[j] += of_g * normal[j];
      db[j] += of_g;
    }
    if (dx) all = group.sum(all);
    if (places == 1) start(row + stride, 0);
    if (!dx || !live) continue;
    all = {means ? all.a * share : C(0), all.b * share};
    Vector<V, T> o;
#pragma unroll
    for (int j = 0; j < V; ++j)
      o.v[j] = static_cast<T>(static_cast<C>(sum.v[j]) + stats.gradient(weighted[j], normal[j], all));
    *reinterpret_cast<Vector<V, T>*>(dx + row * n + i) = o;
    if constexpr (std::is_same_v<T, float>)
      if (twin.data) twin.store<V>(row * n + i, o);
  }
  if (!partial) return;
  // Groups of one block add theirs up, in order, where the rows have been.
  C* const room = reinterpret_cast<C*>(room_ahead);
  for (int which = 0; which < 2; ++which) {
    C(&mine)[V] = which ? db : dw;
    if (together > 1) {
      __syncthreads();
#pragma unroll
      for (int j = 0; j < V; ++j) room[j * blockDim.x + threadIdx.x] = mine[j];
      __syncthreads();
    }
    if (!inside || threadIdx.x >= size) continue;
#pragma unroll
    for (int j = 0; j < V; ++j)
      for (int other = 1; other < together; ++other) mine[j] += room[j * blockDim.x + other * size + threadIdx.x];
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

template <class T, class C = ComputeType<T>>
__global__ void __launch_bounds__(kThreads) weight_gradient_kernel(C* partial, const T* grad, RowsIn<T> in,
                                                                   const C* means, const C* rstds, int64_t per_part) {
  column_sums(partial, in.n, in.rows, per_part, [&](int64_t r, int64_t column, C& dw, C& db) {
    const C g = static_cast<C>(grad[r * in.n + column]);
    dw += g * (static_cast<C>(in.x[r * in.n + column]) - (means ? means[r] : C(0))) * rstds[r];
    db += g;
  });
}

template <class T, class G>
void one_pass_of(int64_t rows, int64_t n, const Tensor& dx, bool add, const Tensor& twin, const Tensor& dweight,
                 const Tensor& dbias, const Tensor& g, const Tensor& x, const Tensor& mean, const Tensor& rstd,
                 const Tensor& weight) {
  using C = ComputeType<T>;
  constexpr int V = 16 / sizeof(T);
  const RowsIn<T> in{x.data<T>(), pointer<C>(weight), nullptr, rows, n};
  const int group = group_for(n, V, kMostThreads), threads = std::max(group, kThreads);
  // As many blocks as an H100 runs at once: a constant, so that sums do not depend on the card.
  const int64_t parts = std::min<int64_t>(blocks_for(rows, threads / group), 132 * 1024 / threads);
  const Tensor partial = room_for<C>(parts, n, x.device());
  // Two or three rows on their way to each thread keep the memory busy; the largest blocks make do with what there is.
  const size_t row = static_cast<size_t>(threads) * V * (sizeof(T) + sizeof(G));
  const auto most = static_cast<size_t>(limits().shared_memory_per_block) - 1024;
  const int places = threads < 512 ? 3 : 4 * row <= most / 2 ? 4 : 2 * row <= most ? 2 : 1;
  // 1 KB more than the rows take: 48 KB of rows and Group's own 256 bytes are more than a kernel may have unasked, and
  // `launch` asks only for what is above 48 KB.
  const size_t shared = places * row + 1024;
  launch(backward_kernel<T, G>, static_cast<unsigned>(parts), threads, shared, output<T>(dx), add, Twin(twin),
         partial.data<C>(), g.data<G>(), in, pointer<C>(mean), pointer<C>(rstd), group, places);
  join_parts<C>(dweight, dbias, partial, n, parts);
}

/// All gradients of rows for which layer_norm_in_one_pass is true.
void one_pass(int64_t rows, int64_t n, const Tensor& dx, bool add, const Tensor& twin, const Tensor& dweight,
              const Tensor& dbias, const Tensor& g, const Tensor& x, const Tensor& mean, const Tensor& rstd,
              const Tensor& weight) {
  visit_float("layer_norm", x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto run = [&](auto grad) {
      using G = typename decltype(grad)::type;
      one_pass_of<T, G>(rows, n, dx, add, twin, dweight, dbias, g, x, mean, rstd, weight);
    };
    if constexpr (std::is_same_v<T, float>) {
      if (g.dtype() == DType::BFloat16) return run(TypeTag<BFloat16>{});
      if (g.dtype() == DType::Float16) return run(TypeTag<Half>{});
    }
    if constexpr (sizeof(T) <= 4) run(tag);
  });
}

}  // namespace

void layer_norm(int64_t rows, int64_t n, const Tensor& out, const Tensor& twin, const Tensor& mean, const Tensor& rstd,
                const Tensor& x, const Tensor& weight, const Tensor& bias, double eps) {
  visit_float("layer_norm", x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    const RowsIn<T> in{x.data<T>(), pointer<C>(weight), pointer<C>(bias), rows, n};
    // Four accesses of 16 bytes per thread of a block keep the memory busy.
    constexpr int kKept = 128 / sizeof(C), kOfBlock = sizeof(T) == 2 ? kKept : kKept / 2;
    const bool vectors = rows_have_vectors<T>(n, {in.x, out.data_ptr(), in.weight, in.bias});
    visit_row_walk<T, kKept, kOfBlock>(n, vectors, [&](auto walk, int group) {
      const int threads = block_of_groups(group);
      launch(forward_kernel<decltype(walk), T>, blocks_for(rows, threads / group), threads, 0, out.data<T>(), Twin(twin),
             output<C>(mean), output<C>(rstd), in, eps, group);
    });
  });
}

void layer_norm_backward(int64_t rows, int64_t n, const Tensor& dx, bool add, const Tensor& twin, const Tensor& dweight,
                         const Tensor& dbias, const Tensor& g, const Tensor& x, const Tensor& mean, const Tensor& rstd,
                         const Tensor& weight) {
  if ((dweight.defined() || dbias.defined()) && layer_norm_in_one_pass(n, x, g, weight))
    return one_pass(rows, n, dx, add, twin, dweight, dbias, g, x, mean, rstd, weight);
  visit_float("layer_norm", x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    constexpr int V = 16 / sizeof(T);
    const RowsIn<T> in{x.data<T>(), pointer<C>(weight), nullptr, rows, n};
    const C *means = pointer<C>(mean), *rstds = pointer<C>(rstd);
    const T* grad = g.data<T>();
    const bool vectors = rows_have_vectors<T>(n, {in.x, grad, dx.defined() ? dx.data_ptr() : nullptr, in.weight});
    if (dx.defined()) {
      constexpr int kKept = 64 / sizeof(C), kFew = V > 4 ? V : 2 * V;  // of each of two rows
      auto run = [&](auto walk, int group) {
        const int block = block_of_groups(group);
        launch(input_gradient_kernel<decltype(walk), T>, blocks_for(rows, block / group), block, 0, dx.data<T>(), grad,
               in, means, rstds, group);
      };
      // The second pass finds the row in the caches: nothing is gained by keeping it.
      if (!vectors || sizeof(T) == 8)
        run(RowWalk<0, true, 1, 8>{}, group_for(n, 8, 512));
      else if (n <= 32 * kFew)
        run(RowWalk<0, true, V, kFew>{}, group_for(n, kFew, 32));
      else if (n <= 32 * kKept)
        run(RowWalk<32, true, V, kKept>{}, 32);
      else
        run(RowWalk<0, true, V, kKept>{}, group_for(n, kKept, kMostThreads));
    }
    if (!dweight.defined() && !dbias.defined()) return;
    const unsigned strips = blocks_for(n, 32);
    const Parts p(rows, strips, 32);
    const Tensor partial = room_for<C>(p.parts, n, x.device());
    launch(weight_gradient_kernel<T>, dim3(strips, static_cast<unsigned>(p.parts)), dim3(32, kThreads / 32), 0,
           partial.data<C>(), grad, in, means, rstds, p.per_part);
    join_parts<C>(dweight, dbias, partial, n, p.parts);
  });
}

}  // namespace norch::kernels::cuda
