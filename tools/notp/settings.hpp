// Where the CLI's settings come from: flags, then environment variables, then one configuration
// file.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/config.hpp"
#include "protocol/model/ledger.hpp"

namespace notp::cli {

// What the global flags and their variables say; empty: not given.
struct Flags {
  std::string output = "text";
  std::string config;
  std::string registry;
  std::string registry_identity;
  std::string certificate, key, ca;
  std::string trust_domain;
  std::string root;
  bool no_colour = false;
};

// The configuration file for a command that works in `folder`: --config or NOTP_CONFIG; else
// .notp/config.yaml in the folder or the nearest parent that has one; else
// $XDG_CONFIG_HOME/notp/config.yaml (~/.config by default). nullopt: there is none. A file that is
// named but absent is found here and reported by load_settings().
std::optional<std::filesystem::path> find_config(const Flags& flags, const Environment& environment,
                                                 const std::filesystem::path& folder);

struct Settings {
  std::optional<std::filesystem::path> config;  // the file that was read
  std::string registry;                         // host:port
  std::string registry_identity;                // as IdentityPattern; empty: registry/*
  std::filesystem::path certificate, key, ca;
  std::string trust_domain;
  std::filesystem::path root;
  std::string ledger;  // zone/name
  std::vector<std::filesystem::path> signing_keys;
};

// Flags over the file. Relative paths in a file start at the file's folder. kConfig.
Result<Settings> load_settings(const Flags& flags, const Environment& environment,
                               const std::filesystem::path& folder);

// `text`, else the configured ledger. kUsage when there is neither.
Result<LedgerId> choose_ledger(const std::string& text, const Settings& settings);

}  // namespace notp::cli
