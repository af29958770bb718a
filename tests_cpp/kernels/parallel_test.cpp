#include "kernels/cpu/parallel.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>
#include <vector>

#include "error_text.h"
#include "norch/norch.h"

namespace norch::kernels::cpu {
namespace {

TEST(ParallelFor, CoversEveryItemOnce) {
  for (int threads : {1, 2, 5}) {
    set_num_threads(threads);
    for (int64_t n : {0, 1, 7, 1000, 12345}) {
      std::vector<std::atomic<int>> seen(static_cast<size_t>(n));
      parallel_for(n, 10, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) seen[static_cast<size_t>(i)]++;
      });
      for (auto& s : seen) EXPECT_EQ(s.load(), 1);
    }
  }
}

TEST(ParallelFor, RunsWhetherWorkersSpinSleepOrWakeUp) {
  set_num_threads(4);
  std::vector<int> seen(1000);
  for (int k = 0; k < 2000; ++k) {
    // Long enough for the workers to fall asleep, now and then about as long.
    if (k % 10 == 0) std::this_thread::sleep_for(std::chrono::microseconds(k));
    const int64_t n = 11 + k % 7 * 100;
    parallel_for(n, 10, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) ++seen[static_cast<size_t>(i)];
    });
    for (int64_t i = 0; i < n; ++i) --seen[static_cast<size_t>(i)];
  }
  EXPECT_EQ(seen, std::vector<int>(1000));
}

TEST(ParallelFor, RethrowsAndWorksAfterwards) {
  set_num_threads(4);
  EXPECT_ERROR(ValueError,
               parallel_for(1000, 1, [](int64_t begin, int64_t end) {
                 NORCH_CHECK_VALUE(begin > 500 || end <= 500, "at 500");
               }),
               "at 500");
  std::atomic<int64_t> total{0};
  parallel_for(1000, 1, [&](int64_t begin, int64_t end) { total += end - begin; });
  EXPECT_EQ(total.load(), 1000);
}

TEST(ParallelFor, NestedAndConcurrentCallsDoNotDeadlock) {
  set_num_threads(3);
  std::atomic<int64_t> total{0};
  auto work = [&] {
    for (int k = 0; k < 50; ++k)
      parallel_for(100, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
          parallel_for(10, 1, [&](int64_t b, int64_t e) { total += e - b; });
      });
  };
  std::thread other(work);
  work();
  other.join();
  EXPECT_EQ(total.load(), 2 * 50 * 1000);
}

TEST(ParallelFor, WorksInAForkedChild) {
  set_num_threads(3);
  Tensor big = ones({1 << 20});
  EXPECT_EQ((big + big).data<float>()[77], 2);
  const pid_t child = fork();
  if (child == 0) {
    const bool right = (big + big).data<float>()[1000000] == 2;
    _exit(right ? 0 : 1);
  }
  int status = 1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(ParallelFor, RefusesAnImpossibleNumberOfThreads) {
  EXPECT_ERROR(Error, set_num_threads(0), "expects a positive integer");
}

}  // namespace
}  // namespace norch::kernels::cpu
