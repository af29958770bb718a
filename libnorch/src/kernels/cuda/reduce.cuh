// Reductions on the GPU, for any policy:
//
//   struct Policy {
//     using Value = float, double or int64_t;        // what elements are converted to: kernels/cuda/reduce_values.cuh
//     using Acc;
//     Acc identity() const;
//     void visit(f) const;                           // calls f(step) once, where step(Acc, Value, int64_t index) -> Acc
//                                                    // takes one more element, number `index` of its reduction; a thread
//                                                    // meets its elements in ascending order
//     static constexpr bool kWide;                   // whether a Value is a float and Acc no more: a thread's registers
//                                                    // have room for four runs of 16 bytes of 16-bit columns
//     static constexpr bool kByRuns;                 // whether neighbours of one reduction are taken together, by
//     Acc take<kSize, N, U>(step, const Acc&, int count, values) const;
//                                                    // `count` of U runs of N elements of kSize bytes: values(u, v) gives v
//                                                    // the values of run u; step is the one of visit
//     Acc join(const Acc&, const Acc&) const;
//     void store(const Acc&, int64_t output) const;  // the result
//   };
//
// What is chosen at run time (the dtype, the op) is chosen before the loop, or once for several elements.
//
// Rows (adjacent elements belong to one result): a group of threads, up to a block, per row. Columns: neighbouring
// threads take neighbouring results. Where results are few, a reduction is cut into parts whose results a second
// launch joins in order. Nothing is atomic, and every size below is a constant or comes from the shape.
#pragma once

#include <algorithm>

#include "core/factory.h"
#include "kernels/cuda/group.cuh"
#include "kernels/cuda/reduce_values.cuh"
#include "kernels/reduce.h"

