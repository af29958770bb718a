// scatter: many values to one place, always with the same result.
//
// The dims of the walk that the index leads make `count` positions; every other dim is part of a row, written the same
// way for each. A position's key says which place of dst it goes to. Adding (and the other combinations) sorts the
// keys, stably, and goes through each run of equal keys in order; so it needs no atomics. Replacing finds the last
// position of every key: with an integer atomicMax per place, or from the sorted keys where places outnumber positions.
// Where each line along the dim has places of its own, there is a faster way: scatter_lines.cu.
#include <cub/device/device_radix_sort.cuh>

#include "core/factory.h"
#include "kernels/cuda/group.cuh"
#include "kernels/cuda/scatter.cuh"

namespace norch::kernels::cuda {

namespace {

constexpr int kThreads = 256;
/// Sorted positions of a chunk. A run of equal keys that crosses a chunk's border is joined from partial results.
constexpr int kChunk = 64;

struct Job {
  IndexedWalk positions, row;
  int64_t unit;  // bytes of dst per key
  int64_t keys;  // valid keys are below this
  FastDivider width;
  bool small;  // fewer than 2^31 positions times columns

  /// Number i of all positions times columns: its position, and its column.
  __device__ __forceinline__ int64_t split(int64_t i, uint32_t& column) const {
    if (small) {
      column = static_cast<uint32_t>(i);
      return width.divide_in_place(column);
    }
    const int64_t position = i / row.units;
    column = static_cast<uint32_t>(i - position * row.units);
    return position;
  }
};

Job job_of(const Plan& p, const Along& a, int64_t slots) {
  bool rows = true;
  for (int d = 0; d < p.ndim; ++d) rows &= p.strides[2][d] == 0 || p.strides[0][d] == 0;
  Job job;
  job.unit = rows ? (a.stride > 0 ? a.stride : 1) : p.itemsize(0);
  job.keys = rows ? a.size : slots;
  for (int k = 0; k < 3; ++k) job.positions.data[k] = p.data[k];
  for (int d = 0; d < p.ndim; ++d) {
    const bool in_row = rows && p.strides[2][d] == 0 && p.strides[0][d] != 0;
    (in_row ? job.row : job.positions).add_dim(p, d);
  }
  job.width = FastDivider(job.row.units);
  job.small = static_cast<int64_t>(job.positions.units) * job.row.units <= 0x7FFFFFFF - kThreads;
  return job;
}

/// The key of a position, -1 for a bad index.
__device__ __forceinline__ int64_t key_of(const Job& job, const DeviceAlong& along, uint32_t position) {
  int64_t o[3];
  job.positions.offsets(position, o);
  int64_t index = *reinterpret_cast<const int64_t*>(job.positions.data[2] + o[2]);
  return along.resolve(index) ? (o[0] + index * along.stride) / job.unit : -1;
}

Tensor scratch(int64_t n, DType t, const Plan&) {
  return new_tensor({n}, t, Device(DeviceType::CUDA, static_cast<int8_t>(norch::cuda::current_device())));
}

// ---- replacing

__global__ void __launch_bounds__(kThreads) claim_kernel(const __grid_constant__ Job job, const DeviceAlong along,
                                                         int32_t* owner) {
  const uint32_t i = blockIdx.x * kThreads + threadIdx.x;
  if (i >= job.positions.units) return;
  const int64_t key = key_of(job, along, i);
  if (key >= 0) atomicMax(owner + key, static_cast<int32_t>(i));
}

template <class U>
__global__ void __launch_bounds__(kThreads) assign_kernel(const __grid_constant__ Job job, const DeviceAlong along,
                                                          const int32_t* owner) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= static_cast<int64_t>(job.positions.units) * job.row.units) return;
  uint32_t column;
  const uint32_t position = static_cast<uint32_t>(job.split(i, column));
  const int64_t key = key_of(job, along, position);
  if (key < 0 || owner[key] != static_cast<int32_t>(position)) return;
  const char* from = job.positions.data[1] + job.positions.offset(1, position) + job.row.offset(1, column);
  *reinterpret_cast<U*>(job.positions.data[0] + key * job.unit + job.row.offset(0, column)) =
      *reinterpret_cast<const U*>(from);
}

