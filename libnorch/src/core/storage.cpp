#include "norch/storage.h"

#include "core/allocator.h"
#include "core/cuda_runtime.h"
#include "norch/profiler.h"

namespace norch {

namespace {
bool recording_memory() { return (profiler::detail::mode.load(std::memory_order_relaxed) & 2) != 0; }
}  // namespace

Ref<Storage> Storage::allocate(size_t nbytes, Device device) {
  void* data = device.is_cpu() ? cpu_allocator::allocate(nbytes) : cuda::allocate(nbytes, device.index);
  if (recording_memory()) profiler::detail::record_allocation(static_cast<int64_t>(nbytes), device);
  return Ref<Storage>(new Storage(data, nbytes, device, nullptr, nullptr));
}

Ref<Storage> Storage::wrap(void* data, size_t nbytes, Device device, void* context, Deleter deleter) {
  return Ref<Storage>(new Storage(data, nbytes, device, context, deleter ? deleter : [](void*) {}));
}

Ref<Storage> Storage::alias(const Ref<Storage>& other) {
  other->inc_ref();  // the alias's deleter counts it down
  return wrap(other->data_, other->nbytes_, other->device_, other.get(),
              [](void* context) { static_cast<Storage*>(context)->dec_ref(); });
}

Storage::~Storage() {
  if (!deleter_ && recording_memory()) profiler::detail::record_allocation(-static_cast<int64_t>(nbytes_), device_);
  if (deleter_)
    deleter_(context_);
  else if (device_.is_cpu())
    cpu_allocator::deallocate(data_, nbytes_);
  else
    cuda::deallocate(data_, nbytes_, device_.index);
}

}  // namespace norch
