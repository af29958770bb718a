#include "core/allocator.h"

#include <cstdint>
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "norch/norch.h"

namespace norch {
namespace {

TEST(CpuAllocator, BlocksAreAlignedAndReused) {
  for (size_t nbytes : {size_t{0}, size_t{1}, size_t{64}, size_t{65}, size_t{4096}, size_t{4097}, size_t{1} << 20}) {
    void* p = cpu_allocator::allocate(nbytes);
#ifdef __SANITIZE_ADDRESS__  // exact sizes
    EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % 64, 0u) << nbytes;
#else
    EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % (nbytes > 4096 ? 4096 : 64), 0u) << nbytes;
#endif
    cpu_allocator::deallocate(p, nbytes);
    void* q = cpu_allocator::allocate(nbytes);
#ifndef __SANITIZE_ADDRESS__  // which hands out fresh memory, to see what is used after its end
    EXPECT_EQ(q, p) << nbytes;
#endif
    cpu_allocator::deallocate(q, nbytes);
  }
  cpu_allocator::empty_cache();
}

TEST(CpuAllocator, RefusesWhatCannotExist) {
  EXPECT_THROW(cpu_allocator::allocate(size_t{1} << 63), OutOfMemoryError);
  EXPECT_THROW(empty({int64_t{1} << 50}), OutOfMemoryError);
}

TEST(CpuAllocator, TensorsMayOutliveTheirThread) {
  Tensor kept;
  std::thread([&] { kept = ones({3}); }).join();
  EXPECT_EQ(sum(kept).item<double>(), 3);
}

TEST(CpuAllocator, ThreadsMayEndWithTensorsInThreadLocalStorage) {
  // Destroyed after the thread's block cache or before it, depending on which came first: both orders are fine.
  for (bool cache_first : {false, true}) {
    std::thread([&] {
      if (cache_first) ones({1});
      static thread_local std::vector<Tensor> held;
      for (int i = 0; i < 100; ++i) held.push_back(ones({i}));
      if (!cache_first) ones({1});
    }).join();
  }
}

}  // namespace
}  // namespace norch
