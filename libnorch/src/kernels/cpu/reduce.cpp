#include "kernels/cpu/half.h"
#include "kernels/cpu/reduce_loops.h"

namespace norch::kernels::cpu::NORCH_ISA {

namespace {

// ---- reading elements

template <class To, class From>
void load(void* to, const char* from, int64_t n, int64_t stride) {
  To* y = static_cast<To*>(to);
  if (stride == static_cast<int64_t>(sizeof(From))) {
    const From* x = reinterpret_cast<const From*>(from);
    if constexpr (std::is_same_v<From, Half>) {
      convert_run(y, x, n);
    } else {
#pragma omp simd
      for (int64_t i = 0; i < n; ++i) y[i] = static_cast<To>(x[i]);
    }
    return;
  }
  for (int64_t i = 0; i < n; ++i) y[i] = static_cast<To>(*reinterpret_cast<const From*>(from + i * stride));
}

template <class To>
Load load_integer(DType from) {
  switch (from) {
    case DType::Int8: return load<To, int8_t>;
    case DType::Int16: return load<To, int16_t>;
    case DType::Int32: return load<To, int32_t>;
    default: return load<To, uint8_t>;  // and bool, whose bytes are 0 and 1
  }
}

// ---- the loops

template <template <class> class Op>
FoldLoops loops_for(DType t) {
  switch (t) {
    case DType::Float32: return loops_of<Op, float>();
    case DType::Float64: return loops_of<Op, double>();
    case DType::Int64: return loops_of<Op, int64_t>();
    default:
      if constexpr (std::is_same_v<Op<int>, ProdOf<int>>)
        return loops_of<Op, int64_t>();  // an int32 product of a run may overflow
      else
        return loops_of<Op, int32_t>();
  }
}

// ---- results

template <class W>
void store(const FoldArgs& f, const W* w, int64_t at, int64_t step, int64_t m) {
  visit_all(f.out_dtype, [&](auto tag) {
    using Out = typename decltype(tag)::type;
    Out* y = static_cast<Out*>(f.out) + at;
    for (int64_t j = 0; j < m; ++j) y[j * step] = static_cast<Out>(finish_value(w[j], f.args.scale, f.args.root));
  });
}

}  // namespace

FoldLoops fold_loops(ReduceOp op, DType t) {
  switch (op) {
    case ReduceOp::Sum: return loops_for<SumOf>(t);
    case ReduceOp::Prod: return loops_for<ProdOf>(t);
    case ReduceOp::Max: return loops_for<MaxOf>(t);
    default: return loops_for<MinOf>(t);
  }
}

Load load_as(DType to, DType from) {
  switch (to) {
    case DType::Float32:
      return from == DType::Float16 ? load<float, Half> : from == DType::BFloat16 ? load<float, BFloat16>
                                                                                  : load<uint32_t, uint32_t>;
    case DType::Int32: return load_integer<int32_t>(from);
    case DType::Int64: return from == DType::Int64 ? load<uint64_t, uint64_t> : load_integer<int64_t>(from);
    default: return load<uint64_t, uint64_t>;
  }
}

void run_fold(const FoldArgs& f, const ReducePlan& plan) {
  const FoldLoops& loops = f.loops;
  const auto load = [](const void* op, void* to, const char* from, int64_t n, int64_t stride) {
    const FoldArgs& f = *static_cast<const FoldArgs*>(op);
    f.load(to, from, n, stride);
    if (f.map) f.map(to, n, f.args.p);
  };
  const auto finish = [](const void* op, const void* w, int64_t at, int64_t step, int64_t m) {
    const FoldArgs& f = *static_cast<const FoldArgs*>(op);
    if (is_floating_point(f.type))
      store(f, static_cast<const double*>(w), at, step, m);
    else
      store(f, static_cast<const int64_t*>(w), at, step, m);
  };
  run_reduction(plan, {8, static_cast<int64_t>(itemsize(f.type)), f.as_they_are, false, load, loops.init, loops.rows,
                       loops.cols, loops.merge, finish},
                &f);
}

void reduce(ReduceOp op, const ReducePlan& plan, const Tensor& out, const ReduceArgs& args) {
  const DType t = plan.dtype;
  DType loops = DType::Int32;
  if (is_floating_point(t))
    loops = t == DType::Float64 ? DType::Float64 : DType::Float32;
  else if (t == DType::Int64 || op == ReduceOp::Prod || (op == ReduceOp::Sum && t == DType::Int32))
    loops = DType::Int64;
  run_fold({fold_loops(op, loops), loops, load_as(loops, t), loops == t, nullptr, args, out.data_ptr(), out.dtype()}, plan);
}

}  // namespace norch::kernels::cpu::NORCH_ISA
