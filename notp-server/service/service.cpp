#include "notp-server/service/service.hpp"

#include <fmt/format.h>

#include <boost/asio/post.hpp>

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

}  // namespace

Service::Service(ServiceParts parts, ServiceOptions options)
    : parts_(std::move(parts)),
      options_(std::move(options)),
      door_(parts_.registry, parts_.roots, parts_.rights),
      catalog_(parts_.registry, parts_.roots, door_),
      desk_({.registry = parts_.registry,
             .door = door_,
             .fleet = parts_.fleet,
             .roots = parts_.roots,
             .freshness = parts_.freshness,
             .rights = parts_.rights,
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
  for (auto& lane : lanes_) lane->thread = std::thread([&lane = *lane] { lane.context.run(); });
  return local.address().is_v6() ? fmt::format("[{}]:{}", local.address().to_string(), local.port())
                                 : fmt::format("{}:{}", local.address().to_string(), local.port());
}

asio::awaitable<void> Service::accept_loop() {
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

Result<void> Service::admit(const std::string& identity) {
  const std::scoped_lock lock(mutex_);
  size_t& open = identities_[identity];
  if (open >= options_.sessions_per_identity_max)
    return fail(ErrorCode::kOverloaded,
                fmt::format("{} has {} sessions open already; is one certificate used by several "
                            "nodes?",
                            identity, open));
  ++open;
  return {};
}

bool Service::depart(const std::string& identity) {
  const std::scoped_lock lock(mutex_);
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
}

void Service::roots_changed() {
  tell_all([](SessionHost& host) { host.roots_changed(); });
}

void Service::freshness_due() {
  tell_all([](SessionHost& host) { host.freshness_due(); });
}

void Service::stop() {
  if (stopping_.exchange(true)) return;
  SystemRandom random;
  for (auto& lane : lanes_)
    asio::post(lane->context,
               [this, &lane = *lane, first = lane == lanes_.front(), spread = random.next_u64()] {
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
  parts_.workers.join();
  for (auto& lane : lanes_) {
    lane->work.reset();
    if (lane->thread.joinable()) lane->thread.join();
  }
}

}  // namespace notp
