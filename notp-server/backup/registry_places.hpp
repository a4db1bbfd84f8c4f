// Where a registry keeps what a backup holds.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace notp::backup {

// A file that the configuration names, or the configuration itself ("config").
struct ConfiguredFile {
  std::string key;  // as in "tls.certificate"; its name in a backup
  std::filesystem::path path;
  bool may_be_missing = false;
};

struct RegistryPlaces {
  std::filesystem::path data_dir;
  std::filesystem::path audit;  // the folder of decision records
  bool serves_audit = false;    // a running registry has it open
  std::filesystem::path root;   // the file that the configuration names
  std::string trust_domain;
  std::vector<ConfiguredFile> configured;
};

// Names in a backup. They are those of data_dir, except that `audit` may lie elsewhere there.
inline constexpr const char* kLedgers = "ledgers";
inline constexpr const char* kRoots = "roots";
inline constexpr const char* kPending = "pending";
inline constexpr const char* kAudit = "audit";
inline constexpr const char* kLanes = "lanes";  // a database for each token lane
inline constexpr const char* kConfigured = "configuration";
inline constexpr const char* kFleetFile = "fleet.db";
inline constexpr const char* kJoinTokensFile = "join-tokens.db";
inline constexpr const char* kLogsFile = "logs.db";  // in kAudit

// Receives one line for each step, for a person who waits.
using Say = std::function<void(const std::string& line)>;

}  // namespace notp::backup
