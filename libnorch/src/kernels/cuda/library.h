// NVIDIA's libraries, opened when first used: a process that never needs one never loads it.
#pragma once

#include <string>

namespace norch::cuda {

/// A library as people and the system name it.
struct LibraryFile {
  const char* name;              // "cuBLASLt"
  const char* file;              // with its version: "libcublasLt.so.13"
  const char* package;           // of PyPI, that has it
  const char* version_function;  // size_t (*)(), or null
};

/// A shared library that is already in the process, or lies in a folder of add_library_dir or where the system looks.
/// It is never closed.
class Library {
 public:
  /// One of library_files.h. \throws Error saying where it was looked for and that its package, or the CUDA toolkit, has
  /// it.
  explicit Library(const LibraryFile& file);
  /// \throws Error if the library lacks it.
  template <class F>
  void find(F& function, const char* name) const {
    function = reinterpret_cast<F>(address(name));
  }
  /// The file that was opened.
  std::string path() const;

 private:
  void* address(const char* name) const;
  const char* file_;
  void* handle_;
};

}  // namespace norch::cuda
