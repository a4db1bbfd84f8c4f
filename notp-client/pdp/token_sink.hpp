// Where a node's token lane goes: a PDP whose policies look tokens up.
#pragma once

#include <functional>

#include "common/result.hpp"
#include "notp-client/lane/table/token_table.hpp"

namespace notp::pdp {

// All calls and callbacks on the agent's executor.
class TokenSink {
 public:
  virtual ~TokenSink() = default;
  // `done` is called once, when decisions use the update, never from within this call; a later
  // update may finish an earlier one. kUnavailable: the PDP is not there, and what it had is lost;
  // on_tokens_lost() reports when it needs the whole table.
  virtual void apply_tokens(lane::TableUpdate update, std::function<void(Result<void>)> done) = 0;
  // `callback` is called whenever the PDP has lost what it had (it was started again) and waits for
  // the whole table.
  virtual void on_tokens_lost(std::function<void()> callback) = 0;
};

}  // namespace notp::pdp
