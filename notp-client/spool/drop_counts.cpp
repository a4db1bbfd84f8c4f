#include "notp-client/spool/drop_counts.hpp"

#include "common/utf8_cut.hpp"

namespace notp::spool {
namespace {

std::string cut(std::string text) {
  if (text.size() <= kDroppedTextMax) return text;
  return std::string(utf8_cut(text, kDroppedTextMax)) + kOtherDrops;
}

}  // namespace

void DropCounts::count(Key key, uint64_t count) {
  const auto known = counts_.find(key);
  if (known == counts_.end() && counts_.size() >= kDroppedKeysMax)
    key = {kOtherDrops, record::Outcome::kNone, kOtherDrops};
  counts_[std::move(key)] += count;
}

bool DropCounts::add(std::string path, record::Outcome outcome, std::string rule) {
  rule = cut(std::move(rule));
  const MutexLock lock(mutex_);
  if (is_closed_) return false;
  const bool is_first = counts_.empty();
  ++total_;
  const bool has_row = rules_.contains(rule) || rules_.size() < kDroppedRulesMax;
  ++rules_[has_row ? rule : kOtherDrops];
  count({cut(std::move(path)), outcome, std::move(rule)}, 1);
  return is_first;
}

bool DropCounts::write(const Writer& writer) {
  const MutexLock writing(writing_);
  return write_all(writer);
}

bool DropCounts::close(const Writer& writer) {
  const MutexLock writing(writing_);
  {
    const MutexLock lock(mutex_);
    is_closed_ = true;
  }
  return write_all(writer);
}

bool DropCounts::has_counts() const {
  const MutexLock lock(mutex_);
  return !counts_.empty();
}

bool DropCounts::write_all(const Writer& writer) {
  record::Dropped record;
  {
    const MutexLock lock(mutex_);
    for (const auto& [key, count] : counts_)
      record.counts.push_back({std::get<0>(key), std::get<1>(key), std::get<2>(key), count});
    counts_.clear();
  }
  if (record.counts.empty() || writer(record)) return true;
  const MutexLock lock(mutex_);
  for (const record::DroppedCount& row : record.counts)
    count({row.path, row.outcome, row.rule}, row.count);
  return false;
}

uint64_t DropCounts::total() const {
  const MutexLock lock(mutex_);
  return total_;
}

std::vector<std::pair<std::string, uint64_t>> DropCounts::by_rule() const {
  const MutexLock lock(mutex_);
  return {rules_.begin(), rules_.end()};
}

}  // namespace notp::spool
