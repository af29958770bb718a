#include "kernels/cpu/reducer.h"

#include <algorithm>
#include <memory>

#include "kernels/cpu/parallel.h"

namespace norch::kernels::cpu {

namespace {

constexpr int64_t kBlock = kMaxColumns;  // outputs in hand at a time
constexpr int64_t kChunk = 65536;        // elements of a part
constexpr int64_t kWorthwhile = 32768;   // elements worth waking a thread for
constexpr int64_t kLong = 4 * kMaxRun;   // a row of this length is folded as four runs side by side
constexpr int64_t kNarrow = 64;          // rows of up to this many columns are taken several at a time

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
    // Long runs of rows, for a memory that likes long streams, but enough of them to share out.
    const int64_t chunk_of_rows = std::clamp(p.outputs * p.n / 64, kChunk, 16 * kChunk);
    block = std::min(size, p.by_rows ? std::clamp<int64_t>(chunk_of_rows / std::max<int64_t>(p.n, 1), 1, kBlock) : kBlock);
    blocks = (size + block - 1) / block;
    piece = inner;
    pieces = 1;
    group = std::max<int64_t>(reduce_rest, 1);
    chunks = 1;
    // Outputs are shared out among threads if there are many; the elements of each only if there are few.
    if (keep_rest * blocks >= 16 || p.n * block <= 2 * kChunk) return;
    const int64_t chunk = std::clamp(p.n / 64 & -kChunk, kChunk, 16 * kChunk);
    const int64_t most = std::max<int64_t>(chunk / block, 64);
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

/// The loops of a reduction, fed from wherever the elements lie.
class Feeder {
 public:
  Feeder(const Reducer& r, const void* op) : r_(r), op_(op) {}

  /// Folds `rows` rows of n elements `stride` bytes apart, row_stride bytes from each other, into a partial result each.
  void rows(char* w, const char* x, int64_t rows, int64_t row_stride, int64_t n, int64_t stride, int64_t first) {
    const bool adjacent = r_.as_they_are && (stride == r_.size || n == 1);
    if (n >= kLong) {
      for (int64_t i = 0; i < rows; ++i) long_row(w + i * r_.partial, x + i * row_stride, n, stride, first, adjacent);
    } else if (adjacent) {
      short_rows(w, x, rows, row_stride, n, first);
    } else {
      const int64_t most = kLong / std::max<int64_t>(n, 1);
      for (int64_t i = 0; i < rows; i += most) {
        const int64_t count = std::min(most, rows - i);
        const char* from = x + i * row_stride;
        if (row_stride == n * stride) {
          r_.load(op_, buffer_, from, count * n, stride);
        } else {
          for (int64_t k = 0; k < count; ++k) r_.load(op_, buffer_ + k * n * r_.size, from + k * row_stride, n, stride);
        }
        short_rows(w + i * r_.partial, buffer_, count, n * r_.size, n, first);
      }
    }
  }

  /// Folds `rows` rows of m elements `stride` bytes apart, element j into partial result j.
  void cols(char* w, const char* x, int64_t m, int64_t stride, int64_t rows, int64_t row_stride, int64_t first) {
    const int64_t together = kWide / m;
    if (r_.counts || m > kNarrow || row_stride != m * stride || rows < 2 * together) {
      wide_cols(w, x, m, stride, rows, row_stride, first);
      return;
    }
    // Few columns, and rows that follow each other: several rows are taken as one.
    alignas(64) char sums[kWide * kMaxPartial];
    const int64_t width = together * m, count = rows / together, done = count * together;
    r_.init(op_, sums, width);
    wide_cols(sums, x, width, stride, count, width * stride, first);
    for (int64_t k = 0; k < together; ++k) r_.merge(op_, w, sums + k * m * r_.partial, m);
    if (done < rows) wide_cols(w, x + done * row_stride, m, stride, rows - done, row_stride, first);
  }

 private:
  static constexpr int64_t kWide = 256;         // columns of several rows taken as one
  static constexpr int64_t kTileColumns = 128;  // a tile of loaded elements fits the nearest cache
  static constexpr int64_t kTileRows = 32;

  void short_rows(char* w, const char* x, int64_t rows, int64_t row_stride, int64_t n, int64_t first) {
    for (int64_t i = 0; i < n; i += kMaxRun)
      r_.rows(op_, w, x + i * r_.size, rows, row_stride, std::min(kMaxRun, n - i), first + i, 0);
  }

