// Reductions on the GPU, for any policy:
//
//   struct Policy {
//     using Element; using Acc;
//     Acc identity() const;
//     Acc step(Acc, Element, int64_t index) const;   // one more element, number `index` of its reduction
//     Acc join(Acc, Acc) const;
//     void store(const Acc&, int64_t output) const;  // the result
//   };
//
// Rows (adjacent elements belong to one result): a group of threads, up to a block, per row. Columns: neighbouring
// threads take neighbouring results. Where results are few, a reduction is cut into parts whose results a second
// launch joins in order. Nothing is atomic, and every size below is a constant or comes from the shape.
#pragma once

#include <algorithm>

#include "core/factory.h"
#include "kernels/cuda/group.cuh"
#include "kernels/reduce.h"

namespace norch::kernels::cuda::reduction {

constexpr int kThreads = 256;
constexpr int kMaxDims = 10;
constexpr int64_t kEnoughBlocks = 2048;

/// The plan as kernels see it. Strides in bytes, outputs in elements.
struct Walk {
  const char* x;
  int64_t outputs, n;
  int kept, reduced;
  int64_t keep_size[kMaxDims], keep_in[kMaxDims], keep_out[kMaxDims];
  int64_t reduce_size[kMaxDims], reduce_in[kMaxDims];
  int64_t part, parts;  // elements of a part, parts of a reduction
  void* partial;        // (outputs x parts) accumulators if parts > 1
};

inline Walk make_walk(const ReducePlan& p) {
  NORCH_CHECK(p.kept <= kMaxDims && p.reduced <= kMaxDims, "a reduction over more than ", kMaxDims,
              " dims that do not lie one after another in memory is not supported here; make it contiguous()");
  Walk w{};
  w.x = p.data;
  w.outputs = p.outputs;
  w.n = p.n;
  w.kept = p.kept;
  w.reduced = p.reduced;
  for (int d = 0; d < p.kept; ++d) {
    w.keep_size[d] = p.keep[d].size;
    w.keep_in[d] = p.keep[d].in;
    w.keep_out[d] = p.keep[d].out;
  }
  for (int d = 0; d < p.reduced; ++d) {
    w.reduce_size[d] = p.reduce[d].size;
    w.reduce_in[d] = p.reduce[d].in;
  }
  w.part = p.n;
  w.parts = 1;
  return w;
}

/// Input offset and output index of result number i (in the plan's order).
__device__ __forceinline__ void locate(const Walk& w, int64_t i, int64_t& in, int64_t& out) {
  in = out = 0;
  for (int d = 0; d < w.kept - 1; ++d) {
    const int64_t rest = i / w.keep_size[d], index = i - rest * w.keep_size[d];
    in += index * w.keep_in[d];
    out += index * w.keep_out[d];
    i = rest;
  }
  in += i * w.keep_in[w.kept - 1];
  out += i * w.keep_out[w.kept - 1];
}
__device__ __forceinline__ int64_t element_offset(const Walk& w, int64_t i) {
  if (w.reduced == 1) return i * w.reduce_in[0];
  int64_t in = 0;
  for (int d = 0; d < w.reduced - 1; ++d) {
    const int64_t rest = i / w.reduce_size[d];
    in += (i - rest * w.reduce_size[d]) * w.reduce_in[d];
    i = rest;
  }
  return in + i * w.reduce_in[w.reduced - 1];
}

/// Folds n adjacent elements, number `first` on, by `threads` threads of which this is number `me`.
template <class P>
__device__ __forceinline__ typename P::Acc fold_run(const P& p, typename P::Acc acc, const typename P::Element* x,
                                                    int64_t n, int64_t first, int me, int threads) {
  using T = typename P::Element;
  constexpr int kWidth = 16 / sizeof(T), kUnroll = kWidth >= 8 ? 2 : 4;
  struct alignas(16) Vector {
    T v[kWidth];
  };
  // Up to the first 16-byte boundary one by one.
  const int64_t head = min(n, static_cast<int64_t>((16 - (reinterpret_cast<uintptr_t>(x) & 15)) % 16 / sizeof(T)));
  for (int64_t i = me; i < head; i += threads) acc = p.step(acc, x[i], first + i);
  const int64_t vectors = (n - head) / kWidth;
  const Vector* v = reinterpret_cast<const Vector*>(x + head);
  int64_t i = me;
  for (; i + static_cast<int64_t>(kUnroll - 1) * threads < vectors; i += static_cast<int64_t>(kUnroll) * threads) {
    Vector a[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) a[u] = v[i + u * threads];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
#pragma unroll
      for (int j = 0; j < kWidth; ++j) acc = p.step(acc, a[u].v[j], first + head + (i + u * threads) * kWidth + j);
    }
  }
  for (; i < vectors; i += threads) {
    const Vector a = v[i];
#pragma unroll
    for (int j = 0; j < kWidth; ++j) acc = p.step(acc, a.v[j], first + head + i * kWidth + j);
  }
  for (int64_t k = head + vectors * kWidth + me; k < n; k += threads) acc = p.step(acc, x[k], first + k);
  return acc;
}

