// The self-signed tokens and assertions that were used (jti, RFC 7519 §4.1.7). Pure. One thread.
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
  // itself. kJtisPerClient: kTxnJtisPerClientMax of this peer are remembered, so that none takes
  // the room of all. kOverloaded: kTxnJtisMax are remembered. Both say how long to wait.
  TokenResult<> take(const JtiUse& use, TimeMs now_ms);
  // Whether take() would refuse it as used before.
  bool was_used(const JtiUse& use, TimeMs now_ms);
  size_t size() const { return uses_.size(); }

 private:
  struct Use {
    TimeMs until_ms;
    std::string peer, key;
  };
  void forget(TimeMs now_ms);
  bool is_taken(const JtiUse& use, const std::string& key) const;
  TokenResult<> check_room(const std::string& peer, TimeMs now_ms) const;

  std::unordered_map<std::string, std::string> uses_;  // "peer\njti" → purpose
  std::unordered_map<std::string, size_t> of_peers_;   // how many are remembered
  std::deque<Use> order_;                              // by until_ms, nearly
};

}  // namespace notp::txn
