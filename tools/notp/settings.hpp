// Settings of the CLI, from flags, then environment variables, then configuration files from the
// nearest to the farthest. A later source sets only values that are still unset.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/config.hpp"
#include "common/http/proxy.hpp"
#include "protocol/model/ledger.hpp"

namespace notp::cli {

// Values of the global flags and their variables; empty: not given.
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

// The system-wide configuration.
inline const std::filesystem::path kSystemConfig = "/etc/notp/config.yaml";

// Returns the configuration files for a command that works in `folder`, nearest first: --config or
// NOTP_CONFIG; .notp/config.yaml in the folder or its nearest parent that has one;
// $XDG_CONFIG_HOME/notp/config.yaml (~/.config by default); `system`. A file that is named
// explicitly is listed even if absent, for load_settings() to report; the others only if they
// exist.
std::vector<std::filesystem::path> find_configs(
    const Flags& flags, const Environment& environment, const std::filesystem::path& folder,
    const std::filesystem::path& system = kSystemConfig);

// One resolved setting, for display.
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
  Environment environment;            // may name a proxy if `proxy` is unset
  std::vector<ChosenSetting> chosen;  // all settings, in the order of the documentation
};

// Merges flags and files, setting by setting. Relative paths in a file start at the file's folder.
// kConfig, with the name of the file.
Result<Settings> load_settings(const Flags& flags, const Environment& environment,
                               const std::filesystem::path& folder,
                               const std::filesystem::path& system = kSystemConfig);

// Parses `text`, else uses the configured ledger. kUsage when there is neither.
Result<model::LedgerId> choose_ledger(const std::string& text, const Settings& settings);

}  // namespace notp::cli
