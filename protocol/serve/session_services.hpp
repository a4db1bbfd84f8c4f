// Interfaces through which the sessions of a server use the program around them. A registry and a
// relay implement them differently; listener, threads, admission and sessions are the same.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>

#include "protocol/serve/session_artifacts.hpp"
#include "protocol/session/identity.hpp"
#include "protocol/session/ports.hpp"
#include "protocol/session/server/server_context.hpp"
#include "protocol/session/server/server_events.hpp"
#include "protocol/transport/tls_context.hpp"

namespace notp::serve {

// The other end of a session after the handshake. Immutable and shared: work for a peer may outlive
// its session.
struct Peer {
  session::Identity identity;
  std::string name;  // identity.text()
  Hash key;          // Connection::peer_key()
};
using PeerPtr = std::shared_ptr<const Peer>;

// Decides which peers are admitted, and their rights. Thread-safe; answers from memory.
class PeerPolicy {
 public:
  virtual ~PeerPolicy() = default;
  // Whether the peer may have a session, beyond its certificate. Called when the session begins and
  // again at each recheck. kDenied, kRevoked.
  virtual Result<void> check(const Peer& peer) const = 0;
  // kDenied. `ledger` is null when the action is not about a ledger.
  virtual Result<void> may(const Peer& peer, wire::Action action,
                           const model::LedgerId* ledger) const = 0;
  // A session of the peer has begun.
  virtual void admitted(const PeerPtr& peer) = 0;
};

// Receives the reports of sessions. Thread-safe; called on an I/O thread, so it must not block for
// long.
class SessionObserver {
 public:
  virtual ~SessionObserver() = default;
  virtual void greeted(const Peer& peer, const session::server_event::Greeted& event) = 0;
  virtual void committed(const Peer& peer, const wire::Commit& commit) = 0;
  // A freshness statement was sent to the peer.
  virtual void attested(const Peer& peer, const trust::Freshness& statement) = 0;
  virtual void closed(const Peer& peer, const Error& error) = 0;
  // The last session of the peer's identity has ended.
  virtual void departed(const Peer& peer) = 0;
};

// Carries out the requests of peers. Thread-safe; the coroutines resume on their caller's executor,
// and end before the I/O threads do. Errors are part of their results, phrased for a peer.
class RequestServices {
 public:
  virtual ~RequestServices() = default;
  virtual boost::asio::awaitable<wire::PublishResult> publish(
      PeerPtr peer, session::server_event::PublishArrived arrived) = 0;
  virtual boost::asio::awaitable<wire::Response> answer(PeerPtr peer, wire::Request request) = 0;
};

// Fetches the keys of issuers. Thread-safe; answers from memory.
class KeySources : public session::IssuerStatuses {
 public:
  // A peer met a token whose key is not in the issuer's key set. The peer's word, and perhaps
  // often.
  virtual void unknown_key(const Peer& peer, const wire::UnknownKey& key) = 0;
};

class LaneFeed;
class LogIntake;
class PushTraces;
class RecoveryIntake;

// All members outlive the server and are thread-safe.
struct SessionServices {
  const session::Catalog& catalog;
  const session::TargetSource& targets;
  const session::FreshnessSource* freshness = nullptr;  // null: no statements are sent
  session::UploadSpace* uploads = nullptr;              // null: MemoryUploads
  session::ServerInfo info;                             // without the peer
  transport::TlsSource& tls;
  SessionArtifacts& artifacts;
  PeerPolicy& peers;
  SessionObserver& observer;
  RequestServices& requests;
  LogIntake* logs = nullptr;           // null: no log is granted
  RecoveryIntake* recovery = nullptr;  // null: peers are not asked what they hold
  PushTraces* traces = nullptr;        // null: pushes are not traced
  KeySources* sources = nullptr;       // null: there are none
  LaneFeed* lanes = nullptr;           // the same
};

}  // namespace notp::serve
