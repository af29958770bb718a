// What the optimizers' steps share before they reach a kernel: checks, state, and the lists that the kernels take.
#pragma once

#include <complex>
#include <optional>
#include <utility>

#include "autograd/sparse_grad.h"
#include "core/factory.h"
#include "core/layout.h"
#include "kernels/copy.h"
#include "kernels/optim.h"
#include "norch/cuda.h"
#include "norch/optim.h"
#include "norch/ops/copy.h"

namespace norch::optim {

using kernels::OptimTensor;
using kernels::OptimTensors;

/// The work of one step, cut into lists of one dtype and device, with every check done before anything is written.
/// Complex parameters are pairs of real ones, as in PyTorch.
class StepPlan {
 public:
  StepPlan(const char* op, const TensorList& params, const std::optional<TensorList>& grads)
      : op_(op), params_(params), grads_(grads) {
    NORCH_CHECK(!grads || grads->size() == params.size(), op, ": got ", params.size(), " parameters but ",
                grads ? grads->size() : 0, " gradients; pass one per parameter (undefined where there is none)");
  }

  /// Declares a list of state; undefined entries of parameters that have a gradient will be made, and filled.
  void state(const char* name, TensorList& list, std::optional<double> initial) {
    NORCH_CHECK(list.size() <= params_.size(), op_, ": got ", params_.size(), " parameters but ", list.size(), " ",
                name, "; pass one per parameter");
    list.resize(params_.size());
    states_[count_++] = {name, &list, initial};
  }

  /// Checks everything, then calls f(i, entry) to complete the entry of parameter i, for each that has a gradient.
  template <class F>
  void collect(const F& f) {
    // Written values are only touched after all checks, so that a refused step changes nothing.
    for (size_t i = 0; i < params_.size(); ++i) check(i);
    for (size_t i = 0; i < params_.size(); ++i) {
      const Tensor grad = gradient(i);
      if (!grad.defined()) continue;
      const Tensor& p = params_[i];
      OptimTensor entry{};
      entry.n = p.is_complex() ? 2 * p.numel() : p.numel();
      Tensor state[3];
      for (int k = 0; k < count_; ++k) {
        state[k] = (*states_[k].list)[i];
        if (state[k].defined()) continue;
        NORCH_CHECK(!p.is_cuda() || !cuda::is_current_stream_capturing(), op_, ": ", states_[k].name,
                    " would be made in the capture of a CUDA graph, and made anew by each replay; take a step before the "
                    "capture");
        entry.first = true;
        state[k] = new_like(p, p.dtype(), p.device(), MemoryFormat::preserve);
        if (states_[k].initial) kernels::fill(p.device(), make_plan({state[k]}, {}), initial_of(p, *states_[k].initial));
        made_.push_back({k, i, state[k]});
      }
      // A list is worked on in the order of memory, which has to be the same for all tensors of an entry.
      bool flat = p.is_contiguous() || is_dense(p.sizes(), p.strides());
      for (int k = 0; k < count_; ++k) flat &= same_layout(p, state[k]);
      entry.data[0] = writable(p, flat).data_ptr();
      Tensor g = grad;
      if (flat && !same_layout(p, grad)) {
        g = new_like(p, p.dtype(), p.device(), MemoryFormat::preserve);
        copy_into(g, grad);
      } else if (!flat) {
        g = grad.detach().contiguous();
      }
      kept_.push_back(g);
      entry.data[1] = g.data_ptr();
      for (int k = 0; k < count_; ++k) entry.data[2 + k] = writable(state[k], flat).data_ptr();
      f(i, entry);
      group(p).list.push_back(entry);
    }
  }

  /// Calls kernel(device, dtype, list) for each group and finishes the writes.
  template <class Kernel>
  void run(const Kernel& kernel) {
    for (const Group& g : groups_) kernel(g.device, g.dtype, g.list);
    for (const auto& [target, copy] : copies_) copy_into(target, copy);
    for (const Tensor& t : written_) t.storage()->bump_version();
    for (const Made& m : made_) (*states_[m.state].list)[m.param] = m.tensor;
  }

 private:
  struct State {
    const char* name;
    TensorList* list;
    std::optional<double> initial;
  };
  /// State made for this step; the caller's lists get it when the step has been taken.
  struct Made {
    int state;
    size_t param;
    Tensor tensor;
  };
  struct Group {
    Device device;
    DType dtype;
    OptimTensors list;
  };