template <class U, class Key>
__global__ void __launch_bounds__(kThreads) assign_sorted_kernel(const __grid_constant__ Job job, const Key* keys,
                                                                 const int32_t* order) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const uint32_t count = job.positions.units;
  if (i >= static_cast<int64_t>(count) * job.row.units) return;
  uint32_t column;
  const uint32_t at = static_cast<uint32_t>(job.split(i, column));
  const Key key = keys[at];
  if (key == static_cast<Key>(job.keys) || (at + 1 < count && keys[at + 1] == key)) return;
  const char* from = job.positions.data[1] + job.positions.offset(1, order[at]) + job.row.offset(1, column);
  *reinterpret_cast<U*>(job.positions.data[0] + static_cast<int64_t>(key) * job.unit + job.row.offset(0, column)) =
      *reinterpret_cast<const U*>(from);
}

// ---- sorting

template <class Key>
__global__ void __launch_bounds__(kThreads) keys_kernel(const __grid_constant__ Job job, const DeviceAlong along, Key* keys,
                                                        int32_t* order) {
  const uint32_t i = blockIdx.x * kThreads + threadIdx.x;
  if (i >= job.positions.units) return;
  const int64_t key = key_of(job, along, i);
  keys[i] = static_cast<Key>(key < 0 ? job.keys : key);  // bad ones go to the end
  order[i] = static_cast<int32_t>(i);
}

/// Calls run(keys, order): the keys ascending, and the positions that they came from, equal ones in order.
template <class Key, class F>
void sorted(const Plan& plan, const Job& job, const Along& along, F&& run) {
  const int64_t n = job.positions.units;
  const DType type = sizeof(Key) == 4 ? DType::Int32 : DType::Int64;
  const Tensor keys = scratch(n, type, plan), keys_out = scratch(n, type, plan);
  const Tensor order = scratch(n, DType::Int32, plan), order_out = scratch(n, DType::Int32, plan);
  Key *in = static_cast<Key*>(keys.data_ptr()), *out = static_cast<Key*>(keys_out.data_ptr());
  int32_t *from = order.data<int32_t>(), *to = order_out.data<int32_t>();
  launch(keys_kernel<Key>, blocks_for(n, kThreads), kThreads, 0, job, DeviceAlong(along), in, from);
  int bits = 1;
  while (bits < static_cast<int>(sizeof(Key)) * 8 && (job.keys >> bits) != 0) ++bits;
  size_t bytes = 0;
  const cudaStream_t stream = norch::cuda::current_stream();
  check(cub::DeviceRadixSort::SortPairs(nullptr, bytes, in, out, from, to, static_cast<int>(n), 0, bits, stream),
        "cub::DeviceRadixSort::SortPairs");
  const Tensor room = scratch(static_cast<int64_t>(bytes), DType::UInt8, plan);
  check(cub::DeviceRadixSort::SortPairs(room.data_ptr(), bytes, in, out, from, to, static_cast<int>(n), 0, bits, stream),
        "cub::DeviceRadixSort::SortPairs");
  run(static_cast<const Key*>(out), static_cast<const int32_t*>(to));
}

template <class F>
void with_sorted(const Plan& plan, const Job& job, const Along& along, F&& run) {
  if (job.keys < (int64_t{1} << 32) - 1)
    sorted<uint32_t>(plan, job, along, run);
  else
    sorted<uint64_t>(plan, job, along, run);
}

// ---- combining

