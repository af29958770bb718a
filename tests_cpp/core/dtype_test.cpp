#include "norch/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "error_text.h"
#include "norch/scalar.h"

namespace norch {
namespace {

TEST(DType, PromotionIsSymmetricAndIdempotent) {
  for (int i = 0; i < kNumDTypes; ++i) {
    for (int j = 0; j < kNumDTypes; ++j) {
      const auto a = static_cast<DType>(i), b = static_cast<DType>(j);
      EXPECT_EQ(promote_types(a, b), promote_types(b, a));
      EXPECT_EQ(promote_types(promote_types(a, b), b), promote_types(a, b)) << name(a) << " " << name(b);
    }
  }
  EXPECT_EQ(promote_types(kUInt8, kInt8), kInt16);
  EXPECT_EQ(promote_types(kInt64, kFloat16), kFloat16);
  EXPECT_EQ(promote_types(kFloat16, kBFloat16), kFloat32);
  EXPECT_EQ(promote_types(kBool, kUInt8), kUInt8);
}

TEST(DType, ScalarsRaiseTheCategoryOnly) {
  EXPECT_EQ(promote_scalar(kInt8, Scalar(1000)), kInt8);
  EXPECT_EQ(promote_scalar(kInt8, Scalar(1.5)), kFloat32);
  EXPECT_EQ(promote_scalar(kFloat16, Scalar(1.5)), kFloat16);
  EXPECT_EQ(promote_scalar(kBool, Scalar(2)), kInt64);
  EXPECT_EQ(promote_scalar(kBool, Scalar(true)), kBool);
}

TEST(DType, EveryHalfSurvivesTheWayThroughFloat) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float f = Half::to_float(static_cast<uint16_t>(bits));
    if (std::isnan(f)) continue;
    EXPECT_EQ(Half::from_float(f), bits);
  }
}

TEST(DType, HalfRoundsToNearestEven) {
  EXPECT_EQ(static_cast<float>(Half(2049.0f)), 2048.0f);
  EXPECT_EQ(static_cast<float>(Half(2051.0f)), 2052.0f);
  EXPECT_EQ(static_cast<float>(Half(65519.0f)), 65504.0f);
  EXPECT_TRUE(std::isinf(static_cast<float>(Half(65520.0f))));
  EXPECT_EQ(static_cast<float>(Half(std::ldexp(1.0f, -24))), std::ldexp(1.0f, -24));
  EXPECT_EQ(static_cast<float>(Half(std::ldexp(1.0f, -26))), 0.0f);
  EXPECT_TRUE(std::isnan(static_cast<float>(Half(NAN))));
  EXPECT_TRUE(std::signbit(static_cast<float>(Half(-0.0f))));
}

TEST(DType, BFloat16RoundsToNearestEven) {
  EXPECT_EQ(static_cast<float>(BFloat16(257.0f)), 256.0f);
  EXPECT_EQ(static_cast<float>(BFloat16(259.0f)), 260.0f);
  EXPECT_TRUE(std::isinf(static_cast<float>(BFloat16(std::numeric_limits<float>::max()))));
  EXPECT_TRUE(std::isnan(static_cast<float>(BFloat16(NAN))));
}

TEST(DType, DefaultMustBeAFloat) {
  EXPECT_ERROR(TypeError, set_default_dtype(kInt32), "only floating-point types");
  set_default_dtype(kFloat64);
  EXPECT_EQ(Scalar(1.0).dtype(), kFloat64);
  set_default_dtype(kFloat32);
}

}  // namespace
}  // namespace norch
