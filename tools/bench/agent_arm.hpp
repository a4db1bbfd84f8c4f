// Runs one agent as a process: starts it, queries it on loopback, ends it.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/json/json.hpp"
#include "tools/bench/child.hpp"

namespace notp::bench {

enum class AgentPdp : uint8_t {
  kEmbedded,
  // The agent has no PDP of its own: it writes each model into a folder, and a hook that accepts
  // everything confirms it.
  kFolder
};

struct AgentSetup {
  std::string node;       // also the stem of its files in `folder`
  uint16_t registry = 0;  // port on loopback
  std::string trust_domain, ledger;
  AgentPdp pdp = AgentPdp::kEmbedded;
  std::string more;  // lines appended to the configuration
  std::vector<std::string> more_ledgers = {};
};

class AgentArm {
 public:
  // Writes the configuration. `folder` has the root and, in pki/, the node's certificate.
  static Result<AgentArm> make(std::filesystem::path programs, std::filesystem::path folder,
                               AgentSetup setup);

  // Starts the program without waiting for it.
  Result<void> start();
  Result<void> stop();
  // Removes all that the agent has stored; it must not run. Nothing exists before its first start.
  Result<void> forget();
  Result<void> keep_store() const;     // copies the store, replacing an earlier copy
  Result<void> restore_store() const;  // restores that copy
  // Checks with the agent's own program that its store is intact. The agent must not run.
  Result<void> verify_store() const;
  std::filesystem::path store() const { return folder_ / setup_.node; }

  // Polls the agent's status until `fits` holds for it. kUnavailable when the program ends,
  // kTimeout.
  Result<json::value> await_status(std::string_view what,
                                   const std::function<bool(const json::value&)>& fits);
  // Waits until the agent reports that its PDP has confirmed this version.
  Result<void> await_active(uint64_t version);
  // Fails when it has ended.
  Result<void> check_running();

  const std::string& node() const { return setup_.node; }
  // For an agent with a folder: the link to the model that it wrote last.
  std::filesystem::path model_link() const { return folder_ / (setup_.node + ".model"); }
  // Valid once the agent has answered.
  uint16_t port() const { return port_; }
  pid_t pid() const { return process_->pid(); }

 private:
  AgentArm(std::filesystem::path programs, std::filesystem::path folder, AgentSetup setup)
      : programs_(std::move(programs)), folder_(std::move(folder)), setup_(std::move(setup)) {}
  std::filesystem::path port_file() const { return folder_ / (setup_.node + ".port"); }
  std::filesystem::path kept() const { return folder_ / (setup_.node + ".kept"); }

  std::filesystem::path programs_, folder_;
  AgentSetup setup_;
  std::optional<Child> process_;
  uint16_t port_ = 0;
};

// The row of the only ledger in a status; null before there is one.
const json::value* ledger_row(const json::value& status);
// A number in that row; 0 when there is no row.
uint64_t ledger_number(const json::value& status, std::string_view field);

// Reads the port from "address:port\n", as the programs write it.
Result<uint16_t> port_in(const std::filesystem::path& file);
// The end of a log, for error messages.
std::string log_tail(const std::filesystem::path& file);

}  // namespace notp::bench
