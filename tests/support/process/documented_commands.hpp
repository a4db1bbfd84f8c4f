// Runs the commands that a page of the documentation shows, as a user would type them. A block is a
// run of lines indented by four spaces. Hosts, ports and folders that differ in a test are given as
// texts with their replacements; everything else is typed as printed.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>
#include <sstream>

#include "tests/support/process/command.hpp"
#include "tests/support/process/process.hpp"

namespace notp {

// The blocks between this heading ("## Backup") and the next one of any level, in order.
inline std::vector<std::string> documented_blocks(const std::filesystem::path& page,
                                                  std::string_view heading) {
  std::istringstream text(read_text(page));
  std::vector<std::string> blocks;
  bool is_inside = false, is_in_block = false, was_found = false;
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with('#')) is_inside = line == heading;
    was_found |= is_inside;
    const bool is_command = is_inside && line.starts_with("    ");
    if (is_command && !is_in_block) blocks.emplace_back();
    if (is_command) blocks.back() += line.substr(4) + "\n";
    is_in_block = is_command;
  }
  REQUIRE_MESSAGE(was_found, "no heading '" << heading << "' in " << page.string());
  return blocks;
}

// The lines of a block.
inline std::vector<std::string> lines_of(const std::string& block) {
  std::istringstream text(block);
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

// A terminal with the built programs on PATH, and its own home. Keeps the working folder that a
// block changes to.
class Typist {
 public:
  using Substitutions = std::vector<std::pair<std::string, std::string>>;

  Typist(std::filesystem::path folder, std::filesystem::path home)
      : folder_(std::move(folder)), home_(std::move(home)) {}

  void substitute(std::string text, std::string with) {
    substitutions_.emplace_back(std::move(text), std::move(with));
  }
  // The block with the replacements applied.
  std::string adapted(std::string block) const {
    for (const auto& [text, with] : substitutions_)
      for (size_t at = 0; (at = block.find(text, at)) != std::string::npos; at += with.size())
        block.replace(at, text.size(), with);
    return block;
  }
  // Runs the block, and stops at the first command that fails.
  CommandResult type(const std::string& block) {
    const std::filesystem::path where = home_ / "where";
    const CommandResult result =
        run_command({"timeout", "120", "bash", "-e", "-o", "pipefail", "-c",
                     fmt::format("cd '{}'\n{}\npwd > '{}'\n", folder_.string(), adapted(block),
                                 where.string())},
                    environment());
    if (result.status != 0) return result;
    std::string folder = read_text(where);
    folder.pop_back();
    folder_ = folder;
    return result;
  }
  // Runs the block, which must succeed, and returns its output.
  std::string typed(const std::string& block) {
    const CommandResult result = type(block);
    REQUIRE_MESSAGE(result.status == 0, adapted(block) << result.output);
    return result.output;
  }
  // Starts a command that keeps running in its terminal.
  Process start(const std::string& block, const std::filesystem::path& log,
                std::vector<std::pair<std::string, std::string>> more = {}) const {
    for (auto& variable : environment()) more.push_back(std::move(variable));
    return Process({.command = {"bash", "-c", "exec " + adapted(block)},
                    .folder = folder_,
                    .environment = std::move(more),
                    .output_file = log,
                    .error_file = log});
  }
  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::vector<std::pair<std::string, std::string>> environment() const {
    return {{"HOME", home_},
            {"XDG_CONFIG_HOME", ""},
            {"XDG_STATE_HOME", ""},
            {"XDG_CACHE_HOME", ""},
            {"NOTP_CONFIG", ""},
            {"NO_COLOR", "1"},
            {"PATH", fmt::format("{}:{}", std::getenv("NOTP_BIN"), std::getenv("PATH"))}};
  }

  std::filesystem::path folder_;
  const std::filesystem::path home_;
  Substitutions substitutions_;
};

}  // namespace notp
