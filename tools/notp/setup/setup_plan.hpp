// The plan of `notp setup`, from answers at the terminal, flags, or an earlier run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "protocol/model/ledger.hpp"
#include "protocol/session/identity.hpp"
#include "tools/notp/command.hpp"

namespace notp::cli {

// Options of the command line; absent: not given.
struct SetupOptions {
  std::optional<std::string> folder;
  std::optional<std::string> address;
  std::optional<std::string> listen;
  std::optional<std::string> zone;
  std::optional<std::string> ledger;
  std::optional<std::string> node;
  std::optional<std::string> publisher;
  std::optional<std::string> admin;
  std::optional<std::string> registry_name;
  std::optional<uint16_t> port, enroll_port, health_port;
  bool own_ca = false;
  bool development_ca = false;
  bool yes = false;
};

struct SetupPlan {
  std::filesystem::path folder;  // absolute
  std::string trust_domain;
  std::string address;  // host under which nodes reach the registry; IPv6 in brackets
  std::string listen;   // address that the registry listens on; IPv6 in brackets
  uint16_t port = 7443;
  uint16_t enroll_port = 7444;
  uint16_t health_port = 7449;  // on loopback
  model::LedgerId ledger;       // the first one; its zone is the one being set up
  std::string node = "edge-1";
  std::string publisher = "publisher";
  std::string admin = "admin";
  std::string registry_name = "main";
  bool own_ca = false;
  // A run has completed: a folder missing since then was moved to its machine.
  bool is_complete = false;
  // Expiry of the join tokens made, by node.
  json::object tokens;

  std::string zone() const { return std::to_string(ledger.zone); }
  std::string registry_address() const;  // host:port of sessions
  std::string enroll_address() const;    // host:port where nodes join
  session::Identity identity(session::Role role) const;
  std::filesystem::path file(std::string_view name) const { return folder / name; }
};

// Loads the plan that an earlier run left in the folder and checks the flags against it; else makes
// a new one from flags, from answers at the terminal where flags are missing, and from defaults.
// kUsage for a missing or wrong value, and for a folder with unrelated files; kConflict for a flag
// that contradicts the existing setup.
Result<SetupPlan> make_setup_plan(const Context& context, const SetupOptions& options);

// Writes the plan into the folder, for the next run. It holds no secret.
Result<void> keep_setup_plan(const SetupPlan& plan);

}  // namespace notp::cli
