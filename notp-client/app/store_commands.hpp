// `notp-client store`: looks at a stopped agent's store without its registry.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "common/result.hpp"

namespace notp {

struct StoreCommandOptions {
  std::filesystem::path data_dir;
  // What the store is held against; without them against itself: its own first root.
  std::optional<std::string> trust_domain;
  std::filesystem::path root;  // pinned; empty: none
  bool as_json = false;
};

struct StoreAnswer {
  std::string text;  // for standard output
  int exit = 0;      // exit_code
};

// Reads and verifies all of the store. What is wrong is told with what to do about it, and is no
// error: the exit code is kUntrusted when something is signed by nobody who may, kFailure for other
// damage. kNotFound: no store; kConflict: an agent uses it; kConfig: of another format; the codes
// of read_file() about the root.
Result<StoreAnswer> verify_store(const StoreCommandOptions& order);

// What is stored and what it costs. The errors of verify_store(); kCorrupt.
Result<StoreAnswer> describe_store(const StoreCommandOptions& order);

}  // namespace notp
