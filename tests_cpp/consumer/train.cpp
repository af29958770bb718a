// Fits y = 3 x + 1 by gradient descent. Exits with 0 when it has learned it.
#include <cmath>
#include <cstdio>

#include "norch/norch.h"

int main() {
  const int64_t n = 64;
  norch::Tensor x = norch::empty({n});
  for (int64_t i = 0; i < n; ++i) x.data<float>()[i] = static_cast<float>(i) / n - 0.5f;
  const norch::Tensor y = x * 3.0 + 1.0;

  const norch::Tensor weight = norch::zeros({1}).requires_grad_();
  const norch::Tensor bias = norch::zeros({1}).requires_grad_();
  double loss = 0;
  for (int step = 0; step < 200; ++step) {
    const norch::Tensor error = x * weight + bias - y;
    const norch::Tensor mean = norch::sum(error * error) / static_cast<double>(n);
    mean.backward();
    loss = mean.item<double>();
    norch::autograd::NoGrad guard;
    for (const norch::Tensor& parameter : {weight, bias}) {
      norch::sub_(parameter, parameter.grad(), 0.5);
      parameter.set_grad({});
    }
  }
  std::printf("norch %s: loss %.3g, weight %.4f, bias %.4f\n", norch::version(), loss, weight.item<double>(),
              bias.item<double>());
  return std::abs(weight.item<double>() - 3) < 0.01 && std::abs(bias.item<double>() - 1) < 0.01 ? 0 : 1;
}
