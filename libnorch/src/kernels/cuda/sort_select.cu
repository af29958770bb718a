// The k smallest keys of rows, without sorting them: the k-th key is found bit by bit (rows that a group of threads can
// hold in registers) or digit by digit from counts (longer ones).
#include "kernels/cuda/sort_keys.cuh"

namespace norch::kernels::cuda::sorting {

namespace {

constexpr unsigned kAll = 0xFFFFFFFFu;

template <class Key>
struct Select {
  const void* x;
  int size;  // bytes of an element
  int64_t rows, n, k;
  KeyMaker<Key> maker;
  int64_t* places;   // (rows, k), or null
  void* values;      // of element k - 1 of each row, or null
  int64_t* indices;  // likewise
};

/// The results for a row whose k-th element is at `place`.
template <class Key>
__device__ __forceinline__ void store_one(const Select<Key>& s, int64_t row, int64_t place) {
  if (s.indices) s.indices[row] = place;
  if (s.values) store_element(s.values, s.size, row, load_element<Key>(s.x, s.size, row * s.n + place));
}

/// The sum over a warp.
__device__ __forceinline__ int warp_sum(int mine) {
#if __CUDA_ARCH__ >= 800
  return static_cast<int>(__reduce_add_sync(kAll, static_cast<unsigned>(mine)));
#else
  for (int mask = 16; mask > 0; mask /= 2) mine += __shfl_xor_sync(kAll, mine, mask);
  return mine;
#endif
}

/// Sums over the threads of a row: a warp, or the whole block.
template <int kThreads>
struct Counter {
  int turn = 0;
  __device__ __forceinline__ int sum(int mine) {
    mine = warp_sum(mine);
    if constexpr (kThreads > 32) {
      __shared__ int warps[2][kThreads / 32];  // two, so that one barrier a sum is enough
      if (threadIdx.x % 32 == 0) warps[turn][threadIdx.x / 32] = mine;
      __syncthreads();
      const int each = threadIdx.x % 32 < kThreads / 32 ? warps[turn][threadIdx.x % 32] : 0;
      mine = warp_sum(each);
      turn ^= 1;
    }
    return mine;
  }
  /// The sum of the earlier threads' counts, and of all.
  __device__ __forceinline__ int before(bool mine, int& total) {
    const unsigned lanes = __ballot_sync(kAll, mine);
    int earlier = __popc(lanes & ((1u << threadIdx.x % 32) - 1));
    total = __popc(lanes);
    if constexpr (kThreads > 32) {
      __shared__ int warps[2][kThreads / 32];
      if (threadIdx.x % 32 == 0) warps[turn][threadIdx.x / 32] = total;
      __syncthreads();
      const int lane = threadIdx.x % 32, each = lane < kThreads / 32 ? warps[turn][lane] : 0;
      total = warp_sum(each);
      earlier += warp_sum(lane < static_cast<int>(threadIdx.x / 32) ? each : 0);
      turn ^= 1;
    }
    return earlier;
  }
};

/// kThreads threads a row of up to kThreads * kItems elements.
template <class Key, int kThreads, int kItems>
__global__ void __launch_bounds__(kThreads < 128 ? 128 : kThreads) select_kernel(const __grid_constant__ Select<Key> s) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * (blockDim.x / kThreads) + threadIdx.x / kThreads;
  if (row >= s.rows) return;  // only whole warps, and only where a row has no barriers
  const int rank = threadIdx.x % kThreads, n = static_cast<int>(s.n), k = static_cast<int>(s.k);
  Key keys[kItems];
  load_elements(keys, s.x, s.size, [&](int j) { return row * s.n + min(rank + j * kThreads, n - 1); });
#pragma unroll
  for (int j = 0; j < kItems; ++j) keys[j] = s.maker.key(keys[j]);
  Counter<kThreads> count;
  // The largest t that at most k - 1 keys are below of: the k-th key.
  Key t = 0;
  int below = 0;
  for (int bit = s.maker.bits - 1; bit >= 0; --bit) {
    const Key candidate = t | static_cast<Key>(Key(1) << bit);
    int mine = 0;
#pragma unroll
    for (int j = 0; j < kItems; ++j) mine += keys[j] < candidate && rank + j * kThreads < n;
    const int c = count.sum(mine);
    if (c < k) {
      t = candidate;
      below = c;
    }
  }
  // Of those equal to it the first ones.
  int wanted = k - below;
  int64_t stored = 0;
#pragma unroll
  for (int j = 0; j < kItems; ++j) {
    if (j * kThreads >= n) break;
    const int place = rank + j * kThreads;
    const bool equal = place < n && keys[j] == t;
    int equals;
    const int order = count.before(equal, equals);
    if (!s.places) {
      if (equal && order == wanted - 1) store_one(s, row, place);
      wanted -= equals;
      if (wanted <= 0) break;
      continue;
    }
    const bool taken = (place < n && keys[j] < t) || (equal && order < wanted);
    wanted -= min(wanted, equals);
    int all;
    const int to = count.before(taken, all);
    if (taken) s.places[row * s.k + stored + to] = place;
    stored += all;
  }
}

// ---- long rows: (parts of a row, rows) blocks

constexpr int kThreads = 256;
constexpr int kRead = 8;                                         // elements that a thread has on their way
constexpr int64_t kPart = int64_t{kThreads} * kRead * 16;
constexpr int kDigit = 11, kBins = 1 << kDigit;

/// What is known of a row's k-th key: its highest bits, and how many of the keys that have them come before it.
template <class Key>
struct State {
  Key prefix;
  int64_t rank;
};

/// Calls f(key, place) with the keys of this block's part. Threads behind the end get place -1, so that f may meet others.
template <class Key, class F>
__device__ __forceinline__ void each_key(const Select<Key>& s, const F& f) {
  const int64_t begin = blockIdx.x * kPart, end = min(begin + kPart, s.n), first = blockIdx.y * s.n;
  for (int64_t at = begin; at < end; at += kThreads * kRead) {
    Key keys[kRead];
    load_elements(keys, s.x, s.size,
                  [&](int j) { return first + min(at + j * kThreads + static_cast<int>(threadIdx.x), end - 1); });
#pragma unroll
    for (int j = 0; j < kRead; ++j) {
      const int64_t place = at + j * kThreads + static_cast<int>(threadIdx.x);
      f(s.maker.key(keys[j]), place < end ? place : -1);
    }
  }
}

/// Counts the digits at bit `shift` of the keys that begin with the row's prefix.
template <class Key>
__global__ void __launch_bounds__(kThreads) count_digits_kernel(const __grid_constant__ Select<Key> s,
                                                                const State<Key>* states, unsigned* counts, int shift,
                                                                int digit) {
  __shared__ unsigned bins[kBins];
  for (int i = threadIdx.x; i < 1 << digit; i += kThreads) bins[i] = 0;
  __syncthreads();
  const Key prefix = states[blockIdx.y].prefix, mask = static_cast<Key>((Key(1) << digit) - 1);
  const int above = shift + digit;
  each_key(s, [&](Key key, int64_t place) {
    if (place >= 0 && (above >= s.maker.bits || key >> above == prefix)) atomicAdd(bins + (key >> shift & mask), 1u);
  });
  __syncthreads();
  unsigned* const all = counts + (static_cast<int64_t>(blockIdx.y) << kDigit);
  for (int i = threadIdx.x; i < 1 << digit; i += kThreads)
    if (bins[i]) atomicAdd(all + i, bins[i]);
}

/// The sum of the earlier threads' numbers of a block of kThreads, and of all.
__device__ __forceinline__ int64_t block_before(int64_t mine, int64_t& total) {
  __shared__ int64_t warps[kThreads / 32];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int64_t upto = mine;
#pragma unroll
  for (int by = 1; by < 32; by *= 2) {
    const int64_t earlier = __shfl_up_sync(kAll, static_cast<long long>(upto), by);
    if (lane >= by) upto += earlier;
  }
  if (lane == 31) warps[warp] = upto;
  __syncthreads();
  int64_t before = upto - mine;
  total = 0;
  for (int w = 0; w < kThreads / 32; ++w) {
    if (w < warp) before += warps[w];
    total += warps[w];
  }
  __syncthreads();
  return before;
}

/// Adds the digit in which a row's k-th key lies to its prefix, and clears the counts. A block per row.
template <class Key>
__global__ void __launch_bounds__(kThreads) pick_digit_kernel(State<Key>* states, unsigned* counts, int digit) {
  constexpr int kEach = kBins / kThreads;
  unsigned* const row = counts + (static_cast<int64_t>(blockIdx.x) << kDigit);
  const State<Key> state = states[blockIdx.x];
  const int bins = 1 << digit;
  unsigned mine[kEach];
  int64_t sum = 0;
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    const int bin = threadIdx.x * kEach + i;
    mine[i] = bin < bins ? row[bin] : 0;
    if (bin < bins) row[bin] = 0;
    sum += mine[i];
  }
  int64_t total, before = block_before(sum, total);
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    if (before <= state.rank && state.rank < before + mine[i])
      states[blockIdx.x] = {static_cast<Key>(state.prefix << digit | static_cast<Key>(threadIdx.x * kEach + i)),
                            state.rank - before};
    before += mine[i];
  }
}

