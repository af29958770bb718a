#pragma once

#include "bind.h"

namespace norch::python {

/// Hooks, nodes as Python objects, and what Python may ask of a backward pass, in the module `m`.
void bind_graph_nodes(Binder& b, nb::object m);

}  // namespace norch::python
