// The ports between the sessions of a server and the recovery of releases that the registry has
// lost: protocol/session/README.md, "Recovery".
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "protocol/session/server/server_events.hpp"
#include "protocol/wire/messages.hpp"

namespace notp::serve {

class IoThread;
class SessionHost;

// Names one open session. Copies may outlive it. Compare by `number`.
struct SessionHandle {
  uint64_t number = 0;   // from 1 on; never used again by its server
  std::string identity;  // of the peer: Identity::text(); it may have other sessions

  // For the server alone; empty in a handle of another origin.
  std::weak_ptr<SessionHost> host = {};
  IoThread* thread = nullptr;
};

// Receives what peers say that they hold. Thread-safe; called on an I/O thread, so it must not
// block. Calls for one session come one after the other; on_session_end() is the last one.
class RecoveryIntake {
 public:
  virtual ~RecoveryIntake() = default;
  // The peer was granted a ledger of which it holds more than the catalog has, or one that is not
  // attested. May come again at any time in the session.
  virtual void on_holds_more(const SessionHandle& session,
                             const session::server_event::HoldsMore& more) = 0;
  // Answers one ask_held(). Nothing is verified.
  virtual void on_held(const SessionHandle& session, wire::Held held) = 0;
  // Answers ask_return(), exactly once for each. `artifact` is null exactly if `head.code` is not
  // 0: a refusal of the peer, kTimeout when it gave no answer, kUnavailable when the session ended,
  // kState or kConflict when the question could not be asked, kOverloaded or kIo when its artifact
  // could not be kept. Upload::take() blocks on the disk: not here.
  virtual void on_returned(const SessionHandle& session, wire::Return head,
                           std::unique_ptr<session::Upload> artifact) = 0;
  // A session for which something was reported has ended. Also after on_returned() for its open
  // question.
  virtual void on_session_end(const SessionHandle& session) = 0;
};

// Asks peers. Thread-safe; never blocks: questions are posted to the thread of the session.
class PeerQuestions {
 public:
  virtual ~PeerQuestions() = default;
  // A question to a session that has ended, or that the session refuses, is dropped.
  virtual void ask_held(const SessionHandle& session, wire::HeldRequest request) = 0;
  // At most one at a time for each session.
  virtual void ask_return(const SessionHandle& session, wire::ReturnRequest request) = 0;
};

// The answer in place of the peer's: the question could not be asked, or its session has ended.
inline wire::Return no_return(uint64_t request, const Error& why) {
  return {.request = request,
          .base = {},
          .code = static_cast<uint32_t>(why.code),
          .message = why.message};
}

inline Error session_ended() {
  return {ErrorCode::kUnavailable, "the session of the node has ended", {}};
}

}  // namespace notp::serve
