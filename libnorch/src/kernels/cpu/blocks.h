// Elementwise loops over a Plan, in blocks.
//
// A kernel gives a block function, which computes n adjacent elements of every operand in the type of computation. This
// engine, compiled once per kernel file, brings every walk into that form: operands that lie like that already are
// passed as they are, others (strided, repeated, 16-bit floats) go through small buffers. So an op is compiled as one
// loop for each type, and a walk over short rows costs no call per row.
//
// The vector versions of exp and the like may differ from the scalar ones in the last place. A block function of an
// inexact functor is therefore called with multiples of kLane elements only, which leave no scalar rest (what is
// missing is padded), and a result does not depend on where its element lies.
#pragma once

#include <algorithm>
#include <cstring>

#include "kernels/cpu/half.h"
#include "kernels/cpu/loops.h"
#include "kernels/cpu/parallel.h"

namespace norch::kernels::cpu::NORCH_ISA {

/// Computes n elements; data points to the operands, outputs first. Bit k of `repeated` says that operand k is a single
/// element; that happens only where the loop allows it.
using Block = void (*)(char* const* data, int64_t n, uint32_t repeated, const void* context);

struct BlockLoop {
  Block block;
  const void* context;
  bool exact;
  int64_t grain;
  bool convert = true;   // the 16-bit floats to float; false for kernels that only move elements
  bool repeats = false;  // whether the block takes single elements
};

inline constexpr int64_t kLane = 16;
inline constexpr int64_t kChunk = 256;     // elements of a buffer
inline constexpr int64_t kShortRow = 64;   // rows shorter than this are gathered into chunks

// ---- moving elements between memory and buffers

using Move = void (*)(char* to, int64_t to_stride, const char* from, int64_t from_stride, int64_t n);

template <class To, class From>
inline To converted(From v) {
  if constexpr (std::is_same_v<To, From>)
    return v;
  else
    return static_cast<To>(static_cast<float>(v));
}

template <class To, class From>
inline void move_one(char* to, const char* from) {
  *reinterpret_cast<To*>(to) = converted<To>(*reinterpret_cast<const From*>(from));
}

template <class To, class From>
void move(char* to, int64_t to_stride, const char* from, int64_t from_stride, int64_t n) {
  constexpr int64_t kTo = sizeof(To), kFrom = sizeof(From);
  if (to_stride == kTo && from_stride == kFrom) {
    To* out = reinterpret_cast<To*>(to);
    const From* in = reinterpret_cast<const From*>(from);
    if constexpr (!std::is_same_v<To, From> && (std::is_same_v<To, Half> || std::is_same_v<From, Half>)) {
      convert_run(out, in, n);
    } else {
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) out[i] = converted<To>(in[i]);
    }
  } else if (to_stride == kTo && from_stride == 0) {
    To* out = reinterpret_cast<To*>(to);
    const To v = converted<To>(*reinterpret_cast<const From*>(from));
    for (int64_t i = 0; i < n; ++i) out[i] = v;
  } else {
    for (int64_t i = 0; i < n; ++i) move_one<To, From>(to + i * to_stride, from + i * from_stride);
  }
}

/// `rows` runs of n elements, for short n.
using MoveRows = void (*)(char* to, int64_t to_stride, int64_t to_row, const char* from, int64_t from_stride,
                          int64_t from_row, int64_t n, int64_t rows);

template <class To, class From>
void move_rows(char* to, int64_t to_stride, int64_t to_row, const char* from, int64_t from_stride, int64_t from_row,
               int64_t n, int64_t rows) {
  for (int64_t r = 0; r < rows; ++r, to += to_row, from += from_row)
    for (int64_t i = 0; i < n; ++i) move_one<To, From>(to + i * to_stride, from + i * from_stride);
}

inline Move loader(DType stored, bool convert) {
  if (convert && stored == DType::Float16) return move<float, Half>;
  if (convert && stored == DType::BFloat16) return move<float, BFloat16>;
  return visit_width(stored, [](auto tag) -> Move {
    using U = typename decltype(tag)::type;
    return move<U, U>;
  });
}

inline Move storer(DType stored, bool convert) {
  if (convert && stored == DType::Float16) return move<Half, float>;
  if (convert && stored == DType::BFloat16) return move<BFloat16, float>;
  return loader(stored, false);
}

inline MoveRows loader_rows(DType stored, bool convert) {
  if (convert && stored == DType::Float16) return move_rows<float, Half>;
  if (convert && stored == DType::BFloat16) return move_rows<float, BFloat16>;
  return visit_width(stored, [](auto tag) -> MoveRows {
    using U = typename decltype(tag)::type;
    return move_rows<U, U>;
  });
}

inline MoveRows storer_rows(DType stored, bool convert) {
  if (convert && stored == DType::Float16) return move_rows<Half, float>;
  if (convert && stored == DType::BFloat16) return move_rows<BFloat16, float>;
  return loader_rows(stored, false);
}

// ---- the engine

