// A filter of decisions, prepared for many segments: what its rows must be, and what their reader
// may see.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "notp-server/audit/audit_store.hpp"
#include "notp-server/audit/segment_head.hpp"
#include "protocol/wire/messages/audit.hpp"

namespace notp::audit {

// Whether the reader may see decisions about a ledger ("zone/name"); "": about none.
using MaySee = std::function<bool(std::string_view ledger)>;

// Whether a name matches: the whole, or its beginning before a '*'; "": all.
bool node_matches(std::string_view pattern, std::string_view node);

// One thread.
class SearchFilter {
 public:
  // `filter` outlives it. kUsage.
  static Result<SearchFilter> prepare(const wire::DecisionFilter& filter, const MaySee& may_see);

  AuditStore::Range range() const;
  bool may_hold(const SegmentRow& row, const SegmentIndex& index) const;
  // For each shape, whether its records can match and may be seen.
  std::vector<bool> wanted(std::span<const RecordShape> shapes);
  bool is_wanted(const RecordShape& shape);
  bool is_in_time(int64_t time_us) const { return time_us >= since_us_ && time_us < until_us_; }
  // Whether all records of a segment are in time.
  bool covers(const SegmentRow& row) const;
  bool has_times() const { return since_us_ != INT64_MIN || until_us_ != INT64_MAX; }

  // Whether heads do not suffice.
  bool needs_record() const;
  // False when the bytes of a record show that matches_content() would be.
  bool may_match(ByteView record) const;
  // Values, text and id.
  bool matches_content(const record::Record& record) const;

  // Whether an address restricts to one place.
  bool has_place() const { return address_.has_value(); }
  bool matches_place(const record::LogId& log, const record::Place& place) const;

  bool needs_active() const { return !filter_->release_hash.is_zero(); }
  // Whether a record that is decided with `active` has the release. `active` may be null.
  bool matches_release(const RecordShape& shape, const record::ActiveSet* active) const;

 private:
  SearchFilter(const wire::DecisionFilter& filter, const MaySee& may_see)
      : filter_(&filter), may_see_(&may_see) {}
  bool may_see(const RecordShape& shape);
  bool holds_values(const record::DecisionContent& decision) const;

  const wire::DecisionFilter* filter_;
  const MaySee* may_see_;
  int64_t since_us_ = INT64_MIN, until_us_ = INT64_MAX;
  bool with_id_ = false;  // an id that is not an address
  std::optional<record::DecisionAddress> address_;
  std::vector<uint64_t> hashes_;                   // of what a segment's filter must hold
  std::vector<std::string> needles_;               // texts that a record's bytes must hold
  std::map<std::string, bool, std::less<>> seen_;  // answers of may_see_
};

}  // namespace notp::audit
