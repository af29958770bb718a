#include "ops/product.h"

#include "autograd/record.h"
#include "core/factory.h"
#include "kernels/complex.h"
#include "norch/ops/complex.h"
#include "norch/ops/copy.h"
#include "norch/ops/view.h"
#include "ops/dtype_views.h"

namespace norch {

using autograd::Backward;
using autograd::record;
using autograd::recording;
using autograd::save;
using autograd::SavedTensor;
using autograd::wants_grad;
using kernels::Gemm;
using kernels::MatrixRef;

const char* ctype_name(DType t) {
  constexpr const char* names[kNumDTypes] = {"bool", "unsigned char", "unsigned short", "unsigned int", "unsigned long",
                                             "signed char", "short int", "int", "long int", "c10::Half",
                                             "c10::BFloat16", "float", "double", "c10::complex<float>",
                                             "c10::complex<double>"};
  return names[static_cast<int>(t)];
}

const char* scalar_type_name(DType t) {
  constexpr const char* names[kNumDTypes] = {"Bool", "Byte", "UInt16", "UInt32", "UInt64", "Char", "Short", "Int",
                                             "Long", "Half", "BFloat16", "Float", "Double", "ComplexFloat",
                                             "ComplexDouble"};
  return names[static_cast<int>(t)];
}

void check_same_device(const char* op, const Tensor& a, const Tensor& b) {
  NORCH_CHECK(a.device() == b.device(), op, ": Expected all tensors to be on the same device, but found at least two ",
              "devices, ", a.device(), " and ", b.device(), "; move one with .to(device)");
}

namespace {

/// The matrices of `t` over the broadcast batch dims `batch`. False if they don't lie at one distance.
bool reference(const Tensor& t, bool transposed, Ints batch, MatrixRef& ref) {
  const TensorImpl& x = *t.impl();
  const size_t n = x.sizes.size();
  ref.data = x.data();
  ref.row = x.strides[n - 2];
  ref.col = x.strides[n - 1];
  ref.batch = 0;
  const int64_t rows = x.sizes[n - 2], cols = x.sizes[n - 1];
  if (!kernels::blas_friendly(ref, rows, cols)) return false;
  if (transposed) std::swap(ref.row, ref.col);
  int64_t count = 1;
  for (size_t i = 0; i < batch.size(); ++i) {
    const size_t d = batch.size() - 1 - i;
    if (batch[d] == 1) continue;
    const bool own = i + 2 < n && x.sizes[n - 3 - i] != 1;
    const int64_t stride = own ? x.strides[n - 3 - i] : 0;
    if (count == 1)
      ref.batch = stride;
    else if (stride != ref.batch * count)
      return false;
    count *= batch[d];
  }
  return true;
}

/// As above; what doesn't lie well is copied, and `t` becomes the copy.
MatrixRef laid_out(Tensor& t, bool transposed, Ints batch) {
  MatrixRef ref;
  if (reference(t, transposed, batch, ref)) return ref;
  Tensor copy = new_tensor(t.sizes(), t.dtype(), t.device());
  copy_into(copy, t);
  t = copy;
  if (reference(t, transposed, batch, ref)) return ref;
  // Broadcast in the midst of the batch dims.
  Shape full(batch);
  full.push_back(t.size(-2));
  full.push_back(t.size(-1));
  copy = new_tensor(full, t.dtype(), t.device());
  copy_into(copy, t);
  t = copy;
  reference(t, transposed, batch, ref);
  return ref;
}

void multiply(Device device, const Gemm& g) {
  if (is_complex(g.dtype))
    kernels::gemm_complex(device, g);
  else
    kernels::gemm(device, g);
}

void run(const Tensor& out, Tensor a, bool trans_a, Tensor b, bool trans_b, const Scalar& alpha, const Scalar& beta) {
  if (is_wide_unsigned(out.dtype())) {
    const Tensor wide = out.to(DType::Int64);
    run(wide, a.to(DType::Int64), trans_a, b.to(DType::Int64), trans_b, alpha, beta);
    return copy_into(out, wide);
  }
  const bool wide = out.dtype() != a.dtype();
  if (wide && out.is_cpu()) return run(out, a.to(out.dtype()), trans_a, b.to(out.dtype()), trans_b, alpha, beta);
  const size_t n = out.sizes().size();
  const Ints batch = out.sizes().slice(0, n - 2);
  Gemm g;
  g.dtype = a.dtype();
  g.wide_c = wide;
  g.m = out.sizes()[n - 2];
  g.n = out.sizes()[n - 1];
  g.k = a.size(trans_a ? -2 : -1);
  for (int64_t size : batch) g.batch *= size;
  g.a = laid_out(a, trans_a, batch);
  g.b = laid_out(b, trans_b, batch);
  g.c = out.data_ptr();
  g.c_row = g.n;
  g.c_batch = g.m * g.n;
  g.alpha = alpha;
  g.beta = beta;
  multiply(out.device(), g);
}

/// Rows of x, all dims but the last taken together: as they lie where they follow one another at one distance,
/// otherwise x is copied.
MatrixRef rows_of(Tensor& x, int64_t rows) {
  const TensorImpl& t = *x.impl();
  const size_t n = t.sizes.size();
  MatrixRef ref{t.data(), t.sizes[n - 1], t.strides[n - 1], 0};
  bool even = true;
  if (!t.contiguous) {
    int64_t count = 1;
    for (size_t d = n - 1; d-- > 0;) {
      if (t.sizes[d] == 1) continue;
      if (count == 1)
        ref.row = t.strides[d];
      else
        even &= t.strides[d] == ref.row * count;
      count *= t.sizes[d];
    }
  }
  if (even && kernels::blas_friendly(ref, rows, t.sizes[n - 1])) return ref;
  const Tensor copy = new_tensor(x.sizes(), x.dtype(), x.device());
  copy_into(copy, x);
  x = copy;
  return {x.data_ptr(), x.sizes().back(), 1, 0};
}

/// The rows of t as a matrix.
Tensor flat(const Tensor& t) {
  if (t.dim() == 2) return t;
  int64_t rows = 1;
  for (int64_t size : t.sizes().slice(0, t.sizes().size() - 1)) rows *= size;
  return reshape(t, {rows, t.sizes().back()});
}

}  // namespace

void product_into(const Tensor& out, const Tensor& a, bool trans_a, const Tensor& b, bool trans_b, const Scalar& alpha,
                  const Scalar& beta) {
  run(out, a, trans_a, b, trans_b, alpha, beta);
}

Tensor product(const char* name, const Tensor& a, bool trans_a, const Tensor& b, bool trans_b, std::optional<DType> dtype) {
  const Ints sa = a.sizes(), sb = b.sizes();
  const size_t na = sa.size(), nb = sb.size();
  Shape shape;
  if (na > 2 || nb > 2) {
    const Ints batch_a = sa.slice(0, na - 2), batch_b = sb.slice(0, nb - 2);
    shape = batch_a == batch_b ? Shape(batch_a) : broadcast_shapes(batch_a, batch_b, "matmul");
  }
  shape.push_back(sa[trans_a ? na - 1 : na - 2]);
  shape.push_back(sb[trans_b ? nb - 2 : nb - 1]);
  Tensor out = new_tensor(shape, dtype.value_or(a.dtype()), a.device());
  run(out, a, trans_a, b, trans_b, 1, 0);
  if (recording(a, b)) {
    record(name, {a, b}, {out},
           [name, trans_a, trans_b, a = wants_grad(b) ? save(a) : SavedTensor(),
            b = wants_grad(a) ? save(b) : SavedTensor()](Backward& ctx) {
             const Tensor& g = ctx.grad();
             if (ctx.needs(0)) {
               const Tensor y = conj(ctx.get(b));
               const DType type = ctx.best_dtype(0);
               ctx.set(0, trans_a ? product(name, y, trans_b, g, true, type) : product(name, g, false, y, !trans_b, type));
             }
             if (ctx.needs(1)) {
               const Tensor x = conj(ctx.get(a));
               const DType type = ctx.best_dtype(1);
               ctx.set(1, trans_b ? product(name, g, true, x, trans_a, type) : product(name, x, !trans_a, g, false, type));
             }
           });
  }
  return out;
}

Tensor affine(const char* name, const Tensor& x, const Tensor& w, bool trans_w, const Tensor& bias) {
  const int64_t n = w.sizes()[trans_w ? 0 : 1], k = x.sizes().back();
  Shape shape(x.sizes());
  shape.back() = n;
  Tensor out = new_tensor(shape, x.dtype(), x.device());
  if (is_wide_unsigned(x.dtype())) {
    const Tensor wide = affine(name, x.to(DType::Int64), w.to(DType::Int64), trans_w,
                               bias.defined() ? bias.to(DType::Int64) : bias);
    return wide.to(x.dtype());
  }
  if (out.numel() > 0) {
    Tensor left = x, right = w, added = bias;
    Gemm g;
    g.dtype = x.dtype();
    g.m = out.numel() / n;
    g.n = n;
    g.k = k;
    g.a = rows_of(left, g.m);
    g.b = laid_out(right, trans_w, {});
    g.c = out.data_ptr();
    g.c_row = n;
    if (bias.defined()) {
      if (!bias.is_contiguous()) added = bias.detach().contiguous();
      g.bias = added.data_ptr();
    }
    multiply(out.device(), g);
  }
  if (recording(x, w, bias)) {
    record(name, {x, w, bias}, {out},
           [name, trans_w, x = wants_grad(w) ? save(x) : SavedTensor(),
            w = wants_grad(x) ? save(w) : SavedTensor()](Backward& ctx) {
             const Tensor& g = ctx.grad();
             if (ctx.needs(0)) ctx.set(0, affine(name, g, conj(ctx.get(w)), !trans_w));
             if (ctx.needs(1)) {
               const Tensor rows = flat(conj(ctx.get(x))), grads = flat(g);
               const DType type = ctx.best_dtype(1);
               ctx.set(1, trans_w ? product(name, grads, true, rows, false, type)
                                  : product(name, rows, true, grads, false, type));
             }
             if (ctx.needs(2)) ctx.set(2, g);
           });
    out.impl()->grad_fn->outputs[0].takes_row_sums = wants_grad(bias);
  }
  return out;
}

}  // namespace norch
