// Losses.
#include "bind.h"
#include "norch/ops/binary.h"
#include "norch/ops/distance.h"
#include "norch/ops/loss.h"
#include "norch/ops/reduce.h"

namespace norch::python {

/// The argument `reduction`: what is no text becomes its own, so that parse_reduction refuses it by name.
struct ReductionName : std::string {};

}  // namespace norch::python

namespace nanobind::detail {

template <>
struct type_caster<norch::python::ReductionName> {
  NB_TYPE_CASTER(norch::python::ReductionName, const_name("str"))
  bool from_python(handle src, uint8_t, cleanup_list*) noexcept {
    const object text = steal(PyUnicode_Check(src.ptr()) ? PyObject_Str(src.ptr()) : PyObject_Repr(src.ptr()));
    const char* p = text.is_valid() ? PyUnicode_AsUTF8(text.ptr()) : nullptr;
    if (!p) {
      PyErr_Clear();
      return false;
    }
    value.assign(p);
    return true;
  }
};

}  // namespace nanobind::detail

namespace norch::python {

namespace {

void warn(const std::string& text) {
  if (PyErr_WarnEx(PyExc_UserWarning, text.c_str(), 1) != 0) throw nb::python_error();
}

/// PyTorch's old spelling, size_average and reduce, where given, decides.
Reduction reduction_of(nb::handle size_average, nb::handle reduce, const ReductionName& reduction) {
  if (size_average.is_none() && reduce.is_none()) return parse_reduction(reduction);
  auto truth = [](nb::handle h) {
    const int answer = h.is_none() ? 1 : PyObject_IsTrue(h.ptr());
    if (answer < 0) throw nb::python_error();
    return answer == 1;
  };
  const char* name = !truth(reduce) ? "none" : truth(size_average) ? "mean" : "sum";
  warn(str("size_average and reduce args will be deprecated, please use reduction='", name, "' instead."));
  return parse_reduction(name);
}

void warn_of_sizes(const Tensor& input, const Tensor& target) {
  if (input.sizes() == target.sizes()) return;
  warn(str("Using a target size (", target.sizes(), ") that is different to the input size (", input.sizes(),
           "). This will likely lead to incorrect results due to broadcasting. Please ensure they have the same size."));
}

/// input, target, size_average, reduce, reduction, weight.
template <class F>
void bind_difference(Binder& b, const char* name, F f, const char* doc) {
  b.functional(
      name,
      [f](const Tensor& input, const Tensor& target, nb::handle size_average, nb::handle reduce,
          const ReductionName& reduction, const std::optional<Tensor>& weight) {
        const Reduction r = reduction_of(size_average, reduce, reduction);
        warn_of_sizes(input, target);
        if (!weight) return f(input, target, r);
        const Tensor losses = f(input, target, Reduction::None) * *weight;
        return r == Reduction::None ? losses : r == Reduction::Sum ? sum(losses) : sum(losses) / sum(*weight);
      },
      doc, "input"_a, "target"_a, "size_average"_a = nb::none(), "reduce"_a = nb::none(), "reduction"_a.none() = "mean",
      "weight"_a = nb::none());
}

Tensor tensor_or_none(const std::optional<Tensor>& t) { return t ? *t : Tensor(); }

void bind_elementwise(Binder& b) {
  bind_difference(
      b, "mse_loss", [](const Tensor& x, const Tensor& t, Reduction r) { return mse_loss(x, t, r); },
      "mse_loss(input, target, reduction='mean', weight=None) -> Tensor\n\n(input - target)^2.");
  bind_difference(
      b, "l1_loss", [](const Tensor& x, const Tensor& t, Reduction r) { return l1_loss(x, t, r); },
      "l1_loss(input, target, reduction='mean', weight=None) -> Tensor\n\n|input - target|.");
  b.functional(
      "smooth_l1_loss",
      [](const Tensor& input, const Tensor& target, nb::handle size_average, nb::handle reduce,
         const ReductionName& reduction, double beta) {
        const Reduction r = reduction_of(size_average, reduce, reduction);
        warn_of_sizes(input, target);
        return smooth_l1_loss(input, target, r, beta);
      },
      "smooth_l1_loss(input, target, reduction='mean', beta=1.0) -> Tensor\n\nd^2 / (2 beta) for d = |input - target| < "
      "beta, otherwise d - beta / 2.",
      "input"_a, "target"_a, "size_average"_a = nb::none(), "reduce"_a = nb::none(), "reduction"_a.none() = "mean",
      "beta"_a = 1.0);
  b.functional(
      "huber_loss",
      [](const Tensor& input, const Tensor& target, const ReductionName& reduction, double delta,
         const std::optional<Tensor>& weight) {
        const Reduction r = parse_reduction(reduction);
        warn_of_sizes(input, target);
        if (!weight) return huber_loss(input, target, r, delta);
        const Tensor losses = huber_loss(input, target, Reduction::None, delta) * *weight;
        return r == Reduction::None ? losses : r == Reduction::Sum ? sum(losses) : sum(losses) / sum(*weight);
      },
      "huber_loss(input, target, reduction='mean', delta=1.0, weight=None) -> Tensor\n\nd^2 / 2 for d = |input - target| "
      "<= delta, otherwise delta * (d - delta / 2).",
      "input"_a, "target"_a, "reduction"_a.none() = "mean", "delta"_a = 1.0, "weight"_a = nb::none());
  b.functional(
      "binary_cross_entropy",
      [](const Tensor& input, const Tensor& target, const std::optional<Tensor>& weight, nb::handle size_average,
         nb::handle reduce, const ReductionName& reduction) {
        return binary_cross_entropy(input, target, tensor_or_none(weight),
                                    reduction_of(size_average, reduce, reduction));
      },
      "binary_cross_entropy(input, target, weight=None, reduction='mean') -> Tensor\n\n-(t log x + (1 - t) log(1 - x)).",
      "input"_a, "target"_a, "weight"_a = nb::none(), "size_average"_a = nb::none(), "reduce"_a = nb::none(),
      "reduction"_a.none() = "mean");
  b.functional(
      "binary_cross_entropy_with_logits",
      [](const Tensor& input, const Tensor& target, const std::optional<Tensor>& weight, nb::handle size_average,
         nb::handle reduce, const ReductionName& reduction, const std::optional<Tensor>& pos_weight) {
        return binary_cross_entropy_with_logits(input, target, tensor_or_none(weight), tensor_or_none(pos_weight),
                                                reduction_of(size_average, reduce, reduction));
      },
      "binary_cross_entropy_with_logits(input, target, weight=None, reduction='mean', pos_weight=None) -> Tensor\n\n"
      "binary_cross_entropy(sigmoid(input), target), computed so that it stays finite.",
      "input"_a, "target"_a, "weight"_a = nb::none(), "size_average"_a = nb::none(), "reduce"_a = nb::none(),
      "reduction"_a.none() = "mean", "pos_weight"_a = nb::none());
  b.functional(
      "kl_div",
      [](const Tensor& input, const Tensor& target, nb::handle size_average, nb::handle reduce,
         const ReductionName& reduction, bool log_target) {
        if (reduction == "batchmean") {
          const Tensor total = kl_div(input, target, Reduction::Sum, log_target);
          return input.dim() == 0 ? total : total / Scalar(static_cast<double>(input.sizes()[0]));
        }
        const Reduction r = reduction_of(size_average, reduce, reduction);
        if (r == Reduction::Mean)
          warn("reduction: 'mean' divides the total loss by both the batch size and the support size.'batchmean' divides "
               "only by the batch size, and aligns with the KL div math definition.'mean' will be changed to behave the "
               "same as 'batchmean' in the next major release.");
        return kl_div(input, target, r, log_target);
      },
      "kl_div(input, target, reduction='mean', log_target=False) -> Tensor\n\ntarget * (log target - input); 'batchmean' "
      "is the sum divided by the first size.",
      "input"_a, "target"_a, "size_average"_a = nb::none(), "reduce"_a = nb::none(), "reduction"_a.none() = "mean",
      "log_target"_a = false);
}

void bind_classes(Binder& b) {
  b.functional(
      "nll_loss",
      [](const Tensor& input, const Tensor& target, const std::optional<Tensor>& weight, nb::handle size_average,
         int64_t ignore_index, nb::handle reduce, const ReductionName& reduction) {
        return nll_loss(input, target, tensor_or_none(weight), reduction_of(size_average, reduce, reduction),
                        ignore_index);
      },
      "nll_loss(input, target, weight=None, ignore_index=-100, reduction='mean') -> Tensor\n\n-weight[t] * input[t] for "
      "log-probabilities of shape (C), (N, C) or (N, C, d1, ...).",
      "input"_a, "target"_a, "weight"_a = nb::none(), "size_average"_a = nb::none(), "ignore_index"_a = -100,
      "reduce"_a = nb::none(), "reduction"_a.none() = "mean");
  b.functional(
      "cross_entropy",
      [](const Tensor& input, const Tensor& target, const std::optional<Tensor>& weight, nb::handle size_average,
         int64_t ignore_index, nb::handle reduce, const ReductionName& reduction, double label_smoothing) {
        return cross_entropy(input, target, tensor_or_none(weight), reduction_of(size_average, reduce, reduction),
                             ignore_index, label_smoothing);
      },
      "cross_entropy(input, target, weight=None, ignore_index=-100, reduction='mean', label_smoothing=0.0) -> Tensor\n\n"
      "nll_loss(log_softmax(input)) in one kernel. A target of input's shape holds class probabilities.",
      "input"_a, "target"_a, "weight"_a = nb::none(), "size_average"_a = nb::none(), "ignore_index"_a = -100,
      "reduce"_a = nb::none(), "reduction"_a.none() = "mean", "label_smoothing"_a = 0.0);
}

void bind_margins(Binder& b) {
  b.functional(
      "soft_margin_loss",
      [](const Tensor& input, const Tensor& target, nb::handle size_average, nb::handle reduce,
         const ReductionName& reduction) {
        return soft_margin_loss(input, target, reduction_of(size_average, reduce, reduction));
      },
      "soft_margin_loss(input, target, reduction='mean') -> Tensor\n\nlog(1 + exp(-target * input)).", "input"_a,
      "target"_a, "size_average"_a = nb::none(), "reduce"_a = nb::none(), "reduction"_a.none() = "mean");
  b.functional(
      "margin_ranking_loss",
      [](const Tensor& input1, const Tensor& input2, const Tensor& target, double margin, nb::handle size_average,
         nb::handle reduce, const ReductionName& reduction) {
        return margin_ranking_loss(input1, input2, target, margin, reduction_of(size_average, reduce, reduction));
      },
      "margin_ranking_loss(input1, input2, target, margin=0, reduction='mean') -> Tensor", "input1"_a, "input2"_a,
      "target"_a, "margin"_a = 0.0, "size_average"_a = nb::none(), "reduce"_a = nb::none(), "reduction"_a.none() = "mean");
  b.functional(
      "hinge_embedding_loss",
      [](const Tensor& input, const Tensor& target, double margin, nb::handle size_average, nb::handle reduce,
         const ReductionName& reduction) {
        return hinge_embedding_loss(input, target, margin, reduction_of(size_average, reduce, reduction));
      },
      "hinge_embedding_loss(input, target, margin=1.0, reduction='mean') -> Tensor", "input"_a, "target"_a,
      "margin"_a = 1.0, "size_average"_a = nb::none(), "reduce"_a = nb::none(), "reduction"_a.none() = "mean");
  b.functional(
      "cosine_embedding_loss",
      [](const Tensor& input1, const Tensor& input2, const Tensor& target, double margin, nb::handle size_average,
         nb::handle reduce, const ReductionName& reduction) {
        return cosine_embedding_loss(input1, input2, target, margin, reduction_of(size_average, reduce, reduction));
      },
      "cosine_embedding_loss(input1, input2, target, margin=0, reduction='mean') -> Tensor", "input1"_a, "input2"_a,
      "target"_a, "margin"_a = 0.0, "size_average"_a = nb::none(), "reduce"_a = nb::none(), "reduction"_a.none() = "mean");
  b.functional(
      "triplet_margin_loss",
      [](const Tensor& anchor, const Tensor& positive, const Tensor& negative, double margin, double p, double eps,
         bool swap, nb::handle size_average, nb::handle reduce, const ReductionName& reduction) {
        return triplet_margin_loss(anchor, positive, negative, margin, p, eps, swap,
                                   reduction_of(size_average, reduce, reduction));
      },
      "triplet_margin_loss(anchor, positive, negative, margin=1.0, p=2, eps=1e-06, swap=False, reduction='mean') -> "
      "Tensor",
      "anchor"_a, "positive"_a, "negative"_a, "margin"_a = 1.0, "p"_a = 2.0, "eps"_a = 1e-6, "swap"_a = false,
      "size_average"_a = nb::none(), "reduce"_a = nb::none(), "reduction"_a.none() = "mean");
}

void bind_class_margins(Binder& b) {
  b.functional(
      "multi_margin_loss",
      [](const Tensor& input, const Tensor& target, int64_t p, double margin, const std::optional<Tensor>& weight,
         nb::handle size_average, nb::handle reduce, const ReductionName& reduction) {
        return multi_margin_loss(input, target, p, margin, tensor_or_none(weight),
                                 reduction_of(size_average, reduce, reduction));
      },
      "multi_margin_loss(input, target, p=1, margin=1.0, weight=None, reduction='mean') -> Tensor\n\nThe sum over the "
      "classes i other than t of weight[t] * max(0, margin - x[t] + x[i])^p / C.",
      "input"_a, "target"_a, "p"_a = 1, "margin"_a = 1.0, "weight"_a = nb::none(), "size_average"_a = nb::none(),
      "reduce"_a = nb::none(), "reduction"_a.none() = "mean");
  b.functional(
      "multilabel_margin_loss",
      [](const Tensor& input, const Tensor& target, nb::handle size_average, nb::handle reduce,
         const ReductionName& reduction) {
        return multilabel_margin_loss(input, target, reduction_of(size_average, reduce, reduction));
      },
      "multilabel_margin_loss(input, target, reduction='mean') -> Tensor\n\nThe sum of max(0, 1 - (x[t] - x[i])) / C over "
      "the classes t that stand in target before the first -1, and all others i.",
      "input"_a, "target"_a, "size_average"_a = nb::none(), "reduce"_a = nb::none(), "reduction"_a.none() = "mean");
  b.functional(
      "multilabel_soft_margin_loss",
      [](const Tensor& input, const Tensor& target, const std::optional<Tensor>& weight, nb::handle size_average,
         nb::handle reduce, const ReductionName& reduction) {
        return multilabel_soft_margin_loss(input, target, tensor_or_none(weight),
                                           reduction_of(size_average, reduce, reduction));
      },
      "multilabel_soft_margin_loss(input, target, weight=None, reduction='mean') -> Tensor\n\nThe mean over the last dim "
      "of -weight * (t log sigmoid(x) + (1 - t) log sigmoid(-x)).",
      "input"_a, "target"_a, "weight"_a = nb::none(), "size_average"_a = nb::none(), "reduce"_a = nb::none(),
      "reduction"_a.none() = "mean");
}

/// A tensor of lengths, or a sequence of ints.
Tensor lengths_of(nb::handle v) {
  if (is_tensor(v.ptr())) return unwrap(v.ptr());
  return tensor_from_python(v, kInt64, kCPU);
}

void bind_sequences(Binder& b) {
  for (nb::handle scope : {nb::handle(b.root), nb::handle(b.nn)})
    b.in(
        scope, "ctc_loss",
        [](const Tensor& log_probs, const Tensor& targets, nb::handle input_lengths, nb::handle target_lengths,
           int64_t blank, const ReductionName& reduction, bool zero_infinity) {
          return ctc_loss(log_probs, targets, lengths_of(input_lengths), lengths_of(target_lengths), blank,
                          parse_reduction(reduction), zero_infinity);
        },
        "ctc_loss(log_probs, targets, input_lengths, target_lengths, blank=0, reduction='mean', zero_infinity=False) -> "
        "Tensor\n\nThe negative log-likelihood of label sequences under connectionist temporal classification; log_probs "
        "is (T, N, C) or (T, C), targets (N, S) or all labels one after another.",
        "log_probs"_a, "targets"_a, "input_lengths"_a, "target_lengths"_a, "blank"_a = 0, "reduction"_a.none() = "mean",
        "zero_infinity"_a = false);
  b.functional(
      "_linear_cross_entropy",
      [](const Tensor& input, const Tensor& linear_weight, const Tensor& target, const std::optional<Tensor>& linear_bias,
         const std::optional<Tensor>& weight, const ReductionName& reduction, std::optional<int64_t> ignore_index,
         double label_smoothing, int64_t rows) {
        return linear_cross_entropy(input, linear_weight, target, tensor_or_none(linear_bias), tensor_or_none(weight),
                                    parse_reduction(reduction), ignore_index, label_smoothing, rows);
      },
      "The loss behind linear_cross_entropy; rows > 0 at a time.", "input"_a, "linear_weight"_a, "target"_a,
      "linear_bias"_a = nb::none(), "weight"_a = nb::none(), "reduction"_a.none() = "mean", "ignore_index"_a = nb::none(),
      "label_smoothing"_a = 0.0, "rows"_a = 0);
}

void bind_likelihoods(Binder& b) {
  b.functional(
      "gaussian_nll_loss",
      [](const Tensor& input, const Tensor& target, const Operand& var, bool full, double eps,
         const ReductionName& reduction) {
        return gaussian_nll_loss(input, target, var, full, eps, parse_reduction(reduction));
      },
      "gaussian_nll_loss(input, target, var, full=False, eps=1e-06, reduction='mean') -> Tensor", "input"_a, "target"_a,
      "var"_a, "full"_a = false, "eps"_a = 1e-6, "reduction"_a.none() = "mean");
  b.functional(
      "poisson_nll_loss",
      [](const Tensor& input, const Tensor& target, bool log_input, bool full, nb::handle size_average, double eps,
         nb::handle reduce, const ReductionName& reduction) {
        return poisson_nll_loss(input, target, log_input, full, eps, reduction_of(size_average, reduce, reduction));
      },
      "poisson_nll_loss(input, target, log_input=True, full=False, eps=1e-08, reduction='mean') -> Tensor", "input"_a,
      "target"_a, "log_input"_a = true, "full"_a = false, "size_average"_a = nb::none(), "eps"_a = 1e-8,
      "reduce"_a = nb::none(), "reduction"_a.none() = "mean");
}

void bind_normalize(Binder& b) {
  b.functional(
      "normalize",
      [](const Tensor& t, double p, const std::optional<Shape>& dim, double eps) {
        return norch::normalize(t, p, dim.value_or(Shape()), eps);
      },
      "normalize(input, p=2.0, dim=1, eps=1e-12) -> Tensor\n\ninput / max(|input|, eps) along `dim`, an int, several or "
      "None for all.",
      "input"_a, "p"_a = 2.0, "dim"_a.none() = Shape{1}, "eps"_a = 1e-12);
}

}  // namespace

void bind_loss_ops(Binder& b) {
  bind_elementwise(b);
  bind_classes(b);
  bind_margins(b);
  bind_class_margins(b);
  bind_sequences(b);
  bind_likelihoods(b);
  bind_normalize(b);
}

}  // namespace norch::python
