// One connection of the registry: pumps its session and runs what the session asks for.
#pragma once

#include <memory>
#include <optional>

#include "notp-server/service/service.hpp"
#include "protocol/transport/signal.hpp"

namespace notp {

// Belongs to its lane's thread. Kept alive by its coroutines.
class SessionHost final : public SessionRights,
                          public SendMeter,
                          public std::enable_shared_from_this<SessionHost> {
 public:
  SessionHost(Service& service, Service::Lane& lane, boost::asio::ip::tcp::socket socket);
  ~SessionHost() override;

  // Handshake, session, end. Errors are logged, once.
  boost::asio::awaitable<void> run();

  void head_changed(const LedgerId& ledger);
  void roots_changed();
  void freshness_due();
  // Ends the session if its peer would not be let in any more: denied, or not verified by the
  // authorities and the clock of now.
  void recheck();
  // Wall time at which the first certificate of the peer's chain ends; kNever before the session.
  TimeMs peer_end_ms() const { return session_ ? connection_.peer_not_after_ms() : kNever; }
  const std::string& identity() const { return identity_; }
  void say_bye(const std::string& reason, uint32_t retry_after_ms);
  void abort() { connection_.abort(); }
  // The same, unless hands have been shaken since it was decided.
  void end_handshake() {
    if (!session_) connection_.abort();
  }
  // Ends the session: others need the room that a slow reader takes.
  void make_room();

  Result<void> may(Action action, const LedgerId* ledger) const override;
  void sending(size_t bytes, size_t taken) override;

 private:
  boost::asio::awaitable<void> serve();
  Result<void> check_peer();
  void note_key();
  void handle_events();
  void handle(server_event::Greeted& event);
  void handle(server_event::ArtifactNeeded& event);
  void handle(server_event::Committed& event);
  void handle(server_event::Vouched& event);
  void handle(server_event::PublishArrived& event);
  void handle(server_event::Asked& event);
  void handle(server_event::Refused& event);
  void handle(server_event::Unsendable& event);
  void handle(server_event::Closed& event);

  ArtifactPtr cached(const server_event::ArtifactNeeded& need) const;
  void artifact_failed(const server_event::ArtifactNeeded& need, Error error);
  // Their errors are logged instead.
  void hide_own_matters(wire::Response& response) const;
  void hand_over(uint64_t ticket, PreparedArtifact artifact);
  boost::asio::awaitable<void> fetch_artifact(server_event::ArtifactNeeded need);
  boost::asio::awaitable<void> publish(server_event::PublishArrived arrived);
  boost::asio::awaitable<void> answer(wire::Request request);
  // nullopt: the peer's inventory is a sketch that cannot be read.
  boost::asio::awaitable<Result<std::optional<PreparedArtifact>>> obtain(
      const server_event::ArtifactNeeded& need);
  Result<std::optional<PreparedArtifact>> make_special(
      const server_event::ArtifactNeeded& need) const;

  Service& service_;
  Service::Lane& lane_;
  std::shared_ptr<const TlsContext> verified_under_;
  Connection connection_;
  Signal wake_;
  std::optional<SendBudget::Account> sends_;
  std::optional<ServerSession> session_;
  std::string identity_;
};

}  // namespace notp
