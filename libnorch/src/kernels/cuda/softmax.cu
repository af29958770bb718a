#include "kernels/cuda/softmax.cuh"

namespace norch::kernels::cuda {

namespace {

/// What the gradient subtracts: the sum of g, of which log_softmax takes its part, or the mean of g weighted by y. In double,
/// for softmax's gradient y (g - mean) is a small difference where one weight is nearly 1. Unless they have 16 bits, which
/// are too few for it to matter, the weights are added up too: their sum is 1 but for their rounding.
template <bool kWeights>
struct Total {
  double sum = 0, weight = 1;
  static __device__ __forceinline__ Total nothing() { return {0, kWeights ? 0.0 : 1.0}; }
  template <class C>
  __device__ __forceinline__ void add(bool log, C g, C y) {
    sum += log ? static_cast<double>(g) : static_cast<double>(g) * static_cast<double>(y);
    if (kWeights && !log) weight += static_cast<double>(y);
  }
  __device__ __forceinline__ Total join(const Total& o) const {
    return {sum + o.sum, kWeights ? weight + o.weight : weight};
  }
  /// 2 - weight is the inverse of a weight of nearly 1, and no 0 / 0 where all weights are 0.
  __device__ __forceinline__ double value(bool log) const { return log ? sum : sum * (2 - weight); }
};
template <class T>
using TotalOf = Total<std::is_same_v<T, ComputeType<T>>>;

template <class C>
__device__ __forceinline__ C result(bool log, C x, C high, C finish) {
  return log ? (x - high) - finish : exp_of(x - high) * finish;
}

/// A group of threads per row. kLog is a constant, since with it chosen here rows took a third longer on an H200.
template <class Walk, bool kLog, class T>
__global__ void __launch_bounds__(Walk::kThreads, Walk::kBlocks) rows_kernel(T* out, const T* in, int64_t rows, int64_t n,
                                                                             int size) {
  using C = ComputeType<T>;
  using Part = typename Walk::Part;
  constexpr int kCount = Walk::kCount;
  const Group group(Walk::kSize ? Walk::kSize : size);
  const int64_t own = group.row(), count = own < rows ? n : 0;
  const int64_t row = min(own, rows - 1);  // a group without a row of its own stores nothing
  const T* x = in + row * n;
  T* y = out + row * n;
  C kept[kCount];
  if constexpr (Walk::kWhole) {
    Part::load(kept, group, x, 0, n, kLowest<C>);
    C high = kept[0], sum = 0;
#pragma unroll
    for (int k = 1; k < kCount; ++k) high = larger(high, kept[k]);
    high = group.join(high, [](C a, C b) { return larger(a, b); });
#pragma unroll
    for (C& v : kept) {
      const C e = exp_of(v - high);
      sum += e;
      v = kLog ? v - high : e;
    }
    sum = group.sum(sum);
    const C finish = kLog ? ::log(sum) : C(1) / sum;
    Part::store(group, y, 0, count, [&](int k, int64_t) { return kLog ? kept[k] - finish : kept[k] * finish; });
  } else {
    const int64_t step = static_cast<int64_t>(group.size) * kCount;
    Online<C> all = Online<C>::nothing();
    for (int64_t begin = 0; begin < n; begin += step) {
      Part::load(kept, group, x, begin, n, kLowest<C>);
      all.add(kept);
    }
    all = group.join(all, [](const Online<C>& a, const Online<C>& b) { return a.join(b); });
    const C finish = kLog ? ::log(all.sum) : C(1) / all.sum;
    for (int64_t begin = 0; begin < n; begin += step) {
      Part::load(kept, group, x, begin, n, kLowest<C>);
      Part::store(group, y, begin, count, [&](int k, int64_t) { return result(kLog, kept[k], all.high, finish); });
    }
  }
}

template <class C>
__device__ __forceinline__ C gradient(bool log, C g, C y, double total) {
  return log ? g - exp_of(y) * static_cast<C>(total) : y * static_cast<C>(static_cast<double>(g) - total);
}

/// grad_in of rows.
template <class Walk, class T>
__global__ void __launch_bounds__(Walk::kThreads, Walk::kBlocks) rows_backward_kernel(T* out, const T* grad, const T* result,
                                                                       int64_t rows, int64_t n, int size, bool log) {
  using C = ComputeType<T>;
  using Part = typename Walk::Part;
  constexpr int kCount = Walk::kCount;
  const Group group(Walk::kSize ? Walk::kSize : size);
  const int64_t own = group.row(), count = own < rows ? n : 0, first = min(own, rows - 1) * n;
  const int64_t step = static_cast<int64_t>(group.size) * kCount;
  C g[kCount], y[kCount];
  auto all = TotalOf<T>::nothing();
  auto load = [&](int64_t begin) {
    Part::load(g, group, grad + first, begin, n, C(0));
    Part::load(y, group, result + first, begin, n, C(0));
  };
  auto add = [&] {
#pragma unroll
    for (int k = 0; k < kCount; ++k) all.add(log, g[k], y[k]);
  };
  auto join = [&] { return group.join(all, [](const TotalOf<T>& a, const TotalOf<T>& b) { return a.join(b); }).value(log); };
  auto store = [&](int64_t begin, double total) {
    Part::store(group, out + first, begin, count, [&](int k, int64_t) { return gradient(log, g[k], y[k], total); });
  };
  if constexpr (Walk::kWhole) {
    load(0);
    add();
    store(0, join());
  } else {
    for (int64_t begin = 0; begin < n; begin += step) {
      load(begin);
      add();
    }
    const double total = join();
    for (int64_t begin = 0; begin < n; begin += step) {
      load(begin);
      store(begin, total);
    }
  }
}

template <int V, class T, class C = ComputeType<T>>
__global__ void __launch_bounds__(kThreads, kBlocksOf<V, C>) columns_kernel(T* out, const T* in, ColumnWalk w, bool log,
                                                                         Online<C>* totals) {
  const int64_t column = w.column<V>(), base = w.outer() * w.n * w.inner + column;
  Online<C> all[V];
#pragma unroll
  for (int j = 0; j < V; ++j) all[j] = Online<C>::nothing();
  if (column < w.inner && w.way != Columns::Results) add_columns(w, in + base, all);
  if (!join_parts(w, all, totals)) return;
  C finish[V];
#pragma unroll
  for (int j = 0; j < V; ++j) finish[j] = log ? ::log(all[j].sum) : C(1) / all[j].sum;
  constexpr int kRows = 4;
  const int64_t end = w.end(), step = blockDim.y;
  out += base;
  each_row<V, kRows>(w, in + base, [&](int64_t i, const Vector<V, T>(&raw)[kRows]) {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      if (i + r * step >= end) break;
      Vector<V, T> y;
#pragma unroll
      for (int j = 0; j < V; ++j) y.v[j] = static_cast<T>(result(log, static_cast<C>(raw[r].v[j]), all[j].high, finish[j]));
      *reinterpret_cast<Vector<V, T>*>(out + (i + r * step) * w.inner) = y;
    }
  });
}

template <int V, class T, class C = ComputeType<T>>
__global__ void __launch_bounds__(kThreads, kBlocksOf<V, C>) columns_backward_kernel(T* out, const T* grad, const T* y,
                                                                                  ColumnWalk w, bool log, TotalOf<T>* totals) {
  const int64_t column = w.column<V>(), base = w.outer() * w.n * w.inner + column;
  TotalOf<T> all[V];
#pragma unroll
  for (int j = 0; j < V; ++j) all[j] = TotalOf<T>::nothing();
  constexpr int kRows = 2;  // of each of two tensors
  const int64_t end = w.end(), step = blockDim.y;
  out += base;
  grad += base;
  y += base;
  const auto rows_of = [&](const T* x, int64_t i, Vector<V, T>(&raw)[kRows]) {
#pragma unroll
    for (int r = 0; r < kRows; ++r)
      raw[r] = *reinterpret_cast<const Vector<V, T>*>(x + (i + r * step < end ? i + r * step : i) * w.inner);
  };
  if (column < w.inner && w.way != Columns::Results)
    each_row<V, kRows>(w, grad, [&](int64_t i, const Vector<V, T>(&g)[kRows]) {
      Vector<V, T> v[kRows];
      if (!log) rows_of(y, i, v);
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        if (i + r * step >= end) break;
#pragma unroll
        for (int j = 0; j < V; ++j)
          all[j].add(log, static_cast<C>(g[r].v[j]), log ? C(0) : static_cast<C>(v[r].v[j]));
      }
    });
  if (!join_parts(w, all, totals)) return;
  each_row<V, kRows>(w, grad, [&](int64_t i, const Vector<V, T>(&g)[kRows]) {
    Vector<V, T> v[kRows];
    rows_of(y, i, v);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      if (i + r * step >= end) break;
      Vector<V, T> d;
#pragma unroll
      for (int j = 0; j < V; ++j)
        d.v[j] = static_cast<T>(gradient(log, static_cast<C>(g[r].v[j]), static_cast<C>(v[r].v[j]), all[j].value(log)));
      *reinterpret_cast<Vector<V, T>*>(out + (i + r * step) * w.inner) = d;
    }
  });
}

