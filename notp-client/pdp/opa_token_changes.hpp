// What an OPA has of the tokens of a lane, and what it has yet to get: pure.
#pragma once

#include <functional>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "common/result.hpp"
#include "notp-client/lane/table/token_table.hpp"
#include "notp-client/pdp/opa_token_values.hpp"

namespace notp::pdp {

struct OpaTokensLimits {
  // Living tokens, and statuses of lists that are not 0: 0.9 KB of OPA's memory each. More are
  // refused, revocations never.
  size_t tokens_max = 250'000;
  size_t patch_operations_max = 100;  // OPA's time for 1,000 is 20 times that for 100
  size_t patch_bytes_max = 512 << 10;
  int64_t retry_min_ms = 500, retry_max_ms = 30'000;
};

// Changes wait as the newest state of each id, so that any number of updates takes no more memory
// than the table. They are written in batches: one batch in several patches, then what came in
// meanwhile. One thread.
class OpaTokenChanges {
 public:
  using Done = std::function<void(Result<void>)>;

  explicit OpaTokenChanges(OpaTokensLimits limits) : limits_(limits) {}

  void put(lane::TableUpdate update, Done done);
  // Forgets all, also what OPA has.
  std::vector<Done> clear();

  bool is_idle() const { return !batch_readout_ && !next_readout_; }
  const std::optional<lane::LaneReadout>& wanted_readout() const { return next_readout_; }
  // Begins a batch if there is none, and something for one; false: nothing to write.
  bool has_patch();
  // The next operations of the batch (RFC 6902) for /v1/data/tokens, and with the last ones the
  // lane: its revision says that all before it is there. It is the same until patch_done().
  Bytes patch();
  // OPA has the last patch. Returns whom to tell if the batch has ended; nullopt: it has not.
  std::optional<std::vector<Done>> patch_done();

  size_t tokens() const { return tokens_; }  // also those that are yet to be written
  size_t refused_tokens() const;
  size_t refused_lists() const;

 private:
  using Changes = std::unordered_map<feed::EventKey, TokenValue, HashOfEventKey>;

  void put_whole(const lane::TableUpdate& update);
  void put_event(const feed::Event& event);
  void put_value(const feed::EventKey& key, TokenValue value);
  void refuse(const feed::EventKey& key);
  const TokenValue* upcoming(const feed::EventKey& key) const;
  size_t cost_after(const feed::EventKey& key) const;
  void begin_batch();

  OpaTokensLimits limits_;
  std::unordered_map<feed::EventKey, size_t, HashOfEventKey> held_;  // by OPA, with their cost
  Changes next_, batch_;
  std::vector<feed::EventKey> order_;  // of the batch
  size_t sent_ = 0, in_flight_ = 0;    // of the order
  std::optional<lane::LaneReadout> next_readout_, batch_readout_;
  std::vector<Done> next_done_, batch_done_;
  std::unordered_set<feed::EventKey, HashOfEventKey> refused_;
  size_t tokens_ = 0;
};

}  // namespace notp::pdp
