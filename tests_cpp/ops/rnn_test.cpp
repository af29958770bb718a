#include "ops/op_testing.h"

namespace norch {
namespace {

using testing::check_gradients;
using testing::max_difference;
using testing::message;
using testing::numbers;

constexpr int64_t kIn = 3, kHidden = 4;

struct Case {
  RnnMode mode;
  int64_t parts, out;  // out < kHidden: projected
};
constexpr Case kCases[] = {{RnnMode::tanh, 1, 4}, {RnnMode::relu, 1, 4}, {RnnMode::lstm, 4, 4}, {RnnMode::lstm, 4, 2},
                           {RnnMode::gru, 3, 4}};

TensorList state_of(const Case& c, int64_t batch) {
  TensorList state = {numbers({batch, c.out}, kFloat64, 2)};
  if (c.mode == RnnMode::lstm) state.push_back(numbers({batch, kHidden}, kFloat64, 3));
  return state;
}

RnnWeights weights_of(const Case& c) {
  const int64_t rows = c.parts * kHidden;
  return {numbers({rows, kIn}, kFloat64, 4), numbers({rows, c.out}, kFloat64, 5), numbers({rows}, kFloat64, 6),
          numbers({rows}, kFloat64, 7), c.out < kHidden ? numbers({c.out, kHidden}, kFloat64, 8) : Tensor()};
}

TEST(Rnn, LayerIsItsCells) {
  for (const Case& c : kCases) {
    for (bool reverse : {false, true}) {
      const std::vector<int64_t> sizes = {3, 3, 1};
      const Tensor data = numbers({7, kIn});
      const RnnWeights w = weights_of(c);
      const TensorList first = state_of(c, 3), result = rnn_layer(c.mode, data, sizes, first, w, reverse);
      for (int64_t b = 0; b < 3; ++b) {
        TensorList state;
        for (const Tensor& s : first) state.push_back(narrow(s, 0, b, 1));
        std::vector<int64_t> rows = b == 0 ? std::vector<int64_t>{0, 3, 6} : std::vector<int64_t>{b, 3 + b};
        if (reverse) std::reverse(rows.begin(), rows.end());
        for (int64_t row : rows) {
          state = rnn_cell(c.mode, narrow(data, 0, row, 1), state, w);
          EXPECT_LE(max_difference(state[0], narrow(result[0], 0, row, 1)), 1e-12);
        }
        for (size_t i = 0; i < state.size(); ++i)
          EXPECT_LE(max_difference(state[i], narrow(result[1 + i], 0, b, 1)), 1e-12);
      }
    }
  }
}

TEST(Rnn, Gradients) {
  for (const Case& c : kCases) {
    if (c.mode == RnnMode::relu) continue;  // kinks
    for (bool reverse : {false, true}) {
      const RnnWeights w = weights_of(c);
      TensorList inputs = {numbers({5, kIn}), w.w_ih, w.w_hh, w.b_ih, w.b_hh};
      for (const Tensor& s : state_of(c, 2)) inputs.push_back(s);
      if (w.w_hr.defined()) inputs.push_back(w.w_hr);
      check_gradients(
          [&](const TensorList& t) {
            const size_t states = c.mode == RnnMode::lstm ? 2 : 1;
            const RnnWeights given{t[1], t[2], t[3], t[4], w.w_hr.defined() ? t.back() : Tensor()};
            const TensorList r = rnn_layer(c.mode, t[0], {2, 2, 1}, TensorList(t.begin() + 5, t.begin() + 5 + states),
                                           given, reverse);
            TensorList flat;
            for (const Tensor& part : r) flat.push_back(reshape(part, {-1}));
            return cat(flat);
          },
          inputs);
    }
  }
}

TEST(Rnn, Errors) {
  const Case c = kCases[4];
  const RnnWeights w = weights_of(c);
  const TensorList h = state_of(c, 2);
  EXPECT_EQ(message([&] { rnn_layer(c.mode, numbers({5, kIn}), {2, 3}, h, w); }),
            "rnn_layer: batch sizes must be positive and not grow, got [2, 3]");
  EXPECT_EQ(message([&] { rnn_layer(c.mode, numbers({5, kIn}), {2, 2}, h, w); }),
            "rnn_layer: the steps have 4 rows, the input has shape [5, 3]");
  EXPECT_EQ(message([&] { rnn_layer(c.mode, numbers({5, kIn}), {}, h, w); }), "rnn_layer: expected at least one step");
  EXPECT_EQ(message([&] { rnn_layer(c.mode, numbers({4, 2}), {2, 2}, h, w); }),
            "rnn_layer: expected w_ih of shape [12, 2], got [12, 3]");
  EXPECT_EQ(message([&] { rnn_cell(c.mode, numbers({3, kIn}), h, w); }),
            "rnn_cell: expected h of shape [3, 4], got [2, 4]");
  EXPECT_EQ(message([&] { rnn_cell(RnnMode::lstm, numbers({2, kIn}), h, w); }),
            "rnn_cell: expected 2 tensors of state, got 1");
}

}  // namespace
}  // namespace norch
