// Groups of threads that work on one row together, and rows cut over them.
//
// A group is `size` neighbouring threads of a block, size a power of two from 1 to the block's: part of a warp, a warp,
// or several warps. A block holds blockDim.x / size groups, each with a row of its own. All sizes are kernel arguments
// or constants, so that every thread of a block takes the same way through the barriers below.
#pragma once

#include <cstring>

#include "kernels/cuda/launch.cuh"
#include "kernels/dispatch.h"

namespace norch::kernels::cuda {

/// Threads that a block of groups has at most.
inline constexpr int kMostThreads = 1024;

namespace detail {
template <class A>
__device__ __forceinline__ A shuffle_xor(const A& a, int mask) {
  if constexpr (sizeof(A) < 4) {
    int word = 0;
    memcpy(&word, &a, sizeof(A));
    word = __shfl_xor_sync(0xFFFFFFFFu, word, mask);
    A out;
    memcpy(&out, &word, sizeof(A));
    return out;
  } else {
    static_assert(sizeof(A) % 4 == 0, "a shuffle moves words of 4 bytes");
    int words[sizeof(A) / 4];
    memcpy(words, &a, sizeof(A));
#pragma unroll
    for (int& word : words) word = __shfl_xor_sync(0xFFFFFFFFu, word, mask);
    A out;
    memcpy(&out, words, sizeof(A));
    return out;
  }
}
}  // namespace detail

struct Group {
  int size;
  int rank;  // of this thread in its group

  explicit __device__ __forceinline__ Group(int threads) : size(threads), rank(threadIdx.x & (threads - 1)) {}

  /// The row of this thread's group, counted over the grid; it may lie behind the last row.
  __device__ __forceinline__ int64_t row() const {
    return static_cast<int64_t>(blockIdx.x) * (blockDim.x / size) + threadIdx.x / size;
  }

  /// f over the group's values in the order of its threads; every thread gets the same bits. f is associative up to
  /// rounding. To be called by all threads of the block, also those of groups without a row.
  template <class A, class F>
  __device__ __forceinline__ A join(A a, const F& f) const {
#pragma unroll
    for (int mask = 1; mask < 32; mask *= 2) {
      if (mask >= size) break;
      // Both partners join in the same order, so that they agree on every bit.
      const A o = detail::shuffle_xor(a, mask);
      a = threadIdx.x & mask ? f(o, a) : f(a, o);
    }
    if (size > 32) {
      alignas(A) __shared__ char room[kMostThreads / 32 * sizeof(A)];  // not A[]: A may have a constructor
      A* const warps = reinterpret_cast<A*>(room);
      if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = a;
      __syncthreads();
      // A block may hold several groups: from the first warp of this one on.
      const A* const own = warps + (threadIdx.x & ~(size - 1)) / 32;
      a = own[0];
      for (int i = 1; i < size / 32; ++i) a = f(a, own[i]);
      __syncthreads();  // the room is free for the next join
    }
    return a;
  }
  template <class A>
  __device__ __forceinline__ A sum(A a) const {
    return join(a, [](A x, A y) { return x + y; });
  }
};

/// N neighbouring elements, loaded and stored by up to 16 bytes at once.
template <int N, class T>
struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Vector {
  T v[N];
};

/// Up to `kCount` elements of a row that one thread holds: vectors of V that lie `group.size` vectors apart.
template <int V, int kCount>
struct RowPart {
  static_assert(kCount % V == 0, "");
  static constexpr int kVectors = kCount / V;

