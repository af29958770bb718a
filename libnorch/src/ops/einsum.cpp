// Einstein's summation.
//
// Every operand is brought to one order of dims (output, then summed letters), with size 1 for letters it lacks.
// Operands are then contracted in pairs: letters that nobody else needs are summed, alone where only one of the pair
// has them, together as the inner dim of one batched product where both do.
#include <algorithm>
#include <array>

#include "norch/ops/binary.h"
#include "norch/ops/matmul.h"
#include "norch/ops/reduce.h"
#include "norch/ops/slice.h"
#include "norch/ops/view.h"
#include "ops/autocast.h"
#include "ops/product.h"

namespace norch {

namespace {

constexpr int kLetters = 52;
constexpr int kEllipsis = kLetters;  // in a list of labels, stands for all the dims of "..."

int label_of(char c) { return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : -1; }
char letter(int label) { return static_cast<char>(label < 26 ? 'A' + label : 'a' + label - 26); }

using Labels = std::vector<int>;

struct Equation {
  std::vector<Labels> operands;
  Labels output;
};

Labels parse_term(const std::string& text, size_t begin, size_t end, const char* what) {
  Labels labels;
  bool ellipsis = false;
  for (size_t i = begin; i < end; ++i) {
    if (text[i] == ' ') continue;
    if (text[i] == '.') {
      NORCH_CHECK(i + 2 < end && text[i + 1] == '.' && text[i + 2] == '.' && !ellipsis, "einsum(): found '.' for ", what,
                  " that is not part of any ellipsis, or a second ellipsis");
      ellipsis = true;
      labels.push_back(kEllipsis);
      i += 2;
      continue;
    }
    const int label = label_of(text[i]);
    NORCH_CHECK(label >= 0, "einsum(): invalid subscript given at index ", i, " in the equation string, subscripts must ",
                "be in [a-zA-Z]");
    labels.push_back(label);
  }
  return labels;
}

Equation parse(const std::string& text, size_t operands) {
  Equation equation;
  const size_t arrow = text.find("->");
  const size_t inputs_end = arrow == std::string::npos ? text.size() : arrow;
  for (size_t begin = 0;;) {
    const size_t comma = std::min(text.find(',', begin), inputs_end);
    equation.operands.push_back(parse_term(text, begin, comma, str("operand ", equation.operands.size()).c_str()));
    if (comma == inputs_end) break;
    begin = comma + 1;
  }
  NORCH_CHECK(equation.operands.size() <= operands, "einsum(): fewer operands were provided than specified in the ",
              "equation");
  NORCH_CHECK(equation.operands.size() >= operands, "einsum(): more operands were provided than specified in the ",
              "equation");
  std::array<int, kLetters + 1> seen{};
  for (const Labels& term : equation.operands)
    for (int label : term) ++seen[label];
  if (arrow != std::string::npos) {
    equation.output = parse_term(text, arrow + 2, text.size(), "the output");
    std::array<bool, kLetters + 1> used{};
    for (int label : equation.output) {
      if (label == kEllipsis) continue;
      NORCH_CHECK(!used[label], "einsum(): output subscript ", letter(label), " appears more than once in the output");
      NORCH_CHECK(seen[label], "einsum(): output subscript ", letter(label), " does not appear in the equation for any ",
                  "input operand");
      used[label] = true;
    }
    return equation;
  }
  if (seen[kEllipsis]) equation.output.push_back(kEllipsis);
  for (int label = 0; label < kLetters; ++label)
    if (seen[label] == 1) equation.output.push_back(label);
  return equation;
}

/// The dims of all operands: which of them each letter, and each dim of the ellipsis, has become.
struct Dims {
  std::array<int, kLetters> of_letter;
  int ellipsis = 0;       // where its dims begin
  int64_t ellipsis_n = 0;
  int output = 0, total = 0;
};

Dims number_dims(const Equation& equation, const TensorList& operands) {
  Dims dims;
  dims.of_letter.fill(-1);
  for (size_t i = 0; i < operands.size(); ++i) {
    const Labels& term = equation.operands[i];
    bool ellipsis = false;
    for (int label : term) ellipsis |= label == kEllipsis;
    const int64_t named = static_cast<int64_t>(term.size()) - ellipsis;
    NORCH_CHECK(ellipsis ? named <= operands[i].dim() : named == operands[i].dim(), "einsum(): the number of subscripts ",
                "in the equation (", named, ") ", ellipsis ? "is more than" : "does not match", " the number of dimensions (",
                operands[i].dim(), ") for operand ", i, ellipsis ? "" : " and no ellipsis was given");
    if (ellipsis) dims.ellipsis_n = std::max(dims.ellipsis_n, operands[i].dim() - named);
  }
  bool placed = false;
  for (int label : equation.output) {
    if (label == kEllipsis) {
      dims.ellipsis = dims.total;
      dims.total += static_cast<int>(dims.ellipsis_n);
      placed = true;
    } else {
      dims.of_letter[label] = dims.total++;
    }
  }
  dims.output = dims.total;
  if (!placed) {
    dims.ellipsis = dims.total;
    dims.total += static_cast<int>(dims.ellipsis_n);
  }
  for (const Labels& term : equation.operands)
    for (int label : term)
      if (label != kEllipsis && dims.of_letter[label] < 0) dims.of_letter[label] = dims.total++;
  NORCH_CHECK(dims.total <= kMaxTensorDims, "einsum(): the equation has too many dims");
  return dims;
}

/// The operand with dims in the common order; letters that occur twice become a diagonal.
Tensor arrange(Tensor t, const Labels& term, const Dims& dims, size_t operand) {
  const int64_t named = static_cast<int64_t>(term.size()) - 1;
  std::vector<int> where;  // the common dim of each dim of t
  for (int label : term) {
    if (label != kEllipsis) {
      where.push_back(dims.of_letter[label]);
      continue;
    }
    const int64_t own = t.dim() - named;
    for (int64_t d = 0; d < own; ++d)
      where.push_back(dims.ellipsis + static_cast<int>(dims.ellipsis_n - own + d));
  }
  for (size_t i = 0; i < where.size(); ++i) {
    for (size_t j = i + 1; j < where.size();) {
      if (where[i] != where[j]) {
        ++j;
        continue;
      }
      char name = '?';
      for (int label : term)
        if (label != kEllipsis && dims.of_letter[label] == where[i]) name = letter(label);
      const int64_t di = static_cast<int64_t>(i), dj = static_cast<int64_t>(j);
      NORCH_CHECK(t.sizes()[i] == t.sizes()[j], "einsum(): subscript ", name, " is repeated for operand ", operand,
                  " but the sizes don't match, ", t.sizes()[j], " != ", t.sizes()[i]);
      t = movedim(diagonal(t, 0, di, dj), {-1}, {di});
      where.erase(where.begin() + static_cast<std::ptrdiff_t>(j));
    }
  }
  Shape order, shape(static_cast<size_t>(dims.total), 1);
  for (int d = 0; d < dims.total; ++d)
    for (size_t i = 0; i < where.size(); ++i)
      if (where[i] == d) {
        order.push_back(static_cast<int64_t>(i));
        shape[d] = t.sizes()[i];
      }
  return reshape(t.dim() ? permute(t, order) : t, shape);
}

/// a times b, summed over the dims in `summed`, which keep size 1.
Tensor contract(Tensor a, Tensor b, uint64_t summed) {
  const int64_t n = a.dim();
  Shape alone_a, alone_b;
  for (int64_t d = 0; d < n; ++d) {
    if (!((summed >> d) & 1)) continue;
    if (b.sizes()[d] == 1 && a.sizes()[d] != 1) alone_a.push_back(d);
    if (a.sizes()[d] == 1 && b.sizes()[d] != 1) alone_b.push_back(d);
  }
  if (!alone_a.empty()) a = sum(a, alone_a, true);
  if (!alone_b.empty()) b = sum(b, alone_b, true);
  const DType type = promote_types(a.dtype(), b.dtype());  // integers sum in int64
  a = a.to(type);
  b = b.to(type);
  // Dims of both: batch, or summed. Dims of one alone: rows of a, columns of b.
  Shape batch, rows, cols, inner, shape_batch, shape(static_cast<size_t>(n), 1);
  int64_t m = 1, k = 1, c = 1, batches = 1;
  for (int64_t d = 0; d < n; ++d) {
    const int64_t x = a.sizes()[d], y = b.sizes()[d];
    if ((summed >> d) & 1) {
      if (x == 1 && y == 1) {
        batch.push_back(d);
        continue;
      }
      inner.push_back(d);
      k *= x;
      continue;
    }
    shape[d] = x == 1 ? y : x;
    if (x != 1 && y != 1) {
      batch.push_back(d);
      batches *= x;
    } else if (y == 1 && x != 1) {
      rows.push_back(d);
      m *= x;
    } else {
      cols.push_back(d);
      c *= y;
    }
  }
  if (inner.empty()) return mul(a, b);
  // The result lies in the order batch, rows, columns: row-major more often if its first dim that is no batch is a row.
  const auto wide = std::find_if(cols.begin(), cols.end(), [&](int64_t d) { return b.sizes()[d] != 1; });
  if (!rows.empty() && wide != cols.end() && *wide < rows[0]) return contract(b, a, summed);
  Shape order_a(batch), order_b(batch), order_out(batch), sizes;
  for (int64_t d : rows) order_a.push_back(d);
  for (int64_t d : inner) order_a.push_back(d), order_b.push_back(d);
  for (int64_t d : cols) order_a.push_back(d), order_b.push_back(d);
  for (int64_t d : rows) order_b.push_back(d), order_out.push_back(d);
  for (int64_t d : cols) order_out.push_back(d);
  for (int64_t d : inner) order_out.push_back(d);
  const Tensor x = reshape(permute(a, order_a), {batches, m, k}), y = reshape(permute(b, order_b), {batches, k, c});
  Tensor out = bmm(x, y);
  Shape inverse(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    sizes.push_back(shape[order_out[i]]);
    inverse[order_out[i]] = i;
  }
  return permute(reshape(out, sizes), inverse);
}

}  // namespace

Tensor einsum(const std::string& text, const TensorList& operands, Ints path) {
  NORCH_AUTOCAST(lower_cuda, einsum, text, operands, path);
  NORCH_CHECK(!operands.empty(), "einsum(): must provide at least one operand");
  for (const Tensor& t : operands) NORCH_CHECK_TYPE(t.defined(), "einsum(): an operand is None");
  const Equation equation = parse(text, operands.size());
  const Dims dims = number_dims(equation, operands);
  TensorList list;
  Shape sizes(static_cast<size_t>(dims.total), 1);
  for (size_t i = 0; i < operands.size(); ++i) {
    list.push_back(arrange(operands[i], equation.operands[i], dims, i));
    if (i > 0) check_same_device("einsum", operands[0], operands[i]);
    for (int d = 0; d < dims.total; ++d) {
      const int64_t size = list[i].sizes()[d];
      if (size == 1) continue;
      char name = '.';
      for (int label = 0; label < kLetters; ++label)
        if (dims.of_letter[label] == d) name = letter(label);
      NORCH_CHECK(sizes[d] == 1 || sizes[d] == size, "einsum(): subscript ", name, " has size ", size, " for operand ", i,
                  " which does not broadcast with previously seen size ", sizes[d]);
      sizes[d] = size;
    }
  }
  const uint64_t beyond_output = dims.output >= 64 ? 0 : ~uint64_t{0} << dims.output;
  NORCH_CHECK(path.empty() || path.size() == 2 * (operands.size() - 1), "einsum(): a path over ", operands.size(),
              " operands has ", operands.size() - 1, " pairs, got ", path.size(), " numbers");
  for (size_t step = 0; list.size() > 1; ++step) {
    size_t i = 0, j = 1;
    if (!path.empty()) {
      const int64_t n = static_cast<int64_t>(list.size());
      NORCH_CHECK(path[2 * step] >= 0 && path[2 * step] < n && path[2 * step + 1] >= 0 && path[2 * step + 1] < n &&
                      path[2 * step] != path[2 * step + 1],
                  "einsum(): the path's pair ", step, " does not name two of the ", n, " operands left");
      i = static_cast<size_t>(std::min(path[2 * step], path[2 * step + 1]));
      j = static_cast<size_t>(std::max(path[2 * step], path[2 * step + 1]));
    }
    uint64_t summed = beyond_output;
    for (int d = dims.output; d < dims.total; ++d)
      for (size_t k = 0; k < list.size(); ++k)
        if (k != i && k != j && list[k].sizes()[d] != 1) summed &= ~(uint64_t{1} << d);
    Tensor out = contract(list[i], list[j], summed);
    list.erase(list.begin() + static_cast<std::ptrdiff_t>(j));
    list.erase(list.begin() + static_cast<std::ptrdiff_t>(i));
    // As NumPy's paths count: a result joins at the end; without a path it is the next pair's first.
    if (path.empty())
      list.insert(list.begin(), out);
    else
      list.push_back(out);
  }
  Tensor out = list[0];
  Shape rest;
  for (int d = dims.output; d < dims.total; ++d)
    if (out.sizes()[d] != 1 || operands.size() == 1) rest.push_back(d);
  if (!rest.empty()) out = sum(out, rest, true);
  return reshape(out, out.sizes().slice(0, static_cast<size_t>(dims.output)));
}

}  // namespace norch
