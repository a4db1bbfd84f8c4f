// One agent as a process: started, asked on loopback, ended.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "common/json/json.hpp"
#include "tools/bench/child.hpp"

namespace notp::bench {

enum class AgentPdp : uint8_t {
  kEmbedded,
  // The agent holds no model: it writes each one into a folder, and a hook that accepts all
  // confirms it.
  kFolder
};

struct AgentSetup {
  std::string node;       // also the stem of its files in `folder`
  uint16_t registry = 0;  // port on loopback
  std::string trust_domain, ledger;
  AgentPdp pdp = AgentPdp::kEmbedded;
  std::string more;  // lines of the configuration, added to it
};

class AgentArm {
 public:
  // Writes the configuration. `folder` has the root and, in pki/, the node's certificate.
  static Result<AgentArm> make(std::filesystem::path programs, std::filesystem::path folder,
                               AgentSetup setup);

  // Starts the program and waits for nothing.
  Result<void> start();
  Result<void> stop();
  // Of what it has stored; it must not run. Nothing is there before its first start.
  Result<void> forget();
  Result<void> keep_store() const;     // a copy aside, instead of an earlier one
  Result<void> restore_store() const;  // as it was then
  // All that it has stored is whole, by its own check. It must not run.
  Result<void> verify_store() const;
  std::filesystem::path store() const { return folder_ / setup_.node; }

  // Asks for its status until `fits` holds of it. kUnavailable when the program ends, kTimeout.
  Result<json::value> await_status(std::string_view what,
                                   const std::function<bool(const json::value&)>& fits);
  // Its PDP has confirmed this version, by its own word.
  Result<void> await_active(uint64_t version);
  // Fails when it has ended.
  Result<void> check_running();

  const std::string& node() const { return setup_.node; }
  // Of an agent with a folder: the link to the model that it wrote last.
  std::filesystem::path model_link() const { return folder_ / (setup_.node + ".model"); }
  // Once it has answered.
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

// The row of a status for the only ledger; null before there is one.
const json::value* ledger_row(const json::value& status);
// A number in that row; 0 when there is no row.
uint64_t ledger_number(const json::value& status, std::string_view field);

// The port in "address:port\n", as the programs write it.
Result<uint16_t> port_in(const std::filesystem::path& file);
// The end of a log, for the message of a failure.
std::string log_tail(const std::filesystem::path& file);

}  // namespace notp::bench
