// norch._C._io: safetensors files.
#include <unistd.h>

#include "bind.h"
#include "norch/io.h"

namespace norch::python {

namespace {

std::string text_of(nb::handle o, const char* what) {
  NORCH_CHECK_TYPE(PyUnicode_Check(o.ptr()), "save_safetensors: ", what, " must be str, not ", Py_TYPE(o.ptr())->tp_name);
  Py_ssize_t n = 0;
  const char* s = PyUnicode_AsUTF8AndSize(o.ptr(), &n);
  if (!s) throw nb::python_error();
  return std::string(s, static_cast<size_t>(n));
}

/// A path as Python gives it: str, bytes or PathLike.
std::string path_of(nb::handle path) {
  PyObject* bytes = nullptr;
  if (!PyUnicode_FSConverter(path.ptr(), &bytes)) throw nb::python_error();
  nb::bytes owned = nb::steal<nb::bytes>(bytes);
  return std::string(owned.c_str(), owned.size());
}

nb::dict to_dict(SafetensorsFile file) {
  nb::dict out;
  for (auto& [name, tensor] : file.tensors) out[nb::str(name.data(), name.size())] = nb::cast(tensor);
  return out;
}
nb::dict metadata_of(const SafetensorsFile& file) {
  nb::dict out;
  for (const auto& [key, text] : file.metadata) out[nb::str(key.data(), key.size())] = nb::str(text.data(), text.size());
  return out;
}

SafetensorsFile load(nb::handle path) {
  const std::string name = path_of(path);
  if (access(name.c_str(), F_OK) != 0) {
    PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, path.ptr());  // FileNotFoundError and its kin
    throw nb::python_error();
  }
  return load_safetensors(name);
}

}  // namespace

void bind_io(Binder& b) {
  nb::module_ m = b.root.def_submodule("_io", "Files of tensors.");
  b.in(
      m, "load_safetensors", [](nb::handle path) { return to_dict(load(path)); },
      "load_safetensors(path) -> dict\n\nThe tensors of a file by name, on the CPU. Raises ValueError for a file that is "
      "not valid.",
      "path"_a);
  b.in(
      m, "safetensors_metadata", [](nb::handle path) { return metadata_of(load(path)); },
      "safetensors_metadata(path) -> dict\n\nThe texts that were saved beside the tensors.", "path"_a);
  b.in(
      m, "parse_safetensors",
      [](nb::bytes data) { return to_dict(parse_safetensors(data.c_str(), data.size(), "bytes")); },
      "parse_safetensors(data) -> dict\n\nAs load_safetensors, from bytes.", "data"_a);
  b.in(
      m, "save_safetensors",
      [](const nb::dict& tensors, nb::handle path, nb::handle metadata) {
        NamedTensors list;
        for (auto [name, tensor] : tensors) {
          NORCH_CHECK_TYPE(is_tensor(tensor.ptr()), "save_safetensors: expected a Tensor, got ",
                           Py_TYPE(tensor.ptr())->tp_name);
          list.emplace_back(text_of(name, "names"), unwrap(tensor.ptr()));
        }
        TextMap texts;
        if (!metadata.is_none()) {
          NORCH_CHECK_TYPE(PyDict_Check(metadata.ptr()), "save_safetensors: metadata must be a dict, not ",
                           Py_TYPE(metadata.ptr())->tp_name);
          for (auto [key, value] : nb::borrow<nb::dict>(metadata))
            texts.emplace_back(text_of(key, "metadata"), text_of(value, "metadata"));
        }
        save_safetensors(list, path_of(path), texts);
      },
      "save_safetensors(tensors, path, metadata=None)\n\nWrites a dict of tensors, and texts beside them, to a file that "
      "appears only once it is complete.",
      "tensors"_a, "path"_a, "metadata"_a = nb::none());
}

}  // namespace norch::python
