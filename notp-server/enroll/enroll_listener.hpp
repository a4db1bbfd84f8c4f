// The listener where nodes without a certificate join: one request and one response, on its own
// port.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <list>
#include <memory>
#include <string>
#include <unordered_set>

#include "notp-server/enroll/enrollment.hpp"
#include "notp-server/enroll/join_rate_limiter.hpp"
#include "protocol/transport/connection.hpp"
#include "protocol/transport/offload.hpp"

namespace notp::enroll {

struct EnrollListenerOptions {
  std::string listen;       // "address:port", port 0 for any
  transport::TlsFiles tls;  // the registry's own; nodes receive its `authorities` to trust
  size_t failures_max = limits::kJoinFailuresMax;  // per address in a window
};

// All methods run on the executor's thread. TLS 1.3 without a client certificate; at most kJoinsMax
// conversations at once, each with one frame of at most kJoinFrameBytesMax within kFirstFrameMs.
// One more replaces a connection that has not sent its Join: the oldest one of the address (IPv6:
// /64) that has the most of them. If all have sent theirs, the new one gets OVERLOADED.
class EnrollListener {
 public:
  // kConfig, kUnavailable. `enrollment` and `workers` outlive the listener.
  static Result<std::unique_ptr<EnrollListener>> open(boost::asio::any_io_executor executor,
                                                      EnrollListenerOptions options,
                                                      Enrollment& enrollment,
                                                      transport::OffloadPool& workers);
  // Ends what open() began; the executor must have run to its end before this object is destroyed.
  void stop();

  // Reloads the TLS files; on an error the old context stays.
  Result<void> reload();
  // The actual "address:port".
  std::string address() const;
  // TlsContext::authority(), for join tokens.
  const Hash& authority() const { return tls_->authority(); }

 private:
  EnrollListener(EnrollListenerOptions options, Enrollment& enrollment,
                 transport::OffloadPool& workers, std::shared_ptr<const transport::TlsContext> tls,
                 boost::asio::ip::tcp::acceptor acceptor);

  struct Conversation {
    transport::Connection* connection;
    std::string network;
    bool silent = true;  // it has not sent its Join
    bool ended = false;  // to make place for another one
  };
  using Place = std::list<Conversation>::iterator;

  boost::asio::awaitable<void> accept_loop();
  // The number of conversations that count towards the limit.
  size_t under_way() const;
  bool end_silent();
  boost::asio::awaitable<void> serve(boost::asio::ip::tcp::socket socket, std::string network);
  boost::asio::awaitable<Result<void>> converse(transport::Connection& connection, Place place);
  // Completes the handshake and sends OVERLOADED.
  boost::asio::awaitable<void> turn_away(boost::asio::ip::tcp::socket socket);
  boost::asio::awaitable<Result<void>> answer(transport::Connection& connection, wire::Join join);

  const EnrollListenerOptions options_;
  Enrollment& enrollment_;
  transport::OffloadPool& workers_;
  std::shared_ptr<const transport::TlsContext> tls_;
  boost::asio::ip::tcp::acceptor acceptor_;
  JoinRateLimiter limiter_;
  std::list<Conversation> open_;  // oldest first
  std::unordered_set<transport::Connection*> turned_away_;
  bool stopping_ = false;
};

}  // namespace notp::enroll
