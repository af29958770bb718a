#include "norch/ops/matmul.h"

#include "autograd/in_place.h"
#include "autograd/record.h"
#include "core/factory.h"
#include "norch/ops/binary.h"
#include "norch/ops/complex.h"
#include "norch/ops/copy.h"
#include "norch/ops/factory.h"
#include "norch/ops/reduce.h"
#include "norch/ops/view.h"
#include "ops/autocast.h"
#include "ops/dtype_views.h"
#include "ops/product.h"

namespace norch {

using autograd::Backward;
using autograd::InPlace;
using autograd::record;
using autograd::recording;
using autograd::save;
using autograd::SavedTensor;
using autograd::wants_grad;

namespace {

Tensor unsqueezed(const Tensor& t, size_t at) {
  Shape shape(t.sizes());
  shape.insert(at, 1);
  return reshape(t, shape);
}

void check_mm(const char* op, const Tensor& a, const Tensor& b) {
  NORCH_CHECK(a.dim() == 2, op, ": self must be a matrix, got a tensor of shape ", a.sizes());
  NORCH_CHECK(b.dim() == 2, op, ": mat2 must be a matrix, got a tensor of shape ", b.sizes());
  NORCH_CHECK(a.sizes()[1] == b.sizes()[0], op, ": mat1 and mat2 shapes cannot be multiplied (", a.sizes()[0], "x",
              a.sizes()[1], " and ", b.sizes()[0], "x", b.sizes()[1], ")");
  NORCH_CHECK(a.dtype() == b.dtype(), op, ": expected m1 and m2 to have the same dtype, but got: ",
              ctype_name(a.dtype()), " != ", ctype_name(b.dtype()));
  check_same_device(op, a, b);
}

void check_bmm(const char* op, const Tensor& a, const Tensor& b) {
  NORCH_CHECK(a.dim() == 3, op, ": batch1 must be a 3D tensor, got shape ", a.sizes());
  NORCH_CHECK(b.dim() == 3, op, ": batch2 must be a 3D tensor, got shape ", b.sizes());
  NORCH_CHECK(a.sizes()[0] == b.sizes()[0] && a.sizes()[2] == b.sizes()[1], op, ": Expected size for first two ",
              "dimensions of batch2 tensor to be: [", a.sizes()[0], ", ", a.sizes()[2], "] but got: [", b.sizes()[0],
              ", ", b.sizes()[1], "].");
  NORCH_CHECK(a.dtype() == b.dtype(), op, ": expected scalar type ", scalar_type_name(a.dtype()), " but found ",
              scalar_type_name(b.dtype()));
  check_same_device(op, a, b);
}

void check_mv(const char* op, const Tensor& a, const Tensor& v) {
  NORCH_CHECK(a.dim() == 2 && v.dim() == 1, op, ": vector + matrix @ vector expected, got 1, ", a.dim(), ", ",
              v.dim());
  NORCH_CHECK(a.sizes()[1] == v.sizes()[0], op, ": size mismatch, got input (", a.sizes()[0], "), mat (", a.sizes()[0],
              "x", a.sizes()[1], "), vec (", v.sizes()[0], ")");
  NORCH_CHECK(a.dtype() == v.dtype(), op, ": input tensors must have the same dtype, but got ",
              scalar_type_name(a.dtype()), " and ", scalar_type_name(v.dtype()));
  check_same_device(op, a, v);
}

/// What the forms with an input check of it.
void check_input(const char* op, const Tensor& input, const Tensor& a, Ints shape) {
  NORCH_CHECK(input.dtype() == a.dtype(), op, ": self and mat2 must have the same dtype, but got ",
              scalar_type_name(input.dtype()), " and ", scalar_type_name(a.dtype()));
  check_same_device(op, input, a);
  const int64_t extra = static_cast<int64_t>(shape.size()) - input.dim();
  bool fits = extra >= 0;
  for (int64_t d = 0; fits && d < input.dim(); ++d)
    fits = input.sizes()[d] == 1 || input.sizes()[d] == shape[d + extra];
  NORCH_CHECK(fits, op, ": The expanded size of the tensor must match the existing size. Target sizes: ", shape,
              ".  Tensor sizes: ", input.sizes());
}

/// A factor in the dtype of the products: integers cut off its fraction, as in PyTorch.
Scalar factor_of(const Scalar& factor, DType t) {
  return is_integral(t, true) && factor.is_floating_point() ? Scalar(static_cast<int64_t>(factor.to_double())) : factor;
}

/// beta * input + alpha * (a @ b) for operands of 2 or 3 dims.
Tensor add_product(const char* op, const char* node, const Tensor& input, const Tensor& a, const Tensor& b,
                   const Scalar& input_factor, const Scalar& product_factor) {
  const Scalar beta = factor_of(input_factor, a.dtype()), alpha = factor_of(product_factor, a.dtype());
  Shape shape(a.sizes());
  shape.back() = b.sizes().back();
  check_input(op, input, a, shape);
  Tensor out = new_tensor(shape, a.dtype(), a.device());
  if (!equals(beta, 0)) copy_into(out, input);
  if (!equals(alpha, 0))
    product_into(out, a, false, b, false, alpha, beta);
  else if (equals(beta, 0))  // as in BLAS, infinities and NaNs of what is multiplied by 0 don't count
    zero_(out);
  else if (!equals(beta, 1))
    mul_(out, Tensor::wrap(beta));
  if (recording(input, a, b)) {
    record(node, {input, a, b}, {out},
           [beta, alpha, a = wants_grad(b) ? save(a) : SavedTensor(),
            b = wants_grad(a) ? save(b) : SavedTensor()](Backward& ctx) {
             const Tensor& g = ctx.grad();
             if (ctx.needs(0)) ctx.set(0, equals(beta, 1) ? g : g * conj(beta));
             if (!ctx.needs(1) && !ctx.needs(2)) return;
             const Tensor scaled = equals(alpha, 1) ? g : g * conj(alpha);
             const char* name = g.dim() == 2 ? "MmBackward0" : "BmmBackward0";
             if (ctx.needs(1)) ctx.set(1, product(name, scaled, false, conj(ctx.get(b)), true));
             if (ctx.needs(2)) ctx.set(2, product(name, conj(ctx.get(a)), true, scaled, false));
           });
  }
  return out;
}

}  // namespace

Tensor mm(const Tensor& a, const Tensor& b) {
  NORCH_AUTOCAST(lower, mm, a, b);
  check_mm("mm", a, b);
  return product("MmBackward0", a, false, b, false);
}

Tensor bmm(const Tensor& a, const Tensor& b) {
  NORCH_AUTOCAST(lower, bmm, a, b);
  check_bmm("bmm", a, b);
  return product("BmmBackward0", a, false, b, false);
}

Tensor mv(const Tensor& a, const Tensor& v) {
  NORCH_AUTOCAST(lower_cuda, mv, a, v);
  check_mv("mv", a, v);
  return reshape(product("MvBackward0", a, false, unsqueezed(v, 1), false), {a.sizes()[0]});
}

Tensor dot(const Tensor& a, const Tensor& b) {
  NORCH_AUTOCAST(widest_cuda, dot, a, b);
  NORCH_CHECK(a.dim() == 1 && b.dim() == 1, "dot: 1D tensors expected, but got ", a.dim(), "D and ", b.dim(),
              "D tensors");
  NORCH_CHECK(a.numel() == b.numel(), "dot: inconsistent tensor size, expected tensor ", a.sizes(), " and src ",
              b.sizes(), " to have the same number of elements, but got ", a.numel(), " and ", b.numel(),
              " elements respectively");
  NORCH_CHECK(a.dtype() == b.dtype(), "dot : expected both vectors to have same dtype, but found ",
              scalar_type_name(a.dtype()), " and ", scalar_type_name(b.dtype()));
  check_same_device("dot", a, b);
  Tensor out = new_tensor({}, a.dtype(), a.device());
  product_into(out.dim() ? out : new_view(out.detach(), {1, 1}, {1, 1}, 0),
               new_view(a.detach(), {1, a.numel()}, {a.numel(), a.strides()[0]}, a.storage_offset()), false,
               new_view(b.detach(), {1, b.numel()}, {b.numel(), b.strides()[0]}, b.storage_offset()), true);
  if (recording(a, b)) {
    record("DotBackward0", {a, b}, {out}, [a = save(a), b = save(b)](Backward& ctx) {
      if (ctx.needs(0)) ctx.set(0, mul(ctx.grad(), conj(ctx.get(b))));
      if (ctx.needs(1)) ctx.set(1, mul(ctx.grad(), conj(ctx.get(a))));
    });
  }
  return out;
}

Tensor vdot(const Tensor& a, const Tensor& b) {
  NORCH_AUTOCAST(widest_cuda, vdot, a, b);
  return dot(conj(a), b);
}

Tensor matmul(const Tensor& a, const Tensor& b) {
  NORCH_AUTOCAST(lower, matmul, a, b);
  const size_t na = a.sizes().size(), nb = b.sizes().size();
  NORCH_CHECK(na > 0 && nb > 0, "matmul: both arguments to matmul need to be at least 1D, but they are ", na, "D and ",
              nb, "D");
  if (na == 2 && nb == 2) {
    check_mm("matmul", a, b);
    return product("MmBackward0", a, false, b, false);
  }
  if (na == 1 && nb == 1) return dot(a, b);
  if (na == 2 && nb == 1) return mv(a, b);
  const int64_t k = a.sizes()[na - 1];
  if (nb <= 2) {
    // A batch times one matrix or vector, or a vector times a matrix: the dims before the last are rows.
    int64_t rows = 1;
    for (size_t d = 0; d + 1 < na; ++d) rows *= a.sizes()[d];
    const bool vector = nb == 1;
    NORCH_CHECK(k == b.sizes()[0], "matmul: mat1 and mat2 shapes cannot be multiplied (", rows, "x", k, " and ",
                b.sizes()[0], "x", vector ? 1 : b.sizes()[1], ")");
    NORCH_CHECK(a.dtype() == b.dtype(), "matmul: expected m1 and m2 to have the same dtype, but got: ",
                ctype_name(a.dtype()), " != ", ctype_name(b.dtype()));
    check_same_device("matmul", a, b);
    if (!vector) return affine("UnsafeViewBackward0", a, b, false);
    return reshape(affine("MmBackward0", a, unsqueezed(b, 1), false), a.sizes().slice(0, na - 1));
  }
  const Ints sb = b.sizes();
  const Tensor left = na == 1 ? unsqueezed(a, 0) : a;
  Shape batch = broadcast_shapes(left.sizes().slice(0, left.sizes().size() - 2), sb.slice(0, nb - 2), "matmul");
  NORCH_CHECK(k == sb[nb - 2], "matmul: Expected size for first two dimensions of batch2 tensor to be: [",
              numel_of(batch), ", ", k, "] but got: [", numel_of(batch), ", ", sb[nb - 2], "].");
  NORCH_CHECK(a.dtype() == b.dtype(), "matmul: expected scalar type ", scalar_type_name(a.dtype()), " but found ",
              scalar_type_name(b.dtype()));
  check_same_device("matmul", a, b);
  const Tensor out = product("UnsafeViewBackward0", left, false, b, false);
  if (na > 1) return out;
  batch.push_back(sb[nb - 1]);
  return reshape(out, batch);
}

Tensor outer(const Tensor& a, const Tensor& b) {
  NORCH_CHECK(a.dim() == 1, "outer: Expected 1-D argument self, but got ", a.dim(), "-D");
  NORCH_CHECK(b.dim() == 1, "outer: Expected 1-D argument vec2, but got ", b.dim(), "-D");
  return mul(unsqueezed(a, 1), b);
}

Tensor addmm(const Tensor& input, const Tensor& mat1, const Tensor& mat2, const Scalar& beta, const Scalar& alpha) {
  NORCH_AUTOCAST(lower, addmm, input, mat1, mat2, beta, alpha);
  check_mm("addmm", mat1, mat2);
  if (input.dim() == 1 && input.sizes()[0] == mat2.sizes()[1] && input.dtype() == mat1.dtype() &&
      input.device() == mat1.device() && equals(beta, 1) && equals(alpha, 1))
    return affine("AddmmBackward0", mat1, mat2, false, input);
  return add_product("addmm", "AddmmBackward0", input, mat1, mat2, beta, alpha);
}

Tensor baddbmm(const Tensor& input, const Tensor& batch1, const Tensor& batch2, const Scalar& beta,
               const Scalar& alpha) {
  NORCH_AUTOCAST(lower, baddbmm, input, batch1, batch2, beta, alpha);
  check_bmm("baddbmm", batch1, batch2);
  return add_product("baddbmm", "BaddbmmBackward0", input, batch1, batch2, beta, alpha);
}

Tensor addbmm(const Tensor& input, const Tensor& batch1, const Tensor& batch2, const Scalar& beta,
              const Scalar& alpha) {
  NORCH_AUTOCAST(lower, addbmm, input, batch1, batch2, beta, alpha);
  check_bmm("addbmm", batch1, batch2);
  // The sum over the batch is one product over batch and k together.
  const int64_t b = batch1.sizes()[0], m = batch1.sizes()[1], k = batch1.sizes()[2], n = batch2.sizes()[2];
  return add_product("addbmm", "AddmmBackward0", input, reshape(transpose(batch1, 0, 1), {m, b * k}),
                     reshape(batch2, {b * k, n}), beta, alpha);
}

Tensor addmv(const Tensor& input, const Tensor& mat, const Tensor& vec, const Scalar& beta, const Scalar& alpha) {
  NORCH_AUTOCAST(lower_cuda, addmv, input, mat, vec, beta, alpha);
  check_mv("addmv", mat, vec);
  check_input("addmv", input, mat, {mat.sizes()[0]});
  const Tensor column = input.dim() == 0 ? input : unsqueezed(input, 1);
  return reshape(add_product("addmv", "AddmvBackward0", column, mat, unsqueezed(vec, 1), beta, alpha),
                 {mat.sizes()[0]});
}

Tensor addr(const Tensor& input, const Tensor& vec1, const Tensor& vec2, const Scalar& beta, const Scalar& alpha) {
  NORCH_AUTOCAST(lower_cuda, addr, input, vec1, vec2, beta, alpha);
  NORCH_CHECK(vec1.dim() == 1 && vec2.dim() == 1, "addr: Expected 1-D argument vec1 and vec2, but got ", vec1.dim(),
              "-D and ", vec2.dim(), "-D");
  const bool scaled = !equals(alpha, 1) && is_differentiable(vec1.dtype()) && is_differentiable(vec2.dtype());
  Tensor out = outer(scaled ? mul(vec1, Tensor::wrap(alpha)) : vec1, vec2);
  const Shape shape = broadcast_shapes(input.sizes(), out.sizes(), "addr");
  NORCH_CHECK(shape == out.sizes(), "addr: The expanded size of the tensor must match the existing size. Target sizes: ",
              out.sizes(), ".  Tensor sizes: ", input.sizes());
  for (const Scalar& factor : {beta, alpha})
    NORCH_CHECK(is_differentiable(out.dtype()) || !factor.is_floating_point(), "addr: For integral input tensors, argument "
                "beta and alpha must not be a floating point number.");
  const bool logical = out.dtype() == DType::Bool;
  auto scalar = [&](const Scalar& v) { return Tensor::wrap(logical ? Scalar(v.to_bool()) : v); };
  if (!scaled && !equals(alpha, 1)) out = mul(out, scalar(alpha));
  if (equals(beta, 0)) return out;
  return add(out, equals(beta, 1) ? input : mul(input, scalar(beta)));
}

#define NORCH_IN_PLACE(name, x, y)                                                                                    \
  Tensor name##_(const Tensor& self, const Tensor& x, const Tensor& y, const Scalar& beta, const Scalar& alpha) {     \
    InPlace write(#name "_", self);                                                                                   \
    return write.finish(name(write.input(), x, y, beta, alpha));                                                      \
  }
NORCH_IN_PLACE(addmm, mat1, mat2)
NORCH_IN_PLACE(addmv, mat, vec)
NORCH_IN_PLACE(addr, vec1, vec2)
NORCH_IN_PLACE(baddbmm, batch1, batch2)
NORCH_IN_PLACE(addbmm, batch1, batch2)
#undef NORCH_IN_PLACE

}  // namespace norch
