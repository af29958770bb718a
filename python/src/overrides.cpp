#include "overrides.h"

#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "bound_functions.h"

namespace norch::python {
namespace overrides {

bool g_on = false;

namespace {

// ---- this thread's state

struct State {
  int off = 0;        // DisableTorchFunctionSubclass: arguments' classes are not looked at
  int modes_off = 0;  // DisableTorchFunction: modes neither
  std::vector<nb::object> modes;
};
State& state() {
  static thread_local State* s = new State;  // a pointer: the module's thread-local block has to stay small
  return *s;
}
struct Off {
  explicit Off(int& count) : count_(count) { ++count_; }
  ~Off() { --count_; }
  int& count_;
};

// ---- which arguments override

PyObject* g_name = nullptr;      // "__torch_function__"
PyObject* g_default = nullptr;   // Tensor's own
PyObject* g_disabled = nullptr;  // Parameter's: results are plain tensors

/// The class's __torch_function__ as it stands in the class, null where it has none or a disabled one; borrowed.
PyObject* protocol(PyTypeObject* type) {
  if (type == tensor_type || type == parameter_type || type == &PyLong_Type || type == &PyFloat_Type ||
      type == &PyTuple_Type || type == &PyList_Type || type == size_type || type == dtype_type || type == &PyBool_Type ||
      type == Py_TYPE(Py_None) || type == &PyUnicode_Type)
    return nullptr;
  PyObject* found = _PyType_Lookup(type, g_name);
  if (found == g_disabled || found == Py_None) return nullptr;
  return found;
}

/// The arguments whose classes override the call, one of each class: subclasses before their bases, else from the left.
class Overloaded {
 public:
  void look_at(PyObject* arg) {
    if (state().off) return;
    if (PyTuple_Check(arg) || PyList_Check(arg))
      for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(arg); ++i) add(PySequence_Fast_ITEMS(arg)[i]);
    add(arg);
  }
  bool empty() const { return args_.empty(); }
  const std::vector<PyObject*>& args() const { return args_; }
  nb::object types() const {
    nb::list list;
    for (PyObject* arg : args_) list.append(nb::handle(reinterpret_cast<PyObject*>(Py_TYPE(arg))));
    return nb::tuple(list);
  }

