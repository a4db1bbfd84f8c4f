#include "notp-client/agent/core/alarms.hpp"

#include <fmt/format.h>

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

void Alarms::on_log_shipped(const Result<void>& outcome) {
  if (outcome) return clear(AlarmTopic::kLog);
  raise_once(
      AlarmTopic::kLog,
      Error(outcome.error()).in("the records of this node's decisions do not reach the registry"));
}

void Alarms::on_tree(const TreeWitness& seen, TimeMs boot_ms) {
  if (seen.refused.empty())
    clear(AlarmTopic::kTree);
  else
    raise_once(
        AlarmTopic::kTree,
        {ErrorCode::kRegistrySplit,
         fmt::format("{}: keep this node's spool as evidence, and ask who runs the registry; "
                     "`notp-client decisions stats` says more",
                     seen.refused),
         {}});
  receipts_.update(seen, boot_ms);
  if (!receipts_.was_overdue()) clear(AlarmTopic::kReceipts);
}

void Alarms::on_deadline(TimeMs boot_ms) {
  if (const auto below = receipts_.take_overdue(boot_ms))
    raise_once(
        AlarmTopic::kReceipts,
        {ErrorCode::kTimeout,
         fmt::format("the registry has acknowledged {} decision records, and no receipt says that "
                     "all of them are in its tree: look at the registry, and keep this node's "
                     "spool",
                     *below),
         {}});
}

std::string Alarms::text(AlarmTopic topic) const {
  const auto raised = raised_.find(topic);
  return raised == raised_.end() ? "" : raised->second.message;
}

}  // namespace notp::agent