  Tensor gradient(size_t i) const { return grads_ ? (*grads_)[i] : params_[i].grad(); }

  void check_like(const Tensor& p, const Tensor& t, const char* what, size_t i) const {
    NORCH_CHECK(t.sizes() == p.sizes() && t.dtype() == p.dtype() && t.device() == p.device(), op_, ": ", what, "[", i,
                "] is ", t, " but its parameter is ", p, "; shape, dtype and device must match");
  }

  void check(size_t i) const {
    const Tensor& p = params_[i];
    NORCH_CHECK_TYPE(p.defined(), op_, ": params[", i, "] is None");
    const Tensor grad = gradient(i);
    if (!grad.defined()) return;
    NORCH_CHECK(p.is_floating_point() || p.is_complex(), op_, ": params[", i, "] has dtype ", p.dtype(),
                "; only floating-point and complex parameters can be optimized");
    check_like(p, grad, "grads", i);
    NORCH_CHECK(!autograd::is_sparse(grad), op_, ": grads[", i, "] is sparse; this optimizer takes dense gradients only");
    for (int k = 0; k < count_; ++k) {
      const Tensor& s = (*states_[k].list)[i];
      if (s.defined()) check_like(p, s, states_[k].name, i);
    }
  }

  /// Memory to write for `t`: its own, or of a copy that run() copies back.
  Tensor writable(const Tensor& t, bool flat) {
    written_.push_back(t);
    if (flat || t.is_contiguous()) return t;
    Tensor copy = new_tensor(t.sizes(), t.dtype(), t.device());
    copy_into(copy, t);
    const TensorImpl& impl = *t.impl();
    copies_.emplace_back(
        Tensor(Ref<TensorImpl>(new TensorImpl(impl.storage, impl.sizes, impl.strides, impl.offset, impl.dtype))), copy);
    return copy;
  }

  static Scalar initial_of(const Tensor& p, double value) {
    return p.is_complex() ? Scalar(std::complex<double>(value, value)) : Scalar(value);
  }

  Group& group(const Tensor& p) {
    const DType dtype = p.is_complex() ? to_real(p.dtype()) : p.dtype();
    for (Group& g : groups_)
      if (g.device == p.device() && g.dtype == dtype) return g;
    groups_.push_back({p.device(), dtype, {}});
    groups_.back().list.reserve(params_.size());
    return groups_.back();
  }

  const char* op_;
  const TensorList& params_;
  const std::optional<TensorList>& grads_;
  State states_[3] = {};
  int count_ = 0;
  std::vector<Group> groups_;
  std::vector<std::pair<Tensor, Tensor>> copies_;
  std::vector<Made> made_;
  TensorList written_, kept_;
};

/// A number that an optimizer keeps for a parameter is a float32 or float64 tensor without dims.
inline void check_number(const char* op, const char* name, size_t i, const Tensor& t) {
  NORCH_CHECK(t.is_cpu() && t.dim() == 0 && (t.dtype() == kFloat32 || t.dtype() == kFloat64), op, ": ", name, "[", i,
              "] is ", t, "; expected a float32 or float64 tensor without dims on the CPU");
}
/// f(pointer to the number)
template <class F>
void visit_number(const Tensor& t, const F& f) {
  t.dtype() == kFloat64 ? f(t.data<double>()) : f(t.data<float>());
}

/// The argument found_inf of a step.
class Skip {
 public:
  Skip(const char* op, const TensorList& params, const Tensor& found_inf) : found_inf_(found_inf) {
    if (!found_inf.defined()) return;
    NORCH_CHECK(found_inf.numel() == 1 && found_inf.dtype() == kFloat32, op, ": found_inf is ", found_inf,
                "; expected one float32 number");
    for (const Tensor& p : params)
      NORCH_CHECK(!p.defined() || p.device() == found_inf.device(), op, ": found_inf is on ", found_inf.device(),
                  " but a parameter on ", p.device(), "; make one step per device");
  }
  /// For the kernels; null if there is none.
  const float* data() const { return found_inf_.defined() ? found_inf_.data<float>() : nullptr; }
  /// The CPU knows that there is nothing to do.
  bool known() const { return found_inf_.defined() && found_inf_.is_cpu() && *data() != 0; }

 private:
  const Tensor& found_inf_;
};

inline void check_not_negative(const char* what, double v) {
  NORCH_CHECK_VALUE(v >= 0, "Invalid ", what, ": ", v);
}

}  // namespace norch::optim
