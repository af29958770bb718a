// Reference counting and the block of memory behind tensors.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "norch/device.h"
#include "norch/export.h"

namespace norch {

/// Base of everything that norch shares by reference count.
class NORCH_API RefCounted {
 public:
  RefCounted() = default;
  RefCounted(const RefCounted&) = delete;
  RefCounted& operator=(const RefCounted&) = delete;
  void inc_ref() const noexcept { refs_.fetch_add(1, std::memory_order_relaxed); }
  void dec_ref() const noexcept {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) const_cast<RefCounted*>(this)->on_zero_refs();
  }
  /// Counts up unless the object is already on its way out.
  bool try_inc_ref() const noexcept {
    uint32_t n = refs_.load(std::memory_order_relaxed);
    while (n && !refs_.compare_exchange_weak(n, n + 1, std::memory_order_acq_rel)) {
    }
    return n != 0;
  }
  uint32_t use_count() const noexcept { return refs_.load(std::memory_order_acquire); }

 protected:
  virtual ~RefCounted() = default;
  /// Called when the last reference goes; deletes unless a class has a gentler way (see Node).
  virtual void on_zero_refs() noexcept { delete this; }

 private:
  mutable std::atomic<uint32_t> refs_{0};
};

/// A shared pointer to a RefCounted object.
template <class T>
class Ref {
 public:
  Ref() = default;
  Ref(std::nullptr_t) {}
  Ref(T* p) : p_(p) {
    if (p_) p_->inc_ref();
  }
  Ref(const Ref& o) : Ref(o.p_) {}
  Ref(Ref&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
  template <class U>
  Ref(const Ref<U>& o) : Ref(o.get()) {}
  template <class U>
  Ref(Ref<U>&& o) noexcept : p_(o.release()) {}
  Ref& operator=(Ref o) noexcept {
    std::swap(p_, o.p_);
    return *this;
  }
  ~Ref() {
    if (p_) p_->dec_ref();
  }
  T* get() const { return p_; }
  T* operator->() const { return p_; }
  T& operator*() const { return *p_; }
  explicit operator bool() const { return p_ != nullptr; }
  /// Gives the reference up without counting it down.
  T* release() { return std::exchange(p_, nullptr); }
  /// Takes over a reference that was already counted (the reverse of release).
  static Ref adopt(T* p) {
    Ref r;
    r.p_ = p;
    return r;
  }

 private:
  T* p_ = nullptr;
};
template <class T>
bool operator==(const Ref<T>& a, const Ref<T>& b) {
  return a.get() == b.get();
}
template <class T>
bool operator!=(const Ref<T>& a, const Ref<T>& b) {
  return a.get() != b.get();
}

/// One block of memory on one device, with the version counter that all its views share.
class NORCH_API Storage final : public RefCounted {
 public:
  using Deleter = void (*)(void* context);

  /// Allocates `nbytes` (uninitialised, 64-byte aligned) from the device's caching allocator.
  /// \throws OutOfMemoryError.
  static Ref<Storage> allocate(size_t nbytes, Device device);
  /// Wraps memory that someone else owns; `deleter(context)` runs when the storage dies.
  static Ref<Storage> wrap(void* data, size_t nbytes, Device device, void* context, Deleter deleter);
  /// The same memory with a version counter of its own (`Tensor.data`).
  static Ref<Storage> alias(const Ref<Storage>& other);

  void* data() const { return data_; }
  size_t nbytes() const { return nbytes_; }
  Device device() const { return device_; }

  /// Counts in-place writes; backward compares it with the value at saving time.
  uint32_t version() const { return version_.load(std::memory_order_relaxed); }
  void bump_version() { version_.fetch_add(1, std::memory_order_relaxed); }

 private:
  Storage(void* data, size_t nbytes, Device device, void* context, Deleter deleter)
      : data_(data), nbytes_(nbytes), context_(context), deleter_(deleter), device_(device) {}
  ~Storage() override;

  void* data_;
  size_t nbytes_;
  void* context_;
  Deleter deleter_;
  std::atomic<uint32_t> version_{0};
  Device device_;
};

}  // namespace norch
