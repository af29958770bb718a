// Sizes, strides and dim arithmetic.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <type_traits>
#include <vector>

#include "norch/error.h"

namespace norch {

inline constexpr int kMaxTensorDims = 64;

/// A read-only view of a list of integers (sizes, strides, dims). It does not own: never keep one.
class Ints {
 public:
  constexpr Ints() = default;
  constexpr Ints(const int64_t* data, size_t n) : data_(data), n_(n) {}
  Ints(const std::vector<int64_t>& v) : data_(v.data()), n_(v.size()) {}
  constexpr Ints(std::initializer_list<int64_t> v) : n_(v.size()) { data_ = v.begin(); }

  constexpr size_t size() const { return n_; }
  constexpr bool empty() const { return n_ == 0; }
  constexpr const int64_t* data() const { return data_; }
  constexpr const int64_t* begin() const { return data_; }
  constexpr const int64_t* end() const { return data_ + n_; }
  constexpr int64_t operator[](size_t i) const { return data_[i]; }
  constexpr int64_t front() const { return data_[0]; }
  constexpr int64_t back() const { return data_[n_ - 1]; }
  constexpr Ints slice(size_t from, size_t count) const { return {data_ + from, count}; }
  constexpr Ints slice(size_t from) const { return {data_ + from, n_ - from}; }

 private:
  const int64_t* data_ = nullptr;
  size_t n_ = 0;
};

inline bool operator==(Ints a, Ints b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (a[i] != b[i]) return false;
  return true;
}
inline bool operator!=(Ints a, Ints b) { return !(a == b); }

/// An owned list of integers that keeps up to six in place, so that ordinary shapes need no heap memory.
class NORCH_API Shape {
 public:
  Shape() = default;
  explicit Shape(size_t n, int64_t value = 0) { resize(n, value); }
  Shape(Ints v) { assign(v); }
  Shape(std::initializer_list<int64_t> v) { assign(Ints(v)); }
  Shape(const std::vector<int64_t>& v) { assign(Ints(v)); }
  Shape(const Shape& o) { assign(o); }
  Shape(Shape&& o) noexcept { steal(o); }
  Shape& operator=(const Shape& o) {
    if (this != &o) assign(o);
    return *this;
  }
  Shape& operator=(Shape&& o) noexcept {
    if (this != &o) {
      release();
      steal(o);
    }
    return *this;
  }
  ~Shape() { release(); }

  operator Ints() const { return {data_, n_}; }
  size_t size() const { return n_; }
  bool empty() const { return n_ == 0; }
  int64_t* data() { return data_; }
  const int64_t* data() const { return data_; }
  int64_t* begin() { return data_; }
  int64_t* end() { return data_ + n_; }
  const int64_t* begin() const { return data_; }
  const int64_t* end() const { return data_ + n_; }
  int64_t& operator[](size_t i) { return data_[i]; }
  int64_t operator[](size_t i) const { return data_[i]; }
  int64_t& back() { return data_[n_ - 1]; }
  int64_t back() const { return data_[n_ - 1]; }

  void assign(Ints v);
  void resize(size_t n, int64_t value = 0);
  void push_back(int64_t v);
  void insert(size_t at, int64_t v);
  void erase(size_t at);
  void clear() { n_ = 0; }
  std::vector<int64_t> vec() const { return {begin(), end()}; }

 private:
  static constexpr uint32_t kInline = 6;
  void reserve(size_t n);
  void release() {
    if (data_ != inline_) delete[] data_;
    data_ = inline_;
    n_ = 0;
    capacity_ = kInline;
  }
  void steal(Shape& o) noexcept;

  int64_t* data_ = inline_;
  uint32_t n_ = 0;
  uint32_t capacity_ = kInline;
  int64_t inline_[kInline];
};

inline bool operator==(const Shape& a, const Shape& b) { return Ints(a) == Ints(b); }
inline bool operator!=(const Shape& a, const Shape& b) { return !(a == b); }
inline bool operator==(const Shape& a, Ints b) { return Ints(a) == b; }
inline bool operator!=(const Shape& a, Ints b) { return !(Ints(a) == b); }
inline bool operator==(Ints a, const Shape& b) { return a == Ints(b); }
inline bool operator!=(Ints a, const Shape& b) { return !(a == Ints(b)); }

/// Writes "[2, 3]".
NORCH_API void append(std::string& s, Ints v);
inline void append(std::string& s, const Shape& v) { append(s, Ints(v)); }

/// Product of sizes. \throws Error for a negative size or when the product exceeds 2^63 - 1; `op` names the caller.
NORCH_API int64_t numel_of(Ints sizes, const char* op = "shape");
/// Row-major strides, in elements (a size of 0 counts as 1, as in PyTorch).
NORCH_API Shape contiguous_strides(Ints sizes);
/// The shape that the two broadcast to. \throws Error naming `op` and both shapes.
NORCH_API Shape broadcast_shapes(Ints a, Ints b, const char* op = "broadcast");
/// Maps a dim in [-ndim, ndim) to [0, ndim) (a 0-d tensor counts as 1-d). \throws IndexError with PyTorch's text.
NORCH_API int64_t wrap_dim(int64_t dim, int64_t ndim, const char* op = nullptr);
/// Replaces the single -1 in `sizes` so that the product is `numel`. \throws Error when impossible.
NORCH_API Shape infer_size(Ints sizes, int64_t numel);

}  // namespace norch
