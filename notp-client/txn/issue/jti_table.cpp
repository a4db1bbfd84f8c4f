#include "notp-client/txn/issue/jti_table.hpp"

#include "notp-client/txn/txn_limits.hpp"

namespace notp::txn {

TokenResult<> JtiTable::take(const JtiUse& use, TimeMs now_ms) {
  forget(now_ms);
  std::string key = use.peer + "\n" + use.jti;  // a SPIFFE id has no line break
  const auto found = uses_.find(key);
  if (found != uses_.end()) {
    if (!use.purpose.empty() && found->second == use.purpose) return {};
    return token_refused(Refusal::kSubjectUsed,
                         "subject_token: its jti was used before; sign a new one");
  }
  if (uses_.size() >= limits::kTxnJtisMax)
    return token_refused(Refusal::kOverloaded, "too many self-signed tokens; try again later");
  order_.emplace_back(use.until_ms, key);
  uses_.emplace(std::move(key), use.purpose);
  return {};
}

void JtiTable::forget(TimeMs now_ms) {
  while (!order_.empty() && order_.front().first <= now_ms) {
    uses_.erase(order_.front().second);
    order_.pop_front();
  }
}

}  // namespace notp::txn
