#include "norch/shape.h"

#include <algorithm>

namespace norch {

void Shape::reserve(size_t n) {
  if (n <= capacity_) return;
  NORCH_CHECK(n <= static_cast<size_t>(kMaxTensorDims), "a tensor has at most ", kMaxTensorDims, " dims, got ", n);
  const uint32_t capacity = std::max<uint32_t>(static_cast<uint32_t>(n), capacity_ * 2);
  auto* data = new int64_t[capacity];
  std::copy(data_, data_ + n_, data);
  if (data_ != inline_) delete[] data_;
  data_ = data;
  capacity_ = capacity;
}

void Shape::steal(Shape& o) noexcept {
  if (o.data_ == o.inline_) {
    n_ = o.n_;
    std::copy(o.inline_, o.inline_ + n_, inline_);
  } else {
    data_ = o.data_;
    n_ = o.n_;
    capacity_ = o.capacity_;
    o.data_ = o.inline_;
    o.capacity_ = kInline;
  }
  o.n_ = 0;
}

void Shape::assign(Ints v) {
  reserve(v.size());
  std::copy(v.begin(), v.end(), data_);
  n_ = static_cast<uint32_t>(v.size());
}

void Shape::resize(size_t n, int64_t value) {
  reserve(n);
  for (size_t i = n_; i < n; ++i) data_[i] = value;
  n_ = static_cast<uint32_t>(n);
}

void Shape::push_back(int64_t v) {
  reserve(n_ + 1);
  data_[n_++] = v;
}

void Shape::insert(size_t at, int64_t v) {
  reserve(n_ + 1);
  std::copy_backward(data_ + at, data_ + n_, data_ + n_ + 1);
  data_[at] = v;
  ++n_;
}

void Shape::erase(size_t at) {
  std::copy(data_ + at + 1, data_ + n_, data_ + at);
  --n_;
}

void append(std::string& s, Ints v) {
  s += '[';
  for (size_t i = 0; i < v.size(); ++i) {
    if (i) s += ", ";
    s += std::to_string(v[i]);
  }
  s += ']';
}

int64_t numel_of(Ints sizes, const char* op) {
  int64_t n = 1;
  bool overflow = false, empty = false;
  for (int64_t s : sizes) {
    NORCH_CHECK(s >= 0, op, ": negative dimension ", s, " in shape ", sizes);
    empty |= s == 0;
    overflow |= __builtin_mul_overflow(n, s, &n);
  }
  NORCH_CHECK(!overflow || empty, op, ": the number of elements of shape ", sizes, " does not fit in 64 bits");
  return empty ? 0 : n;
}

Shape contiguous_strides(Ints sizes) {
  Shape strides(sizes.size());
  int64_t step = 1;
  for (size_t i = sizes.size(); i-- > 0;) {
    strides[i] = step;
    step *= std::max<int64_t>(sizes[i], 1);
  }
  return strides;
}

Shape broadcast_shapes(Ints a, Ints b, const char* op) {
  const size_t n = std::max(a.size(), b.size());
  Shape out(n);
  for (size_t i = 0; i < n; ++i) {
    const int64_t x = i < n - a.size() ? 1 : a[i - (n - a.size())];
    const int64_t y = i < n - b.size() ? 1 : b[i - (n - b.size())];
    NORCH_CHECK(x == y || x == 1 || y == 1, op, ": shapes ", a, " and ", b, " do not broadcast: the size of tensor a (",
                x, ") must match the size of tensor b (", y, ") at non-singleton dimension ", i);
    out[i] = x == 1 ? y : x;
  }
  return out;
}

int64_t wrap_dim(int64_t dim, int64_t ndim, const char* op) {
  const int64_t n = std::max<int64_t>(ndim, 1);
  if (dim < -n || dim >= n) {
    std::string prefix = op ? std::string(op) + ": " : std::string();
    NORCH_RAISE(IndexError, prefix, "Dimension out of range (expected to be in range of [", -n, ", ", n - 1,
                "], but got ", dim, ")");
  }
  return dim < 0 ? dim + n : dim;
}

Shape infer_size(Ints sizes, int64_t numel) {
  Shape out(sizes);
  int64_t known = 1, at = -1;
  bool overflow = false;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == -1) {
      NORCH_CHECK(at < 0, "only one dimension can be inferred, got shape ", sizes);
      at = static_cast<int64_t>(i);
    } else {
      NORCH_CHECK(sizes[i] >= 0, "invalid shape dimension ", sizes[i], " in shape ", sizes);
      overflow |= __builtin_mul_overflow(known, sizes[i], &known);
    }
  }
  if (at >= 0 && !overflow) {
    NORCH_CHECK(known != 0, "cannot reshape tensor of ", numel, " elements into shape ", sizes,
                " because the unspecified dimension size -1 can be any value and is ambiguous");
    if (numel % known == 0) {
      out[at] = numel / known;
      return out;
    }
  }
  NORCH_CHECK(!overflow && at < 0 && known == numel, "shape '", sizes, "' is invalid for input of size ", numel);
  return out;
}

}  // namespace norch
