#include "kernels/copy.h"

#include <algorithm>
#include <cstring>

#include "core/factory.h"
#include "kernels/cpu/half.h"
#include "kernels/cpu/loops.h"
#include "kernels/cpu/parallel.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

template <class To, class From>
To convert(From v) {
  // A negative float becomes an unsigned integer by way of int64, as in PyTorch: C++ leaves the direct way undefined.
  if constexpr (std::is_same_v<To, uint8_t> && is_floating_point(dtype_of<From>))
    return static_cast<To>(static_cast<int64_t>(static_cast<ComputeType<From>>(v)));
  else if constexpr (std::is_same_v<To, uint64_t>)
    return v < 0 ? static_cast<To>(static_cast<int64_t>(v)) : static_cast<To>(v);
  else if constexpr (std::is_same_v<To, bool>)
    return static_cast<ComputeType<From>>(v) != 0;
  else
    return static_cast<To>(static_cast<ComputeType<To>>(static_cast<ComputeType<From>>(v)));
}

template <class To, class From>
void cast_loop(char* const* data, const int64_t* strides, int64_t n, const void*) {
  if (strides[0] == sizeof(To) && strides[1] == sizeof(From)) {
    To* out = reinterpret_cast<To*>(data[0]);
    const From* in = reinterpret_cast<const From*>(data[1]);
    if constexpr ((std::is_same_v<To, Half> && std::is_same_v<From, float>) ||
                  (std::is_same_v<To, float> && std::is_same_v<From, Half>)) {
      convert_run(out, in, n);
    } else {
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) out[i] = convert<To>(in[i]);
    }
    return;
  }
  for (int64_t i = 0; i < n; ++i)
    *reinterpret_cast<To*>(data[0] + i * strides[0]) =
        convert<To>(*reinterpret_cast<const From*>(data[1] + i * strides[1]));
}

template <class U>
void move_loop(char* const* data, const int64_t* strides, int64_t n, const void*) {
  if (strides[0] == sizeof(U) && strides[1] == sizeof(U)) {
    std::memmove(data[0], data[1], static_cast<size_t>(n) * sizeof(U));
    return;
  }
  for (int64_t i = 0; i < n; ++i)
    *reinterpret_cast<U*>(data[0] + i * strides[0]) = *reinterpret_cast<const U*>(data[1] + i * strides[1]);
}

/// Whether a plan of two dims transposes: the destination is adjacent along dim 0, the source along dim 1.
bool is_transpose(const Plan& p) {
  const int64_t size = p.itemsize(0);
  return p.ndim == 2 && p.strides[0][0] == size && p.strides[1][1] == size && p.strides[1][0] != size &&
         p.shape[0] >= 8 && p.shape[1] >= 8;
}

/// out[r][c] = in[c][r] for 4x4 elements; strides are in bytes.
template <class U>
inline void transpose4(char* out, int64_t out_stride, const char* in, int64_t in_stride) {
#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
  if constexpr (sizeof(U) == 4) {
    typedef U Vector __attribute__((vector_size(16)));
    typedef U Stored __attribute__((vector_size(16), aligned(alignof(U)), may_alias));
    const auto row = [&](int c) -> Vector { return *reinterpret_cast<const Stored*>(in + c * in_stride); };
    const Vector a = row(0), b = row(1), c = row(2), d = row(3);
    const Vector ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab2 = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    const Vector cd = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd2 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    *reinterpret_cast<Stored*>(out) = __builtin_shufflevector(ab, cd, 0, 1, 4, 5);
    *reinterpret_cast<Stored*>(out + out_stride) = __builtin_shufflevector(ab, cd, 2, 3, 6, 7);
    *reinterpret_cast<Stored*>(out + 2 * out_stride) = __builtin_shufflevector(ab2, cd2, 0, 1, 4, 5);
    *reinterpret_cast<Stored*>(out + 3 * out_stride) = __builtin_shufflevector(ab2, cd2, 2, 3, 6, 7);
    return;
  }
#endif
#endif
  for (int r = 0; r < 4; ++r)
    for (int c = 0; c < 4; ++c)
      reinterpret_cast<U*>(out + r * out_stride)[c] = reinterpret_cast<const U*>(in + c * in_stride)[r];
}

