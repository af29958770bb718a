// The two steps of loss scaling that work on the device alone.
#include "kernels/optim.h"

#include <utility>

#include "core/factory.h"
#include "norch/ops/copy.h"
#include "norch/optim.h"

namespace norch::optim {

using kernels::OptimTensor;
using kernels::OptimTensors;

namespace {

void check_scalar(const char* op, const char* name, const Tensor& t, DType dtype, Device device) {
  NORCH_CHECK_TYPE(t.defined(), op, ": ", name, " is None");
  NORCH_CHECK(t.numel() == 1 && t.dtype() == dtype && t.device() == device, op, ": ", name, " is ", t,
              "; expected one ", dtype, " number on ", device);
}

}  // namespace

void unscale_(const TensorList& grads, const Tensor& inverse_scale, const Tensor& found_inf) {
  constexpr const char* op = "unscale_";
  NORCH_CHECK_TYPE(found_inf.defined(), op, ": found_inf is None");
  const Device device = found_inf.device();
  check_scalar(op, "found_inf", found_inf, kFloat32, device);
  check_scalar(op, "inverse_scale", inverse_scale, kFloat32, device);
  std::vector<std::pair<DType, OptimTensors>> lists;
  std::vector<std::pair<Tensor, Tensor>> copies;
  for (const Tensor& g : grads) {
    if (!g.defined()) continue;
    NORCH_CHECK(g.device() == device, op, ": a gradient is on ", g.device(), " but found_inf on ", device);
    NORCH_CHECK(g.is_floating_point() || g.is_complex(), op, ": a gradient has dtype ", g.dtype(),
                "; expected a floating-point or complex dtype");
  }
  for (const Tensor& g : grads) {
    if (!g.defined()) continue;
    Tensor flat = g;
    if (!g.is_contiguous() && !is_dense(g.sizes(), g.strides())) {
      flat = new_tensor(g.sizes(), g.dtype(), device);
      copy_into(flat, g);
      copies.emplace_back(g, flat);
    }
    OptimTensor entry{};
    entry.n = g.is_complex() ? 2 * g.numel() : g.numel();
    entry.data[0] = flat.data_ptr();
    const DType dtype = g.is_complex() ? to_real(g.dtype()) : g.dtype();
    OptimTensors* list = nullptr;
    for (auto& [type, each] : lists)
      if (type == dtype) list = &each;
    if (!list) list = &lists.emplace_back(dtype, OptimTensors{}).second;
    list->push_back(entry);
  }
  for (const auto& [dtype, list] : lists) kernels::unscale_list(device, dtype, list, inverse_scale, found_inf);
  for (const auto& [target, copy] : copies) copy_into(target, copy);
  for (const Tensor& g : grads)
    if (g.defined()) g.storage()->bump_version();
  found_inf.storage()->bump_version();
}

void update_scale_(const Tensor& scale, const Tensor& growth_tracker, const Tensor& found_inf, double growth,
                   double backoff, int64_t interval) {
  constexpr const char* op = "update_scale_";
  NORCH_CHECK_TYPE(scale.defined(), op, ": scale is None");
  check_scalar(op, "scale", scale, kFloat32, scale.device());
  check_scalar(op, "growth_tracker", growth_tracker, kInt32, scale.device());
  check_scalar(op, "found_inf", found_inf, kFloat32, scale.device());
  kernels::update_scale(scale.device(), scale, growth_tracker, found_inf, growth, backoff, interval);
  scale.storage()->bump_version();
  growth_tracker.storage()->bump_version();
}

}  // namespace norch::optim
