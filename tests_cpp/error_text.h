// What a call raises, for tests of error texts.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "norch/error.h"

/// Calls f and returns the text of the ErrorClass it throws; fails the test if it throws none.
template <class ErrorClass = norch::Error, class F>
std::string error_text(F&& f) {
  try {
    f();
  } catch (const ErrorClass& e) {
    return e.what();
  }
  ADD_FAILURE() << "nothing was raised";
  return "";
}

#define EXPECT_ERROR(ErrorClass, expression, part)                                                       \
  do {                                                                                                   \
    const std::string text_ = error_text<norch::ErrorClass>([&] { static_cast<void>(expression); });     \
    EXPECT_NE(text_.find(part), std::string::npos) << "the error says: " << text_;                       \
  } while (false)
