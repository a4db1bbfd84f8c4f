// Prints the results of slow tests, for the table in tests/README.md.
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

namespace notp {

// One row: the action, its count (with the seed), and the result. Printed, and appended to the file
// NOTP_RESULTS when `tools/test --long` names one.
inline void record_result(const std::string& proof, const std::string& done,
                          const std::string& outcome) {
  const std::string row = fmt::format("| {} | {} | {} |\n", proof, done, outcome);
  std::fputs(row.c_str(), stdout);
  std::fflush(stdout);
  if (const char* file = std::getenv("NOTP_RESULTS")) std::ofstream(file, std::ios::app) << row;
}

// Reads a count from the environment, for repetitions of a slow test.
inline uint64_t count_of(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

}  // namespace notp
