#include "notp-client/txn/issue/jti_table.hpp"

#include <algorithm>

#include "notp-client/txn/txn_limits.hpp"

namespace notp::txn {

namespace {

// A SPIFFE id has no line break.
std::string key_of(const JtiUse& use) { return use.peer + "\n" + use.jti; }

}  // namespace

TokenResult<> JtiTable::take(const JtiUse& use, TimeMs now_ms) {
  forget(now_ms);
  std::string key = key_of(use);
  if (is_taken(use, key))
    return token_refused(Refusal::kSubjectUsed,
                         "subject_token: its jti was used before; sign a new one");
  if (uses_.contains(key)) return {};
  NOTP_TRY(check_room(use.peer, now_ms));
  order_.emplace_back(use.until_ms, use.peer, key);
  ++of_peers_[use.peer];
  uses_.emplace(std::move(key), use.purpose);
  return {};
}

bool JtiTable::was_used(const JtiUse& use, TimeMs now_ms) {
  forget(now_ms);
  return is_taken(use, key_of(use));
}

bool JtiTable::is_taken(const JtiUse& use, const std::string& key) const {
  const auto found = uses_.find(key);
  return found != uses_.end() && (use.purpose.empty() || found->second != use.purpose);
}

TokenResult<> JtiTable::check_room(const std::string& peer, TimeMs now_ms) const {
  const auto held = of_peers_.find(peer);
  const bool has_share = held == of_peers_.end() || held->second < limits::kTxnJtisPerClientMax;
  if (has_share && uses_.size() < limits::kTxnJtisMax) return {};
  TokenError error =
      has_share
          ? token_refused(Refusal::kOverloaded,
                          "too many self-signed tokens and assertions; try again later")
                .error()
          : token_refused(Refusal::kJtisPerClient,
                          "too many self-signed tokens and assertions of this client have not "
                          "ended; ask with fewer, or with ones that end sooner")
                .error();
  // Those of others may have to go before one of this client does.
  error.retry_after_ms = std::max<TimeMs>(0, order_.front().until_ms - now_ms);
  return std::unexpected(std::move(error));
}

void JtiTable::forget(TimeMs now_ms) {
  while (!order_.empty() && order_.front().until_ms <= now_ms) {
    const Use& use = order_.front();
    uses_.erase(use.key);
    if (const auto held = of_peers_.find(use.peer); --held->second == 0) of_peers_.erase(held);
    order_.pop_front();
  }
}

}  // namespace notp::txn
