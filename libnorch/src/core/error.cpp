#include "norch/error.h"

#include <cstdio>
#include <utility>

namespace norch::detail {

void append(std::string& s, double v) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", v);
  s += text;
}

template <class E>
void raise(std::string text) {
  throw E(std::move(text));
}
template void raise<Error>(std::string);
template void raise<ValueError>(std::string);
template void raise<TypeError>(std::string);
template void raise<IndexError>(std::string);
template void raise<NotImplementedError>(std::string);
template void raise<OutOfMemoryError>(std::string);

}  // namespace norch::detail
