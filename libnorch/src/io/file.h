// Files, with errors that name them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace norch::io {

/// A regular file open for reading.
class InputFile {
 public:
  /// \throws Error when it cannot be opened or is not a regular file.
  explicit InputFile(const std::string& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  uint64_t size() const { return size_; }
  /// Reads exactly n bytes. \throws Error when they are not there.
  void read(uint64_t offset, void* to, size_t n) const;

 private:
  std::string path_;
  int fd_;
  uint64_t size_;
};

/// A file that appears under its name only when commit() is called; until then, and if it never is, another file
/// beside it holds what was written.
class OutputFile {
 public:
  explicit OutputFile(const std::string& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(const void* bytes, size_t n);
  void commit();

 private:
  std::string path_, temporary_;
  int fd_ = -1;
};

}  // namespace norch::io
