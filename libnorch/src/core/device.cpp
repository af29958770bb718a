#include "norch/device.h"

#include <cstdlib>

#include "core/cuda_runtime.h"

namespace norch {

Device::Device(const std::string& text) {
  const auto colon = text.find(':');
  const std::string kind = text.substr(0, colon);
  NORCH_CHECK(kind == "cpu" || kind == "cuda", "device: expected 'cpu', 'cuda' or 'cuda:N', got '", text, "'");
  type = kind == "cuda" ? DeviceType::CUDA : DeviceType::CPU;
  index = static_cast<int8_t>(type == DeviceType::CUDA ? -1 : 0);
  if (colon == std::string::npos) return;
  const std::string digits = text.substr(colon + 1);
  NORCH_CHECK(!digits.empty() && digits.size() <= 3 && digits.find_first_not_of("0123456789") == std::string::npos,
              "device: Invalid device string: '", text, "'; the index after ':' is a number such as in 'cuda:0'");
  const int n = std::atoi(digits.c_str());
  NORCH_CHECK(n < 128, "device: index ", n, " in '", text, "' is too large");
  NORCH_CHECK(type == DeviceType::CUDA || n == 0, "device: the CPU device index must be 0, got '", text, "'");
  index = static_cast<int8_t>(n);
}

Device Device::resolve() const {
  if (type == DeviceType::CPU) return *this;
  const int count = cuda::device_count();
  NORCH_CHECK(count > 0, "CUDA is not available: ", cuda::why_unavailable());
  if (index < 0) return {type, cuda::current_device()};
  NORCH_CHECK(index < count, "CUDA error: invalid device ordinal: ", str(), " was asked for, but this machine has ",
              count, " GPU(s)");
  return *this;
}

std::string Device::str() const {
  if (type == DeviceType::CPU) return "cpu";
  return index < 0 ? "cuda" : "cuda:" + std::to_string(index);
}

}  // namespace norch
