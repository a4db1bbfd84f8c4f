// The real OPA as a server, without an agent's program.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>

#include "tests/support/process/process.hpp"

namespace notp {

// Runs in `folder`, where it writes opa.out and opa.err. Further arguments: options, and files of
// policies.
inline Process opa_process(const std::filesystem::path& folder, int port,
                           const std::vector<std::string>& arguments) {
  const char* program = std::getenv("NOTP_OPA");
  if (program == nullptr)
    FAIL("NOTP_OPA is not set: export NOTP_OPA=$(tools/build-opa), or run tools/test");
  std::vector<std::string> command = {program,    "run",
                                      "--server", "--skip-version-check",
                                      "--addr",   fmt::format("127.0.0.1:{}", port)};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return Process({.command = std::move(command),
                  .folder = folder,
                  .environment = {},
                  .output_file = folder / "opa.out",
                  .error_file = folder / "opa.err"});
}

}  // namespace notp