  /// Four runs side by side keep the processor's memory streams busy: quarters of the row where it can be read as it
  /// is, quarters of a buffer otherwise.
  void long_row(char* w, const char* x, int64_t n, int64_t stride, int64_t first, bool adjacent) {
    alignas(64) char sums[4 * kMaxPartial];
    r_.init(op_, sums, 4);
    int64_t done = 0;
    if (adjacent) {
      const int64_t quarter = n / 4 & -int64_t{64};
      for (int64_t i = 0; i < quarter; i += kMaxRun)
        r_.rows(op_, sums, x + i * r_.size, 4, quarter * r_.size, std::min(kMaxRun, quarter - i), first + i, quarter);
      done = 4 * quarter;
    } else {
      for (; done + kLong <= n; done += kLong) {
        r_.load(op_, buffer_, x + done * stride, kLong, stride);
        r_.rows(op_, sums, buffer_, 4, kMaxRun * r_.size, kMaxRun, first + done, kMaxRun);
      }
    }
    for (int64_t k = 0; k < 4; ++k) r_.merge(op_, w, sums + k * r_.partial, 1);
    if (done < n) rows(w, x + done * stride, 1, 0, n - done, stride, first + done);
  }

  void wide_cols(char* w, const char* x, int64_t m, int64_t stride, int64_t rows, int64_t row_stride, int64_t first) {
    const void* row[kMaxRows];
    if (r_.as_they_are && (stride == r_.size || m == 1)) {
      for (int64_t i = 0; i < rows; i += kMaxRows) {
        const int64_t count = std::min(kMaxRows, rows - i);
        for (int64_t k = 0; k < count; ++k) row[k] = x + (i + k) * row_stride;
        r_.cols(op_, w, row, count, m, first + i);
      }
      return;
    }
    for (int64_t i = 0; i < rows; i += kTileRows) {
      const int64_t count = std::min(kTileRows, rows - i);
      for (int64_t j = 0; j < m; j += kTileColumns) {
        const int64_t width = std::min(kTileColumns, m - j);
        for (int64_t k = 0; k < count; ++k) {
          char* to = buffer_ + k * width * r_.size;
          r_.load(op_, to, x + (i + k) * row_stride + j * stride, width, stride);
          row[k] = to;
        }
        r_.cols(op_, w + j * r_.partial, row, count, width, first + i);
      }
    }
  }

  const Reducer& r_;
  const void* op_;
  alignas(64) char buffer_[kLong * 8];
};

/// Reduces chunk `c` of the m outputs from `at` on along keep[0], at outer kept index `rest`.
void reduce_part(const Cut& cut, const Reducer& r, const void* op, char* w, int64_t c, int64_t rest, int64_t at,
                 int64_t m) {
  const ReducePlan& p = cut.p;
  const ReducePlan::Dim &keep = p.keep[0], &inner = p.reduce[0];
  r.init(op, w, m);
  if (p.n == 0) return;
  const int64_t from = c % cut.pieces * cut.piece, count = std::min(cut.piece, inner.size - from);
  const int64_t first_group = c / cut.pieces * cut.group;
  const int64_t last_group = std::min(first_group + cut.group, cut.reduce_rest);
  const char* x = p.data + at * keep.in + offset_of(p.keep, p.kept, rest, &ReducePlan::Dim::in) + from * inner.in;
  Feeder feeder(r, op);
  for (int64_t g = first_group; g < last_group; ++g) {
    const char* y = x + offset_of(p.reduce, p.reduced, g, &ReducePlan::Dim::in);
    if (p.by_rows)
      feeder.rows(w, y, m, keep.in, count, inner.in, from);
    else
      feeder.cols(w, y, m, keep.in, count, inner.in, from);
  }
}

}  // namespace

void run_reduction(const ReducePlan& p, const Reducer& r, const void* op) {
  if (p.outputs == 0) return;
  const Cut cut(p);
  const int64_t size = p.keep[0].size;
  const int64_t outer = cut.keep_rest * cut.blocks;
  auto finish = [&](const char* w, int64_t rest, int64_t at, int64_t m) {
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
  const int64_t bytes = p.outputs * r.partial;
  const std::unique_ptr<char[]> parts(new char[static_cast<size_t>(bytes * cut.chunks)]);
  auto part = [&](int64_t c, int64_t rest, int64_t at) {
    return parts.get() + c * bytes + (rest * size + at) * r.partial;
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
