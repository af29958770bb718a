#include "norch/index.h"

#include <algorithm>

#include "autograd/in_place.h"
#include "autograd/record.h"
#include "core/factory.h"
#include "norch/ops/binary.h"
#include "norch/ops/copy.h"
#include "norch/ops/factory.h"
#include "norch/ops/slice.h"
#include "norch/ops/ternary.h"
#include "norch/ops/view.h"
#include "ops/autocast.h"
#include "ops/index_ops.h"

namespace norch {

using autograd::InPlace;
using autograd::recording;
using kernels::ScatterOp;
using Kind = TensorIndex::Kind;

namespace {

/// The view that ints, slices, None and Ellipsis make. Where a gradient has to be recorded it is made op by op,
/// otherwise in one go.
class BasicView {
 public:
  explicit BasicView(const Tensor& t) : t_(t), record_(recording(t)) {
    if (record_) return;
    sizes_ = t.sizes();
    strides_ = t.strides();
    offset_ = t.storage_offset();
  }
  Ints sizes() const { return record_ ? t_.sizes() : Ints(sizes_); }
  int64_t dims() const { return static_cast<int64_t>(sizes().size()); }

  void select(int64_t dim, int64_t i) {
    const int64_t size = sizes()[dim];
    NORCH_CHECK_INDEX(i >= -size && i < size, "index ", i, " is out of bounds for dimension ", dim_name_, " with size ",
                      size);
    ++dim_name_;
    if (record_) {
      t_ = norch::select(t_, dim, i);
      return;
    }
    offset_ += (i < 0 ? i + size : i) * strides_[dim];
    sizes_.erase(dim);
    strides_.erase(dim);
  }
  void slice(int64_t dim, const Slice& s) {
    ++dim_name_;
    if (!s.start && !s.stop && s.step == 1) return;
    if (record_) {
      t_ = norch::slice(t_, dim, s.start, s.stop, s.step);
      return;
    }
    NORCH_CHECK_VALUE(s.step > 0, "step must be greater than zero");
    const int64_t size = sizes_[dim];
    auto clip = [size](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + size : i, 0, size); };
    const int64_t start = clip(s.start.value_or(0)), length = std::max<int64_t>(clip(s.stop.value_or(size)) - start, 0);
    offset_ += start * strides_[dim];
    sizes_[dim] = length / s.step + (length % s.step != 0);
    if (__builtin_mul_overflow(strides_[dim], s.step, &strides_[dim])) strides_[dim] = 1;  // never stepped over
  }
  void add_dim(int64_t dim) {
    if (record_) {
      t_ = unsqueeze(t_, dim);
      return;
    }
    const int64_t stride = dim < dims() ? sizes_[dim] * strides_[dim] : 1;
    sizes_.insert(dim, 1);
    strides_.insert(dim, stride);
  }
  /// Dims passed over: they count in the text of an error.
  void pass(int64_t n) { dim_name_ += n; }
  /// A tensor object of its own, even if nothing was done.
  Tensor get(const Tensor& original) const {
    if (record_) return t_.is_same(original) ? view(t_, t_.sizes()) : t_;
    return new_view(t_, sizes_, strides_, offset_);
  }

