#include "notp-server/service/service.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/limits.hpp"
#include "common/log.hpp"
#include "common/random.hpp"
#include "common/spawn.hpp"
#include "notp-server/service/session_host.hpp"
#include "protocol/transport/endpoint.hpp"

namespace notp {

namespace asio = boost::asio;

namespace {

constexpr auto kStopMs = std::chrono::milliseconds(3'000);
// A fleet that is told to come back in the same instant would come back in the same instant.
constexpr uint64_t kByeSpreadMs = 3'000;
// Verifying a chain takes some 0.2 ms: so many of them, then the thread's other work.
constexpr size_t kRecheckBatch = 16;

}  // namespace

Service::Service(ServiceParts parts, ServiceOptions options)
    : parts_(std::move(parts)),
      options_(std::move(options)),
      door_(
          parts_.registry, parts_.pending, [&roots = parts_.roots] { return roots.current(); },
          parts_.rights, parts_.engine, options_.builtins, parts_.denied,
          [&fleet = parts_.fleet](const LedgerId& a, const LedgerId& b) {
            return fleet.subscribed_together(a, b);
          }),
      work_(parts_.pools, options_.workers, options_.validations_at_once),
      source_(parts_.registry, parts_.artifacts, work_.artifacts),
      partials_(parts_.registry, parts_.artifacts),
      catalog_(parts_.registry, parts_.roots, door_),
      requests_({.registry = parts_.registry,
                 .door = door_,
                 .fleet = parts_.fleet,
                 .roots = parts_.roots,
                 .freshness = parts_.freshness,
                 .rights = parts_.rights,
                 .enrollment = parts_.enrollment,
                 .facts = options_.facts}) {
  for (size_t i = 0; i < options_.threads; ++i) lanes_.push_back(std::make_unique<Lane>());
}

Service::~Service() { stop(); }

Result<std::string> Service::start() {
  NOTP_ASSIGN(acceptor_, listen(lanes_.front()->context.get_executor(), options_.listen));
  boost::system::error_code error;
  const auto local = acceptor_->local_endpoint(error);
  if (error) return fail(ErrorCode::kUnavailable, "cannot listen: " + error.message());
  spawn(lanes_.front()->context.get_executor(), accept_loop());
  for (auto& lane : lanes_) spawn(lane->context.get_executor(), watch_ends(*lane));
  for (auto& lane : lanes_) lane->thread = std::thread([&lane = *lane] { lane.context.run(); });
  return local.address().is_v6() ? fmt::format("[{}]:{}", local.address().to_string(), local.port())
                                 : fmt::format("{}:{}", local.address().to_string(), local.port());
}

asio::awaitable<void> Service::accept_loop() {
  AddressRate rate;
  for (size_t next = 0; !stopping_; ++next) {
    Lane& lane = *lanes_[next % lanes_.size()];
    auto socket = co_await accept(*acceptor_, lane.context.get_executor());
    if (!socket) {
      if (stopping_) co_return;
      log::write(log::Level::kWarn, "accept_failed", socket.error());
      continue;
    }
    // A connection above the limit costs nothing but its descriptor: no TLS for it.
    if (counters_.sessions >= options_.sessions_max) {
      ++counters_.sessions_refused;
      continue;
    }
    boost::system::error_code gone;
    const auto peer = socket->remote_endpoint(gone);
    if (gone) continue;
    if (!rate.admit(AddressRate::key_of(peer.address()), read_clock().boot_ms)) {
      ++counters_.handshakes_too_often;
      continue;
    }
    ++counters_.accepted;
    {
      const std::scoped_lock lock(mutex_);
      ++hosts_;
    }
    asio::post(lane.context, [this, &lane, taken = std::move(*socket)]() mutable {
      auto host = std::shared_ptr<SessionHost>(new SessionHost(*this, lane, std::move(taken)),
                                               [this](SessionHost* ended) {
                                                 delete ended;
                                                 const std::scoped_lock lock(mutex_);
                                                 --hosts_;
                                                 departed_.notify_all();
                                               });
      spawn(lane.context.get_executor(), host->run());
    });
  }
}

uint64_t Service::handshake_began(const std::shared_ptr<SessionHost>& host, Lane& lane) {
  const std::scoped_lock lock(mutex_);
  handshakes_[next_handshake_] = {host, &lane};
  if (handshakes_.size() > options_.handshakes_max) {
    const auto oldest = handshakes_.begin();
    asio::post(oldest->second.lane->context, [weak = oldest->second.host] {
      if (const auto displaced = weak.lock()) displaced->end_handshake();
    });
    handshakes_.erase(oldest);
    ++counters_.handshakes_displaced;
  }
  return next_handshake_++;
}

void Service::handshake_ended(uint64_t number) {
  const std::scoped_lock lock(mutex_);
  handshakes_.erase(number);
}

Result<void> Service::admit(const std::string& identity) {
  const std::scoped_lock lock(mutex_);
  // Many may have shaken hands since accept_loop() found room.
  if (admitted_ >= options_.sessions_max)
    return fail(ErrorCode::kOverloaded,
                fmt::format("{} sessions are open at this registry already", admitted_));
  size_t& open = identities_[identity];
  if (open >= options_.sessions_per_identity_max)
    return fail(ErrorCode::kOverloaded,
                fmt::format("{} has {} sessions open already; is one certificate used by several "
                            "nodes?",
                            identity, open));
  ++open;
  ++admitted_;
  return {};
}

bool Service::depart(const std::string& identity) {
  const std::scoped_lock lock(mutex_);
  --admitted_;
  const auto open = identities_.find(identity);
  if (--open->second != 0) return false;
  identities_.erase(open);
  return true;
}

void Service::tell_all(std::function<void(SessionHost&)> what) {
  for (auto& lane : lanes_)
    asio::post(lane->context, [&lane = *lane, what] {
      for (SessionHost* host : lane.sessions) what(*host);
    });
}

void Service::announce(const LedgerId& ledger) {
  tell_all([ledger](SessionHost& host) { host.head_changed(ledger); });
  if (parts_.denied != nullptr && parts_.denied->ledger() == ledger) recheck_sessions();
}

void Service::take_in(const LedgerId& ledger) {
  source_.prepare(ledger);
  if (parts_.denied == nullptr || parts_.denied->ledger() != ledger) return;
  const auto update = [&]() -> Result<void> {
    const auto head = parts_.registry.head(ledger);
    if (!head) return {};
    NOTP_ASSIGN(const SnapshotPtr release, parts_.registry.snapshot(ledger, head->release.version));
    return parts_.denied->update(*release);
  };
  if (const auto updated = update(); !updated)
    log::write(log::Level::kError, "deny_list_not_read", updated.error(),
               {{"ledger", ledger.text()}});
}

void Service::recheck_sessions() {
  for (auto& lane : lanes_) spawn(lane->context.get_executor(), recheck(*lane, true));
}

void Service::recheck_sessions_of(const std::string& identity) {
  for (auto& lane : lanes_)
    asio::post(lane->context, [&lane = *lane, identity] {
      std::vector<std::weak_ptr<SessionHost>> hosts;
      for (SessionHost* host : lane.sessions)
        if (host->identity() == identity) hosts.push_back(host->weak_from_this());
      for (const auto& weak : hosts)
        if (const auto host = weak.lock()) host->recheck();
    });
}

asio::awaitable<void> Service::recheck(Lane& lane, bool all) {
  std::vector<std::weak_ptr<SessionHost>> hosts;
  const TimeMs now_ms = read_clock().wall_ms;
  for (SessionHost* host : lane.sessions)
    if (all || host->peer_end_ms() <= now_ms) hosts.push_back(host->weak_from_this());
  for (size_t i = 0; i < hosts.size() && !stopping_; ++i) {
    if (const auto host = hosts[i].lock()) host->recheck();
    if (i % kRecheckBatch == kRecheckBatch - 1)
      co_await asio::post(lane.context, asio::use_awaitable);
  }
}

asio::awaitable<void> Service::watch_ends(Lane& lane) {
  while (!stopping_) {
    const TimeMs wait_ms =
        lane.first_end_ms == kNever
            ? limits::kWallWaitMs
            : std::clamp<TimeMs>(lane.first_end_ms - read_clock().wall_ms, 0, limits::kWallWaitMs);
    lane.first_end.expires_after(std::chrono::milliseconds(wait_ms));
    static_cast<void>(co_await lane.first_end.async_wait(asio::as_tuple(asio::use_awaitable)));
    if (stopping_) co_return;
    if (read_clock().wall_ms >= lane.first_end_ms) co_await recheck(lane, false);
    const TimeMs now_ms = read_clock().wall_ms;
    lane.first_end_ms = kNever;
    for (const SessionHost* host : lane.sessions)
      if (host->peer_end_ms() > now_ms)
        lane.first_end_ms = std::min(lane.first_end_ms, host->peer_end_ms());
  }
}

void Service::clock_set() {
  for (auto& lane : lanes_) asio::post(lane->context, [&lane = *lane] { lane.first_end.cancel(); });
}

void Service::expect_end(Lane& lane, TimeMs end_ms) {
  if (end_ms >= lane.first_end_ms) return;
  lane.first_end_ms = end_ms;
  lane.first_end.cancel();
}

void Service::roots_changed() {
  tell_all([](SessionHost& host) { host.roots_changed(); });
}

void Service::freshness_due() {
  tell_all([](SessionHost& host) { host.freshness_due(); });
}

void Service::stop() {
  if (stopping_.exchange(true)) return;
  work_.close();
  SystemRandom random;
  for (auto& lane : lanes_)
    asio::post(lane->context,
               [this, &lane = *lane, first = lane == lanes_.front(), spread = random.next_u64()] {
                 lane.first_end.cancel();
                 if (first && acceptor_) acceptor_->close();
                 SeededRandom jitter(spread);
                 for (SessionHost* host : lane.sessions)
                   host->say_bye("the registry is stopping",
                                 static_cast<uint32_t>(jitter.below(kByeSpreadMs)));
               });
  {
    std::unique_lock lock(mutex_);
    departed_.wait_for(lock, kStopMs, [this] { return hosts_ == 0; });
  }
  for (auto& lane : lanes_)
    asio::post(lane->context, [&lane = *lane] {
      for (SessionHost* host : lane.sessions) host->abort();
    });
  {
    std::unique_lock lock(mutex_);
    departed_.wait_for(lock, kStopMs, [this] { return hosts_ == 0; });
  }
  parts_.pools.join();
  for (auto& lane : lanes_) {
    lane->work.reset();
    if (lane->thread.joinable()) lane->thread.join();
  }
}

}  // namespace notp