namespace norch::kernels::cuda::reduction {

constexpr int kThreads = 256;
constexpr int kMaxDims = 10;
/// Four blocks for each of the 132 multiprocessors of an H100 or H200: all run at once and end together (1e8 numbers in
/// 109 us on an H200; 2,048 blocks, whose last wave is half empty, take 118). A constant, not the present device's count:
/// the order of a sum depends on its shape alone.
constexpr int kBlocksAtOnce = 4;
constexpr int64_t kEnoughBlocks = kBlocksAtOnce * 132;

/// The plan as kernels see it. Strides in bytes, outputs in elements.
struct Walk {
  const char* x;
  DType dtype;
  int size, log_size;  // bytes of an element
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
  w.dtype = p.dtype;
  w.size = static_cast<int>(itemsize(p.dtype));
  w.log_size = w.size == 8 ? 3 : w.size / 2;
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

/// Takes one element at a time: the others of the U that are read together need not be neighbours. Elements me,
/// me + threads, ... of [0, n), element i at address(i) and number index(i) of the reduction.
template <int U, class P, class F, class G>
__device__ __forceinline__ void fold_singles(const P& p, const Walk& w, typename P::Acc& acc, int64_t n, int me,
                                             int threads, const F& address, const G& index) {
  using A = typename P::Value;
  for (int64_t i = me; i < n; i += static_cast<int64_t>(U) * threads) {
    Raw<1, Values<A>::kLargest> raw[U];
    // Behind the end the first element is read again: no load waits for a condition.
    load_runs<A, 1>(w.dtype, raw, [&](int u) { return address(i + u * threads < n ? i + u * threads : i); });
#pragma unroll
    for (int u = 0; u < U; ++u) {
      if (i + u * threads >= n) break;
      A v[1];
      decode(w.dtype, raw[u], v);
      p.visit([&](const auto& step) { acc = step(acc, v[0], index(i + u * threads)); });
    }
  }
}

/// Folds `runs` runs of 16 bytes, element 0 of which is number `first` of the reduction.
///
/// The size of an element is a constant here, so that the loop is pointers and loads only: with it among the kernel's
/// arguments the kernel took 64 registers, spilled, and half of the threads that could hide memory's latency.
template <int kSize, int kUnroll, class P>
__device__ __forceinline__ void fold_runs(const P& p, DType dtype, typename P::Acc& acc, const char* x, int64_t runs,
                                          int64_t first, int me, int threads) {
  using A = typename P::Value;
  constexpr int kRun = 16 / kSize;
  const char* const end = x + 16 * runs;
  const int step = 16 * threads;
  p.visit([&](const auto& fold) {
    for (const char* at = x + 16 * me; at < end; at += kUnroll * step) {
      Raw<kRun, Values<A>::kLargest> raw[kUnroll];
      // Behind the end the first run is read again: no load waits for a condition.
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) raw[u].template load<16>(at + u * step < end ? at + u * step : at);
      if constexpr (P::kByRuns) {
        int count = 1;
#pragma unroll
        for (int u = 1; u < kUnroll; ++u) count += at + u * step < end;
        acc = p.template take<kSize, kRun, kUnroll>(fold, acc, count, [&](int u, A(&v)[kRun]) {
          Values<A>::template decode<kSize>(dtype, raw[u], v);
        });
      } else {
#pragma unroll
        for (int u = 0; u < kUnroll; ++u) {
          if (at + u * step >= end) break;
          A v[kRun];
          Values<A>::template decode<kSize>(dtype, raw[u], v);
          const int64_t index = first + (at + u * step - x) / kSize;
#pragma unroll
          for (int j = 0; j < kRun; ++j) acc = fold(acc, v[j], index + j);
        }
      }
    }
  });
}

/// Folds n adjacent elements, number `first` on, by `threads` threads of which this is number `me`; kUnroll runs of 16
/// bytes of each are on their way at once.
template <int kUnroll, class P>
__device__ __forceinline__ void fold_run(const P& p, const Walk& w, typename P::Acc& acc, const char* x, int64_t n,
                                         int64_t first, int me, int threads) {
  // From the first 16-byte boundary on by runs, what lies before and behind them one by one.
  const int64_t head = min(n, static_cast<int64_t>((16 - (reinterpret_cast<uintptr_t>(x) & 15)) % 16 >> w.log_size));
  const int64_t runs = (n - head) << w.log_size >> 4, in_runs = runs << 4 >> w.log_size;
  Values<typename P::Value>::visit_size(w.dtype, [&](auto size) {
    fold_runs<size.value, kUnroll>(p, w.dtype, acc, x + head * size.value, runs, first + head, me, threads);
  });
  if (in_runs == n) return;
  auto single = [&](int64_t i) { return i < head ? i : i + in_runs; };
  typename P::Acc rest = p.identity();
  fold_singles<1>(
      p, w, rest, n - in_runs, me, threads, [&](int64_t i) { return x + single(i) * w.size; },
      [&](int64_t i) { return first + single(i); });
  acc = p.join(acc, rest);
}

/// Folds elements [begin, end) of the reduction whose element 0 is at x. kAdjacent: they all are neighbours in memory.
template <bool kAdjacent, class P>
__device__ __forceinline__ typename P::Acc fold_range(const P& p, const Walk& w, const char* x, int64_t begin,
                                                      int64_t end, int me, int threads) {
  typename P::Acc acc = p.identity();
  if constexpr (kAdjacent) {
    // A warp has a row of 1,000 float32 on its way at once: a loop's second turn would wait for memory again.
    fold_run<8>(p, w, acc, x + begin * w.size, end - begin, begin, me, threads);
  } else if (w.reduce_in[0] == w.size && w.reduce_size[0] >= 4 * threads) {
    const int64_t size = w.reduce_size[0];
    for (int64_t at = begin; at < end;) {
      const int64_t run = min(size - at % size, end - at);
      fold_run<4>(p, w, acc, x + element_offset(w, at), run, at, me, threads);
      at += run;
    }
  } else {
    fold_singles<4>(
        p, w, acc, end - begin, me, threads, [&](int64_t i) { return x + element_offset(w, begin + i); },
        [&](int64_t i) { return begin + i; });
  }
  return acc;
}

template <bool kAdjacent, class P>
__global__ void __launch_bounds__(kThreads, kBlocksAtOnce) rows_kernel(const P p, const __grid_constant__ Walk w,
                                                                        int threads) {
  const Group group(threads);
  const int64_t i = group.row();
  typename P::Acc acc = p.identity();
  int64_t in = 0, out = 0;
  if (i < w.outputs) {
    locate(w, i, in, out);
    const int64_t begin = blockIdx.y * w.part;
    acc = fold_range<kAdjacent>(p, w, w.x + in, begin, min(begin + w.part, w.n), group.rank, threads);
  }
  acc = group.join(acc, [&](const auto& a, const auto& b) { return p.join(a, b); });
  if (group.rank != 0 || i >= w.outputs) return;
  if (w.parts == 1)
    p.store(acc, out);
  else
    static_cast<typename P::Acc*>(w.partial)[i * w.parts + blockIdx.y] = acc;
}

/// Blocks of blockDim.x times V neighbouring columns by blockDim.y rows. kHalf: elements are 16-bit floats, of which V are
/// 16 bytes.
template <class P, int V, bool kHalf>
__global__ void __launch_bounds__(kThreads, kBlocksAtOnce)
    columns_kernel(const P p, const __grid_constant__ Walk w, int64_t strips) {
  using A = typename P::Value;
  using Acc = typename P::Acc;
  constexpr int kUnroll = 4;
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
    const unsigned bytes = min(16, V * w.size);
    if (valid == V && stride == w.size && w.reduced == 1 && w.reduce_in[0] % bytes == 0 &&
        reinterpret_cast<uintptr_t>(x) % bytes == 0) {
      const int rows = blockDim.y;
      const int64_t step = rows * w.reduce_in[0];
      const char* at = x + (begin + threadIdx.y) * w.reduce_in[0];
      for (int64_t i = begin + threadIdx.y; i < end; i += kUnroll * rows, at += kUnroll * step) {
        Raw<V, kHalf ? 2 : Values<A>::kLargest> raw[kUnroll];
        auto address = [&](int u) { return i + u * rows < end ? at + u * step : at; };
        if constexpr (kHalf) {
#pragma unroll
          for (int u = 0; u < kUnroll; ++u) raw[u].template load<2 * V>(address(u));
        } else {
          load_runs<A, V>(w.dtype, raw, address);
        }
#pragma unroll
        for (int u = 0; u < kUnroll; ++u) {
          if (i + u * rows >= end) break;
          A v[V];
          if constexpr (kHalf)
            Values<A>::template decode<2>(w.dtype, raw[u], v);
          else
            decode(w.dtype, raw[u], v);
          p.visit([&](const auto& take) {
#pragma unroll
            for (int j = 0; j < V; ++j) acc[j] = take(acc[j], v[j], i + u * rows);
          });
        }
      }
    } else {
      for (int64_t i = begin + threadIdx.y; i < end; i += blockDim.y) {
        const char* row = x + element_offset(w, i);
        Raw<1, Values<A>::kLargest> raw[V];
        load_runs<A, 1>(w.dtype, raw, [&](int j) { return row + (j < valid ? j : 0) * stride; });
#pragma unroll
        for (int j = 0; j < V; ++j) {
          A v[1];
          decode(w.dtype, raw[j], v);
          p.visit([&](const auto& step) { acc[j] = step(acc[j], v[0], i); });  // columns behind the last are not stored
        }
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

/// Joins the parts of each result, a group of threads per result.
template <class P>
__global__ void __launch_bounds__(kThreads) parts_kernel(const P p, const __grid_constant__ Walk w, int threads) {
  const Group group(threads);
  const int64_t i = group.row();
  typename P::Acc acc = p.identity();
  if (i < w.outputs) {
    const typename P::Acc* parts = static_cast<const typename P::Acc*>(w.partial) + i * w.parts;
    for (int64_t k = group.rank; k < w.parts; k += threads) acc = p.join(acc, parts[k]);
  }
  acc = group.join(acc, [&](const auto& a, const auto& b) { return p.join(a, b); });
  if (group.rank != 0 || i >= w.outputs) return;
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
    const int64_t run = 16 / w.size;
    const int group = plan.n > 1024 ? kThreads : power_of_two_at_least((plan.n + run - 1) / run, 32);
    const unsigned blocks = blocks_for(plan.outputs, kThreads / group);
    if (group == kThreads) cut(w, blocks, kThreads * 32);
    make_partial();
    const bool adjacent = w.reduced == 1 && w.reduce_in[0] == w.size;
    launch(adjacent ? rows_kernel<true, P> : rows_kernel<false, P>, dim3(blocks, static_cast<unsigned>(w.parts)),
           kThreads, 0, p, w, group);
  } else {
    auto columns = [&](auto* kernel, int V) {
      const int64_t size = plan.keep[0].size;
      // Where results are many, as few threads share one as keep all threads busy, and they read longer pieces of a row.
      int widest = 32;
      while (widest < kThreads && plan.outputs / V * (kThreads / widest / 2) >= kEnoughBlocks * kThreads) widest *= 2;
      const int x = power_of_two_at_least((size + V - 1) / V, widest), y = kThreads / x;
      const int64_t strips = (size + x * V - 1) / (x * V);
      const unsigned blocks = blocks_for(strips * (plan.outputs / size), 1);
      cut(w, blocks, y * 16);
      make_partial();
      launch(kernel, dim3(blocks, static_cast<unsigned>(w.parts)), dim3(x, y), 0, p, w, strips);
    };
    constexpr int V = Values<typename P::Value>::kColumns;
    if constexpr (P::kWide) {
      const bool vectors = plan.keep[0].size % 8 == 0 && w.keep_in[0] == 2 && w.reduced == 1 && w.reduce_in[0] % 16 == 0 &&
                           reinterpret_cast<uintptr_t>(w.x) % 16 == 0;
      if (w.size == 2 && vectors)
        columns(columns_kernel<P, 8, true>, 8);
      else
        columns(columns_kernel<P, V, false>, V);
    } else {
      columns(columns_kernel<P, V, false>, V);
    }
  }
  if (w.parts == 1) return;
  const int group = w.parts > 128 ? kThreads : 32;
  launch(parts_kernel<P>, blocks_for(w.outputs, kThreads / group), kThreads, 0, p, w, group);
}

}  // namespace norch::kernels::cuda::reduction
