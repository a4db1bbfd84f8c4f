// Traces of pushes: which nodes of a publish are traced, and a span for each of these from its
// Offer to the Commit that ends it.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.hpp"
#include "common/mutex.hpp"
#include "common/telemetry/span.hpp"
#include "protocol/session/server/server_events.hpp"

namespace notp::serve {

// Nodes of one publish that are traced whatever the sampler's ratio is.
inline constexpr size_t kTracedNodes = 20;
// A push is of a publish's trace for so long: later ones are those of nodes that were away.
inline constexpr TimeMs kTracedPushMs = 10LL * 60 * 1000;
// Publishes whose pushes are traced at once; the oldest gives way.
inline constexpr size_t kTracedPublishesMax = 1'024;

// Shared by all sessions of a server. Thread-safe.
class PushTraces {
 public:
  // `tracer` outlives it.
  explicit PushTraces(const Tracer& tracer) : tracer_(tracer) {}

  // Begins the span of announcing a release, below `publish` or as a trace of its own (null), and
  // chooses the nodes to trace: those kTracedNodes that follow the trace id in the order of the
  // hashes of all nodes with a session for the ledger, and the sampler's ratio of the others. So
  // the choice differs from publish to publish, and follows from the trace and the nodes alone.
  Span announce(const model::LedgerId& ledger, uint64_t version, const Span* publish,
                TimeMs now_boot_ms);
  // Begins the span of a push, if the node is one of the chosen.
  Span begin_push(const std::string& node, const model::LedgerId& ledger, uint64_t version,
                  TimeMs now_boot_ms);

  // A session of a node begins or ends.
  void joined(const std::string& node, const std::vector<model::LedgerId>& ledgers);
  void left(const std::string& node);

 private:
  struct Node {
    size_t sessions = 0;
    std::vector<uint64_t> ledgers;  // hashes, of the newest session
  };
  struct Announced {
    uint64_t version = 0;
    TraceContext place;
    std::set<uint64_t> chosen;
    TimeMs since_ms = 0;
  };

  std::set<uint64_t> choose(const model::LedgerId& ledger, const TraceId& trace) const
      NOTP_REQUIRES(mutex_);
  void forget_old(TimeMs now_boot_ms) NOTP_REQUIRES(mutex_);

  const Tracer& tracer_;
  Mutex mutex_;
  std::map<uint64_t, Node> nodes_ NOTP_GUARDED_BY(mutex_);  // by hash, with a session
  std::map<model::LedgerId, Announced> announced_ NOTP_GUARDED_BY(mutex_);
};

// The pushes of one session. One thread.
class SessionPushes {
 public:
  // `traces` outlives it; null: nothing is traced.
  explicit SessionPushes(PushTraces* traces) : traces_(traces) {}
  ~SessionPushes() { closed(ErrorCode::kCancelled); }
  SessionPushes(const SessionPushes&) = delete;
  SessionPushes& operator=(const SessionPushes&) = delete;

  // The session is a node's.
  void joined(const std::string& node, const std::vector<model::LedgerId>& ledgers);
  // The node is about to get a release. One of the same ledger that was under way is superseded.
  void began(const session::server_event::ArtifactNeeded& need, TimeMs now_boot_ms);
  // The span of making what the push sends, if that has to be made.
  Span making(const session::server_event::ArtifactNeeded& need);
  // Adds the trace of the push to what is sent, for the Offer.
  void sent(const session::server_event::ArtifactNeeded& need, session::PreparedArtifact& artifact);
  void failed(const session::server_event::ArtifactNeeded& need, ErrorCode code);
  // ACTIVE and REJECTED end the push.
  void committed(const wire::Commit& commit);
  // The session ends: pushes that are under way are not completed.
  void closed(ErrorCode code);

 private:
  struct Push {
    uint64_t version = 0;
    Span span;
  };
  // null: no push of it is traced.
  Span* find(const model::LedgerId& ledger, uint64_t version);

  PushTraces* const traces_;
  std::string node_;  // empty: the session is not a node's
  std::map<model::LedgerId, Push> pushes_;
};

}  // namespace notp::serve
