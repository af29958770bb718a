// Contractions over several dims.
#include "bind.h"
#include "norch/ops/matmul.h"

namespace norch::python {

namespace {

Tensor operand_of(const char* op, nb::handle t) {
  Tensor operand;
  NORCH_CHECK_TYPE(nb::try_cast(t, operand) && operand.defined(), op, "(): expected tensors, got ",
                   Py_TYPE(t.ptr())->tp_name);
  return operand;
}

/// einsum(equation, *operands) or einsum(equation, operands).
Tensor einsum_row(const std::string& equation, nb::args operands, std::optional<Shape> path) {
  TensorList tensors;
  if (operands.size() == 1 && nb::isinstance<nb::sequence>(operands[0]) && !is_tensor(nb::handle(operands[0]).ptr())) {
    for (nb::handle t : nb::borrow<nb::sequence>(operands[0])) tensors.push_back(operand_of("einsum", t));
  } else {
    for (nb::handle t : operands) tensors.push_back(operand_of("einsum", t));
  }
  return einsum(equation, tensors, path ? Ints(*path) : Ints());
}

/// The subscripts of one operand, numbers below 52 or Ellipsis, as letters: A to Z, then a to z, whose order is theirs.
std::string letters_of(nb::handle sublist) {
  NORCH_CHECK_TYPE(nb::isinstance<nb::sequence>(sublist) && !nb::isinstance<nb::str>(sublist),
                   "einsum(): expected a list of subscripts after each operand, got ", Py_TYPE(sublist.ptr())->tp_name);
  std::string letters;
  for (nb::handle s : sublist) {
    if (s.ptr() == Py_Ellipsis) {
      letters += "...";
      continue;
    }
    int64_t n = -1;
    NORCH_CHECK_VALUE(nb::try_cast<int64_t>(s, n) && n >= 0 && n < 52,
                      "einsum(): subscript in subscript list is not within the valid range [0, 52)");
    letters += static_cast<char>(n < 26 ? 'A' + n : 'a' + n - 26);
  }
  return letters;
}

/// einsum(first, subscripts, second, subscripts, ..., subscripts of the result).
Tensor einsum_of_lists(const Tensor& first, nb::args rest) {
  TensorList tensors{first};
  std::string equation;
  for (size_t i = 0; i < rest.size(); ++i) {
    if (i % 2 == 1 && i + 1 == rest.size())
      equation += "->" + letters_of(rest[i]);
    else if (i % 2 == 1)
      tensors.push_back(operand_of("einsum", rest[i]));
    else
      equation += (i ? "," : "") + letters_of(rest[i]);
  }
  return einsum(equation, tensors, Ints());
}

/// tensordot(a, b, dims) with a number or a pair of lists.
Tensor tensordot_row(const Tensor& a, const Tensor& b, nb::handle dims) {
  int64_t n;
  if (nb::try_cast<int64_t>(dims, n)) return tensordot(a, b, n);
  std::pair<Shape, Shape> lists;
  NORCH_CHECK_TYPE(nb::isinstance<nb::sequence>(dims) && nb::len(dims) == 2 &&
                       nb::try_cast<Shape>(dims[0], lists.first) && nb::try_cast<Shape>(dims[1], lists.second),
                   "tensordot expects dims to be an int or a pair of lists of ints");
  return tensordot(a, b, lists.first, lists.second);
}

}  // namespace

void bind_contract(Binder& b) {
  b.op("inner", &inner, "inner(input, other) -> Tensor\n\nSums products over the last dim of both.", "input"_a,
       "other"_a);
  b.function("einsum", &einsum_row,
             "einsum(equation, *operands) -> Tensor\n\nEinstein's summation, e.g. einsum('ij,jk->ik', a, b).",
             "equation"_a, "operands"_a, "path"_a = nb::none());
  b.function("einsum", &einsum_of_lists,
             "einsum(op1, subscripts1, op2, subscripts2, ..., result=None) -> Tensor\n\nThe same with lists of numbers, or "
             "Ellipsis, for letters.",
             "op1"_a, "rest"_a);
  b.function("tensordot", &tensordot_row,
             "tensordot(a, b, dims=2) -> Tensor\n\nSums products over the last dims of a and the first of b, or over the "
             "given pair of lists of dims.",
             "a"_a, "b"_a, "dims"_a = 2);
  b.op("kron", &kron, "kron(input, other) -> Tensor\n\nKronecker's product.", "input"_a, "other"_a);
  b.op("trace", &trace, "trace(input) -> Tensor\n\nThe sum of a matrix's diagonal.", "input"_a);
  b.op("cross", &cross, "cross(input, other, dim=None) -> Tensor\n\nThe cross product of 3-vectors along `dim`, by "
       "default the first dim of size 3.",
       "input"_a, "other"_a, "dim"_a = nb::none());
  b.function(
      "chain_matmul",
      [](nb::args matrices) {
        TensorList list;
        for (nb::handle t : matrices) list.push_back(operand_of("chain_matmul", t));
        return chain_matmul(list);
      },
      "chain_matmul(*matrices) -> Tensor\n\nThe product of matrices in the cheapest order.", "matrices"_a);
}

}  // namespace norch::python
