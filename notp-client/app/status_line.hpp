// The agent's state in one line, for the service manager ("systemctl status").
#pragma once

#include "notp-client/agent/core/agent_status.hpp"

namespace notp::client {

// One thread.
class StatusLine {
 public:
  // Of a status that was made just now, which is `wall_ms`. `refusal`: why no decision is given,
  // empty: they are. `lane`: the state of the token lane, empty: none is followed. As in "serving 2
  // of 3 ledgers, stale, lane lagging; registry unreachable since 2026-07-01T12:00:00Z: connection
  // refused".
  std::string text(const agent::AgentStatus& status, const std::string& refusal, TimeMs wall_ms,
                   const std::string& lane = {});

 private:
  TimeMs unreachable_ms_ = kNever;  // since when; kNever: a session is open
};

}  // namespace notp::client
