// Statistics of order, written in sort, kth and gather: median, mode, quantile.
#include <cmath>

#include "autograd/record.h"
#include "core/factory.h"
#include "kernels/cpu/parallel.h"
#include "kernels/dispatch.h"
#include "kernels/sort.h"
#include "norch/autograd.h"
#include "norch/ops/binary.h"
#include "norch/ops/copy.h"
#include "norch/ops/factory.h"
#include "norch/ops/gather.h"
#include "norch/ops/indexing.h"
#include "norch/ops/scan.h"
#include "norch/ops/slice.h"
#include "norch/ops/sort.h"
#include "norch/ops/ternary.h"
#include "norch/ops/unary.h"
#include "norch/ops/view.h"
#include "ops/along_dim.h"
#include "ops/dtype_views.h"
#include "ops/reduce_common.h"

namespace norch {

namespace {

Tensor number(const Scalar& v) { return Tensor::wrap(v); }

/// The dim dropped from results of size 1 along it, unless it is kept.
Tensor drop(const Tensor& t, int64_t dim, bool keepdim) { return keepdim || t.dim() == 0 ? t : squeeze(t, dim); }

ValuesAndIndices pick(const char* node, const Tensor& t, const Tensor& values, const Tensor& indices, int64_t dim,
                      bool keepdim) {
  ValuesAndIndices out{drop(values, dim, keepdim).detach(), drop(indices, dim, keepdim).detach()};
  record_selected(node, t, out.values, out.indices, dim, keepdim);
  return out;
}

/// Whether that is known without waiting for a GPU: the greatest element of all is NaN if one is.
bool has_no_nan(const Tensor& t) {
  if (t.numel() == 0 || !t.is_cpu()) return t.numel() == 0;
  const double greatest = amax(t, {}, false).item<double>();
  return greatest == greatest;
}

/// Values and their places in sorted order; of `nan`-ignoring medians the middle of the numbers only.
ValuesAndIndices median_op(const char* op, const char* node, bool ignore_nan, const Tensor& t, int64_t dim,
                           bool keepdim) {
  dim = wrap_dim(dim, t.dim(), op);
  const int64_t n = t.dim() ? t.sizes()[dim] : 1;
  check_not_empty(op, t, reduced_dims(op, t, {dim}, keepdim), false);
  autograd::GradMode off(false);
  const Tensor x = t.detach();
  ValuesAndIndices at;
  if (!t.is_floating_point()) {
    at = kthvalue(x, (n + 1) / 2, dim, true);
  } else if (!ignore_nan && has_no_nan(x)) {
    at = kthvalue(x, (n + 1) / 2, dim, true);
  } else if (!ignore_nan) {
    // A NaN in the row is the median; max finds it.
    const ValuesAndIndices middle = kthvalue(x, (n + 1) / 2, dim, true), last = max(x, dim, true);
    const Tensor nan = ne(last.values, last.values);
    at = {where(nan, last.values, middle.values), where(nan, last.indices, middle.indices)};
  } else {
    const ValuesAndIndices sorted = sort(x, dim);
    const Tensor count = x.dim() ? sum(eq(x, x), {dim}, true) : eq(x, x).to(DType::Int64);
    const Tensor middle = clamp_min(floor_divide(sub(count, number(1)), number(2)), number(0));
    at = {gather(sorted.values, dim, middle), gather(sorted.indices, dim, middle)};
  }
  {
    autograd::GradMode on(true);
    return pick(node, t, at.values, at.indices, dim, keepdim);
  }
}

Tensor median_of_all(const char* op, const char* node, bool ignore_nan, const Tensor& t) {
  if (t.numel() == 0) {
    NORCH_CHECK(t.is_floating_point(), op, "(): an empty tensor of integers has no median");
    return sum(t, {}) + Scalar(static_cast<double>(NAN));
  }
  Tensor out;
  {
    autograd::GradMode off(false);
    const Tensor x = reshape(t.detach(), {-1});
    if (t.is_floating_point() && !ignore_nan) {
      out = kthvalue(x, (x.numel() + 1) / 2, 0, false).values;
      if (!has_no_nan(x)) {
        const Tensor greatest = amax(x, {0}, false);
        out = where(ne(greatest, greatest), greatest, out);  // NaN if there is one
      }
    } else {
      out = median_op(op, node, ignore_nan, x, 0, false).values;
    }
  }
  if (autograd::recording(t)) {
    // The elements equal to the median share its gradient; they are the NaNs where it is NaN.
    autograd::record(node, {t}, {out}, [x = autograd::save(t), m = autograd::save_output(out)](autograd::Backward& ctx) {
      const Tensor all = ctx.get(x).detach(), middle = ctx.get(m).detach();
      const Tensor mask = logical_or(eq(all, middle), logical_and(ne(all, all), ne(middle, middle)));
      ctx.set(0, mul(div(ctx.grad(), sum(mask, {})), mask));
    });
  }
  return out;
}

}  // namespace

Tensor median(const Tensor& t) { return median_of_all("median", "MedianBackward0", false, t); }
ValuesAndIndices median(const Tensor& t, int64_t dim, bool keepdim) {
  return median_op("median", "MedianBackward1", false, t, dim, keepdim);
}
Tensor nanmedian(const Tensor& t) { return median_of_all("nanmedian", "NanmedianBackward0", true, t); }
ValuesAndIndices nanmedian(const Tensor& t, int64_t dim, bool keepdim) {
  return median_op("nanmedian", "NanmedianBackward1", true, t, dim, keepdim);
}

namespace {

/// Where the longest run of equal elements in each of `rows` sorted rows ends, the first of those of one length.
template <class T>
void longest_runs(const T* x, int64_t rows, int64_t n, int64_t* ends) {
  using C = ComputeType<T>;
  kernels::cpu::parallel_for(rows, 1 + 16384 / n, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const T* row = x + r * n;
      int64_t run = 1, longest = 1, at = 0;
      for (int64_t j = 1; j < n; ++j) {
        // In ascending order, with NaNs, which are a value like others here, at the end.
        const C before = static_cast<C>(row[j - 1]), now = static_cast<C>(row[j]);
        run = before == before && !(before >= now) ? 1 : run + 1;
        if (run <= longest) continue;
        longest = run;
        at = j;
      }
      ends[r] = at;
    }
  });
}