/// Folds elements [begin, end) of the reduction whose element 0 is at x.
template <class P>
__device__ __forceinline__ typename P::Acc fold_range(const P& p, const Walk& w, const char* x, int64_t begin,
                                                      int64_t end, int me, int threads) {
  using T = typename P::Element;
  typename P::Acc acc = p.identity();
  const bool adjacent = w.reduce_in[0] == sizeof(T);
  if (w.reduced == 1 && adjacent)
    return fold_run(p, acc, reinterpret_cast<const T*>(x) + begin, end - begin, begin, me, threads);
  if (adjacent && w.reduce_size[0] >= 4 * threads) {
    const int64_t size = w.reduce_size[0];
    for (int64_t at = begin; at < end;) {
      const int64_t run = min(size - at % size, end - at);
      acc = fold_run(p, acc, reinterpret_cast<const T*>(x + element_offset(w, at)), run, at, me, threads);
      at += run;
    }
    return acc;
  }
#pragma unroll 4
  for (int64_t i = begin + me; i < end; i += threads)
    acc = p.step(acc, *reinterpret_cast<const T*>(x + element_offset(w, i)), i);
  return acc;
}

template <class P>
__global__ void __launch_bounds__(kThreads) rows_kernel(const P p, const __grid_constant__ Walk w, int threads) {
  const Group group(threads);
  const int64_t i = group.row();
  typename P::Acc acc = p.identity();
  int64_t in = 0, out = 0;
  if (i < w.outputs) {
    locate(w, i, in, out);
    const int64_t begin = blockIdx.y * w.part;
    acc = fold_range(p, w, w.x + in, begin, min(begin + w.part, w.n), group.rank, threads);
  }
  acc = group.join(acc, [&](const auto& a, const auto& b) { return p.join(a, b); });
  if (group.rank != 0 || i >= w.outputs) return;
  if (w.parts == 1)
    p.store(acc, out);
  else
    static_cast<typename P::Acc*>(w.partial)[i * w.parts + blockIdx.y] = acc;
}

/// Blocks of blockDim.x columns (V neighbours each) by blockDim.y rows.
template <class P, int V>
__global__ void __launch_bounds__(kThreads) columns_kernel(const P p, const __grid_constant__ Walk w, int64_t strips) {
  using T = typename P::Element;
  using Acc = typename P::Acc;
  struct alignas(sizeof(T) * V) Vector {
    T v[V];
  };
  const int64_t size = w.keep_size[0];
  const int64_t rest = blockIdx.x / strips;
  const int64_t column = (blockIdx.x % strips * blockDim.x + threadIdx.x) * V;
  const int valid = static_cast<int>(min(static_cast<int64_t>(V), size - column));
  Acc acc[V];
#pragma unroll
  for (int j = 0; j < V; ++j) acc[j] = p.identity();
  int64_t in = 0, out = 0;
  if (valid > 0) {
    locate(w, rest * size + column, in, out);
    const char* x = w.x + in;
    const int64_t begin = blockIdx.y * w.part, end = min(begin + w.part, w.n);
    const int64_t stride = w.keep_in[0];
    if (V == 1 || (valid == V && stride == sizeof(T) && w.reduced == 1 && w.reduce_in[0] % sizeof(Vector) == 0 &&
                   reinterpret_cast<uintptr_t>(x) % sizeof(Vector) == 0)) {
      constexpr int kUnroll = 8;
      int64_t i = begin + threadIdx.y;
      for (; i + static_cast<int64_t>(kUnroll - 1) * blockDim.y < end; i += static_cast<int64_t>(kUnroll) * blockDim.y) {
        Vector a[kUnroll];
#pragma unroll
        for (int u = 0; u < kUnroll; ++u)
          a[u] = *reinterpret_cast<const Vector*>(x + element_offset(w, i + static_cast<int64_t>(u) * blockDim.y));
#pragma unroll
        for (int u = 0; u < kUnroll; ++u) {
#pragma unroll
          for (int j = 0; j < V; ++j) acc[j] = p.step(acc[j], a[u].v[j], i + static_cast<int64_t>(u) * blockDim.y);
        }
      }
      for (; i < end; i += blockDim.y) {
        const Vector a = *reinterpret_cast<const Vector*>(x + element_offset(w, i));
#pragma unroll
        for (int j = 0; j < V; ++j) acc[j] = p.step(acc[j], a.v[j], i);
      }
    } else {
      for (int64_t i = begin + threadIdx.y; i < end; i += blockDim.y) {
        const char* row = x + element_offset(w, i);
#pragma unroll
        for (int j = 0; j < V; ++j)
          if (j < valid) acc[j] = p.step(acc[j], *reinterpret_cast<const T*>(row + j * stride), i);
      }
    }
  }
  __shared__ Acc shared[kThreads * V];
  Acc* mine = shared + (threadIdx.y * blockDim.x + threadIdx.x) * V;
  for (int half = blockDim.y / 2; half > 0; half /= 2) {
    if (threadIdx.y >= half && threadIdx.y < 2 * half) {
#pragma unroll
      for (int j = 0; j < V; ++j) mine[j] = acc[j];
    }
    __syncthreads();
    if (threadIdx.y < half) {
#pragma unroll
      for (int j = 0; j < V; ++j) acc[j] = p.join(acc[j], mine[half * blockDim.x * V + j]);
    }
    __syncthreads();
  }
  if (threadIdx.y != 0) return;
#pragma unroll
  for (int j = 0; j < V; ++j) {
    if (j >= valid) break;
    if (w.parts == 1)
      p.store(acc[j], out + j * w.keep_out[0]);
    else
      static_cast<Acc*>(w.partial)[(rest * size + column + j) * w.parts + blockIdx.y] = acc[j];
  }
}

