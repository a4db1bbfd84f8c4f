#include "protocol/serve/artifact_source.hpp"

#include <algorithm>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace notp::serve {

namespace asio = boost::asio;

ArtifactPtr ArtifactSource::cached(const WantedArtifact& wanted) {
  const auto pair = pair_of(wanted);
  return pair ? cache_.find(*pair, wanted.resume) : nullptr;
}

asio::awaitable<Result<ArtifactPtr>> ArtifactSource::fetch(std::string asker,
                                                           WantedArtifact wanted) {
  const auto pair = pair_of(wanted);
  if (!pair) co_return std::unexpected(pair.error());
  auto start = [this](auto handler, const Hash& key, std::string who, WantedArtifact what) {
    auto home = asio::make_work_guard(asio::get_associated_executor(handler));
    join(key, std::move(what),
         {std::move(who), [handler = std::move(handler),
                           home = std::move(home)](const Result<ArtifactPtr>& outcome) mutable {
            asio::post(home.get_executor(), [handler = std::move(handler), outcome]() mutable {
              handler(std::move(outcome));
            });
          }});
  };
  const Hash key = delta::artifact_id(pair->base, pair->target);
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Result<ArtifactPtr>)>(
      std::move(start), asio::use_awaitable, key, std::move(asker), std::move(wanted));
}

void ArtifactSource::prepare(const model::LedgerId& ledger, const Span* publish) {
  const auto newest = releases_.newest(ledger);
  if (!newest || *newest == 1) return;
  Span span = child_of(publish, "artifact");
  const auto made = make({ledger, *newest, *newest - 1, {}});
  if (made) span.set("notp.bytes", (*made)->bytes.size());
  span.end_with(made);
}

Result<ArtifactPair> ArtifactSource::pair_of(const WantedArtifact& wanted) const {
  ArtifactPair pair;
  NOTP_ASSIGN(pair.target, releases_.hash(wanted.ledger, wanted.version));
  if (wanted.base_version == 0) return pair;
  NOTP_ASSIGN(pair.base, releases_.hash(wanted.ledger, wanted.base_version));
  return pair;
}

Result<ArtifactPtr> ArtifactSource::make(const WantedArtifact& wanted) {
  delta::HeldReleasePtr base;
  if (wanted.base_version != 0) {
    NOTP_ASSIGN(base, releases_.release(wanted.ledger, wanted.base_version));
  }
  NOTP_ASSIGN(const delta::HeldReleasePtr target, releases_.release(wanted.ledger, wanted.version));
  return cache_.get(base, target, wanted.resume);
}

void ArtifactSource::join(const Hash& key, WantedArtifact wanted, Waiter waiter) {
  const std::string asker = waiter.asker;
  {
    const MutexLock lock(mutex_);
    const auto [place, first] = flights_.try_emplace(key);
    Flight& flight = place->second;
    if (first)
      flight.wanted = std::move(wanted);
    else
      ++joined_;
    flight.waiters.push_back(std::move(waiter));
    if (flight.is_made || !flight.queued.insert(asker).second) return;
  }
  lane_.post(asker, [this, key, asker](Result<void> turn) {
    if (turn)
      fly(key);
    else
      leave(key, asker, turn.error());
  });
}

void ArtifactSource::fly(const Hash& key) {
  WantedArtifact wanted;
  {
    const MutexLock lock(mutex_);
    const auto flight = flights_.find(key);
    // Already made in the turn of another asker.
    if (flight == flights_.end() || flight->second.is_made) return;
    flight->second.is_made = true;
    wanted = flight->second.wanted;
  }
  land(key, [&]() -> Result<ArtifactPtr> {
    try {
      return make(wanted);
    } catch (...) {
      return std::unexpected(transport::error_of_current_exception());
    }
  }());
}

void ArtifactSource::leave(const Hash& key, const std::string& asker, const Error& error) {
  std::vector<Waiter> leaving;
  {
    const MutexLock lock(mutex_);
    const auto place = flights_.find(key);
    if (place == flights_.end() || place->second.is_made) return;
    Flight& flight = place->second;
    flight.queued.erase(asker);
    const auto staying = std::ranges::partition(
        flight.waiters, [&](const Waiter& waiter) { return waiter.asker != asker; });
    std::ranges::move(staying, std::back_inserter(leaving));
    flight.waiters.erase(staying.begin(), staying.end());
    if (flight.waiters.empty()) flights_.erase(place);
  }
  for (Waiter& waiter : leaving) waiter.resume(std::unexpected(error));
}

void ArtifactSource::land(const Hash& key, const Result<ArtifactPtr>& outcome) {
  std::vector<Waiter> waiters;
  {
    const MutexLock lock(mutex_);
    const auto flight = flights_.find(key);
    waiters = std::move(flight->second.waiters);
    flights_.erase(flight);
  }
  for (Waiter& waiter : waiters) waiter.resume(outcome);
}

}  // namespace notp::serve
