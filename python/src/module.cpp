// The module norch._C.
#include <typeinfo>

#include "autocast.h"
#include "bind.h"
#include "bound_functions.h"
#include "compat.h"
#include "core/blocking.h"
#include "norch/version.h"
#include "overrides.h"
#include "profiler.h"
#include "sparse.h"

namespace norch::python {

PyObject* out_of_memory_error = nullptr;

namespace {

void* leave_python() { return PyGILState_Check() ? PyEval_SaveThread() : nullptr; }
void enter_python(void* state) { PyEval_RestoreThread(static_cast<PyThreadState*>(state)); }

}  // namespace
}  // namespace norch::python

NB_MODULE(_C, m) {
  using namespace norch::python;
  m.doc() = "The C++ part of norch.";
  m.attr("__version__") = norch::version();
  out_of_memory_error = PyErr_NewExceptionWithDoc("norch.OutOfMemoryError", "The device has no memory left.",
                                                  PyExc_RuntimeError, nullptr);
  m.attr("OutOfMemoryError") = nb::handle(out_of_memory_error);
  nb::register_exception_translator([](const std::exception_ptr& p, void*) {
    try {
      std::rethrow_exception(p);
    } catch (const norch::Error&) {
      set_python_error();
    } catch (const std::bad_cast&) {  // of a part of an argument, such as an element of a list
      PyErr_SetString(PyExc_TypeError, "an argument, or an element of one, has the wrong type");
    }
  });
  norch::set_blocking_hooks(leave_python, enter_python);

  bind_value_types(m);
  bind_tensor_type(m);
  Binder b(m);
  bind_autograd(b);
  bind_basic_ops(b);
  bind_norms(b);
  bind_reductions(b);
  bind_sorting(b);
  bind_unary_ops(b);
  bind_binary_ops(b);
  bind_factories(b);
  bind_matmul(b);
  bind_complex(b);
  bind_contract(b);
  bind_linalg(b);
  bind_fft(b);
  bind_conv(b);
  bind_pools(b);
  bind_cuda(b);
  bind_interop(b);
  bind_function(b);
  bind_storage(b);
  bind_optim(b);
  bind_autocast(b);
  bind_generator(b);
  bind_random_ops(b);
  bind_io(b);
  bind_view_ops(b);
  bind_indexing_ops(b);
  bind_loss_ops(b);
  bind_nn_ops(b);
  bind_special(b);
  bind_compat(b);
  bind_statistics(b);
  bind_sparse(b);
  bind_variants(b);
  set_bound_functions_root(m);
  bind_profiler(b);
  bind_overrides(b);
}