class BlockRunner {
 public:
  BlockRunner(const Plan& plan, const BlockLoop& loop) : p_(plan), loop_(loop) {
    for (int k = 0; k < p_.operands; ++k) {
      const DType t = p_.dtype[k];
      as_it_is_[k] = !loop_.convert || (t != DType::Float16 && t != DType::BFloat16);
      size_[k] = as_it_is_[k] ? p_.itemsize(k) : 4;
      direct_[k] = as_it_is_[k] && p_.strides[k][0] == size_[k];
      if (loop_.repeats && k > 0 && as_it_is_[k] && p_.strides[k][0] == 0) {
        direct_[k] = true;
        repeated_ |= 1u << k;
      }
      all_direct_ &= direct_[k];
    }
  }

  /// n elements along dim 0.
  void row(char* const* data, int64_t n) {
    int64_t at = 0;
    if (all_direct_) {
      at = loop_.exact ? n : n & -kLane;
      if (at) loop_.block(data, at, repeated_, loop_.context);
      if (at == n) return;
    }
    bool filled = false;
    while (at < n) {
      const int64_t count = std::min(kChunk, n - at);
      const bool padded = !loop_.exact && count % kLane != 0;
      char* where[Plan::kMaxOperands];
      for (int k = 0; k < p_.operands; ++k) {
        const int64_t stride = p_.strides[k][0];
        char* p = data[k] + at * stride;
        where[k] = direct_[k] && !padded ? p : buffer_[k];
        if (where[k] == p || k == 0) continue;
        if (stride == 0) {
          if (!filled) load(k, p, 0, std::min(kChunk, round_up(n - at)));
          continue;
        }
        load(k, p, stride, count);
        if (padded) pad(k, count);
      }
      filled = true;
      loop_.block(where, padded ? round_up(count) : count, padded ? 0 : repeated_, loop_.context);
      if (where[0] == buffer_[0]) {
        const int64_t stride = p_.strides[0][0];
        storer(p_.dtype[0], loop_.convert)(data[0] + at * stride, stride, buffer_[0], size_[0], count);
      }
      at += count;
    }
  }

  /// Elements [begin, end) of the plan, in its order.
  void range(int64_t begin, int64_t end) {
    Cursor cursor(p_, begin);
    while (begin < end) {
      const int64_t n = std::min(p_.shape[0] - cursor.index[0], end - begin);
      row(cursor.data, n);
      cursor.advance(p_, 0, n);
      begin += n;
    }
  }

  /// Rows [begin, end) of a plan of short rows, as many at a time as fit the buffers.
  void short_rows(int64_t begin, int64_t end) {
    const int64_t length = p_.shape[0];
    bool direct[Plan::kMaxOperands];
    const char* loaded_from[Plan::kMaxOperands] = {};  // of operands that repeat the same row
    int64_t loaded_rows[Plan::kMaxOperands] = {};
    for (int k = 0; k < p_.operands; ++k)
      direct[k] = as_it_is_[k] && p_.strides[k][0] == size_[k] && p_.strides[k][1] == length * size_[k];
    Cursor cursor(p_, begin * length);
    while (begin < end) {
      const int64_t rows = std::min({kChunk / length, p_.shape[1] - cursor.index[1], end - begin});
      const int64_t count = rows * length;
      const bool padded = !loop_.exact && count % kLane != 0;
      char* where[Plan::kMaxOperands];
      for (int k = 0; k < p_.operands; ++k) {
        where[k] = direct[k] && !padded ? cursor.data[k] : buffer_[k];
        if (where[k] != buffer_[k] || k == 0) continue;
        const char* from = cursor.data[k];
        if (p_.strides[k][1] != 0 || loaded_from[k] != from || loaded_rows[k] < rows || padded) {
          loader_rows(p_.dtype[k], loop_.convert)(buffer_[k], size_[k], length * size_[k], from, p_.strides[k][0],
                                                  p_.strides[k][1], length, rows);
          loaded_from[k] = from;
          loaded_rows[k] = rows;
          if (padded) pad(k, count);
        }
      }
      loop_.block(where, padded ? round_up(count) : count, 0, loop_.context);
      if (where[0] == buffer_[0])
        storer_rows(p_.dtype[0], loop_.convert)(cursor.data[0], p_.strides[0][0], p_.strides[0][1], buffer_[0],
                                                size_[0], length * size_[0], length, rows);
      cursor.advance(p_, 1, rows);
      begin += rows;
    }
  }

 private:
  /// A place in the walk.
  struct Cursor {
    int64_t index[Plan::kMaxDims];
    char* data[Plan::kMaxOperands];

