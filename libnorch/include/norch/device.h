// Where a tensor's memory lies.
#pragma once

#include <cstdint>
#include <string>

#include "norch/error.h"

namespace norch {

enum class DeviceType : uint8_t { CPU, CUDA };

/// A device: the CPU, or one CUDA GPU by index. `Device("cuda")` is the current GPU at the time of use: its index is
/// -1 until resolve() replaces it.
struct NORCH_API Device {
  DeviceType type = DeviceType::CPU;
  int8_t index = 0;

  constexpr Device() = default;
  constexpr Device(DeviceType t, int i = 0) : type(t), index(static_cast<int8_t>(t == DeviceType::CPU ? 0 : i)) {}
  /// Parses "cpu", "cuda" or "cuda:N". \throws Error for anything else.
  Device(const std::string& text);
  Device(const char* text) : Device(std::string(text)) {}

  constexpr bool is_cpu() const { return type == DeviceType::CPU; }
  constexpr bool is_cuda() const { return type == DeviceType::CUDA; }
  /// This device with "the current GPU" replaced by its index. \throws Error when CUDA is asked for and absent; the
  /// text says why (built without CUDA, no driver, no such GPU).
  Device resolve() const;
  /// "cpu", "cuda:0" ("cuda" while unresolved).
  std::string str() const;
};

constexpr bool operator==(Device a, Device b) { return a.type == b.type && a.index == b.index; }
constexpr bool operator!=(Device a, Device b) { return !(a == b); }
inline void append(std::string& s, Device d) { s += d.str(); }

inline constexpr Device kCPU{DeviceType::CPU};
inline constexpr Device kCUDA{DeviceType::CUDA, -1};

}  // namespace norch
