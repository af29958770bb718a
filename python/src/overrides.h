// PyTorch's __torch_function__ protocol: a class whose objects stand among the arguments of an op says what the op does.
//
// A program that has no such class pays one test of a flag in operators and attributes. The first subclass of Tensor
// (or an import of norch.overrides) turns on a detour through which all calls of bound functions go.
#pragma once

#include <initializer_list>

#include "bind.h"

namespace norch::python::overrides {

extern bool g_on;
/// Whether any class may have __torch_function__.
inline bool on() { return g_on; }
/// Looks for __torch_function__ in calls from now on. \throws nb::python_error
void turn_on();
/// A subclass of Tensor has been made: turns it on unless the class has the protocol disabled, as Parameter has.
void new_class(PyTypeObject* type);

/// An operator's or attribute's call. False where no argument's class overrides it; else `result` is a new reference, or
/// null with an exception set. `function` is the name of the Tensor method that __torch_function__ gets.
bool call(const char* function, std::initializer_list<PyObject*> args, PyObject*& result);
/// The same for a binary operator: the method's names with a tensor on the left, and with one on the right only.
bool call_binary(const char* function, const char* reversed, PyObject* a, PyObject* b, PyObject*& result);
/// The same for reading an attribute; __torch_function__ gets the attribute's __get__.
bool call_getter(const char* attribute, PyObject* self, PyObject*& result);

}  // namespace norch::python::overrides

namespace norch::python {
/// norch._C._overrides: what norch.overrides is made of.
void bind_overrides(Binder& b);
}  // namespace norch::python
