// The registry as a network service: what its sessions are served with, and what they are told of.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <optional>
#include <string>

#include "common/atomic_shared.hpp"
#include "notp-server/authz/rights.hpp"
#include "notp-server/enroll/enrollment.hpp"
#include "notp-server/fleet/fleet.hpp"
#include "notp-server/publish/publish_pipeline.hpp"
#include "notp-server/service/registry_catalog.hpp"
#include "notp-server/service/registry_peers.hpp"
#include "notp-server/service/registry_releases.hpp"
#include "notp-server/service/request_handler.hpp"
#include "notp-server/service/work_lanes.hpp"
#include "notp-server/trust/freshness_signer.hpp"
#include "notp-server/trust/root_store.hpp"
#include "protocol/serve/artifact_cache.hpp"
#include "protocol/serve/session_artifacts.hpp"
#include "protocol/serve/session_server.hpp"

namespace notp {

// What the service stands on; all of it outlives the service and is thread-safe.
struct ServiceParts {
  Registry& registry;
  ArtifactCache& artifacts;
  Fleet& fleet;
  TlsSource& tls;
  WorkPools& pools;
  rego::ModelChecker& engine;
  const AtomicShared<RightsTable>& rights;
  PendingStore& pending;
  UploadSpace& uploads;
  RootStore& roots;
  const FreshnessSigner& freshness;
  DenyList* denied = nullptr;        // null: none is configured
  Enrollment* enrollment = nullptr;  // null: nodes cannot join or renew here
  ServerInfo info;                   // without the peer
};

struct ServiceOptions {
  ServeOptions serve;
  size_t workers = 1;  // as the pools have them
  size_t validations_at_once = 1;
  BuiltinGrants builtins;  // beyond those of every ledger
  RegistryFacts facts;     // what any peer may ask
};

// Totals since the start.
struct ServiceCounters {
  std::atomic<uint64_t> publishes{0};
  std::atomic<uint64_t> publishes_refused{0};
};

// Thread-safe.
class Service final : private RequestServices {
 public:
  Service(ServiceParts parts, ServiceOptions options);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  // Listens and serves on threads of its own. Returns the real "address:port". kConfig,
  // kUnavailable.
  Result<std::string> start() { return server_.start(); }
  // Ends sessions in good order, then pools and threads. Blocking; a second call does nothing.
  void stop();

  // A ledger has a new head: sessions that subscribed offer it.
  void announce(const LedgerId& ledger);
  // As those of SessionServer.
  void roots_changed() { server_.roots_changed(); }
  void freshness_due() { server_.freshness_due(); }
  void recheck_sessions() { server_.recheck_sessions(); }
  void recheck_sessions_of(const std::string& identity) { server_.recheck_sessions_of(identity); }
  void clock_set() { server_.clock_set(); }

  const ServiceCounters& counters() const { return counters_; }
  const ServeCounters& session_counters() const { return server_.counters(); }
  // Sessions that waited for what was being made for another one, since the start.
  uint64_t artifacts_joined() const { return artifacts_.joined_total(); }
  // Blocking tasks that wait for their turn, now.
  size_t work_waiting() const { return work_.waiting(); }

 private:
  boost::asio::awaitable<wire::PublishResult> publish(
      PeerPtr peer, server_event::PublishArrived arrived) override;
  boost::asio::awaitable<wire::Response> answer(PeerPtr peer, wire::Request request) override;

  // A ledger has a new head: what the registry itself takes from it. Blocking, before announce().
  void take_in(const LedgerId& ledger);
  Result<void> update_deny_list(const LedgerId& ledger);

  ServiceParts parts_;
  const ServiceOptions options_;
  PublishPipeline pipeline_;
  WorkLanes work_;
  RegistryReleases releases_;
  SessionArtifacts artifacts_;
  const RegistryCatalog catalog_;
  RequestHandler requests_;
  RegistryPeers peers_;
  ServiceCounters counters_;
  SessionServer server_;
  std::atomic<bool> stopped_{false};
};

}  // namespace notp
