// Reading and writing tensors: the safetensors format.
//
// A file is 8 bytes of header length (little-endian), a header in JSON that names each tensor's dtype, shape and place,
// and the tensors' bytes. Reading runs no code and trusts nothing: every length, offset, shape and name is checked
// before memory is taken.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "norch/tensor.h"

namespace norch {

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;
using TextMap = std::vector<std::pair<std::string, std::string>>;

/// What a file holds: the tensors in the order of the header (on the CPU), and free texts by name.
struct SafetensorsFile {
  NamedTensors tensors;
  TextMap metadata;
};

/// Reads a whole file. \throws Error when it cannot be read; ValueError, saying what is wrong and where, for anything
/// that is not a valid file (truncated, wrong lengths, overlapping or missing bytes, unknown dtypes, duplicate names).
NORCH_API SafetensorsFile load_safetensors(const std::string& path);
/// As load_safetensors, from `size` bytes in memory; the tensors are copies. `name` is for error texts.
NORCH_API SafetensorsFile parse_safetensors(const void* bytes, size_t size, const std::string& name = "safetensors");

/// Writes the tensors (from any device, made contiguous). The file appears under its name only once it is complete; an
/// existing one is replaced then. \throws Error when it cannot be written; ValueError for a name given twice, the name
/// "__metadata__", or text that is not UTF-8.
NORCH_API void save_safetensors(const NamedTensors& tensors, const std::string& path, const TextMap& metadata = {});

}  // namespace norch
