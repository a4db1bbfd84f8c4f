// One agent with the embedded PDP as a process: started, asked on loopback, ended.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "common/json.hpp"
#include "tools/bench/child.hpp"

namespace notp::bench {

struct AgentSetup {
  std::string node;       // also the stem of its files in `folder`
  uint16_t registry = 0;  // port on loopback
  std::string trust_domain, ledger;
};

class AgentArm {
 public:
  // Writes the configuration. `folder` has the root and, in pki/, the node's certificate.
  static Result<AgentArm> make(std::filesystem::path programs, std::filesystem::path folder,
                               AgentSetup setup);

  // Starts the program and waits for nothing.
  Result<void> start();
  Result<void> stop();
  // Removes what it has stored. It must not run.
  Result<void> forget();

  // Asks for its status until `fits` holds of it. kUnavailable when the program ends, kTimeout.
  Result<json::value> await_status(std::string_view what,
                                   const std::function<bool(const json::value&)>& fits);
  // Its PDP has confirmed this version, by its own word.
  Result<void> await_active(uint64_t version);
  // Fails when it has ended.
  Result<void> check_running();

  const std::string& node() const { return setup_.node; }
  // Once it has answered.
  uint16_t port() const { return port_; }
  pid_t pid() const { return process_->pid(); }

 private:
  AgentArm(std::filesystem::path programs, std::filesystem::path folder, AgentSetup setup)
      : programs_(std::move(programs)), folder_(std::move(folder)), setup_(std::move(setup)) {}
  std::filesystem::path port_file() const { return folder_ / (setup_.node + ".port"); }

  std::filesystem::path programs_, folder_;
  AgentSetup setup_;
  std::optional<Child> process_;
  uint16_t port_ = 0;
};

// The row of a status for the only ledger; null before there is one.
const json::value* ledger_row(const json::value& status);
// A number in that row; 0 when there is no row.
uint64_t ledger_number(const json::value& status, std::string_view field);

// The port in "address:port\n", as the programs write it.
Result<uint16_t> port_in(const std::filesystem::path& file);
// The end of a log, for the message of a failure.
std::string log_tail(const std::filesystem::path& file);

}  // namespace notp::bench