/// How many keys of each part are below the row's k-th key, and how many equal it.
template <class Key>
__global__ void __launch_bounds__(kThreads) count_parts_kernel(const __grid_constant__ Select<Key> s,
                                                               const State<Key>* states, int64_t* below, int64_t* equal) {
  const Key t = states[blockIdx.y].prefix;
  int64_t less = 0, same = 0, total;
  each_key(s, [&](Key key, int64_t place) {
    less += place >= 0 && key < t;
    same += place >= 0 && key == t;
  });
  const int64_t at = static_cast<int64_t>(blockIdx.y) * gridDim.x + blockIdx.x;
  block_before(less, total);
  if (threadIdx.x == 0) below[at] = total;
  block_before(same, total);
  if (threadIdx.x == 0) equal[at] = total;
}

/// Replaces each part's counts by those of the parts before it. A block per row.
__global__ void __launch_bounds__(kThreads) sum_parts_kernel(int64_t* below, int64_t* equal, int64_t parts) {
  for (int64_t* row : {below + blockIdx.x * parts, equal + blockIdx.x * parts}) {
    int64_t carry = 0;
    for (int64_t from = 0; from < parts; from += kThreads) {
      const int64_t i = from + threadIdx.x, mine = i < parts ? row[i] : 0;
      int64_t total;
      const int64_t before = block_before(mine, total);
      if (i < parts) row[i] = carry + before;
      carry += total;
    }
  }
}

