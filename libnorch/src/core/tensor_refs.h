// A list of tensors by reference, from braces or from a TensorList.
#pragma once

#include <initializer_list>

#include "norch/tensor.h"

namespace norch {

class TensorRefs {
 public:
  struct Item {
    Item(const Tensor& t) : tensor(&t) {}
    const Tensor* tensor;
  };
  TensorRefs(std::initializer_list<Item> items) : n_(items.size()) { items_ = items.begin(); }
  TensorRefs(const TensorList& list) : list_(list.data()), n_(list.size()) {}
  size_t size() const { return n_; }
  const Tensor& operator[](size_t i) const { return items_ ? *items_[i].tensor : list_[i]; }

 private:
  const Item* items_ = nullptr;
  const Tensor* list_ = nullptr;
  size_t n_;
};

}  // namespace norch
