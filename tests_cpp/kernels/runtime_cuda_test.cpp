// Devices, memory, streams and events.
#include "cuda_testing.h"

#include <thread>

#include "core/cuda_runtime.h"

namespace norch::testing {
namespace {

class CudaRuntime : public CudaTest {
 protected:
  const TensorOptions gpu = TensorOptions(kFloat32).device(kCUDA);
};

/// The text of the error that f raises as class E.
template <class E, class F>
std::string error_of(const F& f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  }
  ADD_FAILURE() << "nothing of that class was raised";
  return "";
}

/// Work that keeps a stream busy for a while.
void keep_busy(int rounds = 200) {
  Tensor x = ones({1 << 24}, TensorOptions(kCUDA));
  for (int i = 0; i < rounds; ++i) mul_(x, Tensor::wrap(1.0));
}

TEST_F(CudaRuntime, Devices) {
  EXPECT_GE(cuda::device_count(), 1);
  EXPECT_EQ(cuda::why_unavailable(), "");
  const cuda::DeviceProperties p = cuda::get_device_properties();
  EXPECT_FALSE(p.name.empty());
  EXPECT_GT(p.total_memory, size_t{1} << 30);
  EXPECT_GT(p.multi_processor_count, 0);
  EXPECT_GT(p.major, 0);
  EXPECT_NE(error_of<Error>([] { empty({1}, TensorOptions(Device("cuda:99"))); }).find("invalid device ordinal"),
            std::string::npos);
  EXPECT_THROW(cuda::set_device(-1), Error);
  EXPECT_THROW(cuda::set_device(1000), Error);
  EXPECT_THROW(cuda::synchronize(77), Error);
  cuda::set_device(0);
  EXPECT_EQ(cuda::current_device(), 0);
}

TEST_F(CudaRuntime, MemoryIsCountedAndReused) {
  cuda::empty_cache();
  const size_t before = cuda::memory_allocated();
  cuda::reset_peak_memory_stats();
  void* address = nullptr;
  {
    const Tensor x = empty({1000}, gpu);
    address = x.data_ptr();
    EXPECT_EQ(reinterpret_cast<uintptr_t>(address) % 256, 0u);
    EXPECT_GE(cuda::memory_allocated(), before + 4000);
    EXPECT_LE(cuda::memory_allocated(), before + 8192);
    EXPECT_GE(cuda::memory_reserved(), cuda::memory_allocated());
  }
  EXPECT_EQ(cuda::memory_allocated(), before);
  EXPECT_GE(cuda::max_memory_allocated(), before + 4000);
  EXPECT_EQ(empty({1000}, gpu).data_ptr(), address);
  EXPECT_EQ(empty({0}, gpu).data_ptr(), nullptr);
  {
    const Tensor big = empty({int64_t{50} << 20}, gpu);
    EXPECT_GE(cuda::memory_allocated(), before + (size_t{200} << 20));
  }
  EXPECT_GE(cuda::memory_reserved(), size_t{200} << 20);
  cuda::empty_cache();
  EXPECT_LT(cuda::memory_reserved(), before + (size_t{100} << 20));
  EXPECT_GE(cuda::max_memory_reserved(), size_t{200} << 20);
  cuda::reset_peak_memory_stats();
  EXPECT_EQ(cuda::max_memory_allocated(), cuda::memory_allocated());
}

TEST_F(CudaRuntime, BlocksOfAllSizesAreDisjoint) {
  std::vector<Tensor> tensors;
  for (int64_t n = 1; n < (int64_t{80} << 20); n = n * 5 / 3 + 1)
    for (int i = 0; i < 2; ++i) tensors.push_back(full({n}, static_cast<double>(tensors.size() % 250), TensorOptions(kUInt8).device(kCUDA)));
  for (size_t i = 0; i < tensors.size(); ++i) {
    const int64_t n = tensors[i].numel();
    for (int64_t at : {int64_t{0}, n / 2, n - 1})
      ASSERT_EQ(as_strided(tensors[i], {}, {}, at).item<int>(), static_cast<int>(i % 250));
  }
}

TEST_F(CudaRuntime, OutOfMemoryIsAnErrorOnly) {
  const std::string huge = error_of<OutOfMemoryError>([&] { empty({int64_t{1} << 45}, gpu); });
  EXPECT_NE(huge.find("Tried to allocate"), std::string::npos) << huge;
  EXPECT_NE(huge.find("cuda:0"), std::string::npos) << huge;
  EXPECT_EQ(full({3}, 2.0, gpu).cpu().data<float>()[2], 2.0f);
}

/// Limits this process to about `nbytes` on the device, for a scope.
class MemoryLimit {
 public:
  explicit MemoryLimit(size_t nbytes) {
    cuda::empty_cache();
    cuda::set_per_process_memory_fraction(static_cast<double>(nbytes) / static_cast<double>(cuda::mem_get_info().total));
  }
  ~MemoryLimit() { cuda::set_per_process_memory_fraction(1); }
};

TEST_F(CudaRuntime, TheLimitIsKept) {
  const MemoryLimit limit(size_t{1} << 30);
  const int64_t piece = int64_t{75} << 20;  // 300 MiB of floats
  std::vector<Tensor> held;
  const std::string text = error_of<OutOfMemoryError>([&] {
    for (int i = 0; i < 5; ++i) held.push_back(empty({piece}, gpu));
  });
  EXPECT_NE(text.find("Tried to allocate 300.0 MiB"), std::string::npos) << text;
  EXPECT_EQ(held.size(), 3u);
  held.pop_back();
  EXPECT_NO_THROW(held.push_back(empty({piece}, gpu)));
  held.clear();
  EXPECT_NO_THROW(empty({piece * 3}, gpu));  // the blocks give way to a larger one
  EXPECT_EQ(full({3}, 2.0, gpu).cpu().data<float>()[2], 2.0f);
  EXPECT_THROW(cuda::set_per_process_memory_fraction(1.5), ValueError);
}

TEST_F(CudaRuntime, KeptBlocksGiveWay) {
  const MemoryLimit limit(size_t{1} << 30);
  {
    std::vector<Tensor> held;  // 768 MiB in blocks that go to the lists
    for (int i = 0; i < 24; ++i) held.push_back(empty({int64_t{8} << 20}, gpu));
  }
  EXPECT_NO_THROW(empty({int64_t{200} << 20}, gpu));
}

TEST_F(CudaRuntime, StreamsOrderWork) {
  const cuda::Stream side;
  EXPECT_NE(side, cuda::current_stream());
  EXPECT_EQ(cuda::current_stream(), cuda::Stream::default_stream());
  Tensor x = zeros({1 << 22}, gpu), y;
  keep_busy();
  fill_(x, 3);
  side.wait_stream(cuda::current_stream());
  {
    cuda::StreamGuard guard(side);
    EXPECT_EQ(cuda::current_stream(), side);
    y = x * 2;
  }
  EXPECT_EQ(cuda::current_stream(), cuda::Stream::default_stream());
  cuda::current_stream().wait_stream(side);
  EXPECT_EQ(as_strided(y, {}, {}, (1 << 22) - 1).item<float>(), 6.0f);
  side.synchronize();
  EXPECT_TRUE(side.query());
  EXPECT_THROW(cuda::Stream(0, 5), ValueError);
}

TEST_F(CudaRuntime, MemoryOfASideStreamIsNotReusedTooEarly) {
  // y belongs to the default stream, is read late on the side stream, and dies at once.
  const cuda::Stream side;
  for (bool recorded : {true, false}) {
    const int64_t n = 1 << 20;
    Tensor y = full({n}, 5.0, gpu), out;
    side.wait_stream(cuda::current_stream());
    {
      cuda::StreamGuard guard(side);
      keep_busy();
      out = y + 1;
      if (!recorded) y = Tensor();  // freed while the side stream is current: needs no record_stream
    }
    if (recorded) {
      cuda::record_stream(y, side);
      y = Tensor();
    }
    for (int i = 0; i < 4; ++i) full({n}, -1.0, gpu);  // would take the block and overwrite it
    side.synchronize();
    EXPECT_EQ(as_strided(out, {}, {}, 0).item<float>(), 6.0f);
    EXPECT_EQ(as_strided(out, {}, {}, n - 1).item<float>(), 6.0f);
  }
  EXPECT_THROW(cuda::record_stream(ones({1}), side), Error);
}

TEST_F(CudaRuntime, Events) {
  cuda::Event plain, start(true), end(true);
  EXPECT_TRUE(plain.query());
  EXPECT_THROW(plain.elapsed_time(end), Error);
  EXPECT_THROW(start.elapsed_time(end), Error);
  start.record();
  keep_busy();
  end.record();
  EXPECT_FALSE(end.query());  // nothing before this waited for the device
  EXPECT_THROW(start.elapsed_time(end), Error);
  end.synchronize();
  EXPECT_TRUE(end.query());
  EXPECT_GT(start.elapsed_time(end), 0.1);
  plain.record();
  plain.wait(cuda::Stream());
  plain.synchronize();
}

TEST_F(CudaRuntime, ThreadsHaveStreamsOfTheirOwn) {
  const cuda::Stream side;
  cuda::set_stream(side);
  std::thread([&] { EXPECT_EQ(cuda::current_stream(), cuda::Stream::default_stream(0)); }).join();
  EXPECT_EQ(cuda::current_stream(), side);
  cuda::set_stream(cuda::Stream::default_stream());
}

TEST_F(CudaRuntime, ThreadsShareTheAllocator) {
  std::vector<std::thread> threads;
  std::vector<double> sums(8);
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      const cuda::Stream own;
      cuda::set_stream(own);
      Tensor x = zeros({1000}, gpu);
      for (int i = 0; i < 500; ++i) x = x + t;
      sums[static_cast<size_t>(t)] = sum(x).item<double>();
    });
  for (std::thread& t : threads) t.join();
  for (int t = 0; t < 8; ++t) EXPECT_EQ(sums[static_cast<size_t>(t)], 500.0 * 1000 * t);
}

TEST_F(CudaRuntime, PeerCopies) {
  if (cuda::device_count() < 2) GTEST_SKIP() << "needs two GPUs";
  const Tensor x = numbers({1000, 3}, kFloat32);
  const Tensor a = x.to(Device("cuda:0"));
  Tensor b = transpose(a, 0, 1).to(Device("cuda:1"));
  EXPECT_EQ(b.device().index, 1);
  expect_same(b + b, transpose(x, 0, 1) * 2);
  EXPECT_THROW(add(a, x.to(Device("cuda:1"))), Error);
}

}  // namespace
}  // namespace norch::testing