 private:
  Tensor t_;
  bool record_;
  Shape sizes_, strides_;
  int64_t offset_ = 0;
  int64_t dim_name_ = 0;
};

bool is_mask(const Tensor& t) { return t.dtype() == DType::Bool || t.dtype() == DType::UInt8; }

void check_index_tensor(const Tensor& self, const Tensor& t) {
  NORCH_CHECK_INDEX(t.defined(), "index: an index tensor is undefined");
  const bool number = t.dim() == 0 && is_integral(t.dtype());  // of any width: it is read as an int
  NORCH_CHECK_INDEX(number || t.dtype() == DType::Int64 || t.dtype() == DType::Int32 || is_mask(t),
                    "tensors used as indices must be long, int, byte or bool tensors, got ", t.dtype());
  NORCH_CHECK(t.device() == self.device() || t.is_cpu(),
              "indices should be either on cpu or on the same device as the indexed tensor (", self.device(), "), got ",
              t.device());
}

/// A tensor item and the dim of the basic view where it stands.
struct Pending {
  Tensor index;
  int64_t dim;
};

/// t[True] and t[False]: a new dim indexed by [0] or by nothing.
Tensor bool_index(bool value, Device device) { return zeros({value ? 1 : 0}, TensorOptions(kInt64).device(device)); }

/// Applies the items that give views to `view`, and collects the others.
std::vector<Pending> apply_basic(const Tensor& t, IndexItems items, BasicView& view) {
  int64_t named = 0;
  for (const TensorIndex& item : items) {
    switch (item.kind()) {
      case Kind::Int:
      case Kind::Slice: ++named; break;
      case Kind::Tensor:
        check_index_tensor(t, item.tensor());
        named += is_mask(item.tensor()) ? item.tensor().dim() : 1;
        break;
      default: break;
    }
  }
  std::vector<Pending> pending;
  int64_t dim = 0;
  auto check_room = [&] {
    NORCH_CHECK_INDEX(dim < view.dims(), "too many indices for tensor of dimension ", t.dim());
  };
  for (const TensorIndex& item : items) {
    switch (item.kind()) {
      case Kind::None: view.add_dim(dim++); break;
      case Kind::Ellipsis: {
        const int64_t rest = std::max<int64_t>(t.dim() - named, 0);
        view.pass(rest);
        dim += rest;
        break;
      }
      case Kind::Int:
        NORCH_CHECK_INDEX(t.dim() > 0, "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or "
                          "`tensor.item<T>()` in C++ to convert a 0-dim tensor to a number");
        check_room();
        view.select(dim, item.value());
        break;
      case Kind::Slice:
        NORCH_CHECK_VALUE(item.slice().step > 0, "step must be greater than zero");
        NORCH_CHECK_INDEX(t.dim() > 0, "slice() cannot be applied to a 0-dim tensor.");
        check_room();
        view.slice(dim++, item.slice());
        break;
      case Kind::Bool:
        view.add_dim(dim);
        pending.push_back({bool_index(item.value() != 0, t.device()), dim++});
        break;
      case Kind::Tensor: {
        const Tensor& i = item.tensor();
        if (i.dim() == 0 && is_mask(i)) {
          view.add_dim(dim);
          pending.push_back({bool_index(i.item<bool>(), t.device()), dim++});
        } else if (i.dim() == 0) {
          check_room();
          view.select(dim, i.item<int64_t>());
        } else {
          pending.push_back({i, dim});
          const int64_t covers = is_mask(i) ? i.dim() : 1;
          NORCH_CHECK_INDEX(dim + covers <= view.dims(), "too many indices for tensor of dimension ", t.dim());
          view.pass(covers);
          dim += covers;
        }
        break;
      }
    }
  }
  return pending;
}

void check_mask_shape(const Tensor& t, const Pending& p) {
  for (int64_t d = 0; d < p.index.dim(); ++d)
    NORCH_CHECK_INDEX(p.index.sizes()[d] == t.sizes()[p.dim + d], "The shape of the mask ", p.index.sizes(),
                      " at index ", d, " does not match the shape of the indexed tensor ", t.sizes(), " at index ",
                      p.dim + d);
}

/// One value by one mask needs no list of places, so nothing waits for the device.
void fill_by_mask(const Tensor& target, const Pending& p, const Tensor& value) {
  check_mask_shape(target, p);
  Shape over(p.index.sizes());
  while (static_cast<int64_t>(over.size()) < target.dim() - p.dim) over.push_back(1);
  const Tensor mask = p.index.dtype() == DType::Bool ? p.index : ne(p.index, Tensor::wrap(0));
  masked_fill_(target, reshape(mask.to(target.device()), over), value);
}

IndexSpec make_spec(const Tensor& t, const std::vector<Pending>& pending, const char* op) {
  IndexSpec spec;
  spec.op = op;
  spec.entries.reserve(pending.size());
  for (const Pending& p : pending) {
    if (!is_mask(p.index)) {
      spec.entries.push_back({p.index.to(t.device(), DType::Int64), p.dim, 1});
      continue;
    }
    check_mask_shape(t, p);
    spec.entries.push_back(mask_entry(p.index.to(t.device()), p.dim));
  }
  return spec;
}

/// loss[0]: a 0-d tensor answers to exactly this index, as a tensor of one element.
bool is_first_of_scalar(const Tensor& t, IndexItems items) {
  return t.dim() == 0 && items.size() == 1 && items[0].kind() == Kind::Int && items[0].value() == 0;
}

/// `value` without leading dims of size 1 beyond `dims`.
Tensor strip(const Tensor& value, int64_t dims) {
  int64_t extra = 0;
  while (value.dim() - extra > dims && value.sizes()[extra] == 1) ++extra;
  return extra ? reshape(value, value.sizes().slice(extra)) : value;
}

int64_t result_dims(const Tensor& t, const IndexSpec& spec) {
  int64_t rest = t.dim(), own = 0;
  for (const IndexEntry& e : spec.entries) {
    rest -= e.ndims;
    own = std::max(own, e.index.dim());
  }
  return rest + own;
}

void write_basic(const Tensor& target, const Tensor& value_, const Scalar* number, bool accumulate) {
  if (number && !accumulate) {
    fill_(target, *number);
    return;
  }
  const Tensor value = strip(value_, target.dim());
  bool fits = value.dim() <= target.dim();
  for (int64_t d = 0; fits && d < value.dim(); ++d) {
    const int64_t own = target.sizes()[target.dim() - value.dim() + d];
    NORCH_CHECK(value.sizes()[d] == 1 || value.sizes()[d] == own, "The expanded size of the tensor (", own,
                ") must match the existing size (", value.sizes()[d], ") at non-singleton dimension ",
                target.dim() - value.dim() + d, ".  Target sizes: ", target.sizes(), ".  Tensor sizes: ",
                value.sizes());
  }
  NORCH_CHECK(fits, "expand: the number of sizes provided (", target.dim(),
              ") must be greater or equal to the number of dimensions in the tensor (", value.dim(), ")");
  if (accumulate)
    add_(target, value);
  else
    copy_(target, value);
}

void check_value(const Tensor& self, const Tensor& value) {
  NORCH_CHECK(value.dtype() == self.dtype(), "Index put requires the source and destination dtypes match, got ",
              self.dtype(), " for the destination and ", value.dtype(), " for the source.");
  NORCH_CHECK(value.device() == self.device() || (value.is_cpu() && value.dim() == 0),
              "index_put_: Expected all tensors to be on the same device, but found at least two devices, ",
              self.device(), " and ", value.device());
}

}  // namespace

