#include "kernels/gather.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "kernels/cpu/loops.h"
#include "kernels/cpu/parallel.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

[[noreturn]] void bad_index(const Along& a, int64_t index) {
  NORCH_RAISE(IndexError, "index ", index, " is out of bounds for dimension ", a.dim, " with size ", a.size);
}

/// The index counted from the start; false if out of range.
inline bool resolve(const Along& a, int64_t& i) {
  i += (a.negative ? a.size : 0) & (i >> 63);
  return static_cast<uint64_t>(i) < static_cast<uint64_t>(a.size);
}

inline int64_t index_at(const char* p, const Along& a) {
  int64_t raw, i;
  std::memcpy(&raw, p, sizeof(raw));
  i = raw;
  if (!resolve(a, i)) bad_index(a, raw);
  return i;
}

/// Calls f(i, index i counted from the start) for all; returns whether all are valid. No branch and no memory that f
/// might change: the loop vectorises. The sign bit of the sum of evidence says whether an index was out of range.
template <class F>
inline bool resolve_all(const Along& a, const char* index, int64_t index_stride, int64_t n, F f) {
  const int64_t wrap = a.negative ? a.size : 0;
  const uint64_t last = static_cast<uint64_t>(a.size) - 1;
  uint64_t bad = 0;
  auto step = [&](int64_t i, int64_t v) {
    v += v < 0 ? wrap : 0;
    bad |= static_cast<uint64_t>(v) | (last - static_cast<uint64_t>(v));
    f(i, v);
  };
  if (index_stride == sizeof(int64_t)) {
    const int64_t* p = reinterpret_cast<const int64_t*>(index);
    for (int64_t i = 0; i < n; ++i) step(i, p[i]);
  } else {
    for (int64_t i = 0; i < n; ++i) step(i, *reinterpret_cast<const int64_t*>(index + i * index_stride));
  }
  return (bad >> 63) == 0;
}

/// offsets[i] = byte offset that index i leads to, plus i * step. Indices are checked before any offset is used.
void block_offsets(const Along& a, const char* index, int64_t index_stride, int64_t step, int64_t n,
                   int64_t* __restrict__ offsets) {
  const uint64_t stride = static_cast<uint64_t>(a.stride), along = static_cast<uint64_t>(step);
  if (resolve_all(a, index, index_stride, n, [=](int64_t i, int64_t v) {
        // Unsigned, since a bad index may overflow.
        offsets[i] = static_cast<int64_t>(static_cast<uint64_t>(v) * stride + static_cast<uint64_t>(i) * along);
      }))
    return;
  for (int64_t i = 0; i < n; ++i) index_at(index + i * index_stride, a);
}

template <class U>
void move_row(char* out, int64_t out_stride, const char* in, int64_t in_stride, int64_t n) {
  if (out_stride == sizeof(U) && in_stride == sizeof(U)) {
    std::memcpy(out, in, static_cast<size_t>(n) * sizeof(U));
  } else if (out_stride == sizeof(U) && in_stride == -static_cast<int64_t>(sizeof(U))) {
    U* to = reinterpret_cast<U*>(out);
    const U* last = reinterpret_cast<const U*>(in);
    for (int64_t i = 0; i < n; ++i) to[i] = last[-i];
  } else {
    for (int64_t i = 0; i < n; ++i)
      *reinterpret_cast<U*>(out + i * out_stride) = *reinterpret_cast<const U*>(in + i * in_stride);
  }
}

/// out[i] = at(i), four at a time: a load that follows a store may wait to learn whether they meet.
template <class U, class F>
inline void take(U* out, int64_t n, const F& at) {
  int64_t i = 0;
  for (; i + 4 <= n; i += 4) {
    const U a = at(i), b = at(i + 1), c = at(i + 2), d = at(i + 3);
    out[i] = a;
    out[i + 1] = b;
    out[i + 2] = c;
    out[i + 3] = d;
  }
  for (; i < n; ++i) out[i] = at(i);
}

template <class U>
void gather_loop(char* const* data, const int64_t* strides, int64_t n, const void* context) {
  const Along& a = *static_cast<const Along*>(context);
  if (strides[2] == 0) {
    move_row<U>(data[0], strides[0], data[1] + index_at(data[2], a) * a.stride, strides[1], n);
    return;
  }
  if (strides[0] == sizeof(U) && strides[1] == 0 && strides[2] == sizeof(int64_t) && a.stride == sizeof(U)) {
    const U* in = reinterpret_cast<const U*>(data[1]);
    take(reinterpret_cast<U*>(data[0]), n, [&](int64_t i) { return in[index_at(data[2] + i * strides[2], a)]; });
    return;
  }
  for (int64_t i = 0; i < n; ++i)
    *reinterpret_cast<U*>(data[0] + i * strides[0]) = *reinterpret_cast<const U*>(
        data[1] + i * strides[1] + index_at(data[2] + i * strides[2], a) * a.stride);
}

