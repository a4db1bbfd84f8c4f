#include "protocol/serve/session_server.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <utility>

#include "common/log.hpp"
#include "common/random.hpp"
#include "common/spawn.hpp"
#include "protocol/transport/endpoint.hpp"

namespace notp::serve {

namespace asio = boost::asio;

namespace {

constexpr size_t kAcceptBatch = 64;
constexpr TimeMs kStopMs = 3'000;
// Spreads reconnects: a fleet with the same retry_after would return in the same instant.
constexpr uint64_t kByeSpreadMs = 3'000;
// Between two lines of the log about what nodes report of one release.
constexpr std::chrono::seconds kCommitsLogEvery{10};

}  // namespace

SessionServer::SessionServer(SessionServices services, ServeOptions options)
    : services_(std::move(services)),
      options_(std::move(options)),
      classes_(services_.freshness != nullptr
                   ? std::make_unique<ClassTable>(services_.targets, *services_.freshness)
                   : nullptr),
      context_{services_, admission_,    sends_,    counters_,
               commits_,  next_session_, stopping_, classes_.get()} {
  HandshakeTurnLimits turns;
  turns.under_way_max =
      std::clamp<size_t>(options_.limits.handshakes_max / options_.threads, 1, turns.under_way_max);
  for (size_t i = 0; i < options_.threads; ++i) {
    IoThread& thread = *threads_.emplace_back(std::make_unique<IoThread>(stopping_));
    thread.begin_handshakes(admission_, counters_, turns,
                            [this, &thread](asio::ip::tcp::socket socket, auto ticket) {
                              return begin(thread, std::move(socket), ticket);
                            });
  }
}

SessionServer::~SessionServer() {
  close();
  join();
}

Result<std::string> SessionServer::start() {
  NOTP_ASSIGN(acceptor_, transport::listen(threads_.front()->executor(), options_.listen));
  boost::system::error_code error;
  const auto local = acceptor_->local_endpoint(error);
  if (error) return fail(ErrorCode::kUnavailable, "cannot listen: " + error.message());
  next_log_.emplace(threads_.front()->executor());
  spawn(threads_.front()->executor(), accept_loop());
  spawn(threads_.front()->executor(), log_commits());
  for (auto& thread : threads_) thread->start();
  return local.address().is_v6() ? fmt::format("[{}]:{}", local.address().to_string(), local.port())
                                 : fmt::format("{}:{}", local.address().to_string(), local.port());
}

asio::awaitable<void> SessionServer::accept_loop() {
  AddressRate rate;
  for (size_t next = 0; !stopping_; ++next) {
    IoThread& thread = *threads_[next % threads_.size()];
    auto socket = co_await transport::accept(*acceptor_, thread.executor());
    if (!socket) {
      if (stopping_) co_return;
      log::write(log::Level::kWarn, "accept_failed", socket.error());
      continue;
    }
    take(thread, *std::move(socket), rate);
    // After an outage a fleet comes at once, and the kernel's queue is short.
    for (size_t i = 1; i < kAcceptBatch; ++i) {
      IoThread& other = *threads_[++next % threads_.size()];
      auto waiting = transport::accept_waiting(*acceptor_, other.executor());
      if (!waiting) break;
      take(other, *std::move(waiting), rate);
    }
  }
}

// A connection that is not taken costs only its descriptor: it gets no TLS.
void SessionServer::take(IoThread& thread, asio::ip::tcp::socket socket, AddressRate& rate) {
  if (!admission_.has_room()) {
    ++counters_.sessions_refused;
    return;
  }
  boost::system::error_code gone;
  const auto peer = socket.remote_endpoint(gone);
  if (gone) return;
  std::string address = AddressRate::key_of(peer.address());
  if (!rate.admit(address, read_clock().boot_ms)) {
    ++counters_.handshakes_too_often;
    return;
  }
  ++counters_.accepted;
  admission_.connection_began();
  asio::post(thread.executor(),
             [&thread, taken = std::move(socket), from = std::move(address)]() mutable {
               thread.handshakes().add(std::move(taken), std::move(from));
             });
}

asio::awaitable<void> SessionServer::log_commits() {
  while (!stopping_) {
    boost::system::error_code cancelled;
    next_log_->expires_after(kCommitsLogEvery);
    co_await next_log_->async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    commits_.log();
  }
}

std::function<void()> SessionServer::begin(IoThread& thread, asio::ip::tcp::socket socket,
                                           HandshakeQueue::Ticket ticket) {
  const auto host = std::shared_ptr<SessionHost>(
      new SessionHost(context_, thread, std::move(socket), ticket), [this](SessionHost* ended) {
        delete ended;
        admission_.connection_ended();
      });
  asio::post(thread.executor(),
             [host, executor = thread.executor()] { spawn(executor, host->run()); });
  return [weak = std::weak_ptr(host)] {
    if (const auto open = weak.lock()) open->end_handshake();
  };
}

void SessionServer::for_each(const std::function<void(SessionHost&)>& what) {
  for (auto& thread : threads_) thread->for_each(what);
}

void SessionServer::target_changed(const model::LedgerId& ledger) {
  for_each([ledger](SessionHost& host) { host.target_changed(ledger); });
}

void SessionServer::roots_changed() {
  for_each([](SessionHost& host) { host.roots_changed(); });
}

void SessionServer::sources_changed() {
  for_each([](SessionHost& host) { host.sources_changed(); });
}

void SessionServer::freshness_due() {
  for_each([](SessionHost& host) { host.freshness_due(); });
}

void SessionServer::recheck_sessions() {
  for (auto& thread : threads_) thread->recheck_all();
}

void SessionServer::recheck_sessions_of(const std::string& identity) {
  for (auto& thread : threads_) thread->recheck_identity(identity);
}

void SessionServer::release_held(const std::string& identity, const wire::ReleaseHeld& release) {
  for_each([identity, release](SessionHost& host) {
    if (host.identity() == identity) host.release_held(release);
  });
}

void SessionServer::clock_set() {
  for (auto& thread : threads_) thread->look_at_clock();
}

void SessionServer::ask_held(const SessionHandle& session, wire::HeldRequest request) {
  if (session.thread == nullptr) return;
  asio::post(session.thread->executor(), [host = session.host, asked = std::move(request)] {
    if (const auto open = host.lock()) open->ask(asked);
  });
}

void SessionServer::ask_return(const SessionHandle& session, wire::ReturnRequest request) {
  if (session.thread == nullptr || services_.recovery == nullptr) return;
  asio::post(session.thread->executor(), [this, session, asked = std::move(request)] {
    if (const auto open = session.host.lock()) return open->ask(asked);
    services_.recovery->on_returned(session, no_return(asked.request, session_ended()), nullptr);
  });
}

void SessionServer::deliver(LaneSends sends) {
  for (auto& thread : threads_) thread->deliver(sends);
}

std::vector<asio::any_io_executor> SessionServer::loops() {
  std::vector<asio::any_io_executor> out;
  for (auto& thread : threads_) out.emplace_back(thread->executor());
  return out;
}

void SessionServer::close() {
  if (stopping_.exchange(true)) return;
  asio::post(threads_.front()->executor(), [this] {
    if (acceptor_) acceptor_->close();
    if (next_log_) next_log_->cancel();
  });
  SystemRandom random;
  for (auto& thread : threads_) {
    thread->look_at_clock();
    asio::post(thread->executor(), [&queue = thread->handshakes()] { queue.close(); });
    thread->for_each([jitter = SeededRandom(random.next_u64())](SessionHost& host) mutable {
      host.say_bye("the registry is stopping", static_cast<uint32_t>(jitter.below(kByeSpreadMs)));
    });
  }
  admission_.wait_for_end(kStopMs);
  for_each([](SessionHost& host) { host.abort(); });
  admission_.wait_for_end(kStopMs);
}

void SessionServer::join() {
  for (auto& thread : threads_) thread->join();
  commits_.log();  // of the sessions that ended last
}

}  // namespace notp::serve