/// A thread for each position and V columns; those with which a run begins, or its part of a chunk, go through it. A run
/// that begins here starts from dst's value. What crosses the chunk's ends goes to `partial`: [chunk][0: came from before,
/// 1: begins here and goes on][column].
template <class T, class Key, int V>
__global__ void __launch_bounds__(kThreads) combine_kernel(const __grid_constant__ Job job, ScatterOp op, const Key* keys,
                                                           const int32_t* order, SumType<T>* partial) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  const uint32_t width = job.row.units, count = job.positions.units;
  uint32_t column = 0;
  const int64_t place_in_order = job.split(i, column);
  if (place_in_order >= count) return;
  uint32_t at = static_cast<uint32_t>(place_in_order);
  const uint32_t chunk = at / kChunk, begin = chunk * kChunk;
  const uint32_t end = count - begin < kChunk ? count : begin + kChunk;
  // All that is surely needed is on its way before the first of it is looked at.
  const Key key = keys[at], before = keys[at ? at - 1 : 0], after = keys[at + 1 < count ? at + 1 : at];
  const int32_t position = order[at];
  if (key == static_cast<Key>(job.keys)) return;
  const bool begins = at == 0 || before != key;
  if (!begins && at > begin) return;
  const char* from = job.positions.data[1] + job.row.offset(1, column);
  char* dst = job.positions.data[0] + job.row.offset(0, column);
  Vector<V, T>* const place = reinterpret_cast<Vector<V, T>*>(dst + static_cast<int64_t>(key) * job.unit);
  auto row = [&](int32_t position) {
    return *reinterpret_cast<const Vector<V, T>*>(from + job.positions.offset(1, position));
  };
  Vector<V, T> next = row(position), old;
  if (begins) old = *place;
  SumType<T> value[V];
#pragma unroll
  for (int j = 0; j < V; ++j) {
    value[j] = widened(&next.v[j]);
    if (begins) value[j] = combine(op, widened(&old.v[j]), value[j]);
  }
  bool more = at + 1 < count && after == key;
  for (++at; at < end && more; more = ++at < count && keys[at] == key) {
    next = row(order[at]);
#pragma unroll
    for (int j = 0; j < V; ++j) value[j] = combine(op, value[j], widened(&next.v[j]));
  }
  if (begins && !more) {
#pragma unroll
    for (int j = 0; j < V; ++j) old.v[j] = narrowed<T>(value[j]);
    *place = old;
  } else {
    SumType<T>* const part = partial + ((static_cast<int64_t>(chunk) * 2 + begins) * width + column) * V;
#pragma unroll
    for (int j = 0; j < V; ++j) part[j] = value[j];
  }
}

/// Joins the runs that cross chunks: the threads of the chunk where a run begins go through those after it. `strips` blocks
/// a chunk.
template <class T, class Key>
__global__ void __launch_bounds__(kThreads) join_kernel(const __grid_constant__ Job job, ScatterOp op, const Key* keys,
                                                        const SumType<T>* partial, uint32_t strips) {
  const uint32_t width = job.row.units, count = job.positions.units;
  uint32_t chunk = blockIdx.x / strips;
  const uint32_t column = blockIdx.x % strips * kThreads + threadIdx.x;
  const int64_t begin = static_cast<int64_t>(chunk) * kChunk;
  int64_t end = begin + kChunk;
  if (column >= width || end >= count) return;
  const Key key = keys[end - 1];
  if (key == static_cast<Key>(job.keys) || keys[end] != key) return;
  if (keys[begin] == key && begin > 0 && keys[begin - 1] == key) return;  // begins in an earlier chunk
  SumType<T> value = partial[(static_cast<int64_t>(chunk) * 2 + 1) * width + column];
  do {
    ++chunk;
    end += kChunk;
    value = combine(op, value, partial[static_cast<int64_t>(chunk) * 2 * width + column]);
  } while (end < count && keys[end - 1] == key && keys[end] == key);
  char* dst = job.positions.data[0] + static_cast<int64_t>(key) * job.unit + job.row.offset(0, column);
  *reinterpret_cast<T*>(dst) = narrowed<T>(value);
}

