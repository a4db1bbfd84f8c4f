// A registry as a process with one ledger, for a swarm of agents; the publisher and an
// administrator are in this process.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tools/bench/editable_model.hpp"
#include "tools/bench/publisher.hpp"
#include "tools/bench/registry_process.hpp"
#include "tools/bench/swarm.hpp"

namespace notp::bench {

class SwarmArm {
 public:
  static constexpr std::string_view kTrustDomain = "bench.internal";
  static constexpr std::string_view kLedger = "100000000000/fleet";

  struct Options {
    std::filesystem::path programs, folder;  // the folder is new
    size_t registry_threads = 1;
    int64_t freshness_s = 0;  // between two statements to a session; 0: the root has no such key
    std::string more;         // lines appended to the registry's configuration
  };
  // Makes a trust domain, starts the registry and publishes version 1: a policy and a document.
  static Result<std::unique_ptr<SwarmArm>> start(Options options);

  Result<SwarmIdentitiesPtr> identities(size_t count) const;
  // With registry, ledger and root.
  Result<AgentSwarmPlan> plan(SwarmIdentitiesPtr identities) const;

  // The next version, which changes one number of the document, signed and encoded.
  Result<Publisher::Prepared> prepare_change();
  // The same with a new document of so many bytes that do not compress below three quarters.
  Result<Publisher::Prepared> prepare_noise(size_t bytes);
  // The version that publish() makes of it.
  static uint64_t version_of(const Publisher::Prepared& prepared) {
    return prepared.release->release().version;
  }
  Result<void> publish(const Publisher::Prepared& prepared);
  // The newest one.
  uint64_t version() const { return version_; }
  // Waits until the registry has an ACTIVE of this version, or a later one, from so many nodes with
  // a session. kTimeout.
  Result<void> await_active(uint64_t version, uint64_t nodes, TimeMs patience_ms) const;

  uint16_t registry_port() const { return registry_->port(); }
  pid_t registry_pid() const { return registry_->pid(); }
  // SIGKILL.
  void kill_registry() { registry_.reset(); }
  // At the same port, with the same data.
  Result<void> start_registry();

 private:
  explicit SwarmArm(Options options);
  Result<void> cli(std::vector<std::string> words) const;
  Result<void> make_trust_domain() const;
  Result<void> write_model();
  std::string registry_text() const;
  cli::Settings settings(std::string_view certificate) const;

  const Options options_;
  EditableModel model_;
  int64_t number_ = 0;  // in the document
  std::optional<RegistryProcess> registry_;
  uint16_t port_ = 0;
  uint64_t version_ = 0;
  cli::RootPtr root_;
  std::unique_ptr<Publisher> publisher_;
};

}  // namespace notp::bench
