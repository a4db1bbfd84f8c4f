#include "notp-server/lane_inputs/pull_log.hpp"

#include <utility>

#include "common/log.hpp"
#include "notp-server/lane_inputs/refusal.hpp"

namespace notp::lane_inputs {

namespace {

constexpr TimeMs kRefusedEveryMs = 60'000;

}  // namespace

void PullLog::failed(const Error& error) {
  const std::string rule(rule_of(error));
  if (rule.empty()) {
    if (std::exchange(said_, error.message) == error.message) return;
  } else {
    const TimeMs now_ms = read_clock().boot_ms;
    const auto [last, is_first] = refused_.try_emplace(rule, now_ms);
    if (!is_first && now_ms - last->second < kRefusedEveryMs) return;
    last->second = now_ms;
  }
  log::write(log::Level::kWarn, rule.empty() ? "lane_source_not_reached" : "lane_source_refused",
             error, {{"lane", lane_}, {"source", source_}});
}

void PullLog::state_is(lane::SourceState::State state, const std::string& message) {
  if (std::exchange(state_, state) == state) return;
  if (state == lane::SourceState::State::kFailing)
    log::error("lane_source_failing", {{"lane", lane_}, {"source", source_}, {"message", message}});
  if (state == lane::SourceState::State::kOk)
    log::info("lane_source_good", {{"lane", lane_}, {"source", source_}});
}

}  // namespace notp::lane_inputs