/// The job with V columns of type T at once, if rows and where they begin allow accesses of 16 bytes.
template <class T, int V>
bool by_vectors(const Job& job, Job& wide) {
  constexpr int64_t kSize = sizeof(T), kBytes = V * kSize;
  if (job.row.ndim != 1 || job.row.units % V != 0 || job.unit % kBytes != 0) return false;
  for (int k = 0; k < 2; ++k) {
    bool fits = job.row.strides[k][0] == kSize && reinterpret_cast<uintptr_t>(job.positions.data[k]) % kBytes == 0;
    for (int d = 0; d < job.positions.ndim; ++d) fits &= job.positions.strides[k][d] % kBytes == 0;
    if (!fits) return false;
  }
  wide = job;
  wide.row.units /= V;
  wide.row.size[0] = wide.width = FastDivider(wide.row.units);
  for (int k = 0; k < 2; ++k) wide.row.strides[k][0] = kBytes;
  return true;
}

void assign(const Plan& plan, const Job& job, const Along& along) {
  const int64_t count = job.positions.units, total = count * job.row.units;
  if (job.keys / 8 > count) {
    with_sorted(plan, job, along, [&](auto* keys, const int32_t* order) {
      using Key = std::remove_const_t<std::remove_pointer_t<decltype(keys)>>;
      visit_width(plan.dtype[0], [&](auto tag) {
        launch(assign_sorted_kernel<typename decltype(tag)::type, Key>, blocks_for(total, kThreads), kThreads, 0, job,
               keys, order);
      });
    });
    return;
  }
  const Tensor owner = scratch(job.keys, DType::Int32, plan);
  check(cudaMemsetAsync(owner.data_ptr(), 0xFF, static_cast<size_t>(job.keys) * 4, norch::cuda::current_stream()),
        "cudaMemsetAsync");
  int32_t* p = owner.data<int32_t>();
  launch(claim_kernel, blocks_for(count, kThreads), kThreads, 0, job, DeviceAlong(along), p);
  visit_width(plan.dtype[0], [&](auto tag) {
    launch(assign_kernel<typename decltype(tag)::type>, blocks_for(total, kThreads), kThreads, 0, job,
           DeviceAlong(along), static_cast<const int32_t*>(p));
  });
}

}  // namespace

void scatter(const Plan& plan, const Along& along, ScatterOp op, int64_t slots) {
  if (plan.numel == 0 || along.size == 0 || scatter_lines(plan, along, op)) return;
  const Job job = job_of(plan, along, slots);
  if (op == ScatterOp::Assign) return assign(plan, job, along);
  const int64_t chunks = (static_cast<int64_t>(job.positions.units) + kChunk - 1) / kChunk;
  const int64_t width = job.row.units;
  with_sorted(plan, job, along, [&](auto* keys, const int32_t* order) {
    using Key = std::remove_const_t<std::remove_pointer_t<decltype(keys)>>;
    visit_all(plan.dtype[0], [&](auto tag) {
      using T = typename decltype(tag)::type;
      using S = SumType<T>;
      const Tensor partial = scratch(chunks * 2 * width, dtype_of<S>, plan);
      S* p = partial.data<S>();
      auto combine_runs = [&](auto* kernel, const Job& j) {
        launch(kernel, blocks_for(static_cast<int64_t>(j.positions.units) * j.row.units, kThreads), kThreads, 0, j, op, keys,
               order, p);
      };
      // Floats are what gradients are made of: by 16 bytes.
      constexpr bool kFloat = is_floating_point(dtype_of<T>) && sizeof(T) <= 4;
      constexpr int V = kFloat ? 16 / sizeof(T) : 1;
      Job wide;
      if (kFloat && by_vectors<T, V>(job, wide))
        combine_runs(combine_kernel<T, Key, V>, wide);
      else
        combine_runs(combine_kernel<T, Key, 1>, job);
      const uint32_t strips = blocks_for(width, kThreads);
      if (chunks > 1)
        launch(join_kernel<T, Key>, blocks_for(chunks * strips, 1), kThreads, 0, job, op, keys, static_cast<const S*>(p),
               strips);
    });
  });
}

}  // namespace norch::kernels::cuda
