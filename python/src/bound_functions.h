// The functions and methods that rows have bound, and detours of calls to them: what profiling and __torch_function__
// are made of. A detour costs nothing while it is off, since the functions' own entries (their vectorcall pointers) are
// exchanged when it is turned on.
#pragma once

#include <string>
#include <unordered_map>

#include "bind.h"

namespace norch::python {

struct BoundFunction {
  std::string name;      // as in Python
  const char* prefix;    // what PyTorch's operators of this module begin with: "", "linalg_", ...
  bool optimizer;        // updates parameters
  vectorcallfunc entry;  // the function itself
};

/// Remembers where the rows are; after all of them.
void set_bound_functions_root(nb::module_ root);
/// By the function's object. These live as long as the module. The caller holds the GIL.
const std::unordered_map<PyObject*, BoundFunction>& bound_functions();

/// A call of a bound function that is on its way through the detours.
struct BoundCall {
  PyObject* object;
  const BoundFunction* function;
  PyObject* const* args;
  size_t nargsf;
  PyObject* names;
  int place;

  Py_ssize_t count() const { return PyVectorcall_NARGS(nargsf) + (names ? PyTuple_GET_SIZE(names) : 0); }
  /// Through the other detours to the function: a new reference, or null with an exception set.
  PyObject* proceed() const;
};

/// Which detour comes first.
enum DetourPlace { kOverrides, kProfiler, kDetours };
using Detour = PyObject* (*)(const BoundCall&);
/// Turns a detour on, or off (null). The caller holds the GIL.
void set_detour(DetourPlace place, Detour detour);

}  // namespace norch::python
