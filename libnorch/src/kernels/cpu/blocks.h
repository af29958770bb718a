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

/// Computes n elements; data points to the operands, outputs first.
using Block = void (*)(char* const* data, int64_t n, const void* context);

struct BlockLoop {
  Block block;
  const void* context;
  bool exact;
  int64_t grain;
  bool convert = true;  // the 16-bit floats to float; false for kernels that only move elements
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
    for (int64_t i = 0; i < n; ++i)
      *reinterpret_cast<To*>(to + i * to_stride) = converted<To>(*reinterpret_cast<const From*>(from + i * from_stride));
  }
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

// ---- the engine

class BlockRunner {
 public:
  BlockRunner(const Plan& plan, const BlockLoop& loop) : p_(plan), loop_(loop) {
    for (int k = 0; k < p_.operands; ++k) {
      const DType t = p_.dtype[k];
      as_is_[k] = !loop_.convert || (t != DType::Float16 && t != DType::BFloat16);
      size_[k] = as_is_[k] ? p_.itemsize(k) : 4;
    }
  }

  /// n elements whose operands advance by one stride each.
  void row(char* const* data, const int64_t* strides, int64_t n) {
    bool direct[Plan::kMaxOperands];
    bool all_direct = true;
    for (int k = 0; k < p_.operands; ++k) {
      direct[k] = as_is_[k] && strides[k] == size_[k];
      all_direct &= direct[k];
    }
    int64_t at = 0;
    if (all_direct) {
      at = loop_.exact ? n : n & -kLane;
      if (at) loop_.block(data, at, loop_.context);
      if (at == n) return;
    }
    bool filled = false;
    while (at < n) {
      const int64_t count = std::min(kChunk, n - at);
      const bool padded = !loop_.exact && count % kLane != 0;
      char* where[Plan::kMaxOperands];
      for (int k = 0; k < p_.operands; ++k) {
        char* p = data[k] + at * strides[k];
        where[k] = direct[k] && !padded ? p : buffer_[k];
        if (where[k] == p || k == 0) continue;
        if (strides[k] == 0) {
          if (!filled) load(k, 0, p, 0, std::min(kChunk, round_up(n - at)));
          continue;
        }
        load(k, 0, p, strides[k], count);
        if (padded) pad(k, count);
      }
      filled = true;
      loop_.block(where, padded ? round_up(count) : count, loop_.context);
      if (where[0] == buffer_[0])
        storer(p_.dtype[0], loop_.convert)(data[0] + at * strides[0], strides[0], buffer_[0], size_[0], count);
      at += count;
    }
  }

