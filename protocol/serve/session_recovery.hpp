// The part of one session in the recovery of lost releases: recovery_intake.hpp.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "protocol/serve/recovery_intake.hpp"
#include "protocol/session/server/server_session.hpp"

namespace notp::serve {

// Sees to it that each ask_return() has one answer. Used on the session's I/O thread.
class SessionRecovery {
 public:
  // Both outlive it. `intake` null: nothing is reported, and no question is asked.
  SessionRecovery(RecoveryIntake* intake, std::atomic<uint64_t>& next_session)
      : intake_(intake), next_session_(next_session) {}

  // The session begins; `handle` has no number yet.
  void begin(SessionHandle handle) { handle_ = std::move(handle); }
  // The session has ended.
  void end();

  void take(session::server_event::HoldsMore& event);
  void take(session::server_event::HeldArrived& event);
  void take(session::server_event::ReturnArrived& event);

  void ask(session::ServerSession& session, const wire::HeldRequest& request);
  void ask(session::ServerSession& session, const wire::ReturnRequest& request);

 private:
  // Gives the session its number with the first report.
  const SessionHandle& handle();

  RecoveryIntake* const intake_;
  std::atomic<uint64_t>& next_session_;
  SessionHandle handle_;
  std::optional<uint64_t> return_asked_;  // the question that has no answer yet
};

}  // namespace notp::serve
