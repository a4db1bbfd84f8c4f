// A registry with a token lane, as a process; a source that pushes events to it over mutual TLS;
// nodes with a policy that looks tokens up.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/transport/tls_context.hpp"
#include "tools/bench/agent_arm.hpp"
#include "tools/bench/load_stream.hpp"
#include "tools/bench/registry_process.hpp"

namespace notp::bench {

// A source with one kept connection. One thread at a time.
class LaneFeeder {
 public:
  // Sends JSON lines and waits until the registry has them on disk. kUnavailable when it refuses.
  Result<void> send(const std::string& lines);

  // One line each, for a token of this name.
  static std::string add(const std::string& token, int64_t exp_s);
  static std::string del(const std::string& token);

 private:
  friend class LaneArm;
  explicit LaneFeeder(LoadStream stream) : stream_(std::move(stream)) {}
  LoadStream stream_;
};

class LaneArm {
 public:
  static constexpr std::string_view kTrustDomain = "bench.internal";
  static constexpr std::string_view kLane = "tokens";
  // Data paths of the policy: whether `input.token` has the scope by the lane, and, as a control,
  // whether `input.scope` has it.
  static constexpr std::string_view kByLane = "notp_bench/by_lane";
  static constexpr std::string_view kByInput = "notp_bench/by_input";

  struct Options {
    std::filesystem::path programs, folder;  // the folder is new
    uint64_t tokens_max = 1'000'000;
  };
  // Makes a trust domain, starts the registry and publishes the policy.
  static Result<std::unique_ptr<LaneArm>> start(Options options);

  Result<LaneFeeder> connect_feeder() const;
  // Identities of so many nodes.
  Result<std::vector<std::shared_ptr<const transport::TlsContext>>> identities(size_t count) const;
  // A node that follows the lane, or none. It does not run yet.
  Result<AgentArm> make_agent(const std::string& node, uint16_t registry_port,
                              bool with_lane) const;

  uint16_t registry_port() const { return registry_->port(); }
  pid_t registry_pid() const { return registry_->pid(); }
  std::filesystem::path lane_key_file() const { return options_.folder / "lane.pub"; }

 private:
  explicit LaneArm(Options options) : options_(std::move(options)) {}
  Result<void> cli(std::vector<std::string> words) const;
  Result<void> make_trust_domain() const;
  Result<void> publish_policy() const;
  std::string lane_text() const;

  const Options options_;
  std::optional<RegistryProcess> registry_;
};

}  // namespace notp::bench
