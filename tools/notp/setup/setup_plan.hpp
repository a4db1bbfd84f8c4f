// The plan of `notp setup`, from answers at the terminal, flags, or an earlier run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "common/systemd/service_setup.hpp"
#include "protocol/model/ledger.hpp"
#include "protocol/session/identity.hpp"
#include "tools/notp/command.hpp"

namespace notp::cli {

// The configuration of the registry, among the files of a plan.
inline constexpr std::string_view kRegistryFile = "registry/registry.yaml";

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
  bool service = false;
  bool yes = false;
};

struct SetupPorts {
  uint16_t sessions = 7443;
  uint16_t enroll = 7444;
  uint16_t health = 7449;  // on loopback
};

struct SetupPlan {
  std::filesystem::path folder;  // absolute
  std::string trust_domain;
  std::string address;  // host under which nodes reach the registry; IPv6 in brackets
  std::string listen;   // address that the registry listens on; IPv6 in brackets
  SetupPorts ports;
  model::LedgerId ledger;  // the first one; its zone is the one being set up
  std::string node = "edge-1";
  std::string publisher = "publisher";
  std::string admin = "admin";
  std::string registry_name = "main";
  bool own_ca = false;
  // The registry is the packaged service: its part lies in the folder of its user, who owns it.
  std::optional<systemd::ServiceUser> service;
  // A run has completed: a folder missing since then was moved to its machine.
  bool is_complete = false;
  // Expiry of the join tokens made, by node.
  json::object tokens;

  std::string zone() const { return std::to_string(ledger.zone); }
  std::string registry_address() const;  // host:port of sessions
  std::string enroll_address() const;    // host:port where nodes join
  session::Identity identity(session::Role role) const;
  // "registry" and what is below it are elsewhere for a service.
  std::filesystem::path file(std::string_view name) const;
};

// Loads the plan that an earlier run left in the folder and checks the flags against it; else makes
// a new one from flags, from answers at the terminal where flags are missing, and from defaults.
// kUsage for a missing or wrong value, and for a folder with unrelated files; kConflict for a flag
// that contradicts the existing setup, and for a service that is set up otherwise; the codes of
// ServiceUser::find().
Result<SetupPlan> make_setup_plan(const Context& context, const SetupOptions& options);

// Writes the plan into the folder, for the next run. It holds no secret.
Result<void> keep_setup_plan(const SetupPlan& plan);

}  // namespace notp::cli
