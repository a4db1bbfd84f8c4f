#include "notp-server/lane/memory_event_store.hpp"

#include <algorithm>
#include <ranges>

#include "common/assert.hpp"
#include "notp-server/lane/lane_limits.hpp"
#include "notp-server/lane/row_counts.hpp"

namespace notp::lane {

Result<void> MemoryEventStore::begin() {
  before_ = state_;
  undo_.clear();
  return {};
}

Result<void> MemoryEventStore::commit() {
  undo_.clear();
  return {};
}

void MemoryEventStore::roll_back() {
  for (const auto& step : std::views::reverse(undo_)) step();
  undo_.clear();
  state_ = before_;
}

// Undone without counting: roll_back() restores the state as a whole.
void MemoryEventStore::set(const feed::EventKey& key, std::optional<Row> row) {
  const auto found = rows_.find(key);
  std::optional<Row> old;
  if (found != rows_.end()) {
    old = std::move(found->second);
    by_revision_.erase(old->revision);
    rows_.erase(found);
  }
  count_of(state_, key.kind) += static_cast<uint64_t>(row.has_value());
  count_of(state_, key.kind) -= static_cast<uint64_t>(old.has_value());
  undo_.push_back([this, key, old] {
    if (const auto now = rows_.find(key); now != rows_.end()) {
      by_revision_.erase(now->second.revision);
      rows_.erase(now);
    }
    if (!old) return;
    by_revision_[old->revision] = key;
    rows_[key] = *old;
  });
  if (!row) return;
  by_revision_[row->revision] = key;
  rows_[key] = *std::move(row);
}

Result<void> MemoryEventStore::put(const Row& row) {
  NOTP_ASSERT(row.revision > state_.head, "revisions only grow");
  set(key_of(row.event), row);
  state_.head = row.revision;
  return {};
}

Result<void> MemoryEventStore::erase(const feed::EventKey& key) {
  if (rows_.contains(key)) set(key, std::nullopt);
  return {};
}

Result<bool> MemoryEventStore::note_key(std::string_view source, std::string_view key,
                                        int64_t now_s) {
  SourceKey name{source, key};
  if (keys_.contains(name)) return false;
  keys_[name] = now_s;
  undo_.push_back([this, name] { keys_.erase(name); });
  return true;
}

Result<size_t> MemoryEventStore::remove_ended(int64_t now_s, size_t max) {
  std::vector<std::pair<int64_t, feed::EventKey>> ended;
  for (const auto& [key, row] : rows_)
    if (row.remove_s <= now_s) ended.emplace_back(row.remove_s, key);
  std::ranges::sort(ended);
  ended.resize(std::min(ended.size(), max));
  for (const auto& [remove_s, key] : ended) {
    const Row& row = rows_.at(key);
    if (removal_compacts(row)) state_.compacted = std::max(state_.compacted, row.revision);
    set(key, std::nullopt);
  }
  std::erase_if(keys_, [&](const auto& entry) { return entry.second + kKeyLifeS <= now_s; });
  return ended.size();
}

Result<std::optional<Row>> MemoryEventStore::find(const feed::EventKey& key) {
  const auto found = rows_.find(key);
  if (found == rows_.end()) return std::nullopt;
  return found->second;
}

Result<EventStore::Page> MemoryEventStore::tail(uint64_t after, size_t rows_max, size_t bytes_max) {
  Page page;
  size_t bytes = 0;
  for (auto at = by_revision_.upper_bound(after); at != by_revision_.end(); ++at) {
    if (page.rows.size() == rows_max || bytes >= bytes_max) {
      page.more = true;
      break;
    }
    page.rows.push_back(rows_.at(at->second));
    bytes += bytes_of(page.rows.back().event);
  }
  return page;
}

Result<EventStore::Page> MemoryEventStore::range(const std::optional<feed::EventKey>& after,
                                                 size_t rows_max, size_t bytes_max) {
  Page page;
  size_t bytes = 0;
  for (auto at = after ? rows_.upper_bound(*after) : rows_.begin(); at != rows_.end(); ++at) {
    if (page.rows.size() == rows_max || bytes >= bytes_max) {
      page.more = true;
      break;
    }
    page.rows.push_back(at->second);
    bytes += bytes_of(page.rows.back().event);
  }
  return page;
}

}  // namespace notp::lane
