#include "bound_functions.h"

#include <cstring>

namespace norch::python {

namespace {

nb::handle g_root;
Detour g_detours[kDetours] = {};

vectorcallfunc& entry_of(PyObject* function) {
  return *reinterpret_cast<vectorcallfunc*>(reinterpret_cast<char*>(function) + Py_TYPE(function)->tp_vectorcall_offset);
}

using Functions = std::unordered_map<PyObject*, BoundFunction>;

void add(Functions& functions, nb::handle scope, const char* prefix, bool optimizer = false) {
  for (nb::handle value : scope.attr("__dict__").attr("values")()) {
    const char* type = Py_TYPE(value.ptr())->tp_name;
    if (!std::strstr(type, "nb_func") && !std::strstr(type, "nb_method")) continue;
    if (Py_TYPE(value.ptr())->tp_vectorcall_offset <= 0) continue;
    functions.emplace(value.ptr(), BoundFunction{nb::cast<std::string>(value.attr("__name__")), prefix, optimizer,
                                                 entry_of(value.ptr())});
  }
}

PyObject* detoured(PyObject* object, PyObject* const* args, size_t nargsf, PyObject* names) {
  return BoundCall{object, &bound_functions().find(object)->second, args, nargsf, names, 0}.proceed();
}

}  // namespace

void set_bound_functions_root(nb::module_ root) { g_root = root; }

const Functions& bound_functions() {
  static const Functions* functions = [] {
    auto* all = new Functions;
    // Functions that a module took over from norch's keep the name they have there.
    add(*all, g_root, "");
    add(*all, nb::handle(reinterpret_cast<PyObject*>(tensor_type)), "");
    add(*all, g_root.attr("_nn"), "");
    add(*all, g_root.attr("_linalg"), "linalg_");
    add(*all, g_root.attr("_fft"), "fft_");
    add(*all, g_root.attr("_special"), "special_");
    add(*all, g_root.attr("_optim"), "", true);
    return all;
  }();
  return *functions;
}

PyObject* BoundCall::proceed() const {
  BoundCall next = *this;
  while (next.place < kDetours)
    if (const Detour detour = g_detours[next.place++]) return detour(next);
  return function->entry(object, args, nargsf, names);
}

void set_detour(DetourPlace place, Detour detour) {
  g_detours[place] = detour;
  bool any = false;
  for (const Detour d : g_detours) any |= d != nullptr;
  for (const auto& [object, function] : bound_functions()) entry_of(object) = any ? detoured : function.entry;
}

}  // namespace norch::python