    Cursor(const Plan& p, int64_t at) {
      for (int k = 0; k < p.operands; ++k) data[k] = p.data[k];
      for (int d = 0; d < p.ndim; ++d) {
        index[d] = at % p.shape[d];
        at /= p.shape[d];
        for (int k = 0; k < p.operands; ++k) data[k] += index[d] * p.strides[k][d];
      }
    }
    /// Onwards by n along dim d, at most to its end.
    void advance(const Plan& p, int d, int64_t n) {
      for (int k = 0; k < p.operands; ++k) data[k] += n * p.strides[k][d];
      index[d] += n;
      for (; index[d] == p.shape[d] && d + 1 < p.ndim; ++d) {
        for (int k = 0; k < p.operands; ++k) data[k] += p.strides[k][d + 1] - p.shape[d] * p.strides[k][d];
        index[d] = 0;
        ++index[d + 1];
      }
    }
  };

  static int64_t round_up(int64_t n) { return (n + kLane - 1) & -kLane; }

  void load(int k, const char* from, int64_t stride, int64_t n) {
    loader(p_.dtype[k], loop_.convert)(buffer_[k], size_[k], from, stride, n);
  }
  /// Repeats the last element up to the next multiple of kLane, so that the padding is as ordinary as the data.
  void pad(int k, int64_t count) {
    const int64_t size = size_[k];
    for (int64_t i = count; i < round_up(count); ++i)
      std::memcpy(buffer_[k] + i * size, buffer_[k] + (count - 1) * size, static_cast<size_t>(size));
  }

  const Plan& p_;
  const BlockLoop& loop_;
  int64_t size_[Plan::kMaxOperands];   // of an element in the type of computation
  bool as_it_is_[Plan::kMaxOperands];  // stored in that type
  bool direct_[Plan::kMaxOperands];    // and adjacent along dim 0 (or repeated, where the block takes that)
  bool all_direct_ = true;
  uint32_t repeated_ = 0;
  alignas(64) char buffer_[Plan::kMaxOperands][kChunk * 16 + 64];  // a pitch that is no power of two
};

inline void for_each_block(const Plan& plan, const BlockLoop& loop) {
  if (plan.numel == 0) return;
  if (plan.numel <= loop.grain && plan.ndim == 1) {
    BlockRunner(plan, loop).row(plan.data, plan.numel);
    return;
  }
  if (plan.ndim > 1 && plan.shape[0] < kShortRow) {
    const int64_t length = plan.shape[0];
    parallel_for(plan.numel / length, loop.grain / length,
                 [&](int64_t begin, int64_t end) { BlockRunner(plan, loop).short_rows(begin, end); });
    return;
  }
  parallel_for(plan.numel, loop.grain,
               [&](int64_t begin, int64_t end) { BlockRunner(plan, loop).range(begin, end); });
}

// ---- block functions

/// Rounds n down to whole lanes, which it is already, where the compiler should know it: it then emits no scalar rest.
template <class F>
inline int64_t whole_lanes(int64_t n) {
  return F::exact ? n : n & -kLane;
}

/// Whether block2 of F has loops for a single element on either side: the short functors, in which filling a buffer
/// with the element would cost as much as the work.
template <class F>
inline constexpr bool takes_repeats = F::exact && !F::heavy;

template <class F, class Out, class T>
void block1(char* const* data, int64_t n, uint32_t, const void* context) {
  const F f = *static_cast<const F*>(context);
  Out* out = reinterpret_cast<Out*>(data[0]);
  const T* a = reinterpret_cast<const T*>(data[1]);
  n = whole_lanes<F>(n);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) out[i] = f(a[i]);
}

template <class F, class Out, class T>
void block2(char* const* data, int64_t n, uint32_t repeated, const void* context) {
  const F f = *static_cast<const F*>(context);
  Out* out = reinterpret_cast<Out*>(data[0]);
  const T* a = reinterpret_cast<const T*>(data[1]);
  const T* b = reinterpret_cast<const T*>(data[2]);
  n = whole_lanes<F>(n);
  if constexpr (takes_repeats<F>) {
    if (repeated == 6) {
      std::fill_n(out, n, static_cast<Out>(f(*a, *b)));
      return;
    }
    if (repeated & 4) {
      const T y = *b;
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) out[i] = f(a[i], y);
      return;
    }
    if (repeated & 2) {
      const T x = *a;
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) out[i] = f(x, b[i]);
      return;
    }
  }
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) out[i] = f(a[i], b[i]);
}

template <class F, class Out, class T>
void block3(char* const* data, int64_t n, uint32_t, const void* context) {
  const F f = *static_cast<const F*>(context);
  Out* out = reinterpret_cast<Out*>(data[0]);
  const T* a = reinterpret_cast<const T*>(data[1]);
  const T* b = reinterpret_cast<const T*>(data[2]);
  const T* c = reinterpret_cast<const T*>(data[3]);
  n = whole_lanes<F>(n);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) out[i] = f(a[i], b[i], c[i]);
}

/// Elements worth waking a thread for when each takes a call of exp or the like.
inline constexpr int64_t kMathGrain = 8192;

template <class F>
void run_blocks(const Plan& plan, Block block, const F& f, bool repeats = false) {
  for_each_block(plan, BlockLoop{block, &f, F::exact, F::exact ? kGrain : kMathGrain, true, repeats});
}

}  // namespace norch::kernels::cpu::NORCH_ISA
