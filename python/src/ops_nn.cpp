// Distances, attention, resampling, embedding bags and activations with parameters.
#include <nanobind/stl/vector.h>

#include "bind.h"
#include "generator.h"
#include "norch/ops.h"
#include "truth.h"

namespace norch::python {

namespace {

Tensor tensor_or_none(const std::optional<Tensor>& t) { return t ? *t : Tensor(); }

void bind_distances(Binder& b) {
  for (nb::handle scope : {nb::handle(b.root), nb::handle(b.nn)}) {
    b.in(scope, "cosine_similarity", &norch::cosine_similarity,
         "cosine_similarity(x1, x2, dim=1, eps=1e-08) -> Tensor\n\nx1 . x2 / (max(|x1|, eps) max(|x2|, eps)) along a dim of "
         "the shape that both broadcast to.\n\n    >>> norch.cosine_similarity(norch.tensor([3., 4.]), norch.tensor([4., "
         "3.]), dim=0)\n    tensor(0.9600)",
         "x1"_a, "x2"_a, "dim"_a = 1, "eps"_a = 1e-8);
    b.in(scope, "pairwise_distance", &norch::pairwise_distance,
         "pairwise_distance(x1, x2, p=2.0, eps=1e-06, keepdim=False) -> Tensor\n\nThe p-norm of x1 - x2 + eps along the "
         "last dim.",
         "x1"_a, "x2"_a, "p"_a = 2.0, "eps"_a = 1e-6, "keepdim"_a = false);
    b.in(scope, "pdist", &norch::pdist,
         "pdist(input, p=2) -> Tensor\n\nThe distances of the rows of a matrix from those below them: (N, M) -> "
         "(N (N - 1) / 2).\n\n    >>> norch.pdist(norch.tensor([[0., 0.], [3., 4.], [0., 1.]]))\n    tensor([5.0000, 1.0000, "
         "4.2426])",
         "input"_a, "p"_a = 2.0);
  }
  b.function(
      "cdist",
      [](const Tensor& x1, const Tensor& x2, double p, const std::string& compute_mode) {
        NORCH_CHECK_VALUE(compute_mode == "use_mm_for_euclid_dist_if_necessary" ||
                              compute_mode == "use_mm_for_euclid_dist" ||
                              compute_mode == "donot_use_mm_for_euclid_dist",
                          compute_mode, " is not a valid value for compute_mode");
        return cdist(x1, x2, p,
                     compute_mode == "use_mm_for_euclid_dist"         ? DistanceMode::product
                     : compute_mode == "donot_use_mm_for_euclid_dist" ? DistanceMode::differences
                                                                      : DistanceMode::automatic);
      },
      "cdist(x1, x2, p=2.0, compute_mode='use_mm_for_euclid_dist_if_necessary') -> Tensor\n\nThe p-norm of each row of x1 "
      "minus each row of x2: (..., P, M) and (..., R, M) -> (..., P, R).\n\n    >>> norch.cdist(norch.tensor([[0., 0.]]), "
      "norch.tensor([[3., 4.], [0., 1.]]))\n    tensor([[5., 1.]])",
      "x1"_a, "x2"_a, "p"_a = 2.0, "compute_mode"_a = "use_mm_for_euclid_dist_if_necessary");
  b.op("dist", &norch::dist, "dist(input, other, p=2) -> Tensor\n\nThe p-norm of all of input - other.", "input"_a,
       "other"_a, "p"_a = 2);
}

void bind_resampling(Binder& b) {
  b.functional(
      "interpolate",
      [](const Tensor& input, const std::optional<Shape>& size, nb::handle scale_factor, const std::string& mode,
         std::optional<bool> align_corners, std::optional<bool> recompute_scale_factor, bool antialias) {
        std::vector<double> factors;
        double factor;
        if (nb::try_cast<double>(scale_factor, factor)) {
          factors = {factor};
        } else if (!scale_factor.is_none()) {
          NORCH_CHECK_TYPE(nb::try_cast<std::vector<double>>(scale_factor, factors),
                           "interpolate: scale_factor must be a number or a sequence of numbers");
          // A list of one number is for one dim; a number is for all.
          NORCH_CHECK_VALUE(static_cast<int64_t>(factors.size()) == input.dim() - 2, "Input and scale_factor must have the "
                            "same number of spatial dimensions, but got input with spatial dimensions of ",
                            input.sizes().slice(2), " and ", factors.size(), " factors.");
        }
        return interpolate(input, size ? Ints(*size) : Ints(), factors, mode, align_corners, recompute_scale_factor,
                           antialias);
      },
      "interpolate(input, size=None, scale_factor=None, mode='nearest', align_corners=None, recompute_scale_factor=None, "
      "antialias=False) -> Tensor\n\nThe images at another size, given itself or as a factor. mode: 'nearest', "
      "'nearest-exact', 'linear' (3-d), 'bilinear', 'bicubic', 'lanczos' (4-d), 'trilinear' (5-d), 'area'.\n\n    >>> "
      "F.interpolate(norch.tensor([[[0., 1.]]]), 4, mode='linear')\n    tensor([[[0.0000, 0.2500, 0.7500, 1.0000]]])",
      "input"_a, "size"_a = nb::none(), "scale_factor"_a = nb::none(), "mode"_a = "nearest",
      "align_corners"_a = nb::none(), "recompute_scale_factor"_a = nb::none(), "antialias"_a = false);
  for (nb::handle scope : {nb::handle(b.root), nb::handle(b.nn)}) {
    b.in(scope, "pixel_shuffle", &norch::pixel_shuffle,
         "pixel_shuffle(input, upscale_factor) -> Tensor\n\n(..., C * r^2, H, W) -> (..., C, H * r, W * r).", "input"_a,
         "upscale_factor"_a);
    b.in(scope, "pixel_unshuffle", &norch::pixel_unshuffle,
         "pixel_unshuffle(input, downscale_factor) -> Tensor\n\n(..., C, H * r, W * r) -> (..., C * r^2, H, W).", "input"_a,
         "downscale_factor"_a);
    b.in(scope, "channel_shuffle", &norch::channel_shuffle,
         "channel_shuffle(input, groups) -> Tensor\n\nThe channels of (N, C, ...), seen as (groups, C / groups), in the "
         "order of (C / groups, groups).",
         "input"_a, "groups"_a);
  }
  b.functional(
      "_grid_sample",
      [](const Tensor& input, const Tensor& grid, const std::string& mode, const std::string& padding_mode,
         bool align_corners) { return grid_sample(input, grid, mode, padding_mode, align_corners); },
      "The sampling behind grid_sample.", "input"_a, "grid"_a, "mode"_a, "padding_mode"_a, "align_corners"_a);
  b.functional("_affine_grid", [](const Tensor& theta, const Shape& size, bool align_corners) {
        return affine_grid(theta, size, align_corners);
      }, "The grid behind affine_grid.", "theta"_a, "size"_a, "align_corners"_a);
}

void bind_attention(Binder& b) {
  b.functional(
      "scaled_dot_product_attention",
      [](const Tensor& query, const Tensor& key, const Tensor& value, const std::optional<Tensor>& attn_mask,
         double dropout_p, bool is_causal, std::optional<double> scale, bool enable_gqa) {
        return scaled_dot_product_attention(query, key, value, tensor_or_none(attn_mask), dropout_p, is_causal, scale,
                                            enable_gqa);
      },
      "scaled_dot_product_attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, "
      "enable_gqa=False) -> Tensor\n\nsoftmax(q k^T * scale + mask) v; scale defaults to 1 / sqrt(query.size(-1)). A bool "
      "mask is True for what takes part; a row that is masked as a whole gives zeros.\n\n    >>> q = norch.zeros(1, 2, 3)\n"
      "    >>> F.scaled_dot_product_attention(q, q, norch.tensor([[[1.], [3.]]]))\n    tensor([[[2.],\n             [2.]]])",
      "query"_a, "key"_a, "value"_a, "attn_mask"_a = nb::none(), "dropout_p"_a = 0.0, "is_causal"_a = false,
      "scale"_a = nb::none(), "enable_gqa"_a = false);
}

void bind_bags(Binder& b) {
  b.functional(
      "_embedding_bag",
      [](const Tensor& input, const Tensor& weight, const std::optional<Tensor>& offsets, const std::string& mode,
         bool scale_grad_by_freq, const std::optional<Tensor>& per_sample_weights, bool include_last_offset,
         std::optional<int64_t> padding_idx, bool sparse) {
        NORCH_CHECK_VALUE(mode == "sum" || mode == "mean" || mode == "max", "mode has to be one of sum, mean or max");
        return embedding_bag(input, weight, tensor_or_none(offsets),
                             mode == "sum"    ? BagMode::sum
                             : mode == "mean" ? BagMode::mean
                                              : BagMode::max,
                             scale_grad_by_freq, tensor_or_none(per_sample_weights), include_last_offset, padding_idx,
                             sparse);
      },
      "The lookup behind embedding_bag.", "input"_a, "weight"_a, "offsets"_a = nb::none(), "mode"_a = "mean",
      "scale_grad_by_freq"_a = false, "per_sample_weights"_a = nb::none(), "include_last_offset"_a = false,
      "padding_idx"_a = nb::none(), "sparse"_a = false);
}

void bind_parametric(Binder& b) {
  b.op("prelu", &norch::prelu,
       "prelu(input, weight) -> Tensor\n\nx where x > 0, weight * x elsewhere; weight has one element, or one per channel "
       "(dim 1).\n\n    >>> norch.prelu(norch.tensor([-2., 3.]), norch.tensor([0.5]))\n    tensor([-1.,  3.])",
       "input"_a, "weight"_a);
  b.functional("prelu", &norch::prelu, "prelu(input, weight) -> Tensor\n\nAs norch.prelu.", "input"_a, "weight"_a);
  const char* doc =
      "rrelu(input, lower=1/8, upper=1/3, training=False) -> Tensor\n\nx where x > 0, a * x elsewhere: a is uniform in "
      "[lower, upper) when training, otherwise their mean.";
  const auto row = [](const Tensor& x, double lower, double upper, bool training, const GeneratorObject* g) {
    return rrelu(x, lower, upper, training, get(g));
  };
  const auto in_place = [](const Tensor& x, double lower, double upper, bool training, const GeneratorObject* g) {
    return rrelu_(x, lower, upper, training, get(g));
  };
  b.functional(
      "rrelu",
      [](const Tensor& x, double lower, double upper, bool training, Truth inplace) {
        return inplace ? rrelu_(x, lower, upper, training) : rrelu(x, lower, upper, training);
      },
      doc, "input"_a, "lower"_a = 1.0 / 8, "upper"_a = 1.0 / 3, "training"_a = false, "inplace"_a.none() = false);
  b.function("rrelu", row, doc, "input"_a, "lower"_a = 1.0 / 8, "upper"_a = 1.0 / 3, "training"_a = false,
             "generator"_a = nb::none());
  for (nb::handle scope : {nb::handle(b.root), nb::handle(b.nn)})
    b.in(scope, "rrelu_", in_place, doc, "input"_a, "lower"_a = 1.0 / 8, "upper"_a = 1.0 / 3, "training"_a = false,
         "generator"_a = nb::none());
}

TensorList given_tensors(const std::vector<std::optional<Tensor>>& list) {
  TensorList result;
  for (const std::optional<Tensor>& t : list) result.push_back(tensor_or_none(t));
  return result;
}

RnnMode rnn_mode(const std::string& name) {
  if (name == "LSTM") return RnnMode::lstm;
  if (name == "GRU") return RnnMode::gru;
  NORCH_CHECK_VALUE(name == "RNN_TANH" || name == "RNN_RELU", "Unrecognized RNN mode: ", name);
  return name == "RNN_TANH" ? RnnMode::tanh : RnnMode::relu;
}

RnnWeights rnn_weights(const std::vector<std::optional<Tensor>>& list) {
  NORCH_CHECK(list.size() == 5, "rnn: expected five weights (w_ih, w_hh, b_ih, b_hh, w_hr), got ", list.size());
  const TensorList w = given_tensors(list);
  return {w[0], w[1], w[2], w[3], w[4]};
}

void bind_recurrent(Binder& b) {
  b.functional(
      "_rnn_cell",
      [](const std::string& mode, const Tensor& input, const TensorList& state,
         const std::vector<std::optional<Tensor>>& weights) {
        return rnn_cell(rnn_mode(mode), input, state, rnn_weights(weights));
      },
      "The steps behind RNNCell, LSTMCell and GRUCell.", "mode"_a, "input"_a, "state"_a, "weights"_a);
  b.functional(
      "_rnn_layer",
      [](const std::string& mode, const Tensor& data, const Shape& batch_sizes, const TensorList& state,
         const std::vector<std::optional<Tensor>>& weights, bool reverse) {
        return rnn_layer(rnn_mode(mode), data, batch_sizes, state, rnn_weights(weights), reverse);
      },
      "The layers behind RNN, LSTM and GRU.", "mode"_a, "data"_a, "batch_sizes"_a, "state"_a, "weights"_a,
      "reverse"_a = false);
}

}  // namespace

void bind_nn_ops(Binder& b) {
  bind_distances(b);
  bind_resampling(b);
  bind_attention(b);
  bind_bags(b);
  bind_parametric(b);
  bind_recurrent(b);
}

}  // namespace norch::python
