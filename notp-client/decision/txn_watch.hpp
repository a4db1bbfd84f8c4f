// Looks at the transaction tokens of a question before it is decided: verifies them, counts how
// often they were presented, and tells what records say of them.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>

#include "common/rego/txn_rules.hpp"
#include "notp-client/decision/decision_request.hpp"
#include "notp-client/decision/input_pointers.hpp"
#include "notp-client/txn/verify/presentations.hpp"
#include "notp-client/txn/verify/txn_check.hpp"

namespace notp::decision {

struct TxnWatchOptions {
  rego::TxnRules rules;
  std::vector<std::string> tokens;  // RFC 6901, into an input
  bool counts = true;               // the PDP is told how often a transaction was presented
  // The keys of the set that decides; null: there are none. Any executor.
  std::function<boost::asio::awaitable<std::shared_ptr<const jose::KeySet>>()> keys;
  // Tokens whose kid the set lacks; may be empty. Any thread.
  std::function<void(txn::TxnSigner)> unknown_key;
  std::function<TimeMs()> now_ms;  // Unix time
};

// Thread-safe.
class TxnWatch {
 public:
  TxnWatch(TxnWatchOptions options, prometheus::Registry& metrics);

  // Sets Question::presented, and returns what was found in each input. A token that is not valid
  // counts nothing. The counts are taken before the question is decided, so that of several
  // questions with one transaction exactly one is the first, whatever becomes of it.
  boost::asio::awaitable<std::vector<std::vector<SeenTxn>>> look(pdp::Question& question) const;

 private:
  struct Parts;
  std::vector<SeenTxn> look_at(const std::vector<InputPointers::Found>& found,
                               const jose::KeySet* keys, const std::string& path,
                               Bytes& presented) const;

  std::shared_ptr<Parts> parts_;
};

}  // namespace notp::decision
