#include <climits>

#include "kernels/cuda/reduce.cuh"

namespace norch::kernels::cuda {

namespace {

template <class A>
struct Select {
  using Value = A;
  using Acc = Found<A>;
  static constexpr bool kWide = false;
  static constexpr bool kByRuns = false;
  bool largest;
  DType dtype;
  void* values;
  int64_t* indices;

  __device__ __forceinline__ Acc identity() const { return {A(0), -1}; }
  template <class F>
  __device__ __forceinline__ void visit(const F& f) const {
    if (largest)
      f([](const Acc& a, A x, int64_t i) { return a.index < 0 || beats<true>(x, a.value) ? Acc{x, i} : a; });
    else
      f([](const Acc& a, A x, int64_t i) { return a.index < 0 || beats<false>(x, a.value) ? Acc{x, i} : a; });
  }
  __device__ __forceinline__ bool better(A x, A best) const {
    return largest ? beats<true>(x, best) : beats<false>(x, best);
  }
  /// Of equal elements the first counts.
  __device__ __forceinline__ Acc join(const Acc& a, const Acc& b) const {
    if (b.index < 0) return a;
    if (a.index < 0 || better(b.value, a.value)) return b;
    return b.index < a.index && !better(a.value, b.value) ? b : a;
  }
  __device__ __forceinline__ void store(const Acc& a, int64_t at) const {
    if (values) reduction::Values<A>::store(dtype, values, at, a.value);
    if (indices) indices[at] = a.index;
  }
};

using reduction::kThreads;
using reduction::Raw;
using reduction::Values;

/// An element that stands first among its equals; `at` counts from the row's begin. Without one, `at` is behind all.
struct Candidate {
  float value;
  int at;
};

template <bool kLargest>
struct Better {
  static constexpr float kWorst = kLargest ? -INFINITY : INFINITY;
  static __device__ __forceinline__ Candidate nothing() { return {kWorst, INT_MAX}; }
  /// Whether x comes before `best`, which has the smaller place, in two comparisons. NaN comes before all numbers.
  static __device__ __forceinline__ bool than(float x, float best) {
    return !(kLargest ? x <= best : x >= best) && best == best;
  }
  __device__ __forceinline__ Candidate operator()(const Candidate& a, const Candidate& b) const {
    if (than(b.value, a.value)) return b;
    return b.at < a.at && !than(a.value, b.value) ? b : a;
  }
};

/// Where the candidates go: the results, or those of each row's parts.
struct Target {
  DType dtype;
  void* values;      // optional
  int64_t* indices;  // optional
  Candidate* parts;  // (rows x number of parts), if there are several