/// The mode on the CPU: rows are sorted, and then walked through once.
ValuesAndIndices mode_by_walk(const Tensor& t, int64_t dim, bool keepdim) {
  const int64_t n = t.sizes()[dim];
  const ValuesAndIndices sorted = sort(movedim(t.detach(), {dim}, {-1}), -1);
  Shape shape(sorted.values.sizes());
  shape.back() = 1;
  const Tensor ends = new_tensor(shape, DType::Int64, t.device());
  visit_all(t.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    longest_runs(static_cast<const T*>(sorted.values.data_ptr()), ends.numel(), n, ends.data<int64_t>());
  });
  const auto place = [&](const Tensor& part) { return movedim(gather(part, -1, ends), {-1}, {dim}).contiguous(); };
  return pick("ModeBackward0", t, place(sorted.values), place(sorted.indices), dim, keepdim);
}

}  // namespace

ValuesAndIndices mode(const Tensor& t, int64_t dim, bool keepdim) {
  dim = wrap_dim(dim, t.dim(), "mode");
  check_not_empty("mode", t, reduced_dims("mode", t, {dim}, keepdim), false);
  if (t.dim() == 0) return pick("ModeBackward0", t, t.detach().clone(), zeros({}, t.options().dtype(kInt64)), 0, false);
  if (t.is_cpu() && t.numel() > 0 && !is_wide_unsigned(t.dtype())) return mode_by_walk(t, dim, keepdim);
  // In sorted order equal elements are runs; the length of the run so far peaks at the end of the longest one.
  const int64_t n = t.sizes()[dim];
  const ValuesAndIndices sorted = sort(t.detach(), dim);
  const Tensor x = sorted.values;
  const TensorOptions whole = TensorOptions(kInt64).device(x.device());
  Shape line(static_cast<size_t>(x.dim()), 1);
  line[static_cast<size_t>(dim)] = n;
  const Tensor place = reshape(arange(0, n, 1, whole), line);
  Tensor start = zeros(x.sizes(), whole);
  if (n > 1) {
    const Tensor now = narrow(x, dim, 1, n - 1), before = narrow(x, dim, 0, n - 1);
    // In ascending order, with NaNs, which are a value like others here, at the end.
    const Tensor differs = gt(eq(before, before), ge(before, now));
    copy_into(narrow(start, dim, 1, n - 1), mul(differs, narrow(place, dim, 1, n - 1)));
    start = cummax(start, dim).values;
  }
  const Tensor peak = argmax(sub(place, start), dim, true);
  return pick("ModeBackward0", t, gather(x, dim, peak), gather(sorted.indices, dim, peak), dim, keepdim);
}