/// Rows that all take the same elements: index_select of the last dim, x[:, i].
bool is_column_gather(const Plan& p) {
  return p.ndim == 2 && p.strides[0][0] == p.itemsize(0) && p.strides[2][0] != 0 && p.strides[2][1] == 0;
}

/// Offsets are found once for all rows of a thread's part, a block of columns at a time.
template <class U>
void gather_columns(const Plan& p, const Along& a) {
  constexpr int64_t kColumns = 512;
  const int64_t n = p.shape[0];
  parallel_for(p.shape[1], 1 + kGrain / n, [&](int64_t begin, int64_t end) {
    int64_t offsets[kColumns];
    for (int64_t from = 0; from < n; from += kColumns) {
      const int64_t m = std::min(kColumns, n - from);
      block_offsets(a, p.data[2] + from * p.strides[2][0], p.strides[2][0], p.strides[1][0], m, offsets);
      for (int64_t r = begin; r < end; ++r) {
        U* out = reinterpret_cast<U*>(p.data[0] + r * p.strides[0][1]) + from;
        const char* in = p.data[1] + r * p.strides[1][1] + from * p.strides[1][0];
        take(out, m, [&](int64_t i) { return *reinterpret_cast<const U*>(in + offsets[i]); });
      }
    }
  });
}

/// Whole contiguous rows, one per index: index_select and embedding.
bool is_row_gather(const Plan& p) {
  const int64_t size = p.itemsize(0);
  return p.ndim == 2 && p.strides[0][0] == size && p.strides[1][0] == size && p.strides[2][0] == 0 &&
         p.strides[1][1] == 0;
}

void gather_rows(const Plan& p, const Along& a) {
  const int64_t bytes = p.shape[0] * p.itemsize(0);
  parallel_for(p.shape[1], std::max<int64_t>(1, kGrain * 4 / bytes), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      std::memcpy(p.data[0] + i * p.strides[0][1], p.data[1] + index_at(p.data[2] + i * p.strides[2][1], a) * a.stride,
                  static_cast<size_t>(bytes));
  });
}

// ---- scatter

/// The value of two at one place, computed in T's compute type.
template <ScatterOp op, class T>
inline T combine(T a, T b) {
  using C = ComputeType<T>;
  const C x = static_cast<C>(a), y = static_cast<C>(b);
  if constexpr (op == ScatterOp::Add)
    return std::is_same_v<T, bool> ? static_cast<T>(x || y) : static_cast<T>(x + y);
  else if constexpr (op == ScatterOp::Mul)
    return std::is_same_v<T, bool> ? static_cast<T>(x && y) : static_cast<T>(x * y);
  else if constexpr (op == ScatterOp::Min)
    return static_cast<T>(x < y || x != x ? x : y);
  else
    return static_cast<T>(x > y || x != x ? x : y);
}

template <ScatterOp op, class T>
void scatter_loop(char* const* data, const int64_t* strides, int64_t n, const void* context) {
  const Along& a = *static_cast<const Along*>(context);
  auto put = [](char* to, const char* from) {
    T& out = *reinterpret_cast<T*>(to);
    const T v = *reinterpret_cast<const T*>(from);
    if constexpr (op == ScatterOp::Assign)
      out = v;
    else
      out = combine<op>(out, v);
  };
  if (strides[2] == 0) {
    char* out = data[0] + index_at(data[2], a) * a.stride;
    if (strides[0] == sizeof(T) && strides[1] == sizeof(T)) {
      // The source never shares dst's memory.
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) put(out + i * sizeof(T), data[1] + i * sizeof(T));
    } else {
      for (int64_t i = 0; i < n; ++i) put(out + i * strides[0], data[1] + i * strides[1]);
    }
    return;
  }
  if (strides[0] == 0 && strides[1] == sizeof(T) && strides[2] == sizeof(int64_t) && a.stride == sizeof(T)) {
    const Along along = a;  // a copy that no store can change
    char* const out = data[0];
    const char *in = data[1], *index = data[2];
    for (int64_t i = 0; i < n; ++i)
      put(out + index_at(index + i * sizeof(int64_t), along) * static_cast<int64_t>(sizeof(T)), in + i * sizeof(T));
    return;
  }
  constexpr int64_t kBlock = 256;
  int64_t offsets[kBlock];
  for (int64_t done = 0; done < n; done += kBlock) {
    const int64_t m = std::min(kBlock, n - done);
    block_offsets(a, data[2] + done * strides[2], strides[2], strides[0], m, offsets);
    char* out = data[0] + done * strides[0];
    const char* in = data[1] + done * strides[1];
    for (int64_t i = 0; i < m; ++i) put(out + offsets[i], in + i * strides[1]);
  }
}

