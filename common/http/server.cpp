#include "common/http/server.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <functional>
#include <set>
#include <utility>

#include "common/http/connection.hpp"
#include "common/http/listener.hpp"
#include "common/mutex.hpp"
#include "common/spawn.hpp"

namespace notp::http {
namespace asio = boost::asio;
using boost::system::error_code;
using std::chrono::milliseconds;

namespace {

constexpr int64_t kStoppingLookMs = 50;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
using ConnectionPtr = std::shared_ptr<Connection>;

// Interval of deadline checks: connections have no timers of their own.
milliseconds look_interval(const ServerOptions& options) {
  constexpr int64_t kOften = 5, kSeldom = 1'000, kParts = 4;
  const int64_t shortest = std::min({options.handshake_ms, options.idle_ms, options.header_ms,
                                     options.body_ms, options.write_ms});
  return milliseconds(std::clamp(shortest / kParts, kOften, kSeldom));
}

uint64_t next_connection() {
  static std::atomic<uint64_t> last = 0;
  return ++last;
}

}  // namespace

class Server::State : public std::enable_shared_from_this<State> {
 public:
  State(const asio::any_io_executor& executor, Listener listener, ServerOptions options,
        Handler handler, ServerTlsPtr tls)
      : executor_(executor),
        address_(listener.address),
        port_(listener.port),
        listener_(std::move(listener)),
        grace_(listener_.acceptor.get_executor()),
        look_(listener_.acceptor.get_executor()),
        parts_(
            std::make_shared<ServerParts>(std::move(options), std::move(handler), std::move(tls))) {
    // Browsers cannot connect to a Unix socket.
    parts_->loopback_names = listener_.loopback && listener_.transport != Transport::kUnix;
  }

  // `passed` open: the listening socket of the endpoint.
  static Result<std::shared_ptr<State>> make(const asio::any_io_executor& executor,
                                             const Endpoint& endpoint, Descriptor passed,
                                             ServerOptions options, Handler handler) {
    ServerTlsPtr tls;
    if (const auto* wanted = std::get_if<TlsEndpoint>(&endpoint)) {
      NOTP_ASSIGN(tls, ServerTls::load(*wanted));
    }
    auto own = asio::make_strand(executor);
    NOTP_ASSIGN(Listener listener, passed.is_open()
                                       ? adopt_listener(own, endpoint, std::move(passed))
                                       : open_listener(own, endpoint));
    auto state = std::make_shared<State>(executor, std::move(listener), std::move(options),
                                         std::move(handler), std::move(tls));
    spawn(state->strand(), look(state));
    return state;
  }

  void begin() {
    asio::post(strand(), [self = shared_from_this()] {
      if (self->parts_->stopping) return;
      self->is_accepting_ = true;
      spawn(self->strand(), accept(self));
    });
  }

  uint16_t port() const { return port_; }
  const std::string& address() const { return address_; }

  void set_options(ServerOptions options) {
    parts_->options.set(std::make_shared<const ServerOptions>(std::move(options)));
  }

  Result<bool> reload(const TlsEndpoint& endpoint) {
    const ServerTlsPtr now = parts_->tls.get();
    if (!now) return fail(ErrorCode::kConfig, address_ + " is no TLS listener");
    NOTP_ASSIGN(ServerTlsPtr fresh, ServerTls::load(endpoint));
    if (fresh->digest() == now->digest()) return false;
    parts_->tls.set(std::move(fresh));
    return true;
  }

  void stop(int64_t grace_ms, std::function<void()> ended) {
    parts_->stopping = true;
    asio::post(strand(), [self = shared_from_this(), grace_ms, ended = std::move(ended)]() mutable {
      self->listener_.close();
      if (self->has_ended_) return ended ? ended() : void();
      if (ended) self->ended_ = std::move(ended);
      self->new_until_ms_ = read_clock().boot_ms + std::min(grace_ms, kFirstRequestMs);
      for (const auto& connection : self->connections())
        if (!connection->is_new()) connection->slot()->evict(Phase::kIdle);
      self->look_.cancel();
      if (self->is_over()) return;
      self->grace_.expires_after(milliseconds(grace_ms));
      self->grace_.async_wait([self](error_code) { self->abort_all(); });
    });
  }

  void close() {
    parts_->stopping = true;
    // The other servers may outlive the threads of these connections.
    for (const auto& connection : connections()) parts_->admission->leave(connection->slot());
    asio::post(strand(), [self = shared_from_this()] {
      self->listener_.close();
      self->closed_ = true;
      self->look_.cancel();
      self->grace_.cancel();
      self->abort_all();
    });
  }

 private:
  asio::any_io_executor strand() { return listener_.acceptor.get_executor(); }

  std::set<ConnectionPtr> connections() {
    const MutexLock guard(mutex_);
    return connections_;
  }

  void abort_all() {
    for (const auto& connection : connections()) connection->abort();
  }

  static asio::awaitable<void> accept(std::shared_ptr<State> self) {
    asio::steady_timer pause(self->strand());
    while (self->listener_.acceptor.is_open()) {
      auto [error, socket] = co_await self->listener_.acceptor.async_accept(
          asio::make_strand(self->executor_), kAwait);
      // Also what arrived just before the listener was closed: no other process will see it.
      if (!error) {
        self->take(Stream::Socket(std::move(socket)));
        continue;
      }
      if (!self->listener_.acceptor.is_open()) break;
      // Out of descriptors or memory: evicts the most dispensable connection.
      self->parts_->admission->evict_one(read_clock().boot_ms);
      pause.expires_after(milliseconds(limits::kAcceptPauseMs));
      co_await pause.async_wait(kAwait);
    }
    self->is_accepting_ = false;
    self->look_.cancel();
  }

