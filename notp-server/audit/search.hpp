// Answers questions about recorded decisions, page by page.
#pragma once

#include <atomic>
#include <functional>

#include "common/clock.hpp"
#include "notp-server/audit/audit_limits.hpp"
#include "notp-server/audit/audit_store.hpp"
#include "notp-server/audit/search_filter.hpp"
#include "protocol/wire/messages/audit.hpp"

namespace notp::audit {

struct AuditSearchOptions {
  std::function<TimeMs()> boot_ms = [] { return read_clock().boot_ms; };
  TimeMs page_ms = limits::kAuditPageMs;  // a page ends with the segment in which it has passed
  size_t page_bytes_max = limits::kAuditPageBytesMax;
  // Told how long each page took.
  std::function<void(TimeMs)> observe = [](TimeMs) {};
};

// Thread-safe; blocks on the disk, a page for about page_ms at most. Rows come in the order of
// arrival of their segments, and by position within one. A decision about a ledger that the reader
// may not see is neither returned nor counted; records of other kinds are open to every reader. A
// segment that is damaged is left out, and logged.
class AuditSearch {
 public:
  // `store` outlives it.
  AuditSearch(const AuditStore& store, AuditSearchOptions options)
      : store_(store), options_(std::move(options)) {}

  // kUsage: the cursor or a filter is wrong; kIo.
  Result<wire::DecisionsPage> decisions(const wire::DecisionsRequest& request,
                                        const MaySee& may_see) const;
  Result<wire::DecisionCountsPage> counts(const wire::DecisionCountsRequest& request,
                                          const MaySee& may_see) const;
  Result<wire::LogsPage> logs(const wire::LogsRequest& request) const;
  // kNotFound; kCorrupt names the file.
  Result<wire::SegmentPart> segment(const wire::SegmentRequest& request,
                                    const MaySee& may_see) const;

  // Pages that are under way end with the segment that they look at.
  void stop() { is_stopping_ = true; }

 private:
  // The time for deadlines.
  TimeMs now_ms() const { return is_stopping_ ? kNever : options_.boot_ms(); }

  const AuditStore& store_;
  const AuditSearchOptions options_;
  std::atomic<bool> is_stopping_ = false;
};

}  // namespace notp::audit