template <class Key>
__global__ void __launch_bounds__(kThreads) store_parts_kernel(const __grid_constant__ Select<Key> s,
                                                               const State<Key>* states, const int64_t* below,
                                                               const int64_t* equal) {
  const int64_t row = blockIdx.y, at = row * gridDim.x + blockIdx.x;
  const State<Key> state = states[row];
  const int64_t wanted = state.rank + 1;  // of the equal ones
  int64_t equals = equal[at], stored = below[at] + min(equals, wanted);
  // Most parts have none.
  const int64_t next_below = blockIdx.x + 1 < gridDim.x ? below[at + 1] : s.k - wanted;
  if ((!s.places || next_below == below[at]) && equals >= wanted) return;
  Counter<kThreads> count;
  each_key(s, [&](Key key, int64_t place) {
    const bool same = place >= 0 && key == state.prefix;
    int all;
    const int64_t order = equals + count.before(same, all);
    equals += all;
    if (!s.places) {
      if (same && order == wanted - 1) store_one(s, row, place);
      return;
    }
    const bool taken = (place >= 0 && key < state.prefix) || (same && order < wanted);
    const int to = count.before(taken, all);
    if (taken) s.places[row * s.k + stored + to] = place;
    stored += all;
  });
}

template <class Key>
__global__ void __launch_bounds__(kThreads) start_kernel(State<Key>* states, int64_t rows, int64_t k) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < rows) states[i] = {Key(0), k - 1};
}

