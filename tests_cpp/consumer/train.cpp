// A small network learns sin(3 x) through norch's C++ interface. Exits with 0 when it has.
#include <cstdio>

#include "norch/norch.h"

using norch::Tensor;

int main() {
  norch::manual_seed(0);
  const Tensor x = norch::rand({256, 1}) * 2.0 - 1.0;
  const Tensor y = norch::sin(x * 3.0);

  const Tensor w1 = norch::randn({32, 1}).requires_grad_(), b1 = norch::zeros({32}).requires_grad_();
  const Tensor w2 = (norch::randn({1, 32}) * 0.2).requires_grad_(), b2 = norch::zeros({1}).requires_grad_();
  norch::optim::Adam optimizer({w1, b1, w2, b2}, norch::optim::AdamOptions().lr(0.01));

  double first = 0, loss = 0;
  for (int step = 0; step < 300; ++step) {
    const Tensor error = norch::linear(norch::tanh(norch::linear(x, w1, b1)), w2, b2) - y;
    const Tensor mean = norch::sum(error * error) / static_cast<double>(x.numel());
    optimizer.zero_grad();
    mean.backward();
    optimizer.step();
    loss = mean.item<double>();
    if (step == 0) first = loss;
  }
  std::printf("norch %s: loss %.4f at first, %.6f at last\n", norch::version(), first, loss);
  return loss < 0.01 ? 0 : 1;
}