/// Runs the loop with threads only where they cannot meet: along a dim that dst itself has. Each place is then written
/// by one thread, in the order of the plan, however many threads there are.
void run_scatter(const Plan& plan, Loop loop, const Along& along) {
  if (plan.numel == 0) return;
  int widest = -1;
  for (int d = 0; d < plan.ndim; ++d)
    if (plan.strides[0][d] != 0 && (widest < 0 || plan.shape[d] > plan.shape[widest])) widest = d;
  constexpr int64_t kSerial = std::numeric_limits<int64_t>::max();
  if (widest < 0 || plan.numel <= kGrain) {
    for_each(plan, loop, &along, kSerial);
    return;
  }
  const int64_t cost = plan.numel / plan.shape[widest];
  // Every part goes through the whole index, and rows are cut along dim 0: parts of 128 bytes of each row took twice as long.
  const int64_t narrowest = widest == 0 ? 128 : 1;
  parallel_for(plan.shape[widest], std::max(narrowest, kGrain / cost), [&](int64_t begin, int64_t end) {
    Plan part = plan;
    part.shape[widest] = end - begin;
    part.numel = cost * (end - begin);
    for (int k = 0; k < part.operands; ++k) part.data[k] += begin * part.strides[k][widest];
    for_each(part, loop, &along, kSerial);
  });
}

/// \throws IndexError before scatter writes anything.
void check_loop(char* const* data, const int64_t* strides, int64_t n, const void* context) {
  const Along& a = *static_cast<const Along*>(context);
  if (resolve_all(a, data[0], strides[0], n, [](int64_t, int64_t) {})) return;
  for (int64_t i = 0; i < n; ++i) index_at(data[0] + i * strides[0], a);
}

void check_all(const Plan& plan, const Along& along) {
  Plan p;
  p.operands = 1;
  p.numel = plan.numel == 0 ? 0 : 1;
  p.data[0] = plan.data[2];
  p.dtype[0] = DType::Int64;
  for (int d = 0; d < plan.ndim; ++d) {
    if (plan.strides[2][d] == 0) continue;
    p.shape[p.ndim] = plan.shape[d];
    p.strides[0][p.ndim++] = plan.strides[2][d];
    p.numel *= plan.shape[d];
  }
  if (p.ndim == 0) {
    p.ndim = 1;
    p.shape[0] = 1;
    p.strides[0][0] = sizeof(int64_t);
  }
  for_each(p, check_loop, &along);
}

template <bool accumulate>
void offsets_loop(char* const* data, const int64_t* strides, int64_t n, const void* context) {
  const Along& a = *static_cast<const Along*>(context);
  for (int64_t i = 0; i < n; ++i) {
    const int64_t v = index_at(data[1] + i * strides[1], a) * a.stride;
    int64_t& out = *reinterpret_cast<int64_t*>(data[0] + i * strides[0]);
    out = accumulate ? out + v : v;
  }
}

template <class U>
void flip_loop(char* const* data, const int64_t* strides, int64_t n, const void*) {
  move_row<U>(data[0], strides[0], data[1], strides[1], n);
}

}  // namespace

void gather(const Plan& plan, const Along& along) {
  if (plan.numel == 0) return;
  if (is_row_gather(plan)) return gather_rows(plan, along);
  visit_width(plan.dtype[0], [&](auto tag) {
    using U = typename decltype(tag)::type;
    if (is_column_gather(plan)) return gather_columns<U>(plan, along);
    for_each(plan, gather_loop<U>, &along);
  });
}

void scatter(const Plan& plan, const Along& along, ScatterOp op, int64_t) {
  if (!along.fresh) check_all(plan, along);
  if (op == ScatterOp::Assign) {
    visit_width(plan.dtype[0], [&](auto tag) {
      run_scatter(plan, scatter_loop<ScatterOp::Assign, typename decltype(tag)::type>, along);
    });
    return;
  }
  visit_all(plan.dtype[0], [&](auto tag) {
    using T = typename decltype(tag)::type;
    switch (op) {
      case ScatterOp::Add: return run_scatter(plan, scatter_loop<ScatterOp::Add, T>, along);
      case ScatterOp::Mul: return run_scatter(plan, scatter_loop<ScatterOp::Mul, T>, along);
      case ScatterOp::Min: return run_scatter(plan, scatter_loop<ScatterOp::Min, T>, along);
      default: return run_scatter(plan, scatter_loop<ScatterOp::Max, T>, along);
    }
  });
}

void index_offsets(const Plan& plan, const Along& along, bool accumulate) {
  for_each(plan, accumulate ? offsets_loop<true> : offsets_loop<false>, &along);
}

void flip(const Plan& plan) {
  visit_width(plan.dtype[0], [&](auto tag) { for_each(plan, flip_loop<typename decltype(tag)::type>, nullptr); });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