  __device__ __forceinline__ void store(int64_t row, const Candidate& c) const {
    if (values) Values<float>::store(dtype, values, row, c.value);
    if (indices) indices[row] = c.at;
  }
};

/// Rows of `vectors` runs of 16 bytes, one after another, a group of threads for each part of a row. With places of 32 bits
/// counted from the row, and a thread's first element as its candidate before any is compared, an element takes two
/// comparisons and two moves.
template <int kSize, bool kLargest>
__global__ void __launch_bounds__(kThreads, 6) select_rows_kernel(Target target, const char* x, int64_t rows, int vectors,
                                                                  int part, int size) {
  constexpr int kRun = 16 / kSize, kUnroll = 4;
  const Group group(size);
  const int64_t row = group.row();
  Candidate best = Better<kLargest>::nothing();
  if (row < rows) {
    x += row * vectors * 16;
    const int begin = blockIdx.y * part, last = min(vectors - begin, part) + begin - 1;
    if (begin + group.rank <= last) best.at = (begin + group.rank) * kRun;
    for (int from = begin + group.rank; from <= last; from += kUnroll * size) {
      Raw<kRun, 4> raw[kUnroll];
      // Behind the end the last run is read again, which changes nothing.
#pragma unroll
      for (int u = 0; u < kUnroll; ++u)
        raw[u].template load<16>(x + static_cast<int64_t>(min(from + u * size, last)) * 16);
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
        const int first = min(from + u * size, last) * kRun;
        float v[kRun];
        Values<float>::template decode<kSize>(target.dtype, raw[u], v);
#pragma unroll
        for (int j = 0; j < kRun; ++j) {
          const bool better = Better<kLargest>::than(v[j], best.value);
          best.value = better ? v[j] : best.value;
          best.at = better ? first + j : best.at;
        }
      }
    }
  }
  best = group.join(best, Better<kLargest>());
  if (group.rank != 0 || row >= rows) return;
  if (target.parts)
    target.parts[row * gridDim.y + blockIdx.y] = best;
  else
    target.store(row, best);
}

/// Joins the parts of each row, a warp per row.
template <bool kLargest>
__global__ void __launch_bounds__(kThreads) select_parts_kernel(Target target, int64_t rows, int parts) {
  const Group group(32);
  const int64_t row = group.row();
  Candidate best = Better<kLargest>::nothing();
  if (row < rows)
    for (int k = group.rank; k < parts; k += 32) best = Better<kLargest>()(best, target.parts[row * parts + k]);
  best = group.join(best, Better<kLargest>());
  if (group.rank == 0 && row < rows) target.store(row, best);
}

template <bool kLargest>
void select_rows(const ReducePlan& plan, Target target, Device device) {
  const int vectors = static_cast<int>(plan.n * static_cast<int64_t>(itemsize(plan.dtype)) / 16);
  constexpr int kPerThread = 4, kOfWarp = 64;  // runs of 16 bytes
  const int group = vectors <= 32 * kOfWarp ? group_for(vectors, kPerThread, 32) : kThreads;
  const unsigned blocks = blocks_for(plan.outputs, kThreads / group);
  int64_t parts = 1;
  if (group == kThreads)
    parts = std::max<int64_t>(1, std::min(reduction::kEnoughBlocks / std::max<int64_t>(blocks, 1),
                                          static_cast<int64_t>(vectors) / (kThreads * 2 * kPerThread)));
  const int part = static_cast<int>((vectors + parts - 1) / parts);
  parts = (vectors + part - 1) / part;
  Tensor room;
  if (parts > 1) {
    room = new_tensor({plan.outputs * parts * static_cast<int64_t>(sizeof(Candidate))}, DType::UInt8, device);
    target.parts = static_cast<Candidate*>(room.data_ptr());
  }
  launch(itemsize(plan.dtype) == 4 ? select_rows_kernel<4, kLargest> : select_rows_kernel<2, kLargest>,
         dim3(blocks, static_cast<unsigned>(parts)), kThreads, 0, target, plan.data, plan.outputs, vectors, part, group);
  if (parts > 1)
    launch(select_parts_kernel<kLargest>, blocks_for(plan.outputs, kThreads / 32), kThreads, 0, target, plan.outputs, parts);
}

/// Columns of (outer, n, inner) elements: strides in bytes.
struct SelectColumns {
  const char* x;
  int64_t inner, strips, stride, outer_stride;  // strips of columns, one a block
  int n, part;
};

constexpr int kColumns = 4;  // neighbouring ones that a thread takes

/// Blocks of blockDim.x times kColumns neighbouring columns by blockDim.y rows, with candidates as above.
template <int kSize, bool kLargest>
__global__ void __launch_bounds__(kThreads, 4) select_columns_kernel(Target target, SelectColumns s) {
  constexpr int kUnroll = 4;
  const int64_t outer = blockIdx.x / s.strips, strip = (blockIdx.x - outer * s.strips) * blockDim.x * kColumns;
  const int64_t column = strip + threadIdx.x * kColumns;
  Candidate best[kColumns];
#pragma unroll
  for (Candidate& c : best) c = Better<kLargest>::nothing();
  if (column < s.inner) {
    const char* const x = s.x + outer * s.outer_stride + column * kSize;
    const int begin = blockIdx.y * s.part, end = min(s.n - begin, s.part) + begin, first = begin + threadIdx.y;
    const int step = blockDim.y;
    if (first < end) {
#pragma unroll
      for (Candidate& c : best) c.at = first;
    }
    for (int i = first; i < end; i += kUnroll * step) {
      Raw<kColumns, 4> raw[kUnroll];
      // Behind the end the first row is read again, which changes nothing.
      const auto row = [&](int u) { return i + u * step < end ? i + u * step : i; };
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) raw[u].template load<kColumns * kSize>(x + row(u) * s.stride);
#pragma unroll
      for (int u = 0; u < kUnroll; ++u) {
        float v[kColumns];
        Values<float>::template decode<kSize>(target.dtype, raw[u], v);
#pragma unroll
        for (int j = 0; j < kColumns; ++j) {
          const bool better = Better<kLargest>::than(v[j], best[j].value);
          best[j].value = better ? v[j] : best[j].value;
          best[j].at = better ? row(u) : best[j].at;
        }
      }
    }
  }
  __shared__ Candidate room[kThreads * kColumns];
  const int width = blockDim.x * kColumns;
#pragma unroll
  for (int j = 0; j < kColumns; ++j) room[threadIdx.y * width + threadIdx.x * kColumns + j] = best[j];
  __syncthreads();
  for (int c = threadIdx.y * blockDim.x + threadIdx.x; c < width && strip + c < s.inner; c += kThreads) {
    Candidate all = room[c];
    for (int y = 1; y < blockDim.y; ++y) all = Better<kLargest>()(all, room[y * width + c]);
    const int64_t result = outer * s.inner + strip + c;
    if (target.parts)
      target.parts[result * gridDim.y + blockIdx.y] = all;
    else
      target.store(result, all);
  }
}

