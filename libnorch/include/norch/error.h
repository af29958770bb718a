// Exceptions and checks.
//
// Every error that norch raises is an norch::Error or one of its subclasses; the Python layer turns each into the
// class that PyTorch raises for the same mistake. Texts read `op: what is wrong; what to do about it`.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "norch/export.h"

namespace norch {

/// A failed operation (Python: RuntimeError).
class NORCH_API Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};
/// An argument of the right type with an impossible value (Python: ValueError).
class NORCH_API ValueError : public Error {
 public:
  using Error::Error;
};
/// An argument of the wrong type (Python: TypeError).
class NORCH_API TypeError : public Error {
 public:
  using Error::Error;
};
/// An index or dim out of range (Python: IndexError).
class NORCH_API IndexError : public Error {
 public:
  using Error::Error;
};
/// An operation that exists, but not for these dtypes or devices (Python: NotImplementedError).
class NORCH_API NotImplementedError : public Error {
 public:
  using Error::Error;
};
/// The device has no memory left for an allocation (Python: norch.OutOfMemoryError).
class NORCH_API OutOfMemoryError : public Error {
 public:
  using Error::Error;
};

namespace detail {
inline void append(std::string& s, const char* v) { s += v; }
inline void append(std::string& s, const std::string& v) { s += v; }
inline void append(std::string& s, char v) { s += v; }
inline void append(std::string& s, bool v) { s += v ? "True" : "False"; }
NORCH_API void append(std::string& s, double v);
template <class T, std::enable_if_t<std::is_integral_v<T>, int> = 0>
void append(std::string& s, T v) {
  s += std::to_string(v);
}
template <class E>
[[noreturn]] NORCH_API void raise(std::string text);
extern template NORCH_API void raise<Error>(std::string);
extern template NORCH_API void raise<ValueError>(std::string);
extern template NORCH_API void raise<TypeError>(std::string);
extern template NORCH_API void raise<IndexError>(std::string);
extern template NORCH_API void raise<NotImplementedError>(std::string);
extern template NORCH_API void raise<OutOfMemoryError>(std::string);
}  // namespace detail

/// Concatenates its arguments as text. Any type with an `append(std::string&, const T&)` overload found by argument
/// lookup takes part (numbers, strings, DType, Device, Shape, ...).
template <class... Args>
std::string str(const Args&... args) {
  std::string s;
  using detail::append;
  (append(s, args), ...);
  return s;
}

}  // namespace norch

/// NORCH_CHECK(condition, text...): raises norch::Error with the concatenated text unless the condition holds.
#define NORCH_CHECK_AS(ErrorClass, cond, ...)                              \
  do {                                                                     \
    if (__builtin_expect(!(cond), 0))                                      \
      ::norch::detail::raise<::norch::ErrorClass>(::norch::str(__VA_ARGS__)); \
  } while (false)
#define NORCH_CHECK(cond, ...) NORCH_CHECK_AS(Error, cond, __VA_ARGS__)
#define NORCH_CHECK_VALUE(cond, ...) NORCH_CHECK_AS(ValueError, cond, __VA_ARGS__)
#define NORCH_CHECK_TYPE(cond, ...) NORCH_CHECK_AS(TypeError, cond, __VA_ARGS__)
#define NORCH_CHECK_INDEX(cond, ...) NORCH_CHECK_AS(IndexError, cond, __VA_ARGS__)
#define NORCH_CHECK_IMPLEMENTED(cond, ...) NORCH_CHECK_AS(NotImplementedError, cond, __VA_ARGS__)
#define NORCH_RAISE(ErrorClass, ...) ::norch::detail::raise<::norch::ErrorClass>(::norch::str(__VA_ARGS__))
