#include "notp-server/fleet/log_lags.hpp"

#include <algorithm>

namespace notp::fleet {
namespace {

// Not 0, which means that nothing is missing.
TimeMs time_of(uint64_t age_ms, TimeMs now_ms) {
  return age_ms == 0 ? 0 : std::max<TimeMs>(1, now_ms - static_cast<TimeMs>(age_ms));
}

}  // namespace

TimeMs LogLags::Node::since_ms() const {
  if (unstored.empty()) return said_ms;
  return said_ms == 0 ? *unstored.begin() : std::min(said_ms, *unstored.begin());
}

void LogLags::offered(const std::string& node, uint64_t oldest_age_ms, TimeMs now_ms) {
  nodes_[node].said_ms = time_of(oldest_age_ms, now_ms);
}

// The node may not know of the last acknowledgement, nor that the registry has less than it had.
void LogLags::compared(const std::string& node, bool has_all, TimeMs now_ms) {
  TimeMs& said_ms = nodes_[node].said_ms;
  if (has_all)
    said_ms = 0;
  else if (said_ms == 0)
    said_ms = now_ms;
}

void LogLags::arrived(const std::string& node, TimeMs arrived_ms) {
  nodes_[node].unstored.insert(arrived_ms);
}

void LogLags::stored(const std::string& node, TimeMs arrived_ms, uint64_t oldest_age_ms) {
  Node& entry = nodes_[node];
  entry.unstored.extract(arrived_ms);  // one of those that arrived then
  entry.said_ms = time_of(oldest_age_ms, arrived_ms);
}

void LogLags::not_stored(const std::string& node, TimeMs arrived_ms) {
  Node& entry = nodes_[node];
  entry.unstored.extract(arrived_ms);  // one of those that arrived then
  if (entry.said_ms == 0) entry.said_ms = arrived_ms;
}

std::optional<TimeMs> LogLags::since_ms(const std::string& node) const {
  const auto found = nodes_.find(node);
  if (found == nodes_.end()) return std::nullopt;
  return found->second.since_ms();
}

TimeMs LogLags::oldest_since_ms() const {
  TimeMs oldest_ms = 0;
  for (const auto& [name, node] : nodes_)
    if (const TimeMs since_ms = node.since_ms();
        since_ms != 0 && (oldest_ms == 0 || since_ms < oldest_ms))
      oldest_ms = since_ms;
  return oldest_ms;
}

void LogLags::restore(const std::string& node, TimeMs since_ms) {
  nodes_[node] = {.said_ms = since_ms, .unstored = {}, .written_ms = since_ms};
}

// Segments under way come and go in no time.
bool LogLags::is_to_be_written(const std::string& node, bool has_departed) const {
  const auto found = nodes_.find(node);
  if (found == nodes_.end()) return false;
  const Node& entry = found->second;
  if (!entry.written_ms) return true;
  return has_departed ? entry.since_ms() != *entry.written_ms
                      : (entry.said_ms == 0) != (*entry.written_ms == 0);
}

void LogLags::written(const std::string& node) {
  const auto found = nodes_.find(node);
  if (found == nodes_.end()) return;
  found->second.written_ms = found->second.since_ms();
}

}  // namespace notp::fleet
