// The real engine for tests: the worker that the build made.
#pragma once

#include <cstdlib>

#include "common/rego/host/process_checker.hpp"

namespace notp {

inline std::string test_worker() {
  const char* folder = std::getenv("NOTP_BIN");
  return std::string(folder ? folder : ".") + "/notp-pdp";
}

// One for all tests of a program: what one has found good another need not look at again.
inline rego::ModelChecker& test_checker() {
  static rego::ProcessChecker checker(rego::CheckerOptions{.worker = test_worker()});
  return checker;
}

}  // namespace notp
