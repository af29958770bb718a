// norch.UntypedStorage: the block of memory behind a tensor, as far as Python needs to know it.
#include "bind.h"

namespace norch::python {

namespace {

/// A shared hold on the memory; two of them are equal when the memory is.
struct UntypedStorage {
  Ref<Storage> storage;
  size_t nbytes() const { return storage ? storage->nbytes() : 0; }
  uintptr_t address() const { return storage ? reinterpret_cast<uintptr_t>(storage->data()) : 0; }
};

}  // namespace

void bind_storage(Binder& b) {
  nb::class_<UntypedStorage>(b.root, "UntypedStorage", "The memory behind a tensor and its views, in bytes.")
      .def("nbytes", &UntypedStorage::nbytes, "nbytes() -> int\n\nIts size in bytes.")
      .def("size", &UntypedStorage::nbytes, "size() -> int\n\nIts size in bytes.")
      .def("__len__", &UntypedStorage::nbytes)
      .def("data_ptr", &UntypedStorage::address, "data_ptr() -> int\n\nIts first byte's address.")
      .def_prop_ro(
          "device", [](const UntypedStorage& s) { return s.storage ? s.storage->device() : Device(); },
          "Where the memory lies.")
      .def(
          "__eq__",
          [](const UntypedStorage& s, const UntypedStorage& o) {
            return s.address() == o.address() && s.nbytes() == o.nbytes();
          },
          nb::is_operator())
      .def("__hash__", &UntypedStorage::address);
  b.method(
      "untyped_storage", [](const Tensor& t) { return UntypedStorage{t.impl()->storage}; },
      "untyped_storage() -> UntypedStorage\n\nThe memory that this tensor and its views share.");
}

}  // namespace norch::python
