#include "kernels/cpu/reducer.h"

#include <algorithm>
#include <memory>

#include "kernels/cpu/parallel.h"

namespace norch::kernels::cpu {

namespace {

constexpr int64_t kBlock = 1024;     // outputs in hand at a time
constexpr int64_t kChunk = 65536;    // elements of a part, where one output's elements are shared out
constexpr int64_t kWorthwhile = 32768;  // elements worth waking a thread for

/// How the plan is cut. A part is a run of outputs along keep[0] times a chunk of the reduced elements. A chunk is
/// either a piece of reduce[0], or whole runs of reduce[0] for several indices of the outer reduced dims.
struct Cut {
  const ReducePlan& p;
  int64_t keep_rest, reduce_rest;    // products of the outer dims' sizes
  int64_t block, blocks;             // outputs of a part, parts along keep[0]
  int64_t piece, pieces;             // elements of reduce[0] in a part, parts along it
  int64_t group, chunks;             // outer reduced indices in a part; parts that a reduction is cut into

  explicit Cut(const ReducePlan& plan) : p(plan) {
    const int64_t size = p.keep[0].size, inner = p.reduce[0].size;
    keep_rest = p.outputs / size;
    reduce_rest = inner ? p.n / inner : 0;
    block = std::min(size, p.by_rows ? std::clamp<int64_t>(kWorthwhile / std::max<int64_t>(p.n, 1), 1, kBlock) : kBlock);
    blocks = (size + block - 1) / block;
    piece = inner;
    pieces = 1;
    group = std::max<int64_t>(reduce_rest, 1);
    chunks = 1;
    // Outputs are shared out among threads if there are many; the elements of each only if there are few.
    if (keep_rest * blocks >= 16 || p.n * block <= 2 * kChunk) return;
    const int64_t most = std::max<int64_t>(kChunk / block, 64);
    if (inner > most) {
      pieces = (inner + most - 1) / most;
      piece = most;
      group = 1;
    } else {
      group = std::max<int64_t>(most / inner, 1);
    }
    chunks = pieces * ((reduce_rest + group - 1) / group);
  }
};

int64_t offset_of(const ReducePlan::Dim* dims, int count, int64_t index, int64_t ReducePlan::Dim::* stride) {
  int64_t offset = 0;
  for (int d = 1; d < count && index; ++d) {
    offset += index % dims[d].size * (dims[d].*stride);
    index /= dims[d].size;
  }
  return offset;
}

/// Reduces chunk `c` of the m outputs from `at` on along keep[0], at outer kept index `rest`.
void reduce_part(const Cut& cut, const Reducer& r, const void* op, void* w, int64_t c, int64_t rest, int64_t at,
                 int64_t m) {
  const ReducePlan& p = cut.p;
  const ReducePlan::Dim &keep = p.keep[0], &inner = p.reduce[0];
  r.init(op, w, m);
  if (p.n == 0) return;
  const int64_t from = c % cut.pieces * cut.piece, count = std::min(cut.piece, inner.size - from);
  const int64_t first_group = c / cut.pieces * cut.group;
  const int64_t last_group = std::min(first_group + cut.group, cut.reduce_rest);
  const char* x = p.data + at * keep.in + offset_of(p.keep, p.kept, rest, &ReducePlan::Dim::in) + from * inner.in;
  for (int64_t g = first_group; g < last_group; ++g) {
    const char* y = x + offset_of(p.reduce, p.reduced, g, &ReducePlan::Dim::in);
    if (p.by_rows)
      r.rows(op, w, y, m, keep.in, count, inner.in, from);
    else
      r.cols(op, w, y, m, keep.in, count, inner.in, from);
  }
}

}  // namespace

void run_reduction(const ReducePlan& p, const Reducer& r, const void* op) {
  if (p.outputs == 0) return;
  const Cut cut(p);
  const int64_t size = p.keep[0].size;
  const int64_t outer = cut.keep_rest * cut.blocks;
  auto finish = [&](const void* w, int64_t rest, int64_t at, int64_t m) {
    const int64_t out = p.keep[0].out * at + offset_of(p.keep, p.kept, rest, &ReducePlan::Dim::out);
    r.finish(op, w, out, p.keep[0].out, m);
  };
  if (cut.chunks == 1) {
    const int64_t grain = std::max<int64_t>(1, kWorthwhile / std::max<int64_t>(cut.block * p.n, 1));
    parallel_for(outer, grain, [&](int64_t begin, int64_t end) {
      alignas(64) char w[kBlock * kMaxPartial];
      for (int64_t i = begin; i < end; ++i) {
        const int64_t rest = i / cut.blocks, at = i % cut.blocks * cut.block;
        const int64_t m = std::min(cut.block, size - at);
        reduce_part(cut, r, op, w, 0, rest, at, m);
        finish(w, rest, at, m);
      }
    });
    return;
  }
  // Few outputs of many elements: chunks in parallel, then joined in order.
  const size_t bytes = static_cast<size_t>(p.outputs) * r.partial;
  const std::unique_ptr<char[]> parts(new char[bytes * static_cast<size_t>(cut.chunks)]);
  auto part = [&](int64_t c, int64_t rest, int64_t at) {
    return parts.get() + static_cast<size_t>(c) * bytes + static_cast<size_t>(rest * size + at) * r.partial;
  };
  parallel_for(cut.chunks * outer, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t c = i / outer, rest = i % outer / cut.blocks, at = i % cut.blocks * cut.block;
      reduce_part(cut, r, op, part(c, rest, at), c, rest, at, std::min(cut.block, size - at));
    }
  });
  for (int64_t c = 1; c < cut.chunks; ++c) r.merge(op, part(0, 0, 0), part(c, 0, 0), p.outputs);
  for (int64_t rest = 0; rest < cut.keep_rest; ++rest) finish(part(0, rest, 0), rest, 0, size);
}

}  // namespace norch::kernels::cpu