  void take(Stream::Socket socket) {
    Peer peer = peer_of(socket, listener_.transport);
    peer.connection = next_connection();
    if (listener_.transport != Transport::kUnix) {
      error_code ignored;
      socket.set_option(asio::ip::tcp::no_delay(true), ignored);
    }
    const auto connection =
        std::make_shared<Connection>(parts_, std::move(socket), std::move(peer));
    connection->make_slot();
    const TimeMs now_ms = read_clock().boot_ms;
    // The new connection is the last one that a later one would replace.
    connection->slot()->enter(Phase::kIdle, now_ms, kNever);
    {
      const MutexLock guard(mutex_);
      if (closed_) return;
      if (!parts_->admission->admit(connection->slot(), now_ms))
        return parts_->metrics.refused(Refusal::kFull);
      connections_.insert(connection);
      if (connections_.size() == 1) look_.cancel();  // restarts the checks
    }
    parts_->metrics.opened();
    spawn(connection->executor(), serve(shared_from_this(), connection));
  }

  static asio::awaitable<void> serve(std::shared_ptr<State> self, ConnectionPtr connection) {
    co_await connection->serve();
    self->parts_->admission->leave(connection->slot());
    self->parts_->metrics.closed();
    {
      const MutexLock guard(self->mutex_);
      self->connections_.erase(connection);
    }
    if (self->parts_->stopping) asio::post(self->strand(), [self] { self->look_.cancel(); });
  }

  // No checks are left: the executor of a stopped server can end.
  bool is_over() {
    return closed_ || (parts_->stopping && !is_accepting_ && connections().empty());
  }

  milliseconds next_look() const {
    const milliseconds usual = look_interval(*parts_->options.get());
    return parts_->stopping ? std::min(usual, milliseconds(kStoppingLookMs)) : usual;
  }

  // Ends the connections past their deadline. Without connections it waits for one.
  static asio::awaitable<void> look(std::shared_ptr<State> self) {
    while (!self->is_over()) {
      if (self->connections().empty())
        self->look_.expires_at(asio::steady_timer::time_point::max());
      else
        self->look_.expires_after(self->next_look());
      co_await self->look_.async_wait(kAwait);
      const TimeMs now_ms = read_clock().boot_ms;
      for (const auto& connection : self->connections()) {
        const Phase phase = connection->slot()->phase();
        if (now_ms >= self->new_until_ms_ && (phase == Phase::kIdle || phase == Phase::kHandshake))
          connection->slot()->evict(phase);
        if (now_ms < connection->slot()->deadline_ms() || phase == Phase::kAnswering) continue;
        if (connection->slot()->evict(phase)) self->parts_->metrics.timed_out(phase);
      }
      self->parts_->metrics.holds(self->parts_->admission->bytes_held());
      self->parts_->metrics.evicted(self->parts_->admission->evicted_total());
    }
    self->grace_.cancel();
    self->has_ended_ = true;
    if (const auto ended = std::exchange(self->ended_, {})) ended();
  }

  const asio::any_io_executor executor_;
  const std::string address_;
  const uint16_t port_;

  Listener listener_;  // on its strand, like the following members
  asio::steady_timer grace_, look_;
  bool is_accepting_ = false;
  bool closed_ = false;
  TimeMs new_until_ms_ = kNever;  // after a stop: until when a new connection may begin
  bool has_ended_ = false;        // all of it
  std::function<void()> ended_;   // to be called then

  const std::shared_ptr<ServerParts> parts_;
  Mutex mutex_;
  std::set<ConnectionPtr> connections_ NOTP_GUARDED_BY(mutex_);
};

Result<std::unique_ptr<Server>> Server::listen(asio::any_io_executor executor, Endpoint endpoint,
                                               ServerOptions options, Handler handler) {
  NOTP_ASSIGN(auto state,
              State::make(executor, endpoint, {}, std::move(options), std::move(handler)));
  state->begin();
  return std::unique_ptr<Server>(new Server(std::move(state)));
}

Result<std::unique_ptr<Server>> Server::adopt(asio::any_io_executor executor, Endpoint endpoint,
                                              Descriptor socket, ServerOptions options,
                                              Handler handler) {
  NOTP_ASSIGN(auto state, State::make(executor, endpoint, std::move(socket), std::move(options),
                                      std::move(handler)));
  return std::unique_ptr<Server>(new Server(std::move(state)));
}

void Server::begin() { state_->begin(); }

Server::~Server() { state_->close(); }

uint16_t Server::port() const { return state_->port(); }

std::string Server::address() const { return state_->address(); }

void Server::set_options(ServerOptions options) { state_->set_options(std::move(options)); }

Result<bool> Server::reload(const TlsEndpoint& endpoint) { return state_->reload(endpoint); }

void Server::stop(int64_t grace_ms, std::function<void()> ended) {
  state_->stop(grace_ms, std::move(ended));
}

}  // namespace notp::http
