#include "norch/version.h"

#define NORCH_STRING_OF(x) #x
#define NORCH_STRING(x) NORCH_STRING_OF(x)

namespace norch {

const char* version() noexcept {
  return NORCH_STRING(NORCH_VERSION_MAJOR) "." NORCH_STRING(NORCH_VERSION_MINOR) "." NORCH_STRING(NORCH_VERSION_PATCH);
}

}  // namespace norch
