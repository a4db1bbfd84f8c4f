// The registry as a network service: connects sessions to its components, and notifies them of
// changes.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <string>

#include "common/atomic_shared.hpp"
#include "notp-server/authz/rights.hpp"
#include "notp-server/enroll/enrollment.hpp"
#include "notp-server/fleet/fleet.hpp"
#include "notp-server/lane/lanes.hpp"
#include "notp-server/publish/publish_pipeline.hpp"
#include "notp-server/recovery/recovery.hpp"
#include "notp-server/service/log_intake.hpp"
#include "notp-server/service/registry_catalog.hpp"
#include "notp-server/service/registry_peers.hpp"
#include "notp-server/service/registry_releases.hpp"
#include "notp-server/service/request_handler.hpp"
#include "notp-server/service/work_lanes.hpp"
#include "notp-server/sources/sources.hpp"
#include "notp-server/trust/freshness_signer.hpp"
#include "notp-server/trust/root_store.hpp"
#include "protocol/serve/artifact_cache.hpp"
#include "protocol/serve/push_traces.hpp"
#include "protocol/serve/session_artifacts.hpp"
#include "protocol/serve/session_server.hpp"

namespace notp::service {

// The dependencies of the service; all of them outlive it and are thread-safe.
struct ServiceParts {
  registry::Registry& registry;
  serve::ArtifactCache& artifacts;
  fleet::Fleet& fleet;
  transport::TlsSource& tls;
  WorkPools& pools;
  rego::ModelChecker& engine;
  const AtomicShared<authz::RightsTable>& rights;
  publish::PendingStore& pending;
  session::UploadSpace& uploads;
  trust::RootStore& roots;
  const trust::FreshnessSigner& freshness;
  recovery::Recovery& recovery;
  authz::DenyList* denied = nullptr;         // null: none is configured
  enroll::Enrollment* enrollment = nullptr;  // null: nodes cannot join or renew here
  RegistryLogIntake* logs = nullptr;         // null: no log is granted
  audit::AuditSearch* audit = nullptr;       // null: no records are kept here
  audit::RegistryTree* tree = nullptr;       // null: what is kept is only read
  audit::Erasure* erasure = nullptr;         // the same
  sources::Sources* sources = nullptr;       // null: none are configured
  lane::Lanes* lanes = nullptr;              // the same
  const Tracer* tracer = nullptr;            // null: publishes are not traced
  session::ServerInfo info;                  // without the peer
};

struct ServiceOptions {
  serve::ServeOptions serve;
  size_t workers = 1;  // as in the pools
  size_t validations_at_once = 1;
  model::BuiltinGrants builtins;  // in addition to those of every ledger
  RegistryFacts facts;            // open to any peer
};

// Totals since the start.
struct ServiceCounters {
  std::atomic<uint64_t> publishes{0};
  std::atomic<uint64_t> publishes_refused{0};
};

// Thread-safe.
class Service final : private serve::RequestServices {
 public:
  Service(ServiceParts parts, ServiceOptions options);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  // Listens and serves on its own threads. Returns the actual "address:port". kConfig,
  // kUnavailable.
  Result<std::string> start();
  // Ends sessions in good order, then pools and threads. Blocking; a second call does nothing.
  void stop();

  // A ledger has a new head: subscribed sessions offer it. The trace of it is that of `publish`, or
  // begins here (null).
  void announce(const model::LedgerId& ledger, const Span* publish = nullptr);
  // There is a new root.
  void roots_changed();
  // As in SessionServer.
  void freshness_due() { server_.freshness_due(); }
  void recheck_sessions() { server_.recheck_sessions(); }
  void recheck_sessions_of(const std::string& identity) { server_.recheck_sessions_of(identity); }
  void clock_set() { server_.clock_set(); }

  const ServiceCounters& counters() const { return counters_; }
  const serve::ServeCounters& session_counters() const { return server_.counters(); }
  // null: no statements are sent.
  const serve::ClassTable* classes() const { return server_.classes(); }
  // Sessions that joined an artifact build for another session, since the start.
  uint64_t artifacts_joined() const { return artifacts_.joined_total(); }
  // As in SessionServer.
  std::vector<boost::asio::any_io_executor> loops() { return server_.loops(); }
  // Blocking tasks that currently wait for their turn.
  size_t work_waiting() const { return work_.waiting(); }

 private:
  boost::asio::awaitable<wire::PublishResult> publish(
      serve::PeerPtr peer, session::server_event::PublishArrived arrived) override;
  boost::asio::awaitable<wire::Response> answer(serve::PeerPtr peer,
                                                wire::Request request) override;

  RegistryTotals totals() const;
  // A publish of the registry itself. Blocking, on the caller's thread.
  publish::PublishOutcome publish_here(publish::PublishAttempt attempt);
  // Applies a ledger's new head to the registry itself. Blocking, before announce().
  void take_in(const model::LedgerId& ledger, const Span* publish = nullptr);
  Result<void> update_deny_list(const model::LedgerId& ledger);
  // Those that the deny list does not name. Blocking.
  Result<std::vector<std::string>> known_nodes() const;

  ServiceParts parts_;
  const ServiceOptions options_;
  publish::PublishPipeline pipeline_;
  WorkLanes work_;
  RegistryReleases releases_;
  serve::SessionArtifacts artifacts_;
  const RegistryCatalog catalog_;
  RequestHandler requests_;
  RegistryPeers peers_;
  ServiceCounters counters_;
  serve::PushTraces traces_;
  serve::SessionServer server_;
  std::atomic<bool> stopped_{false};
};

}  // namespace notp::service
