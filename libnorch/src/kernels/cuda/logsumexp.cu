// Logarithms of sums of exponentials, in one pass over the elements.
#include "kernels/cuda/softmax.cuh"

namespace norch::kernels::cuda {

namespace {

/// A group of threads per row.
template <class Walk, class T>
__global__ void __launch_bounds__(Walk::kThreads, Walk::kBlocks) rows_kernel(T* out, const T* in, int64_t rows, int64_t n,
                                                                             int size) {
  using C = ComputeType<T>;
  using Sum = Online<C, true>;
  const Group group(Walk::kSize ? Walk::kSize : size);
  const int64_t own = group.row();
  const T* const x = in + min(own, rows - 1) * n;  // a group without a row of its own stores nothing
  const int64_t step = static_cast<int64_t>(group.size) * Walk::kCount;
  Sum all = Sum::nothing();
  int64_t begin = 0;
  do {
    C part[Walk::kCount];
    Walk::Part::load(part, group, x, begin, n, kLowest<C>);
    all.add(part);
    begin += step;
  } while (!Walk::kWhole && begin < n);
  all = group.join(all, [](const Sum& a, const Sum& b) { return a.join(b); });
  if (group.rank == 0 && own < rows) out[own] = static_cast<T>(all.logarithm());
}

template <int V, class T, class C = ComputeType<T>>
__global__ void __launch_bounds__(kThreads, kBlocksOf<V, C>) columns_kernel(T* out, const T* in, ColumnWalk w,
                                                                         Online<C, true>* totals) {
  const int64_t column = w.column<V>();
  Online<C, true> all[V];
#pragma unroll
  for (int j = 0; j < V; ++j) all[j] = Online<C, true>::nothing();
  if (column < w.inner && w.way != Columns::Results) add_columns(w, in + (w.outer() * w.n * w.inner + column), all);
  if (!join_parts(w, all, totals) || threadIdx.y != 0) return;
#pragma unroll
  for (int j = 0; j < V; ++j) out[w.outer() * w.inner + column + j] = static_cast<T>(all[j].logarithm());
}

template <class T>
void run(const SoftmaxShape& s, T* out, const T* in, Device device) {
  if (s.inner > 1) {
    using A = Online<ComputeType<T>, true>;
    return launch_columns<T, A>(s, device, columns_have_vectors<T>(s, {in}), false, [&](auto width, dim3 grid, dim3 block,
                                size_t shared, const ColumnWalk& walk, A* totals) {
      launch(columns_kernel<decltype(width)::value, T>, grid, block, shared, out, in, walk, totals);
    });
  }
  constexpr int kKept = 128 / sizeof(ComputeType<T>);
  visit_row_walk<T, kKept, kKept / 2>(s.n, rows_have_vectors<T>(s.n, {in}), [&](auto walk, int group) {
    const int threads = block_of_groups(group);
    launch(rows_kernel<decltype(walk), T>, blocks_for(s.outer, threads / group), threads, 0, out, in, s.outer, s.n, group);
  });
}

}  // namespace

void logsumexp(const SoftmaxShape& s, const Tensor& out, const Tensor& in) {
  visit_float("logsumexp", in.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    run<T>(s, out.data<T>(), in.data<T>(), in.device());
  });
}

}  // namespace norch::kernels::cuda
