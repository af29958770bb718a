// Softmax and normalisation.
#include "bind.h"
#include "norch/ops/norm.h"
#include "norch/ops/softmax.h"

namespace norch::python {

namespace {
using MaybeTensor = std::optional<Tensor>;
Tensor given(const MaybeTensor& t) { return t ? *t : Tensor(); }
}  // namespace

void bind_norms(Binder& b) {
  b.op("softmax", &softmax, "softmax(input, dim, dtype=None) -> Tensor\n\nexp(x) / sum(exp(x)) along `dim`.", "input"_a,
       "dim"_a, "dtype"_a = nb::none());
  b.op("log_softmax", &log_softmax, "log_softmax(input, dim, dtype=None) -> Tensor\n\nlog(softmax(x)) along `dim`.",
       "input"_a, "dim"_a, "dtype"_a = nb::none());
  b.functional(
      "layer_norm",
      [](const Tensor& x, const Shape& shape, const MaybeTensor& w, const MaybeTensor& bias, double eps) {
        return layer_norm(x, shape, given(w), given(bias), eps);
      },
      "layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-05) -> Tensor\n\nNormalises the last dims.",
      "input"_a, "normalized_shape"_a, "weight"_a = nb::none(), "bias"_a = nb::none(), "eps"_a = 1e-5);
  auto rms = [](const Tensor& x, const Shape& shape, const MaybeTensor& w, std::optional<double> eps) {
    return rms_norm(x, shape, given(w), eps);
  };
  const char* rms_doc =
      "rms_norm(input, normalized_shape, weight=None, eps=None) -> Tensor\n\nDivides by the root of the mean of squares "
      "over the last dims.";
  b.functional("rms_norm", rms, rms_doc, "input"_a, "normalized_shape"_a, "weight"_a = nb::none(),
               "eps"_a = nb::none());
  b.function("rms_norm", rms, rms_doc, "input"_a, "normalized_shape"_a, "weight"_a = nb::none(), "eps"_a = nb::none());
  b.functional(
      "batch_norm",
      [](const Tensor& x, const MaybeTensor& mean, const MaybeTensor& var, const MaybeTensor& w, const MaybeTensor& bias,
         bool training, double momentum, double eps) {
        return batch_norm(x, given(mean), given(var), given(w), given(bias), training, momentum, eps);
      },
      "batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-05) -> "
      "Tensor\n\nNormalises each channel over the batch; in training moves the running statistics.",
      "input"_a, "running_mean"_a.none(), "running_var"_a.none(), "weight"_a = nb::none(), "bias"_a = nb::none(),
      "training"_a = false, "momentum"_a = 0.1, "eps"_a = 1e-5);
  b.functional(
      "group_norm",
      [](const Tensor& x, int64_t groups, const MaybeTensor& w, const MaybeTensor& bias, double eps) {
        // nn.functional alone refuses this, as in PyTorch: the result would be the bias, whatever x is.
        if (x.dim() >= 2 && groups > 0) {
          int64_t values = x.size(0) * x.size(1) / groups;
          for (int64_t size : x.sizes().slice(2)) values *= size;
          NORCH_CHECK_VALUE(values != 1, "group_norm: Expected more than 1 value per channel when training, got input size ",
                            x.sizes(), " in ", groups, " groups");
        }
        return group_norm(x, groups, given(w), given(bias), eps);
      },
      "group_norm(input, num_groups, weight=None, bias=None, eps=1e-05) -> Tensor\n\nNormalises groups of channels of "
      "each sample.",
      "input"_a, "num_groups"_a, "weight"_a = nb::none(), "bias"_a = nb::none(), "eps"_a = 1e-5);
  b.functional(
      "instance_norm",
      [](const Tensor& x, const MaybeTensor& mean, const MaybeTensor& var, const MaybeTensor& w, const MaybeTensor& bias,
         bool use_input_stats, double momentum, double eps) {
        return instance_norm(x, given(mean), given(var), given(w), given(bias), use_input_stats, momentum, eps);
      },
      "instance_norm(input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True, "
      "momentum=0.1, eps=1e-05) -> Tensor\n\nNormalises each channel of each sample.",
      "input"_a, "running_mean"_a = nb::none(), "running_var"_a = nb::none(), "weight"_a = nb::none(),
      "bias"_a = nb::none(), "use_input_stats"_a = true, "momentum"_a = 0.1, "eps"_a = 1e-5);

  // The functions of module torch, which have the weights first and no defaults.
  b.function(
      "batch_norm",
      [](const Tensor& x, const MaybeTensor& w, const MaybeTensor& bias, const MaybeTensor& mean, const MaybeTensor& var,
         bool training, double momentum, double eps, bool) {
        return batch_norm(x, given(mean), given(var), given(w), given(bias), training, momentum, eps);
      },
      "batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps, cudnn_enabled) -> Tensor\n\n"
      "nn.functional.batch_norm with its arguments in another order.",
      "input"_a, "weight"_a.none(), "bias"_a.none(), "running_mean"_a.none(), "running_var"_a.none(), "training"_a,
      "momentum"_a, "eps"_a, "cudnn_enabled"_a);
  b.function(
      "instance_norm",
      [](const Tensor& x, const MaybeTensor& w, const MaybeTensor& bias, const MaybeTensor& mean, const MaybeTensor& var,
         bool use_input_stats, double momentum, double eps, bool) {
        return instance_norm(x, given(mean), given(var), given(w), given(bias), use_input_stats, momentum, eps);
      },
      "instance_norm(input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps, cudnn_enabled) -> "
      "Tensor\n\nnn.functional.instance_norm with its arguments in another order.",
      "input"_a, "weight"_a.none(), "bias"_a.none(), "running_mean"_a.none(), "running_var"_a.none(),
      "use_input_stats"_a, "momentum"_a, "eps"_a, "cudnn_enabled"_a);
  b.function(
      "group_norm",
      [](const Tensor& x, int64_t groups, const MaybeTensor& w, const MaybeTensor& bias, double eps, bool) {
        return group_norm(x, groups, given(w), given(bias), eps);
      },
      "group_norm(input, num_groups, weight=None, bias=None, eps=1e-05, cudnn_enabled=True) -> Tensor\n\nNormalises "
      "groups of channels of each sample.",
      "input"_a, "num_groups"_a, "weight"_a = nb::none(), "bias"_a = nb::none(), "eps"_a = 1e-5,
      "cudnn_enabled"_a = true);
}

}  // namespace norch::python