template <class T>
void forward(bool log, const SoftmaxShape& s, T* y, const T* x, Device device) {
  if (s.inner > 1) {
    using A = Online<ComputeType<T>>;
    return launch_columns<T, A>(s, device, columns_have_vectors<T>(s, {x, y}), true, [&](auto width, dim3 grid, dim3 block,
                                size_t shared, const ColumnWalk& walk, A* totals) {
      launch(columns_kernel<decltype(width)::value, T>, grid, block, shared, y, x, walk, log, totals);
    });
  }
  constexpr int kKept = 128 / sizeof(ComputeType<T>);
  visit_row_walk<T, kKept, kKept / 2>(s.n, rows_have_vectors<T>(s.n, {x, y}), [&](auto walk, int group) {
    const int threads = block_of_groups(group);
    launch(log ? rows_kernel<decltype(walk), true, T> : rows_kernel<decltype(walk), false, T>,
           blocks_for(s.outer, threads / group), threads, 0, y, x, s.outer, s.n, group);
  });
}

template <class T>
void backward(bool log, const SoftmaxShape& s, T* dx, const T* g, const T* y, Device device) {
  if (s.inner > 1) {
    using A = TotalOf<T>;
    return launch_columns<T, A>(s, device, columns_have_vectors<T>(s, {dx, g, y}), true, [&](auto width, dim3 grid,
                                dim3 block, size_t shared, const ColumnWalk& walk, A* totals) {
      launch(columns_backward_kernel<decltype(width)::value, T>, grid, block, shared, dx, g, y, walk, log, totals);
    });
  }
  constexpr int kKept = 64 / sizeof(ComputeType<T>);  // of each of two rows
  visit_row_walk<T, kKept, kKept>(s.n, rows_have_vectors<T>(s.n, {dx, g, y}), [&](auto walk, int group) {
    const int threads = block_of_groups(group);
    launch(rows_backward_kernel<decltype(walk), T>, blocks_for(s.outer, threads / group), threads, 0, dx, g, y, s.outer,
           s.n, group, log);
  });
}

}  // namespace

void softmax(bool log, const SoftmaxShape& s, const Tensor& out, const Tensor& in) {
  visit_float("softmax", in.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    forward(log, s, out.data<T>(), static_cast<const T*>(in.data<T>()), in.device());
  });
}

void softmax_backward(bool log, const SoftmaxShape& s, const Tensor& grad_in, const Tensor& g, const Tensor& y) {
  visit_float("softmax", g.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    backward<T>(log, s, grad_in.data<T>(), g.data<T>(), y.data<T>(), g.device());
  });
}

}  // namespace norch::kernels::cuda