template <bool kLargest>
void select_columns(const ReducePlan& plan, Target target, Device device) {
  SelectColumns s{};
  s.x = plan.data;
  s.inner = plan.keep[0].size;
  s.stride = plan.reduce[0].in;
  s.outer_stride = plan.kept == 2 ? plan.keep[1].in : 0;
  s.n = static_cast<int>(plan.n);
  // Where there are enough results for all threads each has its own, and reads all rows of them.
  const int widest = plan.outputs >= reduction::kEnoughBlocks * kThreads * kColumns ? kThreads : 32;
  const int x = reduction::power_of_two_at_least(s.inner / kColumns, widest), y = kThreads / x;
  s.strips = (s.inner + x * kColumns - 1) / (x * kColumns);
  const unsigned blocks = blocks_for(s.strips * (plan.outputs / s.inner), 1);
  int64_t parts = std::max<int64_t>(
      1, std::min(reduction::kEnoughBlocks / std::max<int64_t>(blocks, 1), plan.n / (16 * static_cast<int64_t>(y))));
  s.part = static_cast<int>((plan.n + parts - 1) / parts);
  parts = (plan.n + s.part - 1) / s.part;
  Tensor room;
  if (parts > 1) {
    room = new_tensor({plan.outputs * parts * static_cast<int64_t>(sizeof(Candidate))}, DType::UInt8, device);
    target.parts = static_cast<Candidate*>(room.data_ptr());
  }
  launch(itemsize(plan.dtype) == 4 ? select_columns_kernel<4, kLargest> : select_columns_kernel<2, kLargest>,
         dim3(blocks, static_cast<unsigned>(parts)), dim3(x, y), 0, target, s);
  if (parts > 1)
    launch(select_parts_kernel<kLargest>, blocks_for(plan.outputs, kThreads / 32), kThreads, 0, target, plan.outputs, parts);
}

bool is_small_float(DType t) { return t == DType::Float32 || t == DType::Float16 || t == DType::BFloat16; }

/// Whether the plan is over columns of floats of up to 32 bits that can be read kColumns at once.
bool has_vector_columns(const ReducePlan& p) {
  if (p.by_rows || !is_small_float(p.dtype) || p.kept > 2 || p.reduced != 1 || p.n > INT_MAX / 2) return false;
  const int64_t size = static_cast<int64_t>(itemsize(p.dtype)), bytes = kColumns * size;
  if (p.keep[0].in != size || p.keep[0].out != 1 || p.keep[0].size % kColumns != 0) return false;
  if (p.kept == 2 && (p.keep[1].in % bytes != 0 || p.keep[1].out != p.keep[0].size)) return false;
  return p.reduce[0].in % bytes == 0 && reinterpret_cast<uintptr_t>(p.data) % static_cast<uintptr_t>(bytes) == 0;
}

/// Whether the plan is over rows of floats of up to 32 bits that lie one after another, in whole runs of 16 bytes.
bool has_vector_rows(const ReducePlan& p) {
  const int64_t size = static_cast<int64_t>(itemsize(p.dtype)), bytes = p.n * size;
  const bool rows = p.outputs == 1 || (p.kept == 1 && p.keep[0].in == bytes && p.keep[0].out == 1);
  return is_small_float(p.dtype) && rows && p.reduced == 1 && p.reduce[0].in == size && bytes % 16 == 0 && p.n <= INT_MAX - 8 &&
         reinterpret_cast<uintptr_t>(p.data) % 16 == 0;
}

}  // namespace

void reduce_select(bool largest, const ReducePlan& plan, const Tensor& values, const Tensor& indices) {
  const Device device = values.defined() ? values.device() : indices.device();
  const Target target{plan.dtype, values.defined() ? values.data_ptr() : nullptr,
                      indices.defined() ? indices.data<int64_t>() : nullptr, nullptr};
  if (has_vector_rows(plan))
    return largest ? select_rows<true>(plan, target, device) : select_rows<false>(plan, target, device);
  if (has_vector_columns(plan))
    return largest ? select_columns<true>(plan, target, device) : select_columns<false>(plan, target, device);
  reduction::visit_value_type(plan.dtype, [&](auto tag) {
    reduction::run(plan,
                   Select<typename decltype(tag)::type>{largest, plan.dtype,
                                                        values.defined() ? values.data_ptr() : nullptr,
                                                        indices.defined() ? indices.data<int64_t>() : nullptr},
                   device);
  });
}

}  // namespace norch::kernels::cuda
