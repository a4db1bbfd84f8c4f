// Runs one connection of a server: pumps its session and carries out the session's requests.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "protocol/serve/admission.hpp"
#include "protocol/serve/commit_counts.hpp"
#include "protocol/serve/io_thread.hpp"
#include "protocol/serve/push_traces.hpp"
#include "protocol/serve/send_budget.hpp"
#include "protocol/serve/session_lane.hpp"
#include "protocol/serve/session_logs.hpp"
#include "protocol/serve/session_recovery.hpp"
#include "protocol/serve/session_services.hpp"
#include "protocol/session/server/server_session.hpp"
#include "protocol/transport/connection.hpp"
#include "protocol/transport/pump.hpp"

namespace notp::serve {

// State that all hosts of a server share. It outlives them.
struct HostContext {
  const SessionServices& services;
  Admission& admission;
  SendBudget& sends;
  ServeCounters& counters;
  CommitCounts& commits;
  std::atomic<uint64_t>& next_session;  // number
  const std::atomic<bool>& stopping;
  session::ReaderClasses* classes;  // null: no statements are sent
};

// Belongs to its I/O thread. Kept alive by its coroutines.
class SessionHost final : public session::SessionRights,
                          public session::SendMeter,
                          public std::enable_shared_from_this<SessionHost> {
 public:
  // `ticket` is that of its handshake in the thread's queue.
  SessionHost(const HostContext& context, IoThread& thread, boost::asio::ip::tcp::socket socket,
              HandshakeQueue::Ticket ticket);
  ~SessionHost() override;

  // Runs handshake and session to the end. Errors are logged, once.
  boost::asio::awaitable<void> run();
  // Ends the handshake to make way for another one, unless it has finished.
  void end_handshake();

  void target_changed(const model::LedgerId& ledger);
  void roots_changed();
  void freshness_due();
  void sources_changed();
  // A peer that does not want the ledger now is told when it reports on it again.
  void release_held(const wire::ReleaseHeld& release);
  // Ends the session if its peer would not be admitted any more: by the policy, or by the current
  // authorities and clock.
  void recheck();
  // Wall time at which the first certificate of the peer's chain ends; kNever before the session.
  TimeMs peer_end_ms() const { return session_ ? connection_.peer_not_after_ms() : kNever; }
  // Empty before the session.
  std::string_view identity() const { return peer_ ? std::string_view(peer_->name) : ""; }
  // As PeerQuestions.
  void ask(const std::variant<wire::HeldRequest, wire::ReturnRequest>& question);
  void say_bye(const std::string& reason, uint32_t retry_after_ms);
  void abort() { connection_.abort(); }

  Result<void> may(wire::Action action, const model::LedgerId* ledger) const override;
  void sending(size_t bytes, size_t taken) override;

 private:
  boost::asio::awaitable<void> serve();
  Result<void> check_peer();
  // Ends the session to free the memory that a slow reader takes.
  void make_room();
  // Called after each call into the session: handles its requests and sends its output.
  void progress();
  void handle_events();
  void handle(session::server_event::Greeted& event);
  void handle(session::server_event::UnknownKeyMet& event);
  void handle(session::server_event::ArtifactNeeded& event);
  void handle(session::server_event::Committed& event);
  void handle(session::server_event::Attested& event);
  void handle(session::server_event::PublishArrived& event);
  void handle(session::server_event::Asked& event);
  void handle(session::server_event::Refused& event);
  void handle(session::server_event::Unsendable& event);
  void handle(session::server_event::Closed& event);
  // Of logs, of the recovery and of the lane.
  void handle(auto& event);

  void hand_over(uint64_t ticket, session::PreparedArtifact artifact);
  void artifact_failed(const session::server_event::ArtifactNeeded& need, Error error);
  boost::asio::awaitable<void> fetch_artifact(session::server_event::ArtifactNeeded need);
  boost::asio::awaitable<void> publish(session::server_event::PublishArrived arrived);
  boost::asio::awaitable<void> answer(wire::Request request);

  const HostContext& context_;
  IoThread& thread_;
  const HandshakeQueue::Ticket ticket_;
  std::shared_ptr<const transport::TlsContext> verified_under_;
  transport::Connection connection_;
  transport::Wake wake_;
  PeerPtr peer_;  // null before the session
  std::optional<SendBudget::Account> sends_;
  std::optional<session::ServerSession> session_;
  SessionPushes pushes_{context_.services.traces};
  SessionLogs logs_;
  SessionRecovery recovery_;
  SessionLane lane_;
};

}  // namespace notp::serve
