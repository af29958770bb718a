// Examples in doc strings: kept in one text, examples.inc, and appended to the functions' docs when they are bound.
// tests_py/test_docstrings.py runs them.
#include <cstring>
#include <string_view>
#include <unordered_map>

#include "bind.h"

namespace norch::python {

namespace {

/// A name under norch on a line of its own, then its example up to an empty line; and so on.
constexpr std::string_view kText =
#include "examples.inc"
    ;

std::unordered_map<std::string_view, std::string_view> read_examples() {
  std::unordered_map<std::string_view, std::string_view> examples;
  examples.reserve(1024);
  for (size_t at = 1; at < kText.size();) {  // the first character is a newline
    const size_t name_end = kText.find('\n', at);
    const size_t end = std::min(kText.find("\n\n", name_end), kText.size());
    examples.emplace(kText.substr(at, name_end - at), kText.substr(name_end + 1, end - name_end - 1));
    at = end + 2;
  }
  return examples;
}

/// What a scope of the bindings is called in Python: "", or "linalg." and so on. A Tensor's methods are the functions.
std::string public_prefix(nb::handle scope) {
  if (PyType_Check(scope.ptr())) return "";
  const std::string name = nb::cast<std::string>(scope.attr("__name__"));
  const size_t part = name.find("._C._");
  if (part == std::string::npos) return "";
  const std::string module = name.substr(part + std::strlen("._C._"));
  return (module == "nn" ? "nn.functional" : module) + ".";
}

}  // namespace

std::string Binder::documented(nb::handle scope, const char* name, const char* doc) {
  static const auto examples = read_examples();
  const auto found = examples.find(public_prefix(scope) + name);
  if (found == examples.end()) return doc;
  return std::string(doc) + "\n\n" + std::string(found->second);
}

}  // namespace norch::python
