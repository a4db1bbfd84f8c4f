#include "notp-client/agent/host/dialer.hpp"

#include <fmt/format.h>

#include "common/http/dial.hpp"
#include "common/limits.hpp"
#include "common/log.hpp"
#include "common/spawn.hpp"
#include "protocol/transport/endpoint.hpp"

namespace notp::agent {

namespace asio = boost::asio;

namespace {

// When a whole fleet is back at once, its handshakes wait for their turns at the registry.
constexpr TimeMs kConnectMs = 20'000;

}  // namespace

Dialer::Dialer(asio::any_io_executor executor, DialerOptions options, transport::TlsSource& tls,
               ConnectionHandler& handler)
    : executor_(executor),
      options_(std::move(options)),
      tls_(tls),
      handler_(handler),
      ended_(executor) {}

void Dialer::dial() {
  if (!stopping_) spawn(executor_, converse());
}

asio::awaitable<void> Dialer::stop() {
  stopping_ = true;
  if (session_) {
    session_->say_bye("the agent is stopping");
    wake_.notify();
  }
  // Bounded by the pump's and the dial's own limits.
  while (conversing_) co_await ended_.wait();
}

void Dialer::wake() {
  if (session_) wake_.notify();
}

Result<void> Dialer::trusts_registry(const transport::TlsContext& tls) {
  return connection_ == nullptr ? Result<void>{} : connection_->verify_peer_again(tls);
}

void Dialer::recheck_registry() {
  if (session_ == nullptr || session_->is_closed()) return;
  const auto trusted = trusts_registry(*tls_.current());
  if (trusted) return;
  session_->refuse(trusted.error());
  wake_.notify();
}

void Dialer::recheck_if_ended(TimeMs wall_ms) {
  if (wall_ms < registry_end_ms_) return;
  registry_end_ms_ = kNever;
  recheck_registry();
}

asio::awaitable<Result<std::unique_ptr<transport::Connection>>> Dialer::connect_to_registry() {
  // Certificates are short-lived and replaced by tools that send no signal: each dial checks for
  // new ones.
  if (auto fresh = tls_.reload(); !fresh)
    log::write(log::Level::kError, "certificates_not_reloaded", fresh.error());
  const auto tls = tls_.current();
  if (const auto& identity = tls->identity()) handler_.on_identity(identity->text());
  auto connection =
      co_await transport::connect(options_.registry, tls, kConnectMs, options_.route.proxy);
  if (!connection) co_return connection;
  const session::Identity& peer = (*connection)->peer_identity();
  const auto& expected = options_.registry_identity;
  if (!expected || expected->covers(peer)) co_return connection;
  co_await (*connection)->close(limits::kHandshakeMs);
  co_return fail(ErrorCode::kIdentity,
                 fmt::format("{} answered as {}, the configuration expects {}", options_.registry,
                             peer.short_text(), expected->text()));
}

asio::awaitable<void> Dialer::converse() {
  conversing_ = true;
  co_await connect_and_pump();
  conversing_ = false;
  ended_.notify();
  if (!stopping_) handler_.on_dial_ended();
}

asio::awaitable<void> Dialer::connect_and_pump() {
  auto connection = co_await connect_to_registry();
  if (!connection) {
    log_error(connection.error());
    handler_.on_connect_failed(connection.error(), http::is_port_closed(connection.error())
                                                       ? DialFailure::kPortClosed
                                                       : DialFailure::kOther);
    co_return;
  }
  if (stopping_) co_return;
  session_ = &handler_.on_connected((*connection)->peer_identity(), (*connection)->peer_validity());
  connection_ = connection->get();
  registry_end_ms_ = connection_->peer_not_after_ms();
  handler_.on_session_progress();
  const auto ended = co_await transport::pump(**connection, *session_, wake_,
                                              [this] { handler_.on_session_progress(); });
  session_ = nullptr;
  connection_ = nullptr;
  registry_end_ms_ = kNever;
  const std::string why =
      handler_.on_disconnected(ended ? std::nullopt : std::optional(ended.error()));
  if (!stopping_) log_error(Error{ErrorCode::kUnavailable, why, {}});
}

void Dialer::log_error(const Error& error) {
  if (error.message == logged_error_) return;
  logged_error_ = error.message;
  log::write(log::Level::kWarn, "registry_unavailable", error, {{"registry", options_.registry}});
}

}  // namespace notp::agent
