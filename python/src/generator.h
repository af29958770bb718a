// norch.Generator as rows see it.
#pragma once

#include "casters.h"
#include "norch/generator.h"

namespace norch::python {

/// A Python Generator object: a stream of draws, and the device it was made for (which changes nothing: numbers are the
/// same everywhere).
struct GeneratorObject {
  Ref<Generator> generator;
  Device device;
};

/// The generator of an argument that may be None.
inline Generator* get(const GeneratorObject* g) { return g ? g->generator.get() : nullptr; }

}  // namespace norch::python