/// Transposes tile by tile: each tile's rows and columns stay in the nearest cache.
template <class U>
void transpose(const Plan& p) {
  constexpr int64_t kTile = 32;
  const int64_t rows = p.shape[1], cols = p.shape[0];
  const int64_t grain = std::max<int64_t>(1, kGrain / (cols * kTile));
  constexpr int64_t kSize = sizeof(U);
  const auto out = [&](int64_t r, int64_t c) { return p.data[0] + r * p.strides[0][1] + c * kSize; };
  const auto in = [&](int64_t r, int64_t c) -> const char* { return p.data[1] + r * kSize + c * p.strides[1][0]; };
  const auto one = [&](int64_t r, int64_t c) {
    *reinterpret_cast<U*>(out(r, c)) = *reinterpret_cast<const U*>(in(r, c));
  };
  parallel_for((rows + kTile - 1) / kTile, grain, [&](int64_t begin, int64_t end) {
    for (int64_t r0 = begin * kTile; r0 < std::min(end * kTile, rows); r0 += kTile) {
      const int64_t r1 = std::min(r0 + kTile, rows);
      for (int64_t c0 = 0; c0 < cols; c0 += kTile) {
        const int64_t c1 = std::min(c0 + kTile, cols);
        int64_t c = c0;
        for (; c + 4 <= c1; c += 4) {
          int64_t r = r0;
          for (; r + 4 <= r1; r += 4) transpose4<U>(out(r, c), p.strides[0][1], in(r, c), p.strides[1][0]);
          for (; r < r1; ++r)
            for (int64_t k = c; k < c + 4; ++k) one(r, k);
        }
        for (; c < c1; ++c)
          for (int64_t r = r0; r < r1; ++r) one(r, c);
      }
    }
  });
}

template <class U>
void fill_loop(char* const* data, const int64_t* strides, int64_t n, const void* context) {
  const U v = *static_cast<const U*>(context);
  if (strides[0] == sizeof(U)) {
    U* out = reinterpret_cast<U*>(data[0]);
    for (int64_t i = 0; i < n; ++i) out[i] = v;
    return;
  }
  for (int64_t i = 0; i < n; ++i) *reinterpret_cast<U*>(data[0] + i * strides[0]) = v;
}

}  // namespace

void copy(const Plan& plan) {
  if (plan.dtype[0] == plan.dtype[1]) {
    visit_width(plan.dtype[0], [&](auto tag) {
      using U = typename decltype(tag)::type;
      if (plan.numel > 0 && is_transpose(plan)) return transpose<U>(plan);
      for_each(plan, move_loop<U>, nullptr);
    });
    return;
  }
  visit_cast(plan.dtype[0], plan.dtype[1], [&](auto to, auto from) {
    for_each(plan, cast_loop<typename decltype(to)::type, typename decltype(from)::type>, nullptr);
  });
}

void fill(const Plan& plan, const Scalar& value) {
  alignas(16) char bytes[16];
  scalar_to_bytes(value, plan.dtype[0], bytes);
  visit_width(plan.dtype[0], [&](auto tag) { for_each(plan, fill_loop<typename decltype(tag)::type>, bytes); });
}

void triangle(const Tensor& out, const Tensor& in, int64_t diagonal, bool lower) {
  const int64_t rows = in.size(-2), cols = in.size(-1), size = static_cast<int64_t>(in.itemsize());
  if (in.numel() == 0) return;
  char* to = static_cast<char*>(out.data_ptr());
  const char* from = static_cast<const char*>(in.data_ptr());
  parallel_for(in.numel() / cols, 1 + kGrain / cols, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t below = std::clamp<int64_t>(r % rows + diagonal + 1, 0, cols);
      const int64_t first = lower ? 0 : below, last = lower ? below : cols;
      char* y = to + r * cols * size;
      std::memset(y, 0, static_cast<size_t>(first * size));
      std::memcpy(y + first * size, from + (r * cols + first) * size, static_cast<size_t>((last - first) * size));
      std::memset(y + last * size, 0, static_cast<size_t>((cols - last) * size));
    }
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
