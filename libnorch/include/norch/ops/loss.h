// Losses.
//
// Inputs are floating-point; integers raise NotImplementedError. Reduction::None gives one loss per element (per row
// of class scores), Sum their sum, Mean their mean. All can be differentiated any number of times.
#pragma once

#include <optional>
#include <string>

#include "norch/tensor.h"

namespace norch {

enum class Reduction : uint8_t { None, Mean, Sum };
/// "none", "mean" or "sum". \throws ValueError for anything else.
NORCH_API Reduction parse_reduction(const std::string& text);

// ---- of an input and a target of one shape (shapes that differ broadcast)

/// (x - t)^2.
NORCH_API Tensor mse_loss(const Tensor& input, const Tensor& target, Reduction reduction = Reduction::Mean);
/// |x - t|.
NORCH_API Tensor l1_loss(const Tensor& input, const Tensor& target, Reduction reduction = Reduction::Mean);
/// d^2 / (2 beta) for d = |x - t| < beta, otherwise d - beta / 2. \throws Error for a negative beta.
NORCH_API Tensor smooth_l1_loss(const Tensor& input, const Tensor& target, Reduction reduction = Reduction::Mean,
                                double beta = 1);
/// d^2 / 2 for d = |x - t| <= delta, otherwise delta * (d - delta / 2). \throws Error unless delta > 0.
NORCH_API Tensor huber_loss(const Tensor& input, const Tensor& target, Reduction reduction = Reduction::Mean,
                            double delta = 1);
/// -(t log x + (1 - t) log(1 - x)) * weight, with logarithms of at least -100.
/// \throws ValueError when shapes differ, Error for an input outside [0, 1] (checked on the CPU; NaN on CUDA).
NORCH_API Tensor binary_cross_entropy(const Tensor& input, const Tensor& target, const Tensor& weight = {},
                                      Reduction reduction = Reduction::Mean);
/// As binary_cross_entropy(sigmoid(x), t), computed so that it stays finite; `pos_weight` multiplies the t log x part.
/// `weight` and `pos_weight` broadcast. \throws ValueError when shapes differ.
NORCH_API Tensor binary_cross_entropy_with_logits(const Tensor& input, const Tensor& target, const Tensor& weight = {},
                                                  const Tensor& pos_weight = {},
                                                  Reduction reduction = Reduction::Mean);
/// t (log t - x), x being log-probabilities; with `log_target` exp(t) (t - x). "batchmean" is the sum divided by the
/// first size: see the Python function.
NORCH_API Tensor kl_div(const Tensor& input, const Tensor& target, Reduction reduction = Reduction::Mean,
                        bool log_target = false);

// ---- of class scores

/// -weight[t] * x[t] for log-probabilities x of shape (C), (N, C) or (N, C, d1, ...) and int64 class indices t of shape
/// (), (N) or (N, d1, ...). Mean divides by the sum of the weights of the targets; rows with target `ignore_index`
/// count for nothing.
/// \throws IndexError for a target that is not a class, ValueError or Error for shapes that do not fit.
NORCH_API Tensor nll_loss(const Tensor& input, const Tensor& target, const Tensor& weight = {},
                          Reduction reduction = Reduction::Mean, int64_t ignore_index = -100);
/// nll_loss(log_softmax(x)) in one kernel. `label_smoothing` in [0, 1] spreads that share of each target evenly over
/// the classes. A floating-point target of x's shape holds class probabilities instead of indices.
NORCH_API Tensor cross_entropy(const Tensor& input, const Tensor& target, const Tensor& weight = {},
                               Reduction reduction = Reduction::Mean, int64_t ignore_index = -100,
                               double label_smoothing = 0);

// ---- made of other ops

/// log(1 + exp(-t x)) for targets of 1 and -1.
NORCH_API Tensor soft_margin_loss(const Tensor& input, const Tensor& target, Reduction reduction = Reduction::Mean);
/// max(0, -t (x1 - x2) + margin).
NORCH_API Tensor margin_ranking_loss(const Tensor& input1, const Tensor& input2, const Tensor& target,
                                     double margin = 0, Reduction reduction = Reduction::Mean);
/// x where t = 1, max(0, margin - x) where t = -1.
NORCH_API Tensor hinge_embedding_loss(const Tensor& input, const Tensor& target, double margin = 1,
                                      Reduction reduction = Reduction::Mean);
/// 1 - cos where t = 1, max(0, cos - margin) where t = -1, for the cosine of the rows of two (N, D) or (D) tensors.
NORCH_API Tensor cosine_embedding_loss(const Tensor& input1, const Tensor& input2, const Tensor& target,
                                       double margin = 0, Reduction reduction = Reduction::Mean);
/// max(0, d(a, p) - d(a, n) + margin) with d = pairwise_distance; `swap` takes the smaller of d(a, n) and d(p, n).
NORCH_API Tensor triplet_margin_loss(const Tensor& anchor, const Tensor& positive, const Tensor& negative,
                                     double margin = 1, double p = 2, double eps = 1e-6, bool swap = false,
                                     Reduction reduction = Reduction::Mean);
/// For scores x of shape (C) or (N, C) and class indices t of shape () or (N): the sum over the classes i other than t of
/// weight[t] * max(0, margin - x[t] + x[i])^p / C, for p = 1 or 2. \throws Error for shapes that do not fit and other p.
NORCH_API Tensor multi_margin_loss(const Tensor& input, const Tensor& target, int64_t p = 1, double margin = 1,
                                   const Tensor& weight = {}, Reduction reduction = Reduction::Mean);
/// For scores x of shape (C) or (N, C) and int64 targets of that shape, of which the ones before the first -1 name the
/// classes of a sample: the sum of max(0, 1 - (x[t] - x[i])) / C over those classes t and all others i.
NORCH_API Tensor multilabel_margin_loss(const Tensor& input, const Tensor& target,
                                        Reduction reduction = Reduction::Mean);
/// The mean over the last dim of -weight * (t log sigmoid(x) + (1 - t) log sigmoid(-x)).
NORCH_API Tensor multilabel_soft_margin_loss(const Tensor& input, const Tensor& target, const Tensor& weight = {},
                                             Reduction reduction = Reduction::Mean);

/// cross_entropy(linear(input, linear_weight, linear_bias), target, ...): input (in) or (N, in), linear_weight (C, in) or
/// (C, d1, ..., in), whose logits are (N, C, d1, ...). `rows` > 0 works on that many rows at a time, so that the logits
/// are never in memory as a whole, and computes them once more in backward; it needs a linear_weight of two dims and
/// class indices without label smoothing. \throws Error for shapes that do not fit.
NORCH_API Tensor linear_cross_entropy(const Tensor& input, const Tensor& linear_weight, const Tensor& target,
                                      const Tensor& linear_bias = {}, const Tensor& weight = {},
                                      Reduction reduction = Reduction::Mean, std::optional<int64_t> ignore_index = {},
                                      double label_smoothing = 0, int64_t rows = 0);

/// The negative log-likelihood of a sequence under Connectionist Temporal Classification (Graves et al. 2006): log_probs
/// (T, N, C) or (T, C), int64 or int32 targets (N, S), or (sum of lengths) one after another, lengths one per sample.
/// Mean divides each loss by its target's length first. `zero_infinity` turns infinite losses and their gradients to
/// zero. \throws Error for shapes, lengths or labels that do not fit (lengths are read on the host).
NORCH_API Tensor ctc_loss(const Tensor& log_probs, const Tensor& targets, const Tensor& input_lengths,
                          const Tensor& target_lengths, int64_t blank = 0, Reduction reduction = Reduction::Mean,
                          bool zero_infinity = false);

/// (log v + (x - t)^2 / v) / 2 with v = max(var, eps), plus log(2 pi) / 2 if `full`. var has the shape of the input, or
/// that without its last dim, or with one dim of size 1.
/// \throws ValueError for a negative variance (this waits for the device) or a var of another shape.
NORCH_API Tensor gaussian_nll_loss(const Tensor& input, const Tensor& target, const Tensor& var, bool full = false,
                                   double eps = 1e-6, Reduction reduction = Reduction::Mean);
/// exp(x) - t x with `log_input`, otherwise x - t log(x + eps); `full` adds Stirling's approximation of log(t!).
NORCH_API Tensor poisson_nll_loss(const Tensor& input, const Tensor& target, bool log_input = true, bool full = false,
                                  double eps = 1e-8, Reduction reduction = Reduction::Mean);

/// x / max(|x|, eps), in the p-norm over `dims` (all of them if there are none).
NORCH_API Tensor normalize(const Tensor& input, double p = 2, Ints dims = {1}, double eps = 1e-12);

}  // namespace norch
