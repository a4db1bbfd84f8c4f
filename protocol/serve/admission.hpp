// Counts what is open at a server: connections, and sessions of each identity.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>

#include "common/clock.hpp"
#include "common/mutex.hpp"
#include "common/result.hpp"

namespace notp::serve {

struct AdmissionLimits {
  size_t sessions_max = 0;
  // TLS handshakes under way, apart from sessions and from connections that wait for their turn.
  size_t handshakes_max = 512;
  size_t sessions_per_identity_max = 0;
};

// Totals since the start, except `sessions` and `waiting`: those are open now.
struct ServeCounters {
  std::atomic<uint64_t> sessions{0};
  std::atomic<uint64_t> waiting{0};  // connections whose handshake has not begun
  std::atomic<uint64_t> accepted{0};
  std::atomic<uint64_t> handshakes_refused{0};
  std::atomic<uint64_t> handshakes_displaced{0};  // closed, or ended, for others
  std::atomic<uint64_t> handshakes_too_often{0};  // by the address's rate
  std::atomic<uint64_t> sessions_refused{0};
  std::atomic<uint64_t> sessions_revoked{0};
  std::atomic<uint64_t> offers{0};
  std::atomic<uint64_t> artifact_bytes{0};  // handed to sessions
};

// Thread-safe.
class Admission {
 public:
  // `counters` outlives it.
  Admission(AdmissionLimits limits, ServeCounters& counters)
      : limits_(limits), counters_(counters) {}

  // Whether one more session fits. That may change until the handshake is done: admit() checks
  // again.
  bool has_room() const { return counters_.sessions < limits_.sessions_max; }
  // Whether one more connection may wait for its handshake: these and the sessions are together at
  // most sessions_max.
  bool may_wait() const { return counters_.sessions + counters_.waiting < limits_.sessions_max; }

  // A connection was accepted; a connection has ended.
  void connection_began();
  void connection_ended();
  // Waits until all connections have ended, at most `wait_ms`.
  void wait_for_end(TimeMs wait_ms);

  // Counts a session of this identity. kOverloaded: the identity or the server has too many
  // sessions. Each success must be matched by depart().
  Result<void> admit(const std::string& identity);
  // Returns whether this was the identity's last session.
  bool depart(const std::string& identity);

 private:
  const AdmissionLimits limits_;
  ServeCounters& counters_;

  Mutex mutex_;
  ConditionVariable ended_;
  size_t connections_ NOTP_GUARDED_BY(mutex_) = 0;  // not yet ended
  // Admitted sessions by identity.
  std::unordered_map<std::string, size_t> identities_ NOTP_GUARDED_BY(mutex_);
  size_t admitted_ NOTP_GUARDED_BY(mutex_) = 0;
};

}  // namespace notp::serve
