// Brings a worker's table of tokens up to date (common/rego/worker/README.md, "Tokens"). Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "common/rego/host/frames.hpp"
#include "common/rego/token_update.hpp"

namespace notp::rego {

// What one worker has of the newest table. One update is on its way at a time: the next one has all
// that has changed meanwhile, however much that is.
class WorkerTokens {
 public:
  // Returns the frames that make its table `newest`, which is whole, with the number `number`; none
  // while an update is on its way, or if it has that one. `next_id` numbers each frame.
  std::vector<OutgoingFrame> update(const TokenUpdate& newest, uint64_t number,
                                    const std::function<uint32_t()>& next_id);
  // The worker has taken the frame with this id.
  void answered(uint32_t id);
  // The newest number that its decisions see; 0: none.
  uint64_t applied() const { return applied_; }

 private:
  std::map<ShardKey, TokenShard> sent_;
  uint64_t number_ = 0, applied_ = 0;  // of what was sent, and of what it has taken
  uint32_t last_id_ = 0;               // of the update on its way; 0: there is none
};

}  // namespace notp::rego
