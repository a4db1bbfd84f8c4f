// One connection of a server, which handles its requests one after the other.
#pragma once

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>
#include <expected>

#include "common/atomic_shared.hpp"
#include "common/http/admission.hpp"
#include "common/http/handshake_gate.hpp"
#include "common/http/metrics.hpp"
#include "common/http/request_reader.hpp"
#include "common/http/server.hpp"
#include "common/http/stream.hpp"
#include "common/http/tls.hpp"

namespace notp::http {

// State that the connections of a server share. Thread-safe.
struct ServerParts {
  ServerParts(ServerOptions given, Handler with, ServerTlsPtr certificates)
      : options(std::make_shared<const ServerOptions>(given)),
        handler(std::move(with)),
        admission(given.admission ? given.admission : std::make_shared<Admission>()),
        metrics(given.metrics, given.metrics_prefix, given.name),
        tls(std::move(certificates)) {}

  AtomicShared<ServerOptions> options;
  const Handler handler;
  const std::shared_ptr<Admission> admission;
  Metrics metrics;
  AtomicShared<ServerTls> tls;  // null without TLS
  HandshakeGate gate{limits::kHttpHandshakesPerAddressMax};
  bool loopback_names = false;  // Host may name loopback; otherwise only configured hosts
  // Connections end after the request that is under way, or their first one.
  std::atomic<bool> stopping = false;
};

// Belongs to the strand of its socket; thread-safe functions are marked.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<ServerParts> parts, Stream::Socket socket, Peer peer);
  // Called once, before the others.
  void make_slot();

  // Serves the connection from its first to its last byte.
  boost::asio::awaitable<void> serve();

  const SlotPtr& slot() const { return slot_; }
  // Has not received a whole request. Thread-safe.
  bool is_new() const { return is_new_; }
  boost::asio::any_io_executor executor() { return stream_.socket().get_executor(); }
  // Ends all operations at once, including a running handler. Thread-safe.
  void abort();

 private:
  enum class Next : uint8_t { kClose, kRequest };
  using Refused = std::expected<void, Response>;

  boost::asio::awaitable<bool> handshake();
  boost::asio::awaitable<bool> handshake_steps(const std::string& key);
  boost::asio::awaitable<Next> serve_one();
  boost::asio::awaitable<bool> await_first_byte(const ServerOptions& options);
  boost::asio::awaitable<Refused> read_header(RequestReader& reader);
  boost::asio::awaitable<Refused> read_body(RequestReader& reader, const ServerOptions& options);
  Refused hold_body(uint64_t bytes);
  boost::asio::awaitable<Refused> unpack(Request& request, const ServerOptions& options);
  boost::asio::awaitable<Response> answer(const Request& request, const ServerOptions& options);
  boost::asio::awaitable<void> watch(bool& done, boost::asio::cancellation_signal& cancel);
  boost::asio::awaitable<bool> respond(Response response, bool is_head, bool keep_alive,
                                       bool accepts_gzip, const ServerOptions& options);
  boost::asio::awaitable<void> refuse(Response response, const ServerOptions& options);
  boost::asio::awaitable<bool> write(ByteView head, ByteView body, const ServerOptions& options);

  Stream::Step pull();
  boost::asio::awaitable<bool> more();
  bool enter(Phase phase, int64_t time_ms);
  void close();

  const std::shared_ptr<ServerParts> parts_;
  Stream stream_;
  Peer peer_;
  std::optional<ShownCertificate> shown_;
  SlotPtr slot_;
  Bytes input_;          // received, not yet used
  bool closed_ = false;  // by this side
  std::atomic<bool> is_new_ = true;
  std::shared_ptr<boost::asio::steady_timer> wake_;
  boost::asio::cancellation_signal* running_ = nullptr;  // of the handler
};

}  // namespace notp::http
