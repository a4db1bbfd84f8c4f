// The self-signed tokens that were used (jti, RFC 7519 §4.1.7). Pure. One thread.
#pragma once

#include <deque>
#include <string>
#include <unordered_map>

#include "notp-client/txn/issue/issuer_core.hpp"

namespace notp::txn {

// Forgets with the process: who copies a self-signed token needs its workload's key, too.
class JtiTable {
 public:
  // kSubjectUsed: the peer used this jti before, unless it was for the same grant, which decides by
  // itself. kOverloaded: kTxnJtisMax are remembered.
  TokenResult<> take(const JtiUse& use, TimeMs now_ms);
  size_t size() const { return uses_.size(); }

 private:
  void forget(TimeMs now_ms);

  std::unordered_map<std::string, std::string> uses_;  // "peer\njti" → purpose
  std::deque<std::pair<TimeMs, std::string>> order_;   // by until_ms, nearly
};

}  // namespace notp::txn