 private:
  void add(PyObject* arg) {
    PyTypeObject* type = Py_TYPE(arg);
    PyObject* found = protocol(type);
    if (!found) return;
    size_t at = args_.size();
    for (size_t i = 0; i < args_.size(); ++i) {
      if (Py_TYPE(args_[i]) == type) return;
      if (at == args_.size() && PyType_IsSubtype(type, Py_TYPE(args_[i]))) at = i;
    }
    args_.insert(args_.begin() + static_cast<Py_ssize_t>(at), arg);
  }
  std::vector<PyObject*> args_;
};

// ---- results as instances of the class

/// `result` (a stolen reference) as an instance of the class, where it is a tensor of another; elements of lists and
/// tuples too. A new reference, or null with an exception set.
PyObject* convert(PyObject* result, PyTypeObject* type) {
  if (!result) return nullptr;
  if (PyObject_TypeCheck(result, type)) return result;
  if (is_tensor(result)) {
    if (Py_TYPE(result) == tensor_type && Py_REFCNT(result) == 1 && type->tp_basicsize == tensor_type->tp_basicsize) {
      // Nobody has seen this object yet: it may as well have been made an instance of the class.
      Py_INCREF(type);
      Py_SET_TYPE(result, type);
      Py_DECREF(tensor_type);
      return result;
    }
    const nb::object owned = nb::steal(result);
    const nb::handle cls(reinterpret_cast<PyObject*>(type));
    return guarded([&] { return nb::module_::import_("norch._C").attr("_as_subclass")(owned, cls).release().ptr(); });
  }
  const bool list = PyList_CheckExact(result);
  if ((!list && !PyTuple_Check(result)) || Py_TYPE(result) == size_type) return result;
  if (Py_REFCNT(result) != 1) {
    // Somebody else has this sequence: a copy is converted.
    if (!list && !PyTuple_CheckExact(result)) return result;
    PyObject* copy = PySequence_GetSlice(result, 0, PY_SSIZE_T_MAX);
    if (copy == result) {  // a tuple's slice may be the tuple itself
      Py_DECREF(copy);
      PyObject* elements = PySequence_List(result);
      copy = elements ? PyList_AsTuple(elements) : nullptr;
      Py_XDECREF(elements);
    }
    Py_DECREF(result);
    if (!copy) return nullptr;
    result = copy;
  }
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(result); ++i) {
    PyObject* item = PySequence_Fast_ITEMS(result)[i];
    Py_INCREF(Py_None);
    PySequence_Fast_ITEMS(result)[i] = Py_None;  // so that the element's only reference is ours
    item = convert(item, type);
    if (!item) {
      Py_DECREF(result);
      return nullptr;
    }
    PySequence_Fast_ITEMS(result)[i] = item;
    Py_DECREF(Py_None);
  }
  return result;
}

// ---- the protocol

PyObject* attribute_of_tensor(const char* name) {
  return PyObject_GetAttrString(reinterpret_cast<PyObject*>(tensor_type), name);
}

/// A call that the protocol may take over.
class Call {
 public:
  virtual ~Call() = default;
  /// What __torch_function__ gets.
  virtual nb::object function() const = 0;
  virtual nb::tuple args() const = 0;
  virtual nb::object kwargs() const = 0;
  /// The op itself: a new reference, or null with an exception set.
  virtual PyObject* run() const = 0;
  virtual bool converts() const { return true; }
};

PyObject* raise_no_implementation(const nb::object& function, const Overloaded& overloaded) {
  std::string text = "Multiple dispatch failed for '" + nb::cast<std::string>(nb::str(nb::getattr(function, "__name__", function))) +
                     "'; all __torch_function__ handlers returned NotImplemented:\n";
  for (PyObject* arg : overloaded.args()) text += "\n  - " + nb::cast<std::string>(nb::str(nb::handle(arg).type()));
  PyErr_SetString(PyExc_TypeError, text.c_str());
  return nullptr;
}

PyObject* ask(const nb::object& method, const Call& call, const nb::object& types) {
  return PyObject_CallFunctionObjArgs(method.ptr(), call.function().ptr(), types.ptr(), call.args().ptr(), call.kwargs().ptr(),
                                      nullptr);
}

/// Takes the call to the mode that was entered last, with that mode off, or to the arguments' classes.
PyObject* dispatch(const Call& call, const Overloaded& overloaded) {
  State& s = state();
  if (!s.modes.empty() && !s.modes_off) {
    const nb::object mode = std::move(s.modes.back());
    s.modes.pop_back();
    PyObject* result = guarded([&] { return ask(mode.attr("__torch_function__"), call, overloaded.types()); });
    s.modes.push_back(mode);
    if (!result || result != Py_NotImplemented) return result;
    Py_DECREF(result);
  }
  for (PyObject* arg : overloaded.args()) {
    PyTypeObject* type = Py_TYPE(arg);
    if (protocol(type) == g_default) {
      bool common = true;
      for (PyObject* other : overloaded.args()) common = common && PyType_IsSubtype(type, Py_TYPE(other));
      if (!common) continue;
      PyObject* result;
      {
        const Off off(s.off);
        result = call.run();
      }
      return call.converts() ? convert(result, type) : result;
    }
    PyObject* result =
        guarded([&] { return ask(nb::handle(arg).attr("__torch_function__"), call, overloaded.types()); });
    if (!result || result != Py_NotImplemented) return result;
    Py_DECREF(result);
  }
  return guarded([&] { return overloaded.empty() ? call.run() : raise_no_implementation(call.function(), overloaded); });
}

bool taken(const Overloaded& overloaded) {
  return !overloaded.empty() || (!state().modes.empty() && !state().modes_off);
}

class FunctionCall : public Call {
 public:
  explicit FunctionCall(const BoundCall& call) : call_(call) {}
  nb::object function() const override { return nb::borrow(call_.object); }
  nb::tuple args() const override {
    nb::list list;
    const Py_ssize_t n = PyVectorcall_NARGS(call_.nargsf);
    const bool einsum = n == 2 && call_.function->name == "einsum";  // its operands in one sequence mean the same
    for (Py_ssize_t i = 0; i < n; ++i) {
      PyObject* arg = call_.args[i];
      if (einsum && i == 1 && (PyList_Check(arg) || PyTuple_Check(arg))) list.extend(nb::handle(arg));
      else list.append(nb::handle(arg));
    }
    return nb::tuple(list);
  }
  nb::object kwargs() const override {
    nb::dict d;
    const Py_ssize_t n = PyVectorcall_NARGS(call_.nargsf);
    for (Py_ssize_t i = n; i < call_.count(); ++i) d[nb::handle(PyTuple_GET_ITEM(call_.names, i - n))] = nb::handle(call_.args[i]);
    return d;
  }
  PyObject* run() const override { return call_.proceed(); }

