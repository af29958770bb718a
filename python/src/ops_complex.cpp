// Complex numbers: their parts, and making them of parts.
#include "bind.h"
#include "norch/ops.h"

namespace norch::python {

void bind_complex(Binder& b) {
  b.function("view_as_real", &view_as_real,
             "view_as_real(input) -> Tensor\n\nThe memory of a complex tensor (...) as real numbers (..., 2).\n\n"
             ">>> norch.view_as_real(norch.tensor([1 + 2j]))\ntensor([[1., 2.]])",
             "input"_a);
  b.function("view_as_complex", &view_as_complex,
             "view_as_complex(input) -> Tensor\n\nThe memory of a float32 or float64 tensor (..., 2) as complex numbers "
             "(...).\n\n>>> norch.view_as_complex(norch.tensor([[1.0, 2.0]]))\ntensor([1.+2.j])",
             "input"_a);
  b.function("real", &norch::real,
             "real(input) -> Tensor\n\nThe real parts, a view; a real tensor itself.\n\n"
             ">>> norch.real(norch.tensor([1 + 2j]))\ntensor([1.])",
             "input"_a);
  b.function("imag", &norch::imag,
             "imag(input) -> Tensor\n\nThe imaginary parts of a complex tensor, a view.\n\n"
             ">>> norch.imag(norch.tensor([1 + 2j]))\ntensor([2.])",
             "input"_a);
  b.function("complex", &norch::complex,
             "complex(real, imag, *, out=None) -> Tensor\n\nreal + 1j * imag, of two float tensors of one dtype.\n\n"
             ">>> norch.complex(norch.tensor([1.0]), norch.tensor([2.0]))\ntensor([1.+2.j])",
             "real"_a, "imag"_a);
  b.function("polar", &polar,
             "polar(abs, angle, *, out=None) -> Tensor\n\nabs * (cos(angle) + 1j * sin(angle)).\n\n"
             ">>> norch.polar(norch.tensor([2.0]), norch.tensor([0.0]))\ntensor([2.+0.j])",
             "abs"_a, "angle"_a);
  b.op("conj", [](const Tensor& t) { return conj(t); },
       "conj(input) -> Tensor\n\nThe complex conjugate, computed at once; a real tensor itself.\n\n"
       ">>> norch.conj(norch.tensor([1 + 2j]))\ntensor([1.-2.j])",
       "input"_a);
  b.op("conj_physical", &conj_physical,
       "conj_physical(input, *, out=None) -> Tensor\n\nThe complex conjugate, a new tensor.\n\n"
       ">>> norch.conj_physical(norch.tensor([1 + 2j]))\ntensor([1.-2.j])",
       "input"_a);
  b.op("conj_physical_", &conj_physical_, "conj_physical_(input) -> Tensor\n\nConjugates in place.", "input"_a);
  b.op("angle", &angle,
       "angle(input, *, out=None) -> Tensor\n\nThe angle in radians; of a real number pi where negative, else 0.\n\n"
       ">>> norch.angle(norch.tensor([-1.0, 2.0]))\ntensor([3.1416, 0.0000])",
       "input"_a);
  b.op("sgn", &sgn,
       "sgn(input, *, out=None) -> Tensor\n\nx / |x|, and 0 of 0; sign() of a real tensor.\n\n"
       ">>> norch.sgn(norch.tensor([3 + 4j]))\ntensor([0.6000+0.8000j])",
       "input"_a);
  b.method("sgn_", &sgn_, "sgn_() -> Tensor\n\nThe same in place.");
  b.op("isreal", &isreal,
       "isreal(input) -> Tensor\n\nWhether each element has no imaginary part.\n\n"
       ">>> norch.isreal(norch.tensor([1 + 0j, 2j]))\ntensor([ True, False])",
       "input"_a);
  b.op(
      "is_complex", [](const Tensor& t) { return t.is_complex(); },
      "is_complex(input) -> bool\n\nWhether the dtype is complex.", "input"_a);
  // norch has no tensors that are to be conjugated or negated later: what PyTorch resolves is so already.
  for (const char* name : {"is_conj", "is_neg"})
    b.op(
        name, [](const Tensor&) { return false; }, "False: norch conjugates and negates at once.", "input"_a);
  for (const char* name : {"resolve_conj", "resolve_neg"})
    b.op(
        name, [](const Tensor& t) { return t; }, "The tensor itself: norch conjugates and negates at once.", "input"_a);
  b.method(
      "__complex__",
      [](const Tensor& t) {
        const auto z = t.item().to_complex();
        return nb::steal(PyComplex_FromDoubles(z.re, z.im));
      },
      "complex(t), of one element.");
}

}  // namespace norch::python
