#include "io/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "norch/error.h"

namespace norch::io {

namespace {

[[noreturn]] void fail(const char* what, const std::string& path, int error) {
  NORCH_RAISE(Error, what, " '", path, "': ", std::strerror(error));
}

/// What one system call moves at most.
constexpr size_t kPiece = size_t{1} << 30;

}  // namespace

InputFile::InputFile(const std::string& path) : path_(path), fd_(-1), size_(0) {
  NORCH_CHECK_VALUE(path.find('\0') == std::string::npos, "a file's name cannot hold a null character");
  fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd_ < 0) fail("cannot open", path, errno);
  struct stat info;
  const bool known = ::fstat(fd_, &info) == 0;
  if (!known || !S_ISREG(info.st_mode)) {
    const int error = known ? S_ISDIR(info.st_mode) ? EISDIR : EINVAL : errno;
    ::close(fd_);
    fail("cannot read", path, error);
  }
  size_ = static_cast<uint64_t>(info.st_size);
}

InputFile::~InputFile() { ::close(fd_); }

void InputFile::read(uint64_t offset, void* to, size_t n) const {
  char* p = static_cast<char*>(to);
  while (n > 0) {
    const ssize_t got = ::pread(fd_, p, std::min(n, kPiece), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("cannot read", path_, errno);
    NORCH_CHECK(got > 0, "cannot read '", path_, "': the file ended at byte ", offset, " while it was being read");
    p += got;
    offset += static_cast<uint64_t>(got);
    n -= static_cast<size_t>(got);
  }
}

OutputFile::OutputFile(const std::string& path) : path_(path) {
  NORCH_CHECK_VALUE(path.find('\0') == std::string::npos, "a file's name cannot hold a null character");
  static std::atomic<unsigned> counter{0};
  for (int attempt = 0; attempt < 100 && fd_ < 0; ++attempt) {
    temporary_ = str(path, ".", ::getpid(), ".", counter.fetch_add(1), ".tmp");
    fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd_ < 0 && errno != EEXIST) break;
  }
  if (fd_ < 0) fail("cannot write", path, errno);
}

OutputFile::~OutputFile() {
  if (fd_ < 0) return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

void OutputFile::write(const void* bytes, size_t n) {
  const char* p = static_cast<const char*>(bytes);
  while (n > 0) {
    const ssize_t put = ::write(fd_, p, std::min(n, kPiece));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail("cannot write", path_, errno);
    p += put;
    n -= static_cast<size_t>(put);
  }
}

void OutputFile::commit() {
  const int fd = fd_;
  fd_ = -1;
  int error = 0;
  if (::close(fd) != 0) error = errno;  // some file systems report a full disk only here
  if (error == 0 && ::rename(temporary_.c_str(), path_.c_str()) != 0) error = errno;
  if (error != 0) {
    ::unlink(temporary_.c_str());
    fail("cannot write", path_, error);
  }
}

}  // namespace norch::io