 private:
  const BoundCall& call_;
};

/// An operator or an attribute: its own C slot is what __torch_function__'s function runs again.
class SlotCall : public Call {
 public:
  SlotCall(nb::object function, nb::tuple args, bool converts)
      : function_(std::move(function)), args_(std::move(args)), converts_(converts) {}
  nb::object function() const override { return function_; }
  nb::tuple args() const override { return args_; }
  nb::object kwargs() const override { return nb::dict(); }
  PyObject* run() const override { return PyObject_Call(function_.ptr(), args_.ptr(), nullptr); }
  bool converts() const override { return converts_; }

 private:
  nb::object function_;
  nb::tuple args_;
  bool converts_;
};

/// A function written in Python (see norch._torch_function): `public_function` is its name for the world.
class PythonCall : public Call {
 public:
  PythonCall(nb::object public_function, nb::object function, nb::tuple args, nb::dict kwargs)
      : public_(std::move(public_function)), function_(std::move(function)), args_(std::move(args)), kwargs_(std::move(kwargs)) {}
  nb::object function() const override { return public_; }
  nb::tuple args() const override { return args_; }
  nb::object kwargs() const override { return kwargs_; }
  PyObject* run() const override { return PyObject_Call(function_.ptr(), args_.ptr(), kwargs_.ptr()); }

 private:
  nb::object public_, function_;
  nb::tuple args_;
  nb::dict kwargs_;
};

/// Functions that take a tensor as it is, whatever its class: PyTorch's torch.overrides.get_ignored_functions.
constexpr const char* kIgnored[] = {
    "tensor", "as_tensor", "asarray", "from_numpy", "from_dlpack", "new", "_as_subclass", "_disabled_torch_function_impl",
    "__dlpack__", "__dlpack_device__", "manual_seed", "get_rng_state", "set_rng_state", "get_default_dtype",
    "set_default_dtype", "get_default_device", "set_default_device", "get_num_threads", "set_num_threads",
    "is_grad_enabled", "is_inference_mode_enabled"};

PyObject* overridden_call(const BoundCall& call) {
  Overloaded overloaded;
  for (Py_ssize_t i = 0; i < call.count(); ++i) overloaded.look_at(call.args[i]);
  if (!taken(overloaded)) return call.proceed();
  for (const char* name : kIgnored)
    if (call.function->name == name) return call.proceed();
  return guarded([&] { return dispatch(FunctionCall(call), overloaded); });
}

bool slot_call(std::initializer_list<PyObject*> args, PyObject*& result, const std::function<nb::object()>& function,
               bool converts = true) {
  Overloaded overloaded;
  for (PyObject* arg : args) overloaded.look_at(arg);
  if (!taken(overloaded)) return false;
  result = guarded([&] {
    nb::list list;
    for (PyObject* arg : args) list.append(nb::handle(arg));
    return dispatch(SlotCall(function(), nb::tuple(list), converts), overloaded);
  });
  return true;
}

}  // namespace

void turn_on() {
  if (g_on) return;
  g_name = PyUnicode_InternFromString("__torch_function__");
  g_default = _PyType_Lookup(tensor_type, g_name);
  g_disabled = _PyType_Lookup(parameter_type, g_name);
  g_on = true;
  set_detour(kOverrides, overridden_call);
  nb::module_::import_("norch._torch_function").attr("wrap_python_functions")();
}

void new_class(PyTypeObject* type) {
  if (g_on) return;
  const nb::object method = nb::borrow(nb::handle(reinterpret_cast<PyObject*>(type)).attr("__torch_function__"));
  if (!method.is(nb::handle(reinterpret_cast<PyObject*>(parameter_type)).attr("__torch_function__"))) turn_on();
}

