#include "ops/elementwise.h"

#include <algorithm>
#include <cstring>

#include "core/factory.h"
#include "norch/autograd.h"
#include "norch/ops/copy.h"

namespace norch {

namespace {

int category(DType t) { return t == DType::Bool ? 0 : is_integral(t) ? 1 : is_complex(t) ? 3 : 2; }
/// 0 for a number, 1 for a 0-d tensor, 2 for a tensor with dims.
int rank(const Tensor& t) { return t.is_wrapped_number() ? 0 : t.dim() == 0 ? 1 : 2; }
/// The dtype with which a tensor enters promotion: a Python float or complex number is of the default dtype, whatever
/// holds it.
DType entering_type(const Tensor& t) {
  if (!t.is_wrapped_number() || is_integral(t.dtype(), true)) return t.dtype();
  return t.is_complex() ? to_complex(default_dtype()) : default_dtype();
}
/// The type of operands of rank above those of `low`'s, which is `high`: only a higher category changes it, and a complex
/// number takes over the width of a float.
DType outrank(DType high, DType low) {
  if (category(low) <= category(high)) return high;
  return is_complex(low) && is_floating_point(high) ? to_complex(high) : low;
}

bool is_cpu_number(const Tensor& t) { return t.dim() == 0 && t.is_cpu(); }

/// The type in which input number i enters the kernel if it is a number.
DType number_type(int i, DType compute, uint32_t wide) {
  return (wide >> i) & 1 && is_floating_point(compute) && itemsize(compute) == 2 ? DType::Float32 : compute;
}

/// Whether dim `a` of a result should lie outside of dim `b`, +1, or inside, -1: what the first input says that has both
/// (a broadcast dim says nothing; equal strides do as far as the sizes differ). 0 where none says.
int order_of_dims(TensorRefs inputs, Ints shape, size_t a, size_t b) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Tensor& t = inputs[i];
    const size_t lead = shape.size() - static_cast<size_t>(t.dim());
    if (a < lead || b < lead) continue;
    const auto stride = [&](size_t d) { return t.sizes()[d - lead] == shape[d] ? t.strides()[d - lead] : 0; };
    const int64_t sa = stride(a), sb = stride(b);
    if (sa == 0 || sb == 0) continue;
    if (sa != sb) return sa > sb ? 1 : -1;
    if (shape[a] > shape[b]) return 1;
  }
  return 0;
}

/// The strides of a new result: dense, in the order of the inputs' dims in memory (a transposed matrix, channels last), the
/// first input before the others, so that it is written and read in memory order, and lies as PyTorch's. Empty: row-major.
Shape preserved_strides(TensorRefs inputs, Ints shape) {
  bool alike = true;
  for (size_t i = 0; i < inputs.size(); ++i)
    alike &= inputs[i].sizes() == shape && inputs[i].strides() == inputs[0].strides();
  if (alike && is_dense(shape, inputs[0].strides())) return Shape(inputs[0].strides());
  const size_t n = shape.size();
  Shape order;  // dims from the innermost outwards, sorted by insertion: not all pairs can be compared
  for (size_t d = n; d-- > 0;) order.push_back(static_cast<int64_t>(d));
  bool row_major = true;
  for (size_t i = 1; i < n; ++i) {
    size_t at = i;
    for (size_t below = i; below-- > 0;) {
      const int compared = order_of_dims(inputs, shape, static_cast<size_t>(order[below]), static_cast<size_t>(order[at]));
      if (compared < 0) break;
      if (compared == 0) continue;
      std::swap(order[below], order[at]);
      at = below;
      row_major = false;
    }
  }
  if (row_major) return {};
  Shape strides(n, 0);
  int64_t step = 1;
  for (int64_t d : order) {
    strides[static_cast<size_t>(d)] = step;
    step *= std::max<int64_t>(shape[static_cast<size_t>(d)], 1);
  }
  return strides;
}

struct Extent {
  const char* begin;
  const char* end;
};
Extent extent(const Tensor& t) {
  int64_t last = 0;
  for (int64_t d = 0; d < t.dim(); ++d) last += (t.sizes()[d] - 1) * t.strides()[d];
  const char* p = static_cast<const char*>(t.data_ptr());
  return {p, p + (last + 1) * static_cast<int64_t>(t.itemsize())};
}