/// Joins the parts of each result, one warp per result.
template <class P>
__global__ void __launch_bounds__(kThreads) parts_kernel(const P p, const __grid_constant__ Walk w) {
  const Group warp(32);
  const int64_t i = warp.row();
  typename P::Acc acc = p.identity();
  if (i < w.outputs) {
    const typename P::Acc* parts = static_cast<const typename P::Acc*>(w.partial) + i * w.parts;
    for (int64_t k = warp.rank; k < w.parts; k += 32) acc = p.join(acc, parts[k]);
  }
  acc = warp.join(acc, [&](const auto& a, const auto& b) { return p.join(a, b); });
  if (warp.rank != 0 || i >= w.outputs) return;
  int64_t in, out;
  locate(w, i, in, out);
  p.store(acc, out);
}

inline int power_of_two_at_least(int64_t n, int most) {
  int p = 1;
  while (p < n && p < most) p *= 2;
  return p;
}

/// Cuts each reduction into parts of at least `least` elements until there are enough blocks.
inline void cut(Walk& w, int64_t blocks, int64_t least) {
  const int64_t parts = std::min((w.n + least - 1) / least, kEnoughBlocks / std::max<int64_t>(blocks, 1));
  if (parts < 2) return;
  w.part = (w.n + parts - 1) / parts;
  w.parts = (w.n + w.part - 1) / w.part;
}

template <class P>
void run(const ReducePlan& plan, const P& p, Device device) {
  if (plan.outputs == 0) return;
  using Acc = typename P::Acc;
  Walk w = make_walk(plan);
  Tensor partial;
  auto make_partial = [&] {
    if (w.parts == 1) return;
    partial = new_tensor({w.outputs * w.parts * static_cast<int64_t>(sizeof(Acc))}, DType::UInt8, device);
    w.partial = partial.data_ptr();
  };
  if (plan.by_rows) {
    const int group = plan.n > 1024 ? kThreads : power_of_two_at_least((plan.n + 3) / 4, 32);
    const unsigned blocks = blocks_for(plan.outputs, kThreads / group);
    if (group == kThreads) cut(w, blocks, kThreads * 32);
    make_partial();
    launch(rows_kernel<P>, dim3(blocks, static_cast<unsigned>(w.parts)), kThreads, 0, p, w, group);
  } else {
    constexpr int V = sizeof(typename P::Element) < 4 ? 4 / sizeof(typename P::Element) : 1;
    const int64_t size = plan.keep[0].size;
    const int x = power_of_two_at_least((size + V - 1) / V, 32), y = kThreads / x;
    const int64_t strips = (size + x * V - 1) / (x * V);
    const unsigned blocks = blocks_for(strips * (plan.outputs / size), 1);
    cut(w, blocks, y * 32);
    make_partial();
    launch(columns_kernel<P, V>, dim3(blocks, static_cast<unsigned>(w.parts)), dim3(x, y), 0, p, w, strips);
  }
  if (w.parts > 1) launch(parts_kernel<P>, blocks_for(w.outputs, kThreads / 32), kThreads, 0, p, w);
}

/// The policy of an op of kernels/reduce.h over elements T with accumulator A; results have type Out1 or Out2.
template <class T, class A, class Op, class Out1 = T, class Out2 = SumType<Out1>>
struct OpPolicy {
  using Element = T;
  using Acc = A;
  Op op;
  void* out;
  bool out_is_first;
  double scale, root;
  __device__ __forceinline__ A identity() const { return op.identity(); }
  __device__ __forceinline__ A step(A a, T x, int64_t) const { return op.step(a, static_cast<ComputeType<T>>(x)); }
  __device__ __forceinline__ A join(A a, A b) const { return op.join(a, b); }
  __device__ __forceinline__ void store(A a, int64_t at) const {
    const A v = finish_value(a, scale, root);
    if (out_is_first)
      static_cast<Out1*>(out)[at] = static_cast<Out1>(v);
    else
      static_cast<Out2*>(out)[at] = static_cast<Out2>(v);
  }
};

}  // namespace norch::kernels::cuda::reduction
