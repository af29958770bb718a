#include "kernels/cuda/norm_rows.cuh"

namespace norch::kernels::cuda {

namespace {

/// A group of threads per row. The variance is taken around the mean in a second pass over what is in registers, or
/// over memory for rows that do not fit, and corrected by what rounding left of the mean. `length`: rows are divided by
/// their length instead, at least eps.
template <class Walk, class T, class C = ComputeType<T>>
__global__ void __launch_bounds__(Walk::kThreads, Walk::kBlocks) forward_kernel(T* out, Twin twin, C* means, C* rstds,
                                                                                RowsIn<T> in, double eps, bool length, int size) {
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
  const C least = static_cast<C>(eps), root = sqrt(length ? off.b : var + least);
  const C rstd = C(1) / (length && root < least ? least : root);
  if (own >= in.rows) return;
  if (group.rank == 0) {
    if (means) means[row] = mean;
    if (rstds) rstds[row] = rstd;
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

/// As ForwardBounds, for threads that also keep the sums of their columns. The more columns, the fewer barriers,
/// shuffles and addresses an element; three times 128 threads of 24 columns still keep the memory busy. Measured on an
/// H200.
template <int kElements>
struct BackwardBounds {
  static constexpr int kThreads = kElements > 16 ? 128 : kElements > 4 ? 512 : 384;
  static constexpr int kResident = kElements > 16 ? 384 : kElements > 8 ? 512 : kElements > 4 ? 1024 : 1152;
  static constexpr int kBlocks = kResident / kThreads;
  static constexpr int kPlaces = kElements > 4 ? 3 : 4;
};

/// All three gradients in one pass over g, of type G, and x, of type T. A thread has K vectors of columns, whose sums
/// over its rows stay in registers: partial[block][2][n]. Its parts of the next rows are on their way to places of its
/// own in shared memory while the present row is summed. With `add` dx is added to what is there; `twin` gets what dx
/// gets. kSums: the columns of what dx gets are summed, too, and partial has room for three.
template <class T, class G, int K, bool kSums, class C = ComputeType<T>, class Bounds = BackwardBounds<K * 16 / sizeof(T)>>
__global__ void __launch_bounds__(Bounds::kThreads, Bounds::kBlocks)
    rows_backward_kernel(T* dx, bool add, Twin twin, C* partial, const G* grad, RowsIn<T> in, const C* means,
                         const C* rstds, int size, int places) {
  constexpr int V = 16 / sizeof(T);
  using Xs = Vector<V, T>;
  using Gs = Vector<V, G>;
  using Cs = Vector<V, C>;
  extern __shared__ uint4 room_ahead[];  // [place][vector][thread] of x, then of g
  const int block = blockDim.x;
  Xs* const xs = reinterpret_cast<Xs*>(room_ahead) + threadIdx.x;
  Gs* const gs = reinterpret_cast<Gs*>(reinterpret_cast<Xs*>(room_ahead) + places * K * block) + threadIdx.x;
  const RowGroup group(size);
  const int together = block / size, mine = threadIdx.x / size;
  const int64_t rows = in.rows, n = in.n;
  const int64_t stride = static_cast<int64_t>(gridDim.x) * together;
  const C share = C(1) / static_cast<C>(n);
  Cs w[K], dw[K] = {}, db[K] = {}, ds[kSums ? K : 1] = {};
  each_vector<V, K>(group, n, [&](int k, int i, bool inside) {
    w[k] = parameter<V>(inside ? in.weight : nullptr, i, C(1));
  });
  // Columns behind the row's end are zeros in all places.
  each_vector<V, K>(group, n, [&](int k, int, bool inside) {
    for (int place = 0; !inside && place < places; ++place) {
      xs[(place * K + k) * block] = Xs{};
      gs[(place * K + k) * block] = Gs{};
    }
  });
  int64_t first = static_cast<int64_t>(blockIdx.x) * together;
  auto start = [&](int64_t row, int place) {
    if (row < rows)
      each_vector<V, K>(group, n, [&](int k, int i, bool inside) {
        if (!inside) return;
        copy_ahead<sizeof(Xs)>(xs + (place * K + k) * block, in.x + row * n + i);
        copy_ahead<sizeof(Gs)>(gs + (place * K + k) * block, grad + row * n + i);
      });
    copy_group();
  };
  for (int k = 0; k + 1 < places; ++k) start(first + k * stride + mine, k);
  int place = 0, turn = 0;
  RowStats<C> next(means, rstds, min(first + mine, rows - 1));
  for (; first < rows; first += stride, ++turn) {  // for all threads of the block alike
    const int64_t row = first + mine;
    const bool live = row < rows;
    const RowStats<C> stats = next;
    next = RowStats<C>(means, rstds, min(row + stride, rows - 1));
    const C shift = -stats.mean * stats.rstd;
    if (places == 4)
      copy_wait<2>();
    else if (places == 3)
      copy_wait<1>();
    else
      copy_wait<0>();
    start(row + (places - 1) * stride, place ? place - 1 : places - 1);  // where the row before was
    if (places == 1) copy_wait<0>();
    const Xs* const x_place = xs + place * K * block;
    const Gs* const g_place = gs + place * K * block;
    place = place + 1 < places ? place + 1 : 0;
    Xs x[K];
    Gs g[K];
    Sums<C> all{0, 0};
    if (live) {
#pragma unroll
      for (int k = 0; k < K; ++k) {
        x[k] = x_place[k * block];
        g[k] = g_place[k * block];
        C xv[V], gv[V];
        widen(x[k], xv);
        widen(g[k], gv);
#pragma unroll
        for (int j = 0; j < V; ++j) {
          const C xn = xv[j] * stats.rstd + shift, wg = gv[j] * w[k].v[j];
          all.a += wg;
          all.b += wg * xn;
          dw[k].v[j] += gv[j] * xn;
          db[k].v[j] += gv[j];
        }
      }
    }
    if (!dx) continue;
    all = group.sum(all, turn);
    const C of_normal = -stats.rstd * all.b * share, constant = means ? -stats.rstd * all.a * share : C(0);
    if (!live) continue;
    each_vector<V, K>(group, n, [&](int k, int i, bool inside) {
      if (!inside) return;
      Xs* const to = reinterpret_cast<Xs*>(dx + row * n + i);
      C xv[V], gv[V];
      widen(x[k], xv);
      widen(g[k], gv);
#pragma unroll
      for (int j = 0; j < V; ++j)
        xv[j] = stats.rstd * (gv[j] * w[k].v[j]) + (of_normal * (xv[j] * stats.rstd + shift) + constant);
      if (add) {
        const Xs there = *to;
        widen(there, gv);
#pragma unroll
        for (int j = 0; j < V; ++j) xv[j] += gv[j];
      }
      if constexpr (kSums)
#pragma unroll
        for (int j = 0; j < V; ++j) ds[k].v[j] += xv[j];
      const Xs o = narrow<V, T>(xv);
      *to = o;
      if constexpr (std::is_same_v<T, float>)
        if (twin.data) twin.store<V>(row * n + i, o);
    });
  }
  if (!partial) return;
  // Groups of one block add theirs up, in order, where the rows have been.
  C* const room = reinterpret_cast<C*>(room_ahead);
  copy_wait<0>();
  constexpr int kKinds = kSums ? 3 : 2;
  for (int which = 0; which < kKinds; ++which) {
    each_vector<V, K>(group, n, [&](int k, int i, bool inside) {
      Cs sum = which == 0 ? dw[k] : which == 1 ? db[k] : ds[kSums ? k : 0];
      if (together > 1) {
        __syncthreads();
#pragma unroll
        for (int j = 0; j < V; ++j) room[j * block + threadIdx.x] = sum.v[j];
        __syncthreads();
      }
      if (!inside || threadIdx.x >= size) return;
#pragma unroll
      for (int j = 0; j < V; ++j)
        for (int other = 1; other < together; ++other) sum.v[j] += room[j * block + other * size + threadIdx.x];
      *reinterpret_cast<Cs*>(partial + (static_cast<int64_t>(blockIdx.x) * kKinds + which) * n + i) = sum;
    });
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

template <class T, class G, bool kSums>
void one_pass_of(int64_t rows, int64_t n, const Tensor& dx, bool add, const Tensor& twin, const Tensor& sums,
                 const Tensor& dweight, const Tensor& dbias, const Tensor& g, const Tensor& x, const Tensor& mean,
                 const Tensor& rstd, const Tensor& weight) {
  using C = ComputeType<T>;
  const RowsIn<T> in{x.data<T>(), pointer<C>(weight), nullptr, rows, n};
  visit_row_shape<T>(n, [&](auto vectors, int group) {
    constexpr int K = decltype(vectors)::value, kElements = K * 16 / static_cast<int>(sizeof(T));
    using Bounds = BackwardBounds<kElements>;
    const int threads = group * std::max(1, std::min(256, Bounds::kThreads) / group);
    // As many blocks as an H100 runs at once: a constant, so that sums do not depend on the card.
    const int64_t parts =
        std::min<int64_t>(blocks_for(rows, threads / group), 132 * std::max(1, Bounds::kResident / threads));
    const Tensor partial = room_for<C>(parts, n, x.device(), kSums ? 3 : 2);
    // 1 KB more than the rows take: 48 KB of rows and RowGroup's own 512 bytes are more than a kernel may have unasked,
    // and `launch` asks only for what is above 48 KB. Before Ampere a block may have no more than 64 KB.
    const size_t row = static_cast<size_t>(threads) * kElements * (sizeof(T) + sizeof(G));
    const size_t room = static_cast<size_t>(limits().shared_memory_per_block);
    const auto fits = [&](int places) { return places * row + 1024 <= room; };
    const int places = fits(Bounds::kPlaces) ? Bounds::kPlaces : fits(2) ? 2 : 1;
    launch(rows_backward_kernel<T, G, K, kSums>, static_cast<unsigned>(parts), threads, places * row + 1024,
           output<T>(dx), add, Twin(twin), partial.data<C>(), g.data<G>(), in, pointer<C>(mean), pointer<C>(rstd), group,
           places);
    if constexpr (kSums)
      join_parts<C>({dweight, dbias, sums}, partial, n, parts);
    else
      join_parts<C>({dweight, dbias}, partial, n, parts);
  });
}

/// Rows of up to 4096 16-bit floats.
template <class T>
void forward_by_rows(const RowsIn<T>& in, const Tensor& out, const Tensor& mean, const Tensor& rstd, double eps) {
  visit_row_shape<T>(in.n, [&](auto vectors, int group) {
    constexpr int K = decltype(vectors)::value;
    using Bounds = ForwardBounds<8 * K>;
    const int threads = group * std::max(1, std::min(256, Bounds::kThreads) / group);
    const int64_t blocks =
        std::min<int64_t>(blocks_for(in.rows, threads / group), 132 * std::max(1, Bounds::kResident / threads));
    launch(rows_forward_kernel<T, K>, static_cast<unsigned>(blocks), threads,
           static_cast<size_t>(threads) * Bounds::kPlaces * K * 16 + 1024, out.data<T>(), output<float>(mean),
           output<float>(rstd), in, static_cast<float>(eps), group);
  });
}

/// All gradients of rows for which layer_norm_in_one_pass is true.
void one_pass(int64_t rows, int64_t n, const Tensor& dx, bool add, const Tensor& twin, const Tensor& sums,
              const Tensor& dweight, const Tensor& dbias, const Tensor& g, const Tensor& x, const Tensor& mean,
              const Tensor& rstd, const Tensor& weight) {
  visit_float("layer_norm", x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto run = [&](auto grad) {
      using G = typename decltype(grad)::type;
      if constexpr (sizeof(G) < sizeof(T))
        if (sums.defined())
          return one_pass_of<T, G, true>(rows, n, dx, add, twin, sums, dweight, dbias, g, x, mean, rstd, weight);
      one_pass_of<T, G, false>(rows, n, dx, add, twin, {}, dweight, dbias, g, x, mean, rstd, weight);
    };
    if constexpr (std::is_same_v<T, float>) {
      if (g.dtype() == DType::BFloat16) return run(TypeTag<BFloat16>{});
      if (g.dtype() == DType::Float16) return run(TypeTag<Half>{});
    }
    if constexpr (sizeof(T) <= 4) run(tag);
  });
}

/// Layer normalisation, or with `length` that of rows by their length.
void forward(int64_t rows, int64_t n, const Tensor& out, const Tensor& twin, const Tensor& mean, const Tensor& rstd,
             const Tensor& x, const Tensor& weight, const Tensor& bias, double eps, bool length) {
  visit_float("layer_norm", x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    const RowsIn<T> in{x.data<T>(), pointer<C>(weight), pointer<C>(bias), rows, n};
    // Four accesses of 16 bytes per thread of a block keep the memory busy.
    constexpr int kKept = 128 / sizeof(C), kOfBlock = sizeof(T) == 2 ? kKept : kKept / 2;
    const bool vectors = rows_have_vectors<T>(n, {in.x, out.data_ptr(), in.weight, in.bias});
    if constexpr (sizeof(T) == 2)
      if (vectors && n > 256 && n <= 4096 && !length) return forward_by_rows(in, out, mean, rstd, eps);
    visit_row_walk<T, kKept, kOfBlock>(n, vectors, [&](auto walk, int group) {
      const int threads = block_of_groups(group);
      launch(forward_kernel<decltype(walk), T>, blocks_for(rows, threads / group), threads, 0, out.data<T>(), Twin(twin),
             output<C>(mean), output<C>(rstd), in, eps, length, group);
    });
  });
}

}  // namespace

void layer_norm(int64_t rows, int64_t n, const Tensor& out, const Tensor& twin, const Tensor& mean, const Tensor& rstd,
                const Tensor& x, const Tensor& weight, const Tensor& bias, double eps) {
  forward(rows, n, out, twin, mean, rstd, x, weight, bias, eps, false);
}

void normalize_rows(int64_t rows, int64_t n, const Tensor& out, const Tensor& x, double eps) {
  forward(rows, n, out, {}, {}, {}, x, {}, {}, eps, true);
}

void layer_norm_backward(int64_t rows, int64_t n, const Tensor& dx, bool add, const Tensor& twin, const Tensor& sums,
                         const Tensor& dweight, const Tensor& dbias, const Tensor& g, const Tensor& x,
                         const Tensor& mean, const Tensor& rstd, const Tensor& weight) {
  if ((dweight.defined() || dbias.defined()) && layer_norm_in_one_pass(n, x, g, weight))
    return one_pass(rows, n, dx, add, twin, sums, dweight, dbias, g, x, mean, rstd, weight);
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
    join_parts<C>({dweight, dbias}, partial, n, p.parts);
  });
}

}  // namespace norch::kernels::cuda