/// Whether writing element i of `out` may change element j != i of `in`.
bool overlaps(const Tensor& out, const Tensor& in) {
  if (!(out.storage() == in.storage()) || out.numel() == 0 || in.numel() == 0) return false;
  if (out.data_ptr() == in.data_ptr() && out.sizes() == in.sizes() && out.strides() == in.strides() &&
      out.itemsize() == in.itemsize())
    return false;
  const Extent a = extent(out), b = extent(in);
  return a.begin < b.end && b.begin < a.end;
}

}  // namespace

DType result_type(const Tensor& a, const Tensor& b) {
  const DType x = entering_type(a), y = entering_type(b);
  if (x == y) return x;
  const int ra = rank(a), rb = rank(b);
  if (ra == rb) return promote_types(x, y);
  const DType high = ra > rb ? x : y, low = ra > rb ? y : x;
  return outrank(high, low);
}

DType result_type(TensorRefs operands) {
  bool seen[3] = {};
  DType types[3] = {};
  for (size_t i = 0; i < operands.size(); ++i) {
    const int r = rank(operands[i]);
    const DType t = entering_type(operands[i]);
    types[r] = seen[r] ? promote_types(types[r], t) : t;
    seen[r] = true;
  }
  int best = 2;
  while (!seen[best]) --best;
  DType out = types[best];
  for (int r = best - 1; r >= 0; --r)
    if (seen[r]) out = outrank(out, types[r]);
  return out;
}

Device common_device(const char* op, TensorRefs operands) {
  Device device = operands[0].device();
  bool fixed = !is_cpu_number(operands[0]);
  for (size_t i = 1; i < operands.size(); ++i) {
    const Tensor& t = operands[i];
    if (t.device() == device || is_cpu_number(t)) {
      fixed |= !is_cpu_number(t);
      continue;
    }
    if (fixed)
      NORCH_RAISE(Error, op, ": Expected all tensors to be on the same device, but found at least two devices, ", device,
                  " and ", t.device(), "; move one with .to(device)");
    device = t.device();
    fixed = true;
  }
  return device;
}

/// The common case, without the general one's searching: contiguous inputs of one shape in the type of computation, and
/// numbers. False if it is another.
bool Elementwise::plan_plain(TensorRefs inputs, DType compute, DType result, const Tensor& out, int as_it_is,
                             uint32_t wide) {
  const TensorImpl* model = nullptr;
  const int n = static_cast<int>(inputs.size());
  for (int i = 0; i < n; ++i) {
    if (is_cpu_number(inputs[i])) continue;
    const TensorImpl& t = *inputs[i].impl();
    if (!t.contiguous || (t.dtype != compute && i != as_it_is)) return false;
    if (!model)
      model = &t;
    else if (t.sizes != model->sizes || t.device != model->device)
      return false;
  }
  if (!model || model->numel == 0) return false;
  if (out.defined()) {
    const TensorImpl& o = *out.impl();
    if (!o.contiguous || o.dtype != result || o.device != model->device || o.sizes != model->sizes) return false;
    for (int i = 0; i < n; ++i)
      if (inputs[i].storage() == o.storage && (inputs[i].data_ptr() != o.data() || inputs[i].numel() != o.numel ||
                                               inputs[i].itemsize() != norch::itemsize(o.dtype)))
        return false;
    result_ = out;
  } else {
    const size_t bytes = static_cast<size_t>(model->numel) * itemsize(result);
    result_ = Tensor(Ref<TensorImpl>(
        new TensorImpl(Storage::allocate(bytes, model->device), model->sizes, model->strides, 0, result)));
  }
  device = model->device;
  plan.ndim = 1;
  plan.operands = n + 1;
  plan.numel = plan.shape[0] = model->numel;
  plan.data[0] = result_.impl()->data();
  plan.dtype[0] = result;
  plan.strides[0][0] = plan.itemsize(0);
  for (int i = 0; i < n; ++i) {
    const TensorImpl& t = *inputs[i].impl();
    plan.data[i + 1] = t.data();
    plan.dtype[i + 1] = t.dtype;
    const bool number = is_cpu_number(inputs[i]);
    plan.strides[i + 1][0] = number ? 0 : plan.itemsize(i + 1);
    if (!number) continue;
    if (device.is_cuda()) plan.immediates |= 1u << (i + 1);
    use_number(i, inputs[i], i == as_it_is ? t.dtype : number_type(i, compute, wide));
  }
  return true;
}

