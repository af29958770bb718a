#include "norch/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <limits>
#include <optional>

#include "error_text.h"
#include "norch/scalar.h"

namespace norch {
namespace {

/// The promoted type, or none where promotion raises.
std::optional<DType> promoted(DType a, DType b) {
  try {
    return promote_types(a, b);
  } catch (const Error&) {
    return {};
  }
}

TEST(DType, PromotionIsSymmetricAndIdempotent) {
  for (int i = 0; i < kNumDTypes; ++i) {
    for (int j = 0; j < kNumDTypes; ++j) {
      const auto a = static_cast<DType>(i), b = static_cast<DType>(j);
      const auto both = promoted(a, b);
      EXPECT_EQ(both, promoted(b, a)) << name(a) << " " << name(b);
      if (both) {
        EXPECT_EQ(promoted(*both, b), both) << name(a) << " " << name(b);
      }
    }
  }
  EXPECT_EQ(promote_types(kUInt8, kInt8), kInt16);
  EXPECT_EQ(promote_types(kInt64, kFloat16), kFloat16);
  EXPECT_EQ(promote_types(kFloat16, kBFloat16), kFloat32);
  EXPECT_EQ(promote_types(kBool, kUInt8), kUInt8);
}

TEST(DType, ComplexTypesHoldWhatTheirPartsHold) {
  EXPECT_EQ(promote_types(kFloat64, kComplex64), kComplex128);
  EXPECT_EQ(promote_types(kFloat16, kComplex64), kComplex64);
  EXPECT_EQ(promote_types(kInt64, kComplex64), kComplex64);
  EXPECT_EQ(promote_types(kComplex64, kComplex128), kComplex128);
  EXPECT_EQ(to_real(kComplex128), kFloat64);
  EXPECT_EQ(to_complex(kFloat16), kComplex64);
  EXPECT_TRUE(is_complex(kComplex64) && !is_floating_point(kComplex64) && is_differentiable(kComplex64));
  EXPECT_FALSE(can_cast(kComplex64, kFloat32));
  EXPECT_TRUE(can_cast(kFloat32, kComplex64));
}

TEST(DType, UnsignedTypesPromoteToTheSmallestThatHoldsBoth) {
  EXPECT_EQ(promote_types(kUInt8, kUInt16), kUInt16);
  EXPECT_EQ(promote_types(kUInt16, kInt8), kInt32);
  EXPECT_EQ(promote_types(kUInt32, kInt64), kInt64);
  EXPECT_EQ(promote_types(kUInt32, kInt32), kInt64);
  EXPECT_EQ(promote_types(kUInt64, kFloat16), kFloat16);
  EXPECT_ERROR(Error, promote_types(kUInt64, kInt8), "no integer type holds both");
  EXPECT_ERROR(Error, promote_types(kBool, kUInt16), "not supported with bool");
  EXPECT_ERROR(Error, promote_types(kUInt32, kComplex64), "not supported with complex");
}

TEST(DType, ComplexNumbers) {
  const Complex<float> a(1, 2), b(3, -1);
  EXPECT_EQ(a * b, Complex<float>(5, 5));
  const Complex<float> back = (a / b) * b;
  EXPECT_FLOAT_EQ(back.re, a.re);
  EXPECT_FLOAT_EQ(back.im, a.im);
  const std::complex<float> s = a;
  EXPECT_EQ(Complex<double>(s), Complex<double>(1, 2));
  // Neither overflows nor vanishes on the way.
  EXPECT_EQ(Complex<float>(1e30f, 1e30f) / Complex<float>(1e30f, 1e30f), Complex<float>(1, 0));
  EXPECT_EQ(Complex<float>(1e-30f, 0) / Complex<float>(1e-30f, 0), Complex<float>(1, 0));
}

TEST(DType, ScalarsHoldComplexNumbersAndLargeIntegers) {
  const Scalar z(std::complex<double>(1.5, -2));
  EXPECT_EQ(z.dtype(), kComplex64);
  EXPECT_EQ(z.to<Complex<float>>(), Complex<float>(1.5f, -2));
  EXPECT_ERROR(Error, z.to_double(), "imaginary part");
  EXPECT_EQ(Scalar(Complex<float>(2, 0)).to_int(), 2);
  EXPECT_EQ(promote_scalar(kFloat64, z), kComplex128);
  EXPECT_EQ(promote_scalar(kInt32, z), kComplex64);
  const Scalar large(uint64_t{1} << 63);
  EXPECT_EQ(large.dtype(), kUInt64);
  EXPECT_EQ(large.to_double(), std::ldexp(1.0, 63));
  EXPECT_EQ(str(large), "9223372036854775808");
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
