// Binder: one row makes a function and a method.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "casters.h"

namespace norch::python {

using namespace nb::literals;

/// Where binding rows go.
///
///   b.op("exp", &norch::exp, "exp(input) -> Tensor\n\nExponential ...", "input"_a);
///
/// makes norch.exp(input) and Tensor.exp(). Rows that name an argument `dim` (or `keepdim`) also take NumPy's `axis`
/// (`keepdims`).
class Binder {
 public:
  explicit Binder(nb::module_ m)
      : root(m),
        nn(m.def_submodule("_nn", "Functions that PyTorch has in nn.functional only.")),
        tensor(nb::handle(reinterpret_cast<PyObject*>(tensor_type))) {}

  /// Module function and Tensor method. The first extra is the annotation of the tensor itself.
  template <class F, class First, class... Extra>
  void op(const char* name, F&& f, const char* doc, const First& first, const Extra&... extra) {
    function(name, f, doc, first, extra...);
    method(name, f, doc, extra...);
  }
  /// Function of module norch.
  template <class F, class... Extra>
  void function(const char* name, F&& f, const char* doc, const Extra&... extra) {
    in(root, name, f, doc, extra...);
  }
  /// Function of norch.nn.functional.
  template <class F, class... Extra>
  void functional(const char* name, F&& f, const char* doc, const Extra&... extra) {
    in(nn, name, f, doc, extra...);
  }
  /// Function of any submodule or class.
  template <class F, class... Extra>
  void in(nb::handle scope, const char* name, F&& f, const char* doc, const Extra&... extra) {
    const std::string text = documented(scope, name, doc);
    for (unsigned names : spellings((renames(extra) | ... | 0u)))
      nb::cpp_function_def(f, nb::scope(scope), nb::name(name), names ? kNumpyNames : text.c_str(),
                           alias(extra, names)...);
  }
  /// Tensor method; `extra` leaves the tensor itself out.
  template <class F, class... Extra>
  void method(const char* name, F&& f, const char* doc, const Extra&... extra) {
    const std::string text = documented(tensor, name, doc);
    for (unsigned names : spellings((renames(extra) | ... | 0u)))
      nb::cpp_function_def(f, nb::scope(tensor), nb::name(name), nb::is_method(), names ? kNumpyNames : text.c_str(),
                           alias(extra, names)...);
  }
  /// Another name for something already bound, in the module and on Tensor where it exists there.
  void same(const char* alias_name, const char* existing) {
    if (nb::hasattr(root, existing)) root.attr(alias_name) = root.attr(existing);
    if (nb::hasattr(tensor, existing)) tensor.attr(alias_name) = tensor.attr(existing);
  }

  nb::module_ root;
  nb::module_ nn;
  nb::handle tensor;

  /// The doc string with the example that examples.inc has for the function, if there is one.
  static std::string documented(nb::handle scope, const char* name, const char* doc);

 private:
  // NumPy's names, a bit each. A call may mix them with PyTorch's, so each mixture is an overload, after the one without
  // any. (All come from one loop: what binds a row is compiled where it stands, and takes long to.)
  static constexpr unsigned kAxis = 1, kKeepdims = 2;
  static constexpr const char* kNumpyNames = "With NumPy's names axis and keepdims.";
  static std::vector<unsigned> spellings(unsigned there) {
    if (there == (kAxis | kKeepdims)) return {0, kAxis | kKeepdims, kKeepdims, kAxis};
    return there ? std::vector<unsigned>{0, there} : std::vector<unsigned>{0};
  }
  template <class X>
  static unsigned renames(const X& x) {
    if constexpr (nb::detail::arg_traits<X>::is_arg)
      if (x.name_) return std::strcmp(x.name_, "dim") == 0 ? kAxis : std::strcmp(x.name_, "keepdim") == 0 ? kKeepdims : 0;
    return 0;
  }
  template <class X>
  static X alias(const X& x, unsigned names) {
    X y = x;
    if constexpr (nb::detail::arg_traits<X>::is_arg)
      if (const unsigned bit = renames(x) & names) y.name_ = bit == kAxis ? "axis" : "keepdims";
    return y;
  }
};

// One function per file of rows. The types come first: rows need them.
void bind_tensor_type(nb::module_& m);
void bind_value_types(nb::module_& m);
void bind_autograd(Binder& b);
void bind_basic_ops(Binder& b);
void bind_norms(Binder& b);
void bind_reductions(Binder& b);
void bind_sorting(Binder& b);
void bind_unary_ops(Binder& b);
void bind_binary_ops(Binder& b);
void bind_factories(Binder& b);
void bind_matmul(Binder& b);
void bind_complex(Binder& b);
void bind_contract(Binder& b);
void bind_linalg(Binder& b);
void bind_fft(Binder& b);
void bind_conv(Binder& b);
void bind_pools(Binder& b);
void bind_cuda(Binder& b);
void bind_interop(Binder& b);
void bind_function(Binder& b);
void bind_storage(Binder& b);
void bind_optim(Binder& b);
void bind_generator(Binder& b);
void bind_random_ops(Binder& b);
void bind_io(Binder& b);
void bind_loss_ops(Binder& b);
void bind_nn_ops(Binder& b);
void bind_special(Binder& b);
void bind_statistics(Binder& b);
/// After all rows: out=, in-place forms, aliases.
void bind_variants(Binder& b);

void bind_view_ops(Binder& b);
void bind_indexing_ops(Binder& b);

/// t[key] and t[key] = value.
Tensor getitem(const Tensor& t, nb::handle key);
void setitem(const Tensor& t, nb::handle key, nb::handle value);
/// Shows the garbage collector what the tensor's hooks refer to.
int visit_hooks(const Tensor& t, visitproc visit, void* arg);
/// The buffer protocol of the Tensor type.
int get_buffer(PyObject* self, Py_buffer* view, int flags);
void release_buffer(PyObject* self, Py_buffer* view);
/// Number protocol, comparisons and subscripts of the Tensor type: slots for PyType_Spec, ended by {0, nullptr}.
extern PyType_Slot number_slots[];

}  // namespace norch::python