/// Lets the plan point to a few bytes with the number, converted: the tensor that holds it may be gone by then.
void Elementwise::use_number(int input, const Tensor& number, DType type) {
  if (number.dtype() == type)
    std::memcpy(numbers_[input], number.data_ptr(), itemsize(type));
  else
    scalar_to_bytes(scalar_from_bytes(number.data_ptr(), number.dtype()), type, numbers_[input]);
  plan.data[input + 1] = numbers_[input];
  plan.dtype[input + 1] = type;
}

Elementwise::Elementwise(const char* op, TensorRefs inputs, DType compute, DType result, const Tensor& out,
                         int as_it_is, uint32_t wide) {
  if (plan_plain(inputs, compute, result, out, as_it_is, wide)) return;
  device = common_device(op, inputs);
  const Tensor& first = inputs[0];
  Shape broadcast;
  Ints shape = first.sizes();
  bool contiguous = first.is_contiguous();
  for (size_t i = 1; i < inputs.size(); ++i) {
    const Tensor& t = inputs[i];
    if (t.dim() == 0) continue;
    contiguous &= t.is_contiguous();
    if (t.sizes() == shape) continue;
    broadcast = broadcast_shapes(shape, t.sizes(), op);
    shape = broadcast;
  }
  if (out.defined()) {
    use_output(op, inputs, shape, result, out);
  } else {
    const Shape strides = contiguous ? Shape() : preserved_strides(inputs, shape);
    result_ = strides.empty() ? new_tensor(shape, result, device) : new_strided(shape, strides, result, device);
  }
  cast_inputs(inputs, compute, as_it_is);
  const Tensor* used[kMaxInputs];
  for (size_t i = 0; i < inputs.size(); ++i) used[i] = held_[i].defined() ? &held_[i] : &inputs[i];
  switch (inputs.size()) {
    case 1: plan = make_plan({result_}, {*used[0]}); break;
    case 2: plan = make_plan({result_}, {*used[0], *used[1]}); break;
    default: plan = make_plan({result_}, {*used[0], *used[1], *used[2]}); break;
  }
  for (int i = 0; i < static_cast<int>(inputs.size()); ++i)
    if (is_cpu_number(*used[i]))
      use_number(i, *used[i], i == as_it_is ? plan.dtype[i + 1] : number_type(i, compute, wide));
}

void Elementwise::use_output(const char* op, TensorRefs inputs, Ints shape, DType result, const Tensor& out) {
  NORCH_CHECK(shape == out.sizes(), op, ": output with shape ", out.sizes(), " doesn't match the broadcast shape ",
              shape);
  NORCH_CHECK(can_cast(result, out.dtype()), op, ": result type ", result,
              " can't be cast to the desired output type ", out.dtype());
  NORCH_CHECK(out.device() == device, op, ": Expected all tensors to be on the same device, but the output is on ",
              out.device(), " and the operands are on ", device);
  if (out.dtype() != result) {
    out_ = out;
    result_ = new_tensor(shape, result, device);
    return;
  }
  result_ = out;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!overlaps(out, inputs[i])) continue;
    NORCH_CHECK(!out.is_contiguous() || !inputs[i].is_contiguous(), op,
                ": unsupported operation: some elements of the input tensor and the written-to tensor refer to a single "
                "memory location. Please clone() the tensor before performing the operation.");
    autograd::NoGrad off;
    held_[i] = inputs[i].clone();
  }
}

void Elementwise::cast_inputs(TensorRefs inputs, DType compute, int as_it_is) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Tensor& t = held_[i].defined() ? held_[i] : inputs[i];
    const DType type = static_cast<int>(i) == as_it_is ? t.dtype() : compute;
    if (is_cpu_number(t) || (t.dtype() == type && t.device() == device)) continue;
    autograd::NoGrad off;
    held_[i] = t.to(device, type);
  }
}

Tensor Elementwise::finish() {
  if (!out_.defined()) return std::move(result_);
  copy_into(out_, result_);
  return std::move(out_);
}

}  // namespace norch
