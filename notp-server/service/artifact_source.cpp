#include "notp-server/service/artifact_source.hpp"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace notp {

namespace asio = boost::asio;

ArtifactPtr ArtifactSource::cached(const WantedArtifact& wanted) {
  const auto pair = pair_of(wanted);
  return pair ? cache_.find(*pair, wanted.resume) : nullptr;
}

asio::awaitable<Result<ArtifactPtr>> ArtifactSource::fetch(WantedArtifact wanted) {
  const auto pair = pair_of(wanted);
  if (!pair) co_return std::unexpected(pair.error());
  auto start = [this](auto handler, const Hash& key, WantedArtifact what) {
    auto home = asio::make_work_guard(asio::get_associated_executor(handler));
    join(key, std::move(what),
         [handler = std::move(handler),
          home = std::move(home)](const Result<ArtifactPtr>& outcome) mutable {
           asio::post(home.get_executor(), [handler = std::move(handler), outcome]() mutable {
             handler(std::move(outcome));
           });
         });
  };
  const Hash key = artifact_id(pair->base, pair->target);
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Result<ArtifactPtr>)>(
      std::move(start), asio::use_awaitable, key, std::move(wanted));
}

void ArtifactSource::prepare(const LedgerId& ledger) {
  const auto head = registry_.head(ledger);
  if (!head || head->release.version == 1) return;
  static_cast<void>(make({ledger, head->release.version, head->release.version - 1, {}}));
}

Result<ArtifactPair> ArtifactSource::pair_of(const WantedArtifact& wanted) const {
  ArtifactPair pair;
  NOTP_ASSIGN(const ReleaseInfo target, registry_.info(wanted.ledger, wanted.version));
  pair.target = target.hash;
  if (wanted.base_version == 0) return pair;
  NOTP_ASSIGN(const ReleaseInfo base, registry_.info(wanted.ledger, wanted.base_version));
  pair.base = base.hash;
  return pair;
}

Result<ArtifactPtr> ArtifactSource::make(const WantedArtifact& wanted) {
  SnapshotPtr base;
  if (wanted.base_version != 0) {
    NOTP_ASSIGN(base, registry_.snapshot(wanted.ledger, wanted.base_version));
  }
  NOTP_ASSIGN(const SnapshotPtr target, registry_.snapshot(wanted.ledger, wanted.version));
  return cache_.get(base, target, wanted.resume);
}

void ArtifactSource::join(const Hash& key, WantedArtifact wanted, Waiter waiter) {
  {
    const std::scoped_lock lock(mutex_);
    const auto [flight, first] = waiting_.try_emplace(key);
    flight->second.push_back(std::move(waiter));
    if (!first) {
      ++joined_;
      return;
    }
  }
  if (const auto entered = pool_.enter(); !entered)
    return land(key, std::unexpected(entered.error()));
  asio::post(pool_.executor(), [this, key, wanted = std::move(wanted)] {
    const auto outcome = [&]() -> Result<ArtifactPtr> {
      try {
        return make(wanted);
      } catch (...) {
        return std::unexpected(error_of_current_exception());
      }
    }();
    pool_.leave();
    land(key, outcome);
  });
}

void ArtifactSource::land(const Hash& key, const Result<ArtifactPtr>& outcome) {
  std::vector<Waiter> waiters;
  {
    const std::scoped_lock lock(mutex_);
    const auto flight = waiting_.find(key);
    waiters = std::move(flight->second);
    waiting_.erase(flight);
  }
  for (Waiter& waiter : waiters) waiter(outcome);
}

}  // namespace notp