Tensor index(const Tensor& t, IndexItems items) {
  NORCH_CHECK(t.defined(), "index: the tensor is undefined");
  if (is_first_of_scalar(t, items)) return view(t, t.sizes());
  BasicView basic(t);
  const std::vector<Pending> pending = apply_basic(t, items, basic);
  const Tensor part = basic.get(t);
  if (pending.empty()) return part;
  return index_get("IndexBackward0", part, make_spec(part, pending, "index"));
}

namespace {

/// self[items] = value, or the number if there is one.
Tensor put_items(const Tensor& self, IndexItems items, const Tensor& value_, const Scalar* number, bool accumulate) {
  if (is_first_of_scalar(self, items)) {
    write_basic(self, value_, number, accumulate);
    return self;
  }
  if (items.size() == 1 && items[0].kind() == Kind::Bool) {  // t[True] is all of t, t[False] nothing
    if (items[0].value() != 0) write_basic(unsqueeze(self, 0), value_, number, accumulate);
    return self;
  }
  BasicView basic(self);
  const std::vector<Pending> pending = apply_basic(self, items, basic);
  const Tensor part = basic.get(self);
  if (pending.empty()) {
    write_basic(part, value_, number, accumulate);
    return self;
  }
  // One value by a mask is cast, as masked_fill casts it; others must have the dtype.
  const bool by_mask = pending.size() == 1 && is_mask(pending[0].index) && !accumulate && value_.numel() == 1 &&
                       (value_.dim() == 0 || value_.is_cpu());
  if (!by_mask) check_value(self, value_);
  // A whole tensor keeps its own history; a part of it is written to as the view that it is.
  const bool whole = part.sizes() == self.sizes() && part.strides() == self.strides() && items.size() == pending.size();
  const Tensor& target = whole ? self : part;
  if (by_mask) {
    fill_by_mask(target, pending[0], reshape(value_, {}).to(self.dtype()));
    return self;
  }
  const IndexSpec spec = make_spec(part, pending, "index_put_");
  const Tensor value = strip(value_, result_dims(part, spec)).to(self.device());
  InPlace write("index_put_", target);
  write.finish(index_set("IndexPutBackward0", write.input(), spec, value,
                         accumulate ? ScatterOp::Add : ScatterOp::Assign, write.output()));
  return self;
}

}  // namespace

Tensor index_put_(const Tensor& self, IndexItems items, const Tensor& value, bool accumulate) {
  NORCH_CHECK(self.defined() && value.defined(), "index_put_: a tensor is undefined");
  return put_items(self, items, value, nullptr, accumulate);
}

Tensor index_put_(const Tensor& self, IndexItems items, const Scalar& value, bool accumulate) {
  NORCH_CHECK(self.defined(), "index_put_: the tensor is undefined");
  return put_items(self, items, full({}, value, TensorOptions(self.dtype())), &value, accumulate);
}

Tensor index_put(const Tensor& t, IndexItems items, const Tensor& value, bool accumulate) {
  NORCH_AUTOCAST(widest_cuda, index_put, t, items, value, accumulate);
  NORCH_CHECK(t.defined() && value.defined(), "index_put: a tensor is undefined");
  return index_put_(t.clone(), items, value, accumulate);
}

}  // namespace norch
