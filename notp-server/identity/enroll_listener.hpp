// Where nodes without a certificate join: one question, one answer, on a port of its own.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <string>
#include <unordered_set>

#include "notp-server/identity/enrollment.hpp"
#include "notp-server/identity/join_throttle.hpp"
#include "protocol/transport/connection.hpp"
#include "protocol/transport/offload.hpp"

namespace notp {

struct EnrollListenerOptions {
  std::string listen;  // "address:port", port 0 for any
  TlsFiles tls;        // the registry's own; `authorities` is what nodes are told to trust
  size_t failures_max = limits::kJoinFailuresMax;  // of one address in a window
};

// All methods on the executor's thread. TLS 1.3 without a client certificate; at most kJoinsMax
// conversations at once, each with one frame of at most kJoinFrameBytesMax within kFirstFrameMs.
class EnrollListener {
 public:
  // kConfig, kUnavailable. `enrollment` and `workers` outlive the listener.
  static Result<std::unique_ptr<EnrollListener>> open(boost::asio::any_io_executor executor,
                                                      EnrollListenerOptions options,
                                                      Enrollment& enrollment, OffloadPool& workers);
  // Ends what open() began; the executor must have run to its end before the object goes.
  void stop();

  // Reads the TLS files again; on an error the old context stays.
  Result<void> reload();
  // The real "address:port".
  std::string address() const;
  // TlsContext::authority(), for join tokens.
  const Hash& authority() const { return tls_->authority(); }

 private:
  EnrollListener(EnrollListenerOptions options, Enrollment& enrollment, OffloadPool& workers,
                 std::shared_ptr<const TlsContext> tls, boost::asio::ip::tcp::acceptor acceptor);

  boost::asio::awaitable<void> accept_loop();
  boost::asio::awaitable<void> serve(boost::asio::ip::tcp::socket socket, std::string address);
  boost::asio::awaitable<Result<void>> converse(Connection& connection);
  boost::asio::awaitable<Result<void>> answer(Connection& connection, wire::Join join);

  const EnrollListenerOptions options_;
  Enrollment& enrollment_;
  OffloadPool& workers_;
  std::shared_ptr<const TlsContext> tls_;
  boost::asio::ip::tcp::acceptor acceptor_;
  JoinThrottle throttle_;
  std::unordered_set<Connection*> open_;
  bool stopping_ = false;
};

}  // namespace notp
