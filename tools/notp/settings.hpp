// Where the CLI's settings come from: flags, then environment variables, then the configuration
// files from the nearest to the farthest. Each fills what those before it left open.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/config.hpp"
#include "common/http/proxy.hpp"
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
  std::string proxy;
  bool no_colour = false;
};

// Of the whole machine.
inline const std::filesystem::path kSystemConfig = "/etc/notp/config.yaml";

// The configuration files for a command that works in `folder`, the nearest first: --config or
// NOTP_CONFIG; .notp/config.yaml in the folder or the nearest parent that has one;
// $XDG_CONFIG_HOME/notp/config.yaml (~/.config by default); `system`. One that is named is among
// them even if it is absent: load_settings() reports that. The others are when they are there.
std::vector<std::filesystem::path> find_configs(
    const Flags& flags, const Environment& environment, const std::filesystem::path& folder,
    const std::filesystem::path& system = kSystemConfig);

// One setting as it came out, for a person.
struct ChosenSetting {
  std::string name;    // as in "tls.key"
  std::string value;   // empty: nothing sets it
  std::string source;  // the option, the variable, or the file that set it
};

struct Settings {
  std::vector<std::filesystem::path> configs;  // the files that were read, the nearest first
  std::string registry;                        // host:port
  std::string registry_identity;               // as IdentityPattern; empty: registry/*
  std::filesystem::path certificate, key, ca;
  std::string trust_domain;
  std::filesystem::path root;
  std::string ledger;  // zone/name
  std::vector<std::filesystem::path> signing_keys;
  http::ProxyConfig proxy;
  Environment environment;            // names a proxy where `proxy` does not
  std::vector<ChosenSetting> chosen;  // all that there are, in the order of the documentation
};

// Flags over the files, one setting after the other. Relative paths in a file start at the file's
// folder. kConfig, with the name of the file.
Result<Settings> load_settings(const Flags& flags, const Environment& environment,
                               const std::filesystem::path& folder,
                               const std::filesystem::path& system = kSystemConfig);

// `text`, else the configured ledger. kUsage when there is neither.
Result<LedgerId> choose_ledger(const std::string& text, const Settings& settings);

}  // namespace notp::cli
