// Draws on the CPU from a generator whose engine is the Mersenne twister: for every distribution, as many words of the
// stream, in the same order and by the same arithmetic, as PyTorch's CPU build takes, so that the values are the same
// bits. They are drawn one after another, on one thread.
//
// `out` may have any strides without overlap. Elements are drawn in the order of memory, as PyTorch's iterator goes:
// the dim of the smallest stride runs fastest.
#pragma once

#include "kernels/kernel.h"
#include "norch/generator.h"
#include "norch/tensor.h"

namespace norch::kernels::cpu {

/// The generator to draw from (the default one for null) if the twister makes its numbers on `device`; null otherwise.
Generator* twister(Generator* generator, Device device);

/// Uniform in [from, to), normal, and so on, in a float dtype; integers(), any_integers() and bernoulli() in any.
void twister_uniform(const Tensor& out, Generator& generator, double from, double to);
void twister_normal(const Tensor& out, Generator& generator, double mean, double std);
void twister_log_normal(const Tensor& out, Generator& generator, double mean, double std);
void twister_exponential(const Tensor& out, Generator& generator, double lambd);
void twister_cauchy(const Tensor& out, Generator& generator, double median, double sigma);
void twister_geometric(const Tensor& out, Generator& generator, double p);
/// low + [0, range), range 0 standing for 2^64.
void twister_integers(const Tensor& out, Generator& generator, int64_t low, uint64_t range);
/// From 0 to the largest that the dtype holds exactly.
void twister_any_integers(const Tensor& out, Generator& generator);
void twister_bernoulli(const Tensor& out, Generator& generator, double p);
/// With a probability per element; p has out's shape and a float dtype.
void twister_bernoulli_each(const Tensor& out, Generator& generator, const Tensor& p);
/// Poisson numbers of the rates; shape and dtype of `out`. \throws Error for a rate below 0 or not finite.
void twister_poisson(const Tensor& out, Generator& generator, const Tensor& rate);
/// Gamma numbers of the shapes, and binomial numbers of the counts and probabilities, in contiguous float64. `single`:
/// shapes are float32 numbers, whose arithmetic is used.
void twister_gamma(const Tensor& out, Generator& generator, const Tensor& shape, bool single);
void twister_binomial(const Tensor& out, Generator& generator, const Tensor& count, const Tensor& p);
/// A permutation of 0 .. n-1 in contiguous int64.
void twister_permutation(const Tensor& out, Generator& generator);
/// out[r, k] = an index drawn with the probabilities in row r: int64 rows x n, float rows x classes, contiguous; each
/// row's sum is above 0.
void twister_categories(const Tensor& out, Generator& generator, const Tensor& probabilities);
/// The slopes of rrelu: 1 where x > 0, otherwise uniform in [lower, upper).
void twister_slopes(const Tensor& out, Generator& generator, const Tensor& x, double lower, double upper);

}  // namespace norch::kernels::cpu

namespace norch::kernels {

/// Groups of 16 uniform numbers at x become normal ones, in place, by Box and Muller's formula: numbers k and k + 8
/// make a pair. The logarithm, sine and cosine are Cephes' polynomials in float32 with the multiply-adds fused that
/// PyTorch's build fuses. For the CPU only; compiled once per instruction set (kernels/cpu/random.cpp).
using box_muller_signature = void(float* x, int64_t groups, float mean, float std);
namespace cpu {
NORCH_DECLARE_BASELINE(box_muller) NORCH_DECLARE_AVX2(box_muller) NORCH_DECLARE_AVX512(box_muller)
}  // namespace cpu
inline constexpr Kernel<box_muller_signature> box_muller{
    "box_muller",
    {NORCH_TWIN_BASELINE(box_muller), NORCH_TWIN_AVX2(box_muller), NORCH_TWIN_AVX512(box_muller)},
    nullptr};

}  // namespace norch::kernels
