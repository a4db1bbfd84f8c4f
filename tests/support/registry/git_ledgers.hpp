// Shared by the tests of the Git registry: opens one, and queries it with stock Git.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "notp-server/registry/git_registry.hpp"
#include "tests/support/process/command.hpp"
#include "tests/support/registry/signed_releases.hpp"
#include "tests/support/temporary_folder.hpp"

namespace notp {

namespace fs = std::filesystem;
using samples::kLedger;
using samples::model_of;
using samples::next_release;

inline std::unique_ptr<registry::GitRegistry> open(const fs::path& data) {
  auto registry = registry::GitRegistry::open(data);
  REQUIRE_MESSAGE(registry.has_value(), (registry ? "" : registry.error().message));
  return *std::move(registry);
}

inline fs::path repository_of(const fs::path& data, const model::LedgerId& ledger = kLedger) {
  return data / "ledgers" / std::to_string(ledger.zone) / (ledger.name + ".git");
}

inline CommandResult git(const fs::path& repository, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"git", "-C", repository.string()});
  return run_command(arguments, {{"GIT_CONFIG_GLOBAL", "/dev/null"},
                                 {"GIT_CONFIG_NOSYSTEM", "1"},
                                 {"GIT_AUTHOR_NAME", "somebody"},
                                 {"GIT_AUTHOR_EMAIL", "somebody@example.org"},
                                 {"GIT_COMMITTER_NAME", "somebody"},
                                 {"GIT_COMMITTER_EMAIL", "somebody@example.org"}});
}

inline std::string git_line(const fs::path& repository, std::vector<std::string> arguments) {
  CommandResult result = git(repository, std::move(arguments));
  REQUIRE_MESSAGE(result.status == 0, result.output);
  if (result.output.ends_with('\n')) result.output.pop_back();
  return result.output;
}

inline samples::Texts texts(int step) {
  samples::Texts files = {
      {"manifest.json", R"({"roots":["payments"]})"},
      {"payments/rules.rego", fmt::format("package payments\nallow if input.n > {}\n", step)},
      // Names around '/' in byte order, which reveal a wrong order of tree entries.
      {"a/z/data.json", "{}"},
      {"a-b/data.json", "[1]"},
      {"a.b", "dot"},
      {"a0", "zero"},
      {"a1/data.json", fmt::format("[{}]", step)},
      {"payments/large/data.json", std::string(300'000, static_cast<char>('a' + step % 26))}};
  files[fmt::format("step{}/data.json", step % 3)] = fmt::format("{{\"step\":{}}}", step);
  return files;
}

inline registry::SnapshotPtr publish_files(registry::GitRegistry& registry,
                                           const samples::Texts& files,
                                           const model::LedgerId& ledger = kLedger) {
  auto published =
      registry.publish(next_release(ledger, registry.head(ledger), model_of(files), "a change"));
  REQUIRE_MESSAGE(published.has_value(), (published ? "" : published.error().message));
  return *published;
}

inline void check_same(const registry::Snapshot& stored, const samples::Texts& files) {
  REQUIRE(stored.content.tree->files().size() == files.size());
  for (const auto& [path, text] : files) {
    const model::FileEntry* entry = stored.content.tree->find(path);
    REQUIRE(entry != nullptr);
    CHECK(*stored.content.blobs.at(entry->hash) == text);
  }
}

// git fsck reports nothing about the repository, except that an empty one is empty.
inline void check_fsck(const fs::path& repository) {
  const CommandResult fsck = git(repository, {"fsck", "--strict", "--full", "--no-dangling"});
  CHECK(fsck.status == 0);
  std::istringstream lines(fsck.output);
  for (std::string line; std::getline(lines, line);)
    if (line != "notice: HEAD points to an unborn branch (main)" &&
        line != "notice: No default references")
      FAIL_CHECK(line);
}

inline std::string root_by_specification(const fs::path& repository, const std::string& tag,
                                         const fs::path& scratch) {
  const fs::path archive = scratch / (tag + ".tar");
  git_line(repository, {"archive", "--format=tar", "-o", archive.string(), tag});
  const char* source = std::getenv("NOTP_SOURCE");
  REQUIRE(source != nullptr);
  const CommandResult root = run_command(
      {"python3", "-B", fmt::format("{}/tests/support/content_root.py", source), archive.string()});
  REQUIRE_MESSAGE(root.status == 0, root.output);
  return root.output.substr(0, 64);
}

}  // namespace notp