  /// Calls f(k, i) for each vector: k is its first place in the part, i its first element of the row, from `begin` on.
  template <class F>
  static __device__ __forceinline__ void each(const Group& group, int64_t begin, int64_t n, const F& f) {
    // Nothing but the first place is computed in 64 bits.
    const int left = static_cast<int>(::min(n - begin, static_cast<int64_t>(kCount) * kMostThreads));
#pragma unroll
    for (int k = 0; k < kVectors; ++k) {
      const int i = (k * group.size + group.rank) * V;
      if (i < left) f(k * V, begin + i);
    }
  }
  /// Loads the part as C; places behind the row's end become `fill`. The row has elements behind `begin`.
  template <class T, class C>
  static __device__ __forceinline__ void load(C (&part)[kCount], const Group& group, const T* row, int64_t begin,
                                              int64_t n, C fill) {
    const int left = static_cast<int>(::min(n - begin, static_cast<int64_t>(kCount) * kMostThreads));
    const int last = left - V;
    row += begin;
    // Behind the end the last vector is loaded again: no load waits for a condition.
    Vector<V, T> raw[kVectors];
#pragma unroll
    for (int k = 0; k < kVectors; ++k)
      raw[k] = *reinterpret_cast<const Vector<V, T>*>(row + ::min((k * group.size + group.rank) * V, last));
#pragma unroll
    for (int k = 0; k < kVectors; ++k) {
      const bool inside = (k * group.size + group.rank) * V <= last;
#pragma unroll
      for (int j = 0; j < V; ++j) part[k * V + j] = inside ? static_cast<C>(raw[k].v[j]) : fill;
    }
  }
  /// Stores f(place in the part, element of the row).
  template <class T, class F>
  static __device__ __forceinline__ void store(const Group& group, T* row, int64_t begin, int64_t n, const F& f) {
    each(group, begin, n, [&](int k, int64_t i) {
      Vector<V, T> out;
#pragma unroll
      for (int j = 0; j < V; ++j) out.v[j] = static_cast<T>(f(k + j, i + j));
      *reinterpret_cast<Vector<V, T>*>(row + i) = out;
    });
  }
};

/// How many threads work on a row of n elements when each takes `per_thread`, at most `most`.
inline int group_for(int64_t n, int64_t per_thread, int most) {
  int group = 1;
  while (group < most && group * per_thread < n) group *= 2;
  return group;
}

/// How a kernel walks rows, as template arguments: rows of kWhole are read once and kept in registers, others part by
/// part; kSize is the group's size where it is a constant, else 0.
template <int Size, bool Whole, int Width, int Count>
struct RowWalk {
  static constexpr int kSize = Size, kWidth = Width, kCount = Count;
  static constexpr bool kWhole = Whole;
  using Part = RowPart<Width, Count>;
  /// The bounds that the kernel is compiled for: threads of a block, and blocks that a multiprocessor has room for: 32
  /// warps with up to 4 KiB each on their way keep the memory of an H200 busy.
  static constexpr int kThreads = Size == 32 ? 128 : Whole && Width > 1 ? kMostThreads : 512;
  static constexpr int kBlocks = 1024 / kThreads;
};

/// Threads of a block of groups: groups of several warps have the block to themselves.
inline int block_of_groups(int group) { return group > 32 ? group : 128; }

/// Calls run(RowWalk, group) with the walk for rows of n elements of type T. `vectors` says whether they can be read by
/// 16 bytes; a thread of a warp keeps `kWarp` values of the type it computes in, one of a larger group `kBlock`.
template <class T, int kWarp, int kBlock, class F>
void visit_row_walk(int64_t n, bool vectors, const F& run) {
  constexpr int V = 16 / sizeof(T), kFew = V > 4 ? V : 2 * V, kScalars = 8;
  // Elements of 8 bytes are read one by one: a warp's access is long enough, and each walk costs compile time.
  if constexpr (sizeof(T) == 8) {
    (void)vectors;
  } else if (vectors) {
    if (n <= 32 * kFew) return run(RowWalk<0, true, V, kFew>{}, group_for(n, kFew, 32));
    if (n <= 32 * kWarp) return run(RowWalk<32, true, V, kWarp>{}, 32);
    if (n <= kMostThreads * kBlock) return run(RowWalk<0, true, V, kBlock>{}, group_for(n, kBlock, kMostThreads));
    return run(RowWalk<0, false, V, kBlock>{}, 512);
  }
  if (n <= 512 * kScalars) return run(RowWalk<0, true, 1, kScalars>{}, group_for(n, kScalars, 512));
  run(RowWalk<0, false, 1, kScalars>{}, 512);
}

/// Whether rows of n elements at these addresses (null ones left out) can be read by vectors of 16 bytes.
template <class T>
bool rows_have_vectors(int64_t n, std::initializer_list<const void*> pointers) {
  if (n % static_cast<int64_t>(16 / sizeof(T)) != 0) return false;
  for (const void* p : pointers)
    if (reinterpret_cast<uintptr_t>(p) % 16 != 0) return false;
  return true;
}

}  // namespace norch::kernels::cuda