template <class Key>
void select_long(const Select<Key>& s, Device device) {
  const dim3 grid(blocks_for(s.n, kPart), static_cast<unsigned>(s.rows));
  const int64_t parts = grid.x;
  const Tensor state = bytes(s.rows * static_cast<int64_t>(sizeof(State<Key>)), device);
  State<Key>* states = static_cast<State<Key>*>(state.data_ptr());
  const Tensor digits = bytes(s.rows * kBins * 4, device);
  unsigned* counts = static_cast<unsigned*>(digits.data_ptr());
  check(cudaMemsetAsync(counts, 0, static_cast<size_t>(s.rows) * kBins * 4, norch::cuda::current_stream()),
        "cudaMemsetAsync");
  launch(start_kernel<Key>, blocks_for(s.rows, kThreads), kThreads, 0, states, s.rows, s.k);
  for (int above = s.maker.bits; above > 0;) {
    const int digit = above < kDigit ? above : kDigit;
    above -= digit;
    launch(count_digits_kernel<Key>, grid, kThreads, 0, s, states, counts, above, digit);
    launch(pick_digit_kernel<Key>, grid.y, kThreads, 0, states, counts, digit);
  }
  const Tensor sums = new_tensor({2, s.rows * parts}, DType::Int64, device);
  int64_t *below = sums.data<int64_t>(), *equal = below + s.rows * parts;
  launch(count_parts_kernel<Key>, grid, kThreads, 0, s, states, below, equal);
  launch(sum_parts_kernel, grid.y, kThreads, 0, below, equal, parts);
  launch(store_parts_kernel<Key>, grid, kThreads, 0, s, states, below, equal);
}

/// Rows that a launch of select_long takes: what a grid's y can count.
constexpr int64_t kMostRows = 65535;

void select(bool descending, int64_t rows, int64_t n, int64_t k, int64_t* places, void* values, int64_t* indices,
            const Tensor& in) {
  visit_key(in.dtype(), [&](auto zero) {
    using Key = decltype(zero);
    Select<Key> s{in.data_ptr(), static_cast<int>(itemsize(in.dtype())), rows, n, k,
                  KeyMaker<Key>(in.dtype(), descending), places, values, indices};
    if (n <= 32 * 8) return launch(select_kernel<Key, 32, 8>, blocks_for(rows, 4), 128, 0, s);
    if (n <= 32 * 32) return launch(select_kernel<Key, 32, 32>, blocks_for(rows, 4), 128, 0, s);
    if (n <= 256 * 32) return launch(select_kernel<Key, 256, 32>, blocks_for(rows, 1), 256, 0, s);
    for (int64_t row = 0; row < rows; row += kMostRows) {
      Select<Key> part = s;
      part.rows = std::min(kMostRows, rows - row);
      part.x = static_cast<const char*>(s.x) + row * n * s.size;
      if (places) part.places = places + row * k;
      if (values) part.values = static_cast<char*>(values) + row * s.size;
      if (indices) part.indices = indices + row;
      select_long(part, in.device());
    }
  });
}

}  // namespace

void select_places(bool descending, int64_t rows, int64_t n, int64_t k, int64_t* out, const Tensor& in) {
  select(descending, rows, n, k, out, nullptr, nullptr, in);
}

void select_one(bool descending, int64_t rows, int64_t n, int64_t k, const Tensor& values, const Tensor& indices,
                const Tensor& in) {
  select(descending, rows, n, k + 1, nullptr, values.defined() ? values.data_ptr() : nullptr,
         indices.defined() ? indices.data<int64_t>() : nullptr, in);
}

}  // namespace norch::kernels::cuda::sorting
