// t[...]: reading and writing parts of a tensor, as NumPy and PyTorch define it.
//
//   index(x, {0, Slice(1, 5, 2), None})            x[0, 1:5:2, None], a view
//   index(x, {Ellipsis, rows})                     x[..., rows] for a tensor of int64, int32, bool or uint8: a copy
//   index_put_(x, {mask}, 0)                       x[mask] = 0
//
// Ints, slices, None and Ellipsis give views. Tensors, of any number and mixed with the others, gather: a mask (bool,
// or uint8 as PyTorch still has it) stands for the positions of its true elements, one per dim of it; all indices
// broadcast together, and their shape comes in place of the indexed dims if these are adjacent, in front otherwise.
// \throws IndexError for an index out of range (on CUDA possibly at the next call that waits for the device), for too
// many indices, for masks that do not fit and indices of other dtypes; ValueError for a step below 1.
#pragma once

#include <initializer_list>
#include <optional>
#include <vector>

#include "norch/tensor.h"

namespace norch {

struct NoneType {};
struct EllipsisType {};
/// A new dim of size 1.
inline constexpr NoneType None{};
/// All dims not named otherwise.
inline constexpr EllipsisType Ellipsis{};

/// start:stop:step; what is left out means what Python's slices mean by it.
struct Slice {
  constexpr Slice(std::optional<int64_t> start_ = {}, std::optional<int64_t> stop_ = {}, int64_t step_ = 1)
      : start(start_), stop(stop_), step(step_) {}
  std::optional<int64_t> start, stop;
  int64_t step;
};

/// One item between the brackets.
class TensorIndex {
 public:
  enum class Kind : uint8_t { None, Ellipsis, Int, Bool, Slice, Tensor };

  TensorIndex(NoneType) : kind_(Kind::None) {}
  TensorIndex(EllipsisType) : kind_(Kind::Ellipsis) {}
  template <class T, std::enable_if_t<std::is_integral_v<T>, int> = 0>
  TensorIndex(T v) : kind_(std::is_same_v<T, bool> ? Kind::Bool : Kind::Int), value_(static_cast<int64_t>(v)) {}
  TensorIndex(const norch::Slice& s) : kind_(Kind::Slice), slice_(s) {}
  TensorIndex(norch::Tensor t) : kind_(Kind::Tensor), tensor_(std::move(t)) {}

  Kind kind() const { return kind_; }
  int64_t value() const { return value_; }
  const norch::Slice& slice() const { return slice_; }
  const norch::Tensor& tensor() const { return tensor_; }

 private:
  Kind kind_;
  int64_t value_ = 0;
  norch::Slice slice_;
  norch::Tensor tensor_;
};

/// A read-only view of a list of items, from braces or a vector: never keep one.
class IndexItems {
 public:
  IndexItems(const TensorIndex* data, size_t n) : data_(data), n_(n) {}
  IndexItems(std::initializer_list<TensorIndex> v) : n_(v.size()) { data_ = v.begin(); }
  IndexItems(const std::vector<TensorIndex>& v) : data_(v.data()), n_(v.size()) {}
  size_t size() const { return n_; }
  const TensorIndex& operator[](size_t i) const { return data_[i]; }
  const TensorIndex* begin() const { return data_; }
  const TensorIndex* end() const { return data_ + n_; }

 private:
  const TensorIndex* data_;
  size_t n_;
};

/// t[items].
NORCH_API Tensor index(const Tensor& t, IndexItems items);
/// t[items] = value: `value` broadcasts, and without tensors among the items it is cast too. Of values that go to one
/// place the last in row-major order stays, on every device; with `accumulate` they are all added.
/// \throws Error when the value does not broadcast or (with tensors among the items) has another dtype. Nothing is
/// written then.
NORCH_API Tensor index_put_(const Tensor& self, IndexItems items, const Tensor& value, bool accumulate = false);
NORCH_API Tensor index_put_(const Tensor& self, IndexItems items, const Scalar& value, bool accumulate = false);
/// A copy of `t` after index_put_.
NORCH_API Tensor index_put(const Tensor& t, IndexItems items, const Tensor& value, bool accumulate = false);

}  // namespace norch
