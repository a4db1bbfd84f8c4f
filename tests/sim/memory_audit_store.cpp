#include "tests/sim/memory_audit_store.hpp"

#include <algorithm>
#include <ranges>

namespace notp::sim {

using audit::StoredFault;
using audit::StoredLog;
using audit::StoredSegment;

namespace {

std::unexpected<Error> no_such() { return fail(ErrorCode::kNotFound, "there is no such segment"); }

bool is_same(const StoredFault& a, const StoredFault& b) {
  return std::tie(a.log, a.code, a.position, a.checkpoint) ==
         std::tie(b.log, b.code, b.position, b.checkpoint);
}

}  // namespace

Result<void> MemoryAuditStore::append(const std::vector<StoredSegment>& segments) {
  for (const StoredSegment& segment : segments) {
    Log& log = image_.logs[segment.segment.head.log];
    unsynced_.push_back(log.state);
    unsynced_.back().log = segment.segment.head.log;
    log.state.log = segment.segment.head.log;
    log.state.node = segment.node;
    log.state.tree = segment.tree;
    log.state.last_ms = segment.stored_ms;
    if (segment.segment.body.empty()) log.state.pruned += segment.segment.head.count;
    log.segments.push_back(std::make_shared<const StoredSegment>(segment));
  }
  return {};
}

Result<void> MemoryAuditStore::put_log(const StoredLog& log) {
  const auto [at, is_new] = image_.logs.try_emplace(log.log);
  StoredLog& state = at->second.state;
  const StoredLog before = state;
  state = log;
  if (is_new) return {};
  state.tree = before.tree;
  state.first_ms = before.first_ms;
  state.last_ms = before.last_ms;
  state.pruned = before.pruned;
  return {};
}

Result<void> MemoryAuditStore::put_fault(const StoredFault& fault) {
  if (std::ranges::none_of(image_.faults,
                           [&](const StoredFault& known) { return is_same(known, fault); }))
    image_.faults.push_back(fault);
  return {};
}

Result<std::vector<StoredLog>> MemoryAuditStore::logs(const std::optional<record::LogId>& after,
                                                      size_t max) const {
  std::vector<StoredLog> out;
  auto at = after ? image_.logs.upper_bound(*after) : image_.logs.begin();
  for (; at != image_.logs.end() && out.size() < max; ++at) out.push_back(at->second.state);
  return out;
}

Result<std::vector<StoredFault>> MemoryAuditStore::faults(const record::LogId& log) const {
  std::vector<StoredFault> out;
  for (const StoredFault& fault : std::views::reverse(image_.faults))
    if (fault.log == log) out.push_back(fault);
  return out;
}

Result<StoredSegment> MemoryAuditStore::find(const record::LogId& log,
                                             record::Position position) const {
  const auto at = image_.logs.find(log);
  if (at == image_.logs.end() || position >= at->second.state.tree.size()) return no_such();
  const auto& segments = at->second.segments;
  const auto after = std::ranges::upper_bound(
      segments, position, {}, [](const SegmentPtr& each) { return each->segment.head.first; });
  return **std::prev(after);
}

Result<void> MemoryAuditStore::list(const Range&, const Visit&) const { return {}; }
Result<StoredSegment> MemoryAuditStore::read(uint64_t) const { return no_such(); }
std::vector<record::LogId> MemoryAuditStore::logs_by_prefix(ByteView) const { return {}; }
Result<void> MemoryAuditStore::redact(const std::vector<audit::Removal>&) { return no_such(); }

void MemoryAuditStore::take_back(Image& image) const {
  for (const StoredLog& before : std::views::reverse(unsynced_)) {
    Log& log = image.logs.at(before.log);
    log.state = before;
    log.segments.pop_back();
  }
}

void MemoryAuditStore::crash(Random& random) {
  if (random.below(2) == 0) take_back(image_);
  unsynced_.clear();
}

MemoryAuditStore::Image MemoryAuditStore::durable() const {
  Image out = image_;
  take_back(out);
  return out;
}

void MemoryAuditStore::restore(Image image) {
  image_ = std::move(image);
  unsynced_.clear();
}

record::Position MemoryAuditStore::durable_size(const record::LogId& log) const {
  const auto oldest = std::ranges::find(unsynced_, log, &StoredLog::log);
  if (oldest != unsynced_.end()) return oldest->tree.size();
  const auto at = image_.logs.find(log);
  return at == image_.logs.end() ? 0 : at->second.state.tree.size();
}

}  // namespace notp::sim
