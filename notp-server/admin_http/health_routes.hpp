// The registry's health for probes: /health, /health/live and /health/ready.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "common/http/router.hpp"
#include "notp-server/registry/registry.hpp"
#include "notp-server/trust/freshness_signer.hpp"
#include "notp-server/trust/root_store.hpp"

namespace notp::admin_http {

// What the registry lacks, and nodes have.
struct RecoveryHealth {
  bool is_restored = false;  // and not confirmed
  bool is_running = false;
  bool is_root_lost = false;
  std::vector<std::string> lost_ledgers;
  std::vector<std::string> forked_ledgers;
};

// Returns names and states of the key sources, from memory. Thread-safe.
using SourcesHealth = std::function<std::vector<std::pair<std::string, std::string>>()>;

struct RegistryHealthParts {
  const trust::RootStore& roots;
  const registry::Registry& registry;
  const trust::FreshnessSigner& freshness;
  std::function<RecoveryHealth()> recovery;
  SourcesHealth sources = nullptr;  // null: there are none
  SourcesHealth lanes = nullptr;    // the same
  bool is_volatile = false;  // the disk takes no writes: nothing can be published or enrolled
};

// The parts must outlive it. Thread-safe.
class RegistryHealthRoutes {
 public:
  explicit RegistryHealthRoutes(RegistryHealthParts parts) : parts_(parts) {}
  RegistryHealthRoutes(const RegistryHealthRoutes&) = delete;
  RegistryHealthRoutes& operator=(const RegistryHealthRoutes&) = delete;

  // This object must outlive the router.
  void add_to(http::Router& router) const;

 private:
  // The listener opens last, so a caller that gets an answer may publish and subscribe. A damaged
  // ledger makes /health answer 503; the probes stay at 200, because the other ledgers are served
  // and a restart repairs nothing. So does /health while releases are lost: what is here is served.
  boost::asio::awaitable<http::Response> health(const http::Request& request) const;

  const RegistryHealthParts parts_;
};

}  // namespace notp::admin_http
