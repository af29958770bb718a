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
    EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % 64, 0u) << nbytes;
    cpu_allocator::deallocate(p, nbytes);
    void* q = cpu_allocator::allocate(nbytes);
#ifndef __SANITIZE_ADDRESS__  // which hands out fresh memory, to see what is used after its end
    EXPECT_EQ(q, p) << nbytes;
#endif
    cpu_allocator::deallocate(q, nbytes);
  }
  cpu_allocator::empty_cache();
}

#ifndef __SANITIZE_ADDRESS__  // exact sizes, where the heap puts them
TEST(CpuAllocator, LargeBlocksLieApartInTheirPages) {
  std::vector<void*> blocks;
  for (int i = 0; i < 4; ++i) blocks.push_back(cpu_allocator::allocate(size_t{3} << 20));
  for (size_t i = 0; i < blocks.size(); ++i)
    for (size_t j = 0; j < i; ++j) {
      const auto behind = reinterpret_cast<uintptr_t>(blocks[i]) - reinterpret_cast<uintptr_t>(blocks[j]);
      EXPECT_GE(behind % 4096, 256u);
    }
  for (void* p : blocks) cpu_allocator::deallocate(p, size_t{3} << 20);
  cpu_allocator::empty_cache();
}
#endif

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
