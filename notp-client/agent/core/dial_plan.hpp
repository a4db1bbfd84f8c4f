// Decides when to dial the registry, and tracks whether it sent anything that failed verification.
// Pure. One thread.
#pragma once

#include <string>

#include "common/result.hpp"
#include "notp-client/agent/core/backoff.hpp"

namespace notp::agent {

// Why a dial came to nothing.
enum class DialFailure : uint8_t {
  kPortClosed,  // its host runs, and nothing listens there: most likely a restart
  kOther,
};

// While the port is closed, an agent that had a session in the last minute dials again within a
// second: each try costs the host one packet, and the whole fleet is back as soon as the registry.
inline constexpr TimeMs kClosedPortWaitMs = 1'000, kClosedPortForMs = 60'000;

class DialPlan {
 public:
  // The first dial is due at once. `random` outlives this object.
  DialPlan(TimeMs backoff_first_ms, TimeMs backoff_max_ms, Random& random, TimeMs boot_ms);

  // Boot clock; kNever while a dial or a connection is under way.
  TimeMs next_deadline() const { return phase_ == Phase::kWaiting ? connect_at_ms_ : kNever; }
  // True: dial now, and answer with on_connected() or on_connect_failed().
  bool start_if_due(TimeMs boot_ms);

  void on_connected();
  void on_connect_failed(const Error& error, DialFailure failure, TimeMs boot_ms);
  // The registry accepted the session: the next wait is short again, unless the registry is
  // suspect.
  void on_welcomed();
  // The session ended for this reason; the next dial is not before `retry_after_ms`.
  void on_closed(const Error& error, TimeMs retry_after_ms);
  // The connection is gone. `why` (null: not known) replaces the session's error.
  void on_disconnected(const Error* why, TimeMs boot_ms);

  // The registry sent a root or freshness statement that fails verification: no more are taken from
  // it in this session, and dials become less and less frequent until mark_trusted().
  void reject_registry() { is_rejected_ = is_suspect_ = true; }
  bool is_rejected() const { return is_rejected_; }
  void mark_trusted() { is_suspect_ = false; }

  // The connection's error; empty: the last session was accepted.
  const std::string& last_error() const { return last_error_; }

 private:
  enum class Phase { kWaiting, kDialling, kConnected };
  void wait(TimeMs boot_ms, TimeMs retry_after_ms);

  Random& random_;
  Backoff backoff_;
  Phase phase_ = Phase::kWaiting;
  TimeMs connect_at_ms_;  // boot clock
  TimeMs retry_after_ms_ = 0;
  TimeMs quick_until_ms_ = 0;  // boot clock; a closed port is dialled again soon until then
  bool is_welcomed_ = false;   // in this session
  bool is_rejected_ = false;   // in this session
  bool is_suspect_ = false;    // since it was last rejected
  std::string last_error_;
};

}  // namespace notp::agent
