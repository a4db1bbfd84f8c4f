// The registry as a network service: accepts sessions, spreads them over threads, tells them of new
// releases and roots, and ends them in good order.
#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "common/current.hpp"
#include "notp-server/artifacts/artifact_cache.hpp"
#include "notp-server/artifacts/partial_artifacts.hpp"
#include "notp-server/fleet/fleet.hpp"
#include "notp-server/identity/enrollment.hpp"
#include "notp-server/service/address_rate.hpp"
#include "notp-server/service/artifact_source.hpp"
#include "notp-server/service/desk.hpp"
#include "notp-server/service/publish_door.hpp"
#include "notp-server/service/registry_catalog.hpp"
#include "notp-server/service/rights.hpp"
#include "notp-server/service/send_budget.hpp"
#include "notp-server/service/work_lanes.hpp"
#include "notp-server/trust/freshness_signer.hpp"
#include "notp-server/trust/root_store.hpp"
#include "protocol/transport/connection.hpp"

namespace notp {

// What the service stands on; all of it outlives the service and is thread-safe.
struct ServiceParts {
  Registry& registry;
  ArtifactCache& artifacts;
  Fleet& fleet;
  TlsSource& tls;
  WorkPools& pools;
  rego::ModelChecker& engine;
  const Current<RightsTable>& rights;
  PendingStore& pending;
  UploadSpace& uploads;
  RootStore& roots;
  const FreshnessSigner& freshness;
  DenyList* denied = nullptr;        // null: none is configured
  Enrollment* enrollment = nullptr;  // null: nodes cannot join or renew here
  ServerInfo introduction;           // without the peer
};

struct ServiceOptions {
  std::string listen;  // "address:port", port 0 for any
  size_t threads = 1;
  size_t workers = 1;  // as the pools have them
  size_t validations_at_once = 1;
  size_t sessions_max = 0;
  // TLS handshakes under way, apart from sessions. One more ends the oldest one: a stranger who
  // connects and says nothing has nothing of what sessions need.
  size_t handshakes_max = 512;
  size_t sessions_per_identity_max = 0;
  BuiltinGrants builtins;  // beyond those of every ledger
  RegistryFacts facts;     // what anybody may ask
};

// Totals since the start, but for `sessions`, which are open now.
struct ServiceCounters {
  std::atomic<uint64_t> sessions{0};
  std::atomic<uint64_t> accepted{0};
  std::atomic<uint64_t> handshakes_refused{0};
  std::atomic<uint64_t> handshakes_displaced{0};  // ended for newer ones
  std::atomic<uint64_t> handshakes_too_often{0};  // of an address
  std::atomic<uint64_t> sessions_refused{0};
  std::atomic<uint64_t> sessions_revoked{0};
  std::atomic<uint64_t> offers{0};
  std::atomic<uint64_t> publishes{0};
  std::atomic<uint64_t> publishes_refused{0};
};

class SessionHost;

class Service {
 public:
  Service(ServiceParts parts, ServiceOptions options);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  // Listens and serves on threads of its own. Returns the real "address:port". kConfig,
  // kUnavailable.
  Result<std::string> start();

  // Accepts no more, says Bye to every session with a retry_after, waits for them at most
  // kStopMs and cuts the rest. Blocking; thread-safe; a second call does nothing.
  void stop();

  // A ledger has a new head: every session that subscribed is told. Thread-safe.
  void announce(const LedgerId& ledger);

  // The chain of roots has grown: every session is sent the new one. Thread-safe.
  void roots_changed();

  // What is vouched for, or who may have it, has changed: every session hears of it within
  // kFreshnessSoonMs. Thread-safe.
  void freshness_due();

  // Authorities or the deny list have changed: who would not be let in any more is sent an Error
  // and closed, everybody else is left alone. Thread-safe.
  void recheck_sessions();

  // The same for the sessions of one identity, whose name another key has now. Thread-safe.
  void recheck_sessions_of(const std::string& identity);

  // The wall clock was set, or the machine has slept: certificates may have ended. Thread-safe.
  void clock_set();

  const ServiceCounters& counters() const { return counters_; }
  // Sessions that waited for what was being made for another one, since the start.
  uint64_t artifacts_joined() const { return source_.joined_total(); }
  // Blocking tasks that wait for their turn, now.
  size_t work_waiting() const { return work_.waiting(); }

 private:
  friend class SessionHost;

  // One thread and the sessions that live on it.
  struct Lane {
    boost::asio::io_context context{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{
        context.get_executor()};
    std::unordered_set<SessionHost*> sessions;  // touched on this lane's thread alone
    // One timer for the certificates of all sessions: when the first of them ends.
    boost::asio::steady_timer first_end{context};
    TimeMs first_end_ms = kNever;  // wall time
    std::thread thread;
  };

  boost::asio::awaitable<void> accept_loop();
  // Runs `what` with each session, on its lane's thread.
  void tell_all(std::function<void(SessionHost&)> what);
  // Verifies the peers of a lane's sessions again, those alone whose certificate has ended or all.
  boost::asio::awaitable<void> recheck(Lane& lane, bool all);
  boost::asio::awaitable<void> watch_ends(Lane& lane);
  // A session whose peer's certificate ends then has begun. On the lane's thread.
  void expect_end(Lane& lane, TimeMs end_ms);
  // A ledger has a new head: what the registry itself takes from it. Blocking, before announce().
  void take_in(const LedgerId& ledger);
  // A connection of a lane shakes hands; the oldest one ends when there are too many. Thread-safe.
  uint64_t handshake_began(const std::shared_ptr<SessionHost>& host, Lane& lane);
  void handshake_ended(uint64_t number);
  // Counts a session of this identity; kOverloaded when it has too many, or everybody together has.
  // Each success is given back by depart(). Thread-safe.
  Result<void> admit(const std::string& identity);
  // Returns whether this was the identity's last session.
  bool depart(const std::string& identity);

  ServiceParts parts_;
  const ServiceOptions options_;
  PublishDoor door_;
  WorkLanes work_;
  SendBudget sends_;
  ArtifactSource source_;
  PartialArtifacts partials_;
  const RegistryCatalog catalog_;
  Desk desk_;
  ServiceCounters counters_;

  std::vector<std::unique_ptr<Lane>> lanes_;
  std::optional<boost::asio::ip::tcp::acceptor> acceptor_;  // of the first lane
  std::atomic<bool> stopping_{false};

  std::mutex mutex_;
  std::condition_variable departed_;
  std::map<std::string, size_t> identities_;  // guarded by mutex_: admitted sessions of each
  size_t admitted_ = 0;                       // guarded by mutex_: of all
  struct Handshake {
    std::weak_ptr<SessionHost> host;
    Lane* lane;
  };
  std::map<uint64_t, Handshake> handshakes_;  // guarded by mutex_: oldest first
  uint64_t next_handshake_ = 0;               // guarded by mutex_
  size_t hosts_ = 0;                          // guarded by mutex_: connections not yet ended
};

}  // namespace notp