namespace {

Tensor quantile_op(const char* op, bool ignore_nan, const Tensor& t, const Tensor& q, std::optional<int64_t> dim,
                   bool keepdim, const std::string& interpolation) {
  NORCH_CHECK(t.dtype() == kFloat32 || t.dtype() == kFloat64, op,
              "() input tensor must be either float or double dtype, got ", t.dtype());
  NORCH_CHECK(q.dim() <= 1, op, "() q must be a scalar or 1D tensor, got shape ", q.sizes());
  NORCH_CHECK(q.dtype() == t.dtype(), op, "() q tensor must be same dtype as the input tensor: ", q.dtype(), " and ",
              t.dtype());
  NORCH_CHECK(q.device() == t.device(), op, "() q tensor must be on the same device as the input tensor");
  NORCH_CHECK(t.numel() > 0, op, "() input tensor must be non-empty");
  const bool lower = interpolation == "lower", higher = interpolation == "higher", nearest = interpolation == "nearest",
             midpoint = interpolation == "midpoint";
  NORCH_CHECK(lower || higher || nearest || midpoint || interpolation == "linear", op,
              "() interpolation must be one of linear, lower, higher, midpoint or nearest, but got ", interpolation);
  const Tensor qs = q.detach();
  NORCH_CHECK(all(mul(ge(qs, number(0)), le(qs, number(1)))).item<bool>(), op,
              "() q values must be in the range [0, 1]");
  const Tensor x = dim && t.dim() ? t : reshape(t, {-1});
  const int64_t axis = dim && t.dim() ? wrap_dim(*dim, t.dim(), op) : 0;
  const Tensor sorted = movedim(sort(x, axis).values, {axis}, {-1});
  const int64_t n = sorted.size(-1);
  // The last number of each row: NaNs are sorted behind it.
  const Tensor last = ignore_nan ? clamp_min(sub(sum(eq(sorted, sorted), {-1}, true), number(1)), number(0)).to(t.dtype())
                                 : full({1}, static_cast<double>(n - 1), t.options());
  const Tensor ranks = mul(reshape(q, {-1}), last);  // (the other dims, q)
  Tensor low = floor(ranks.detach()), high = ceil(ranks.detach()), weight = sub(ranks, low);
  if (lower) high = low;
  if (higher) low = high;
  if (nearest) low = high = round(ranks.detach());
  if (midpoint) weight = mul(ne(low, high), full_like(low, 0.5));
  auto at = [&](const Tensor& rank) {
    if (!ignore_nan) return index_select(sorted, -1, rank.to(kInt64));
    return gather(sorted, -1, rank.to(kInt64));
  };
  Tensor out = at(low);
  if (!lower && !higher && !nearest) out = lerp(out, at(high), weight);
  if (!ignore_nan) {
    // One NaN, which is sorted last, makes the whole row NaN.
    const Tensor end = narrow(sorted, -1, n - 1, 1);
    out = where(isnan(end), end, out);
  }
  out = movedim(out, {-1}, {0});
  Shape shape;
  if (q.dim() == 1) shape.push_back(q.numel());
  for (int64_t d = 0; d < t.dim(); ++d) {
    if (dim && d != axis)
      shape.push_back(t.sizes()[d]);
    else if (keepdim)
      shape.push_back(1);
  }
  return reshape(out, shape);
}

}  // namespace

Tensor quantile(const Tensor& t, const Tensor& q, std::optional<int64_t> dim, bool keepdim,
                const std::string& interpolation) {
  return quantile_op("quantile", false, t, q, dim, keepdim, interpolation);
}
Tensor nanquantile(const Tensor& t, const Tensor& q, std::optional<int64_t> dim, bool keepdim,
                   const std::string& interpolation) {
  return quantile_op("nanquantile", true, t, q, dim, keepdim, interpolation);
}

}  // namespace norch
