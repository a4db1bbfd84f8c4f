// The agent's connection to its registry: dials, pumps the session, watches the registry's
// certificate.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <optional>
#include <string>

#include "common/http/proxy.hpp"
#include "notp-client/agent/core/dial_plan.hpp"
#include "protocol/session/client/client_session.hpp"
#include "protocol/transport/connection.hpp"
#include "protocol/transport/pump.hpp"
#include "protocol/transport/signal.hpp"

namespace notp::agent {

struct DialerOptions {
  std::string registry;  // "host:port"
  // The identity to accept as the registry; unset: any with that role.
  std::optional<session::IdentityPattern> registry_identity;
  http::ProxyRoute route;  // how to reach it
};

// Receives what happens to the connection. Called on the dialer's executor.
class ConnectionHandler {
 public:
  virtual ~ConnectionHandler() = default;
  // Before each dial: this node's identity, from its current certificate.
  virtual void on_identity(std::string identity) = 0;
  // TLS is done. The session lives until on_disconnected() returns.
  virtual session::ClientSession& on_connected(const session::Identity& registry,
                                               tls::Validity validity) = 0;
  virtual void on_connect_failed(const Error& error, DialFailure failure) = 0;
  virtual void on_session_progress() = 0;
  // Returns why the connection ended, for the log.
  virtual std::string on_disconnected(const std::optional<Error>& why) = 0;
  // After on_connect_failed() and on_disconnected(): the next dial may begin.
  virtual void on_dial_ended() = 0;
};

// All methods run on the executor's thread.
class Dialer {
 public:
  // `tls` and `handler` outlive this object.
  Dialer(boost::asio::any_io_executor executor, DialerOptions options, transport::TlsSource& tls,
         ConnectionHandler& handler);

  // Starts one dial. Not while a connection is under way.
  void dial();
  // Says Bye and waits for the session's end. Does not dial again.
  boost::asio::awaitable<void> stop();
  // The session may have something to send.
  void wake();

  // Whether the registry of the open session would be trusted under `tls`. Succeeds when none is
  // open.
  Result<void> trusts_registry(const transport::TlsContext& tls);
  // Ends the session with an Error if its registry is no longer trusted by the current TLS files.
  void recheck_registry();
  // Wall time at which a certificate of the session's registry expires; kNever: no session is open.
  TimeMs registry_end_ms() const { return registry_end_ms_; }
  // Calls recheck_registry() if such a certificate has expired.
  void recheck_if_ended(TimeMs wall_ms);

  // The next connection error is logged even if it equals the last one.
  void log_next_error() { logged_error_.clear(); }

 private:
  boost::asio::awaitable<void> converse();
  boost::asio::awaitable<void> connect_and_pump();
  boost::asio::awaitable<Result<std::unique_ptr<transport::Connection>>> connect_to_registry();
  void log_error(const Error& error);

  const boost::asio::any_io_executor executor_;
  const DialerOptions options_;
  transport::TlsSource& tls_;
  ConnectionHandler& handler_;
  transport::Wake wake_;
  transport::Signal ended_;                      // a conversation ended
  session::ClientSession* session_ = nullptr;    // while a connection is pumped
  transport::Connection* connection_ = nullptr;  // as session_
  TimeMs registry_end_ms_ = kNever;
  bool conversing_ = false;  // from the dial to the end of the pump
  bool stopping_ = false;
  std::string logged_error_;  // the last connection error; logged once while it lasts
};

}  // namespace notp::agent
