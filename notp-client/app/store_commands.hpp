// `notp-client store`: inspects a stopped agent's store without its registry.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "common/result.hpp"

namespace notp::client {

struct StoreCommandOptions {
  std::filesystem::path data_dir;
  // What the store is verified against; without them: its own first root.
  std::optional<std::string> trust_domain;
  std::filesystem::path root;  // pinned; empty: none
  bool as_json = false;
};

struct StoreAnswer {
  std::string text;  // for standard output
  int exit = 0;      // exit_code
};

// Reads and verifies all of the store. Damage is reported with advice and is not an error: the exit
// code is kUntrusted when something lacks an authorised signature, kFailure for other damage.
// kNotFound: no store; kConflict: an agent uses it; kConfig: of another format; the codes of
// read_file() about the root.
Result<StoreAnswer> verify_store(const StoreCommandOptions& options);

// Describes what is stored and the space that it takes. The errors of verify_store(); kCorrupt.
Result<StoreAnswer> describe_store(const StoreCommandOptions& options);

}  // namespace notp::client
