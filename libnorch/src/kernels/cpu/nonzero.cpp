#include "kernels/nonzero.h"

#include <algorithm>
#include <vector>

#include "core/factory.h"
#include "kernels/cpu/parallel.h"
#include "kernels/dispatch.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

constexpr int64_t kPart = 65536;

int64_t count_true(const uint8_t* m, int64_t n) {
  int64_t total = 0;
  // A byte holds the sum of up to 255 masks, so most additions are of bytes.
  for (int64_t i = 0; i < n; i += 128) {
    const int64_t end = std::min(n, i + 128);
    uint8_t part = 0;
    for (int64_t j = i; j < end; ++j) part = static_cast<uint8_t>(part + (m[j] != 0));
    total += part;
  }
  return total;
}

/// NaN counts as greater than every number.
template <class T>
inline bool before(T a, T b) {
  return a < b || (b != b && a == a);
}

}  // namespace

Tensor flat_nonzero(const Tensor& mask) {
  const uint8_t* m = static_cast<const uint8_t*>(mask.data_ptr());
  const int64_t n = mask.numel(), parts = (n + kPart - 1) / kPart;
  std::vector<int64_t> first(static_cast<size_t>(parts) + 1, 0);
  parallel_for(parts, 2, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) first[p + 1] = count_true(m + p * kPart, std::min(kPart, n - p * kPart));
  });
  for (int64_t p = 0; p < parts; ++p) first[p + 1] += first[p];
  Tensor out = new_tensor({first[parts]}, DType::Int64, kCPU);
  int64_t* places = out.data<int64_t>();
  parallel_for(parts, 2, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      int64_t at = first[p];
      const int64_t stop = std::min(n, (p + 1) * kPart), last = first[p + 1];
      int64_t i = p * kPart;
      // Written always, kept if true: no branch to mispredict. The last place may not be written past.
      for (; at < last && i < stop; ++i) {
        places[at] = i;
        at += m[i] != 0;
      }
    }
  });
  return out;
}

void unravel(const Tensor& out, const Tensor& flat, Ints sizes) {
  const int64_t* f = flat.data<int64_t>();
  int64_t* o = out.data<int64_t>();
  const int64_t dims = static_cast<int64_t>(sizes.size());
  parallel_for(flat.numel(), 8192, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t rest = f[i];
      for (int64_t d = dims - 1; d > 0; --d) {
        o[i * dims + d] = rest % sizes[d];
        rest /= sizes[d];
      }
      o[i * dims] = rest;  // no division: each takes as long as all the rest
    }
  });
}

void searchsorted(const Tensor& out, const Tensor& sorted, const Tensor& values, const Tensor& order, bool right) {
  const int64_t n = sorted.dim() ? sorted.sizes().back() : 1;
  const int64_t per_row = sorted.dim() <= 1 ? std::max<int64_t>(values.numel(), 1) : values.sizes().back();
  const int64_t* by = order.defined() ? order.data<int64_t>() : nullptr;
  int64_t* o = out.data<int64_t>();
  visit_all(sorted.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = ComputeType<T>;
    const T* s = static_cast<const T*>(sorted.data_ptr());
    const T* v = static_cast<const T*>(values.data_ptr());
    parallel_for(values.numel(), 1024, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t row = i / per_row * n;
        const C x = static_cast<C>(v[i]);
        int64_t low = 0, high = n;
        while (low < high) {
          const int64_t middle = low + (high - low) / 2;
          const int64_t place = by ? std::clamp<int64_t>(by[row + middle], 0, n - 1) : middle;
          const C y = static_cast<C>(s[row + place]);
          if (right ? !before(x, y) : before(y, x))
            low = middle + 1;
          else
            high = middle;
        }
        o[i] = low;
      }
    });
  });
}

}  // namespace norch::kernels::cpu::NORCH_ISA
