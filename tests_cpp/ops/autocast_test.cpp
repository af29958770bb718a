// Mixed precision from C++: what a Guard changes, and that it ends.
#include "norch/autocast.h"

#include <gtest/gtest.h>

#include <thread>

#include "norch/norch.h"

namespace norch {

TEST(Autocast, GuardsNestAndEnd) {
  const Tensor a = ones({2, 2});
  {
    const autocast::Guard amp(DeviceType::CPU, kBFloat16);
    EXPECT_EQ(matmul(a, a).dtype(), kBFloat16);
    EXPECT_EQ(mse_loss(matmul(a, a), a, Reduction::Mean).dtype(), kFloat32);
    {
      const autocast::Guard off(DeviceType::CPU, std::nullopt, false);
      EXPECT_EQ(matmul(a, a).dtype(), kFloat32);
    }
    DType elsewhere = kBFloat16;
    std::thread([&] { elsewhere = matmul(a, a).dtype(); }).join();
    EXPECT_EQ(elsewhere, kFloat32);
    EXPECT_THROW(matmul(a, ones({3, 3})), Error);
    EXPECT_EQ(matmul(a, a).dtype(), kBFloat16);  // an op that throws leaves the state as it was
  }
  EXPECT_EQ(matmul(a, a).dtype(), kFloat32);
}

TEST(Autocast, GradientsHaveTheirTensorsDtypes) {
  const Tensor w = ones({2, 2}, TensorOptions().requires_grad(true));
  const autocast::Guard amp(DeviceType::CPU);
  sum(matmul(ones({2, 2}), w).to(kFloat32), {}, false, std::nullopt).backward();
  EXPECT_EQ(w.grad().dtype(), kFloat32);
}

}  // namespace norch
