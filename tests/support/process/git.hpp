// The stock git program, without any configuration of the user.
#pragma once

#include <doctest/doctest.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/process/command.hpp"

namespace notp {

inline CommandResult run_git(const std::filesystem::path& folder,
                             std::vector<std::string> arguments) {
  static const std::vector<std::pair<std::string, std::string>> kPlain = {
      {"GIT_CONFIG_GLOBAL", "/dev/null"},
      {"GIT_CONFIG_NOSYSTEM", "1"},
      {"GIT_AUTHOR_NAME", "A"},
      {"GIT_AUTHOR_EMAIL", "a@core-platform.internal"},
      {"GIT_COMMITTER_NAME", "A"},
      {"GIT_COMMITTER_EMAIL", "a@core-platform.internal"},
      {"LC_ALL", "C"}};
  arguments.insert(arguments.begin(), {"git", "-C", folder.string()});
  return run_command(arguments, kPlain);
}

// Returns its output, without the last newline. It must succeed.
inline std::string git(const std::filesystem::path& folder, std::vector<std::string> arguments) {
  CommandResult result = run_git(folder, std::move(arguments));
  REQUIRE_MESSAGE(result.status == 0, result.output);
  while (result.output.ends_with('\n')) result.output.pop_back();
  return result.output;
}

}  // namespace notp
