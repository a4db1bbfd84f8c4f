#include "notp-client/agent/core/alarms.hpp"

#include <algorithm>

namespace notp::agent {
namespace {

constexpr size_t kAlarmsKept = 16;

}  // namespace

void Alarms::raise(const Error& error) {
  if (std::ranges::find(texts_, error.message) == texts_.end()) {
    texts_.push_back(error.message);
    if (texts_.size() > kAlarmsKept) texts_.erase(texts_.begin());
  }
  effects_.push_back(effect::Alarm{error});
}

void Alarms::raise_once(AlarmTopic topic, const Error& error) {
  const auto [raised, is_new] = raised_.try_emplace(topic, error);
  const bool is_known = !is_new && raised->second.code == error.code;
  raised->second = error;
  if (!is_known) raise(error);
}

std::string Alarms::text(AlarmTopic topic) const {
  const auto raised = raised_.find(topic);
  return raised == raised_.end() ? "" : raised->second.message;
}

}  // namespace notp::agent