  /// Elements [begin, end) of the plan, in its order.
  void range(int64_t begin, int64_t end) {
    Cursor cursor(p_, begin);
    if (p_.shape[0] < kShortRow && p_.ndim > 1) return short_rows(cursor, begin, end);
    int64_t strides[Plan::kMaxOperands];
    for (int k = 0; k < p_.operands; ++k) strides[k] = p_.strides[k][0];
    while (begin < end) {
      const int64_t n = std::min(p_.shape[0] - cursor.index[0], end - begin);
      row(cursor.data, strides, n);
      cursor.advance(p_, n);
      begin += n;
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
    /// Onwards by n elements, at most to the end of the row.
    void advance(const Plan& p, int64_t n) {
      for (int k = 0; k < p.operands; ++k) data[k] += n * p.strides[k][0];
      index[0] += n;
      for (int d = 0; index[d] == p.shape[d] && d + 1 < p.ndim; ++d) {
        for (int k = 0; k < p.operands; ++k) data[k] += p.strides[k][d + 1] - p.shape[d] * p.strides[k][d];
        index[d] = 0;
        ++index[d + 1];
      }
    }
  };

  static int64_t round_up(int64_t n) { return (n + kLane - 1) & -kLane; }

  void load(int k, int64_t at, const char* from, int64_t stride, int64_t n) {
    loader(p_.dtype[k], loop_.convert)(buffer_[k] + at * size_[k], size_[k], from, stride, n);
  }
  /// Repeats the last element up to the next multiple of kLane, so that the padding is as ordinary as the data.
  void pad(int k, int64_t count) {
    const int64_t size = size_[k];
    for (int64_t i = count; i < round_up(count); ++i)
      std::memcpy(buffer_[k] + i * size, buffer_[k] + (count - 1) * size, static_cast<size_t>(size));
  }

  /// Whether operand k lies in memory in the order of the whole walk, without gaps.
  bool linear(int k) const {
    int64_t step = size_[k];
    for (int d = 0; d < p_.ndim; ++d) {
      if (p_.strides[k][d] != step) return false;
      step *= p_.shape[d];
    }
    return as_is_[k];
  }

  void short_rows(Cursor& cursor, int64_t begin, int64_t end) {
    bool direct[Plan::kMaxOperands];
    Move loads[Plan::kMaxOperands];
    for (int k = 0; k < p_.operands; ++k) {
      direct[k] = linear(k);
      loads[k] = loader(p_.dtype[k], loop_.convert);
    }
    const Move store = storer(p_.dtype[0], loop_.convert);
    while (begin < end) {
      const int64_t count = std::min(kChunk, end - begin);
      const bool padded = !loop_.exact && count % kLane != 0;
      char* where[Plan::kMaxOperands];
      for (int k = 0; k < p_.operands; ++k) where[k] = direct[k] && !padded ? cursor.data[k] : buffer_[k];
      char* runs[kChunk];  // where the output's row parts start
      int64_t rows = 0;
      const int64_t first = std::min(p_.shape[0] - cursor.index[0], count);
      for (int64_t done = 0; done < count;) {
        const int64_t n = std::min(p_.shape[0] - cursor.index[0], count - done);
        runs[rows++] = cursor.data[0];
        for (int k = 1; k < p_.operands; ++k)
          if (where[k] == buffer_[k])
            loads[k](buffer_[k] + done * size_[k], size_[k], cursor.data[k], p_.strides[k][0], n);
        cursor.advance(p_, n);
        done += n;
      }
      if (padded)
        for (int k = 1; k < p_.operands; ++k) pad(k, count);
      loop_.block(where, padded ? round_up(count) : count, loop_.context);
      if (where[0] == buffer_[0]) {
        for (int64_t r = 0, done = 0; r < rows; ++r) {
          const int64_t n = r == 0 ? first : std::min(p_.shape[0], count - done);
          store(runs[r], p_.strides[0][0], buffer_[0] + done * size_[0], size_[0], n);
          done += n;
        }
      }
      begin += count;
    }
  }

  const Plan& p_;
  const BlockLoop& loop_;
  int64_t size_[Plan::kMaxOperands];  // of an element in the type of computation
  bool as_is_[Plan::kMaxOperands];    // stored in that type
  alignas(64) char buffer_[Plan::kMaxOperands][kChunk * 8];
};

inline void for_each_block(const Plan& plan, const BlockLoop& loop) {
  if (plan.numel == 0) return;
  if (plan.numel <= loop.grain && plan.ndim == 1) {
    int64_t strides[Plan::kMaxOperands];
    for (int k = 0; k < plan.operands; ++k) strides[k] = plan.strides[k][0];
    BlockRunner(plan, loop).row(plan.data, strides, plan.numel);
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

template <class F, class Out, class T>
void block1(char* const* data, int64_t n, const void* context) {
  const F f = *static_cast<const F*>(context);
  Out* out = reinterpret_cast<Out*>(data[0]);
  const T* a = reinterpret_cast<const T*>(data[1]);
  n = whole_lanes<F>(n);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) out[i] = f(a[i]);
}

template <class F, class Out, class T>
void block2(char* const* data, int64_t n, const void* context) {
  const F f = *static_cast<const F*>(context);
  Out* out = reinterpret_cast<Out*>(data[0]);
  const T* a = reinterpret_cast<const T*>(data[1]);
  const T* b = reinterpret_cast<const T*>(data[2]);
  n = whole_lanes<F>(n);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) out[i] = f(a[i], b[i]);
}

template <class F, class Out, class T>
void block3(char* const* data, int64_t n, const void* context) {
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
void run_blocks(const Plan& plan, Block block, const F& f) {
  for_each_block(plan, BlockLoop{block, &f, F::exact, F::exact ? kGrain : kMathGrain});
}

}  // namespace norch::kernels::cpu::NORCH_ISA