bool call(const char* function, std::initializer_list<PyObject*> args, PyObject*& result) {
  return slot_call(args, result, [=] { return nb::steal(attribute_of_tensor(function)); });
}

bool call_binary(const char* function, const char* reversed, PyObject* a, PyObject* b, PyObject*& result) {
  const bool taken = is_tensor(a) || !is_tensor(b) ? call(function, {a, b}, result) : call(reversed, {b, a}, result);
  if (taken && !result && PyErr_ExceptionMatches(PyExc_TypeError)) {
    PyErr_Clear();
    result = Py_NotImplemented;  // Python's error names the operator, and the other operand's class is asked before
    Py_INCREF(result);
  }
  return taken;
}

bool call_getter(const char* attribute, PyObject* self, PyObject*& result) {
  const bool converts = std::strcmp(attribute, "grad") != 0 && std::strcmp(attribute, "_base") != 0;
  return slot_call(
      {self}, result, [=] { return nb::steal(attribute_of_tensor(attribute)).attr("__get__"); }, converts);
}

}  // namespace overrides

void bind_overrides(Binder& b) {
  using namespace overrides;
  b.in(
      b.root, "_disabled_torch_function_impl",
      [](nb::object func, nb::handle, nb::tuple args, std::optional<nb::dict> kwargs) {
        const Off off(state().off);
        PyObject* result = PyObject_Call(func.ptr(), args.ptr(), kwargs ? kwargs->ptr() : nullptr);
        if (!result) throw nb::python_error();
        return nb::steal(result);
      },
      "The __torch_function__ of classes whose results are plain tensors.", "func"_a, "types"_a, "args"_a = nb::tuple(),
      "kwargs"_a = nb::none());
  nb::module_ m = b.root.def_submodule("_overrides", "What norch.overrides is made of.");
  b.in(m, "turn_on", &turn_on, "From now on calls look for __torch_function__.");
  b.in(m, "is_on", &on, "Whether they do.");
  b.in(
      m, "overloaded",
      [](nb::handle args) {
        Overloaded overloaded;
        for (nb::handle arg : args) overloaded.look_at(arg.ptr());
        nb::list found;
        for (PyObject* arg : overloaded.args()) found.append(nb::handle(arg));
        return found;
      },
      "The arguments, and elements of sequences among them, whose classes have __torch_function__: one of each class.",
      "args"_a);
  b.in(
      m, "call",
      [](nb::object public_function, nb::object function, nb::tuple args, nb::dict kwargs) {
        Overloaded overloaded;
        for (nb::handle arg : args) overloaded.look_at(arg.ptr());
        for (nb::handle arg : kwargs.values()) overloaded.look_at(arg.ptr());
        const PythonCall call(public_function, function, args, kwargs);
        PyObject* result = taken(overloaded) ? dispatch(call, overloaded) : call.run();
        if (!result) throw nb::python_error();
        return nb::steal(result);
      },
      "Calls a function, or what overrides it.", "public"_a, "function"_a, "args"_a, "kwargs"_a);
  b.in(
      m, "convert",
      [](nb::object result, nb::handle type) {
        PyObject* converted = convert(result.release().ptr(), reinterpret_cast<PyTypeObject*>(type.ptr()));
        if (!converted) throw nb::python_error();
        return nb::steal(converted);
      },
      "Tensors, also in sequences, as instances of a class.", "result"_a.none(), "type"_a);
  b.in(
      m, "push_mode",
      [](nb::object mode) {
        turn_on();
        state().modes.push_back(std::move(mode));
      },
      "This thread's calls go to mode.__torch_function__ first.", "mode"_a);
  b.in(
      m, "pop_mode",
      [] {
        NORCH_CHECK(!state().modes.empty(), "no mode is entered");
        const nb::object mode = std::move(state().modes.back());
        state().modes.pop_back();
        return mode;
      },
      "Ends that for the mode that was entered last, and returns it.");
  b.in(m, "modes", [] { return state().modes.size(); }, "How many modes are entered.");
  b.in(
      m, "switch_off",
      [](bool modes_too, int by) {
        state().off += by;
        if (modes_too) state().modes_off += by;
      },
      "Counts up or down how often this thread has turned the protocol off.", "modes_too"_a, "by"_a);
}

}  // namespace norch::python
