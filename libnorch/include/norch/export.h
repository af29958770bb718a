#pragma once

// NORCH_API marks what programs may use; everything else stays inside the library (it is built with hidden
// visibility). Classes whose type must be the same on both sides (exceptions, polymorphic bases) are marked too.
#if defined(_WIN32)
#  if defined(NORCH_BUILDING)
#    define NORCH_API __declspec(dllexport)
#  else
#    define NORCH_API __declspec(dllimport)
#  endif
#else
#  define NORCH_API __attribute__((visibility("default")))
#endif
