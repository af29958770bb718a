#include <atomic>

#include "norch/autograd.h"

namespace norch::autograd {

namespace {
thread_local bool t_grad_enabled = true;
thread_local bool t_inference = false;
std::atomic<bool> g_anomaly{false};
std::atomic<bool> g_check_nan{true};
}  // namespace

bool grad_enabled() { return t_grad_enabled; }
void set_grad_enabled(bool enabled) { t_grad_enabled = enabled; }
bool inference_mode() { return t_inference; }
void set_inference_mode(bool enabled) { t_inference = enabled; }

bool anomaly_enabled() { return g_anomaly.load(std::memory_order_relaxed); }
bool anomaly_check_nan() { return g_check_nan.load(std::memory_order_relaxed); }
void set_anomaly_enabled(bool enabled, bool check_nan) {
  g_anomaly.store(enabled);
  g_check_nan.store(check_nan);
}

}  // namespace norch::autograd
