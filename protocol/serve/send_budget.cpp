#include "protocol/serve/send_budget.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace notp::serve {

struct SendBudget::Hold {
  Hold(SendBudget& owner, model::Content shared) : budget(owner), artifact(std::move(shared)) {}
  ~Hold() {
    const MutexLock lock(budget.mutex_);
    budget.held_.artifact_bytes -= artifact->size();
    // Another hold of the same artifact may have begun since this one was released.
    const auto known = budget.artifacts_.find(artifact.get());
    if (known != budget.artifacts_.end() && known->second.expired()) budget.artifacts_.erase(known);
  }
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;

  SendBudget& budget;
  const model::Content artifact;
};

void SendBudget::set(Account& account, size_t bytes, size_t taken, TimeMs now_boot_ms) {
  const bool busy = bytes >= kSmallBytes;
  if (!busy && !account.busy) return;
  const MutexLock lock(mutex_);
  if (busy && !account.busy) {
    account.since_ms = now_boot_ms;
    account.taken = 0;
    busy_.insert(&account);
  }
  account.busy = busy;
  account.taken += taken;
  if (!account.ended) held_.bytes = held_.bytes - account.bytes + (busy ? bytes : 0);
  if (!account.ended) account.bytes = busy ? bytes : 0;
  if (!busy) busy_.erase(&account);
  while (held_.bytes > limits_.bytes && end_slowest(now_boot_ms)) {
  }
  // All are new: the newest gives way.
  if (held_.bytes <= limits_.bytes || account.ended || !busy) return;
  account.ended = true;
  held_.bytes -= std::exchange(account.bytes, 0);
  account.end_();
}

bool SendBudget::end_slowest(TimeMs now_boot_ms) {
  Account* slowest = nullptr;
  double least = 0;
  for (Account* const account : busy_) {
    const TimeMs age_ms = now_boot_ms - account->since_ms;
    if (account->ended || age_ms < limits_.grace_ms) continue;
    const double rate = static_cast<double>(account->taken) / static_cast<double>(age_ms + 1);
    if (slowest != nullptr && rate >= least) continue;
    slowest = account;
    least = rate;
  }
  if (slowest == nullptr) return false;
  slowest->ended = true;
  held_.bytes -= std::exchange(slowest->bytes, 0);
  slowest->end_();
  return true;
}

Result<model::Content> SendBudget::hold(const model::Content& artifact, TimeMs now_boot_ms) {
  // Released after the lock, because its destructor takes the lock.
  std::shared_ptr<Hold> hold;
  {
    const MutexLock lock(mutex_);
    if (const auto known = artifacts_.find(artifact.get()); known != artifacts_.end())
      hold = known->second.lock();
    if (!hold) {
      const uint64_t sum = held_.artifact_bytes + artifact->size();
      if (held_.artifact_bytes != 0 && sum > limits_.artifact_bytes) {
        end_slowest(now_boot_ms);
        return fail(ErrorCode::kOverloaded,
                    fmt::format("artifacts of {} bytes are on their way to other clients, at most "
                                "{} may be; come back in a moment",
                                held_.artifact_bytes, limits_.artifact_bytes));
      }
      hold = std::make_shared<Hold>(*this, artifact);
      held_.artifact_bytes = sum;
      artifacts_[artifact.get()] = hold;
    }
  }
  const Bytes* bytes = hold->artifact.get();
  return model::Content(std::move(hold), bytes);
}

SendBudget::Held SendBudget::held() const {
  const MutexLock lock(mutex_);
  return held_;
}

}  // namespace notp::serve
