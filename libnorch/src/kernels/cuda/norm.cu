#include "kernels/cuda/norm_rows.cuh"

namespace norch::kernels::cuda {

namespace {

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
  const RowsIn<T> in{x.data<T>(), pointer<C>(weight), nullptr, rows, n};
  visit_row_shape<T>(n, [&](auto vectors, int group) {
    constexpr int K = decltype(vectors)::value, kElements = K * 16 / static_cast<int>(sizeof(T));
    using Bounds = RowBounds<kElements>;
    const int threads = group * std::max(1, std::min(256, Bounds::kThreads) / group);
    // As many blocks as an H100 runs at once: a constant, so that sums do not depend on the card.
    const int64_t parts = std::min<int64_t>(blocks_for(rows, threads / group), 132 * std::max(1, Bounds::kResident / threads));
    const Tensor partial = room_for<C>(parts, n, x.device());
    // 1 KB more than the rows take: 48 KB of rows and RowGroup's own 512 bytes are more than a kernel may have unasked, and
    // `launch` asks only for what is above 48 KB.
    const size_t places = static_cast<size_t>(threads) * Bounds::kPlaces * kElements * (sizeof(T) + sizeof(G));
    launch(rows_backward_kernel<T, G, K>, static_cast<unsigned>(parts), threads, places + 1024, output<T>(dx), add,
           Twin(twin), partial.data<C>(), g.data<G>(), in, pointer<C>(mean), pointer<C>(rstd), group);
    join_parts<C>(dweight, dbias, partial, n, parts);
  });
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
