// A vector that keeps its first N elements in place. For the short lists that every op makes (edges, gradients).
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

namespace norch {

template <class T, size_t N>
class SmallVector {
 public:
  SmallVector() = default;
  explicit SmallVector(size_t n) { resize(n); }
  SmallVector(SmallVector&& o) noexcept { take(o); }
  SmallVector& operator=(SmallVector&& o) noexcept {
    if (this != &o) {
      destroy();
      take(o);
    }
    return *this;
  }
  SmallVector(const SmallVector&) = delete;
  SmallVector& operator=(const SmallVector&) = delete;
  ~SmallVector() { destroy(); }

  size_t size() const { return n_; }
  bool empty() const { return n_ == 0; }
  T* begin() { return data_; }
  T* end() { return data_ + n_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + n_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  T& back() { return data_[n_ - 1]; }

  template <class... A>
  T& emplace_back(A&&... a) {
    if (n_ == capacity_) grow(capacity_ * 2);
    T* p = new (data_ + n_) T{std::forward<A>(a)...};
    ++n_;
    return *p;
  }
  void resize(size_t n) {
    if (n > capacity_) grow(n);
    while (n_ < n) new (data_ + n_++) T();
    while (n_ > n) data_[--n_].~T();
  }
  void clear() { resize(0); }

 private:
  T* inline_data() { return reinterpret_cast<T*>(inline_); }
  void grow(size_t capacity) {
    T* data = static_cast<T*>(::operator new(capacity * sizeof(T)));
    for (size_t i = 0; i < n_; ++i) {
      new (data + i) T(std::move(data_[i]));
      data_[i].~T();
    }
    if (data_ != inline_data()) ::operator delete(data_);
    data_ = data;
    capacity_ = static_cast<uint32_t>(capacity);
  }
  void destroy() {
    clear();
    if (data_ != inline_data()) ::operator delete(data_);
    data_ = inline_data();
    capacity_ = N;
  }
  void take(SmallVector& o) noexcept {
    if (o.data_ != o.inline_data()) {
      data_ = std::exchange(o.data_, o.inline_data());
      capacity_ = std::exchange(o.capacity_, static_cast<uint32_t>(N));
      n_ = std::exchange(o.n_, 0u);
      return;
    }
    for (size_t i = 0; i < o.n_; ++i) new (data_ + i) T(std::move(o.data_[i]));
    n_ = o.n_;
    o.clear();
  }

  alignas(T) unsigned char inline_[N * sizeof(T)];
  T* data_ = inline_data();
  uint32_t n_ = 0;
  uint32_t capacity_ = N;
};

}  // namespace norch
