// NVIDIA's libraries, opened when first used: a process that never needs one never loads it.
#pragma once

#include <string>

namespace norch::cuda {

/// A shared library that is already in the process, or lies in a folder of add_library_dir or where the system looks.
/// It is never closed.
class Library {
 public:
  /// `file` is the name with its version ("libcublasLt.so.13"). \throws Error saying where it was looked for and that
  /// `package` of PyPI, or the CUDA toolkit, has it.
  Library(const char* file, const char* package);
  /// \throws Error if the library lacks it.
  template <class F>
  void find(F& function, const char* name) const {
    function = reinterpret_cast<F>(address(name));
  }

 private:
  void* address(const char* name) const;
  const char* file_;
  void* handle_;
};

}  // namespace norch::cuda
