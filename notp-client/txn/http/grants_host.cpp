#include "notp-client/txn/http/grants_host.hpp"

#include <algorithm>
#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <utility>

#include "common/log.hpp"
#include "notp-client/txn/txn_limits.hpp"

namespace notp::txn {

namespace asio = boost::asio;

GrantsHost::GrantsHost(std::unique_ptr<Grants> grants, std::function<TimeMs()> trusted_ms)
    : grants_(std::move(grants)), trusted_ms_(std::move(trusted_ms)), sweep_timer_(thread_) {
  note();
}

void GrantsHost::start() {
  asio::post(thread_, [this] { sweep(); });
}

void GrantsHost::stop() {
  asio::post(thread_, [this] {
    is_stopping_ = true;  // a wait may have ended, and its handler be queued
    sweep_timer_.cancel();
  });
  thread_.join();
}

void GrantsHost::note() { size_ = grants_->size(); }

void GrantsHost::sweep() {
  const auto more = grants_->sweep(trusted_ms_());
  if (!more) log::write(log::Level::kError, "txn_grants_not_swept", more.error());
  note();
  sweep_timer_.expires_after(
      std::chrono::milliseconds(more && *more ? 1 : limits::kTxnGrantSweepMs));
  sweep_timer_.async_wait([this](boost::system::error_code error) {
    if (!error && !is_stopping_) sweep();
  });
}

template <typename T>
GrantsHost::Awaited<T> GrantsHost::run(std::function<T(Grants&, TimeMs)> work) {
  const auto on_thread = [this](auto body) -> Awaited<T> {
    T result = body(*grants_, trusted_ms_());
    note();
    co_return result;
  };
  co_return co_await asio::co_spawn(thread_, on_thread(std::move(work)), asio::use_awaitable);
}

GrantsHost::Awaited<Result<std::optional<GrantFinding>>> GrantsHost::find(std::string id,
                                                                          std::string peer,
                                                                          std::string jti) {
  return run<Result<std::optional<GrantFinding>>>(
      [id = std::move(id), peer = std::move(peer), jti = std::move(jti)](Grants& grants, TimeMs) {
        return grants.find(id, peer, jti);
      });
}

GrantsHost::Awaited<Result<GrantPage>> GrantsHost::list(GrantFilter filter, std::string from) {
  return run<Result<GrantPage>>([filter = std::move(filter), from = std::move(from)](
                                    Grants& grants, TimeMs) { return grants.list(filter, from); });
}

GrantsHost::Awaited<Result<RevokedGrants>> GrantsHost::revoke(GrantRevocation what) {
  return run<Result<RevokedGrants>>([what = std::move(what)](Grants& grants, TimeMs now_ms) {
    return grants.revoke(what, now_ms);
  });
}

// What comes while one transaction is written goes into the next one.
void GrantsHost::add(GrantChange change, Done done) {
  bool is_first = false;
  {
    const MutexLock lock(mutex_);
    is_first = waiting_.empty();
    changes_.push_back(std::move(change));
    waiting_.push_back(std::move(done));
  }
  if (is_first) asio::post(thread_, [this] { apply_waiting(); });
}

void GrantsHost::apply_waiting() {
  std::vector<GrantChange> changes;
  std::vector<Done> waiting;
  {
    const MutexLock lock(mutex_);
    const auto count =
        static_cast<std::ptrdiff_t>(std::min(changes_.size(), limits::kTxnGrantChangesMax));
    std::move(changes_.begin(), changes_.begin() + count, std::back_inserter(changes));
    std::move(waiting_.begin(), waiting_.begin() + count, std::back_inserter(waiting));
    changes_.erase(changes_.begin(), changes_.begin() + count);
    waiting_.erase(waiting_.begin(), waiting_.begin() + count);
    if (!waiting_.empty()) asio::post(thread_, [this] { apply_waiting(); });
  }
  auto outcomes = grants_->apply(changes, trusted_ms_());
  note();
  if (!outcomes) log::write(log::Level::kError, "txn_grants_failed", outcomes.error());
  for (size_t i = 0; i < waiting.size(); ++i) {
    if (outcomes)
      waiting[i](std::move((*outcomes)[i]));
    else
      waiting[i](token_refused(Refusal::kStoreUnavailable,
                               "what becomes of grants cannot be stored now; try again later"));
  }
}

GrantsHost::Awaited<TokenResult<GrantOutcome>> GrantsHost::apply(GrantChange change) {
  auto start = [this](auto handler, GrantChange given) {
    using Handler = decltype(handler);
    const auto home = asio::make_work_guard(asio::get_associated_executor(handler));
    const auto kept = std::make_shared<Handler>(std::move(handler));
    add(std::move(given), [home, kept](TokenResult<GrantOutcome> outcome) {
      asio::post(home.get_executor(), [kept, outcome = std::move(outcome)]() mutable {
        Handler last = std::move(*kept);
        std::move(last)(std::move(outcome));
      });
    });
  };
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>,
                                          void(TokenResult<GrantOutcome>)>(
      std::move(start), asio::use_awaitable, std::move(change));
}

}  // namespace notp::txn
