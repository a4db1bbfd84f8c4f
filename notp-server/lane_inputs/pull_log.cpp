#include "notp-server/lane_inputs/pull_log.hpp"

#include <utility>

#include "common/log.hpp"
#include "notp-server/lane_inputs/refusal.hpp"

namespace notp::lane_inputs {

void PullLog::failed(const Error& error) {
  if (std::exchange(said_, error.message) == error.message) return;
  log::write(log::Level::kWarn,
             rule_of(error).empty() ? "lane_source_not_reached" : "lane_source_refused", error,
             {{"lane", lane_}, {"source", source_}});
}

void PullLog::state_is(lane::SourceState::State state, const std::string& message) {
  if (std::exchange(state_, state) == state) return;
  if (state == lane::SourceState::State::kFailing)
    log::error("lane_source_failing", {{"lane", lane_}, {"source", source_}, {"message", message}});
  if (state == lane::SourceState::State::kOk)
    log::info("lane_source_good", {{"lane", lane_}, {"source", source_}});
}

}  // namespace notp::lane_inputs
