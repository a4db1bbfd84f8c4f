// Grants as requests see them: on a thread of their own, many changes in one transaction.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/mutex.hpp"
#include "notp-client/txn/grants/grants.hpp"

namespace notp::txn {

// Thread-safe, unless stated otherwise. Awaited functions return on the caller's executor.
class GrantsHost {
 public:
  // `trusted_ms`: trusted wall time, from any thread.
  GrantsHost(std::unique_ptr<Grants> grants, std::function<TimeMs()> trusted_ms);
  ~GrantsHost() { stop(); }
  GrantsHost(const GrantsHost&) = delete;
  GrantsHost& operator=(const GrantsHost&) = delete;

  // Begins to remove what has ended. Once.
  void start();
  // What was begun is completed; then nothing is. One thread.
  void stop();

  template <typename T>
  using Awaited = boost::asio::awaitable<T>;
  // As in Grants.
  Awaited<Result<std::optional<GrantFinding>>> find(std::string id, std::string peer,
                                                    std::string jti);
  Awaited<TokenResult<GrantOutcome>> apply(GrantChange change);
  Awaited<Result<GrantPage>> list(GrantFilter filter, std::string from);
  Awaited<Result<RevokedGrants>> revoke(GrantRevocation what);

  size_t size() const { return size_.load(); }

 private:
  using Done = std::function<void(TokenResult<GrantOutcome>)>;

  template <typename T>
  Awaited<T> run(std::function<T(Grants&, TimeMs)> work);
  void add(GrantChange change, Done done);
  void apply_waiting();
  void sweep();
  void note();

  const std::unique_ptr<Grants> grants_;
  const std::function<TimeMs()> trusted_ms_;
  std::atomic<size_t> size_ = 0;
  Mutex mutex_;
  std::vector<GrantChange> changes_ NOTP_GUARDED_BY(mutex_);
  std::vector<Done> waiting_ NOTP_GUARDED_BY(mutex_);  // one for each change
  boost::asio::thread_pool thread_{1};
  boost::asio::steady_timer sweep_timer_;
  bool is_stopping_ = false;  // on the thread
};

}  // namespace notp::txn
