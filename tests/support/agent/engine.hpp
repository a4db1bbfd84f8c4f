// The real engine for tests: the worker from the build.
#pragma once

#include <cstdlib>

#include "common/rego/host/process_checker.hpp"

namespace notp {

inline std::string test_worker() {
  const char* folder = std::getenv("NOTP_BIN");
  return std::string(folder ? folder : ".") + "/notp-pdp";
}

// One for all tests of a program, so that a model is checked only once.
inline rego::ModelChecker& test_checker() {
  static rego::ProcessChecker checker(rego::CheckerOptions{.worker = test_worker()});
  return checker;
}

}  // namespace notp
