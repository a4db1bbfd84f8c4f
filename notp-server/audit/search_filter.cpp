#include "notp-server/audit/search_filter.hpp"

#include <string.h>

#include <algorithm>
#include <span>
#include <tuple>

#include "common/limits.hpp"
#include "notp-server/audit/audit_limits.hpp"
#include "notp-server/audit/json_values.hpp"
#include "notp-server/audit/value_filter.hpp"

namespace notp::audit {
namespace {

constexpr int64_t kUsPerMs = 1'000, kNsPerUs = 1'000;

bool is_below(std::string_view path, std::string_view above) {
  return path.starts_with(above) && (path.size() == above.size() || path[above.size()] == '/');
}

// Faster than std::string_view::find() where the first character is frequent.
bool holds_text(ByteView bytes, std::string_view text) {
  return ::memmem(bytes.data(), bytes.size(), text.data(), text.size()) != nullptr;
}

bool is_of_log(const record::DecisionAddress& address, const record::LogId& log) {
  return std::ranges::equal(
      address.log_prefix,
      std::span(log.bytes)
          .first<std::tuple_size_v<decltype(record::DecisionAddress::log_prefix)>>());
}

bool holds(const std::optional<Bytes>& json, std::string_view text) {
  return json && holds_text(*json, text);
}

}  // namespace

bool node_matches(std::string_view pattern, std::string_view node) {
  if (pattern.empty()) return true;
  if (!pattern.ends_with('*')) return pattern == node;
  return node.starts_with(pattern.substr(0, pattern.size() - 1));
}

Result<SearchFilter> SearchFilter::prepare(const wire::DecisionFilter& filter,
                                           const MaySee& may_see) {
  SearchFilter out(filter, may_see);
  if (filter.path.size() > limits::kHeadPathBytesMax)
    return fail(ErrorCode::kUsage, "the path of the filter is longer than any that is indexed");
  if (filter.since_ms > 0) out.since_us_ = filter.since_ms * kUsPerMs;
  if (filter.until_ms > 0) out.until_us_ = filter.until_ms * kUsPerMs;
  out.address_ = record::DecisionAddress::parse(filter.decision_id);
  out.with_id_ = !filter.decision_id.empty() && !out.address_;
  for (const std::string& value : filter.values) {
    out.hashes_.push_back(value_hash(value));
    out.needles_.push_back(value);
  }
  if (out.with_id_) {
    out.hashes_.push_back(value_hash(filter.decision_id));
    out.needles_.push_back(filter.decision_id);
  }
  return out;
}

AuditStore::Range SearchFilter::range() const {
  AuditStore::Range range;
  constexpr int64_t kNsMax = INT64_MAX / kNsPerUs;
  if (since_us_ != INT64_MIN) range.since_ns = std::min(since_us_, kNsMax) * kNsPerUs;
  if (until_us_ <= kNsMax) range.until_ns = until_us_ * kNsPerUs;
  range.with_filters = !hashes_.empty();
  return range;
}

bool SearchFilter::may_hold(const SegmentRow& row, const SegmentIndex& index) const {
  if (address_ && (!is_of_log(*address_, row.log) || address_->position < row.first ||
                   address_->position - row.first >= row.count))
    return false;
  return node_matches(filter_->node, row.node) && std::ranges::all_of(hashes_, [&](uint64_t hash) {
           return audit::may_hold(index.filter, hash);
         });
}

bool SearchFilter::may_see(const RecordShape& shape) {
  if (shape.kind != record::Kind::kDecision) return true;
  const auto at = seen_.find(shape.ledger);
  if (at != seen_.end()) return at->second;
  const bool may = (*may_see_)(shape.ledger);
  // A node may invent ledgers without end.
  if (seen_.size() < limits::kSegmentRecordsMax) seen_.emplace(shape.ledger, may);
  return may;
}

bool SearchFilter::matches_place(const record::LogId& log, const record::Place& place) const {
  return !address_ || (is_of_log(*address_, log) && address_->position == place.position &&
                       address_->run == place.run);
}

bool SearchFilter::is_wanted(const RecordShape& shape) {
  if (shape.is_closed) return false;
  const bool of_kind = filter_->kinds.empty()
                           ? shape.kind == record::Kind::kDecision
                           : std::ranges::find(filter_->kinds, shape.kind) != filter_->kinds.end();
  return of_kind &&
         (filter_->outcome == record::Outcome::kNone || filter_->outcome == shape.outcome) &&
         (filter_->ledger.empty() || filter_->ledger == shape.ledger) &&
         (filter_->path.empty() || is_below(shape.path, filter_->path)) && may_see(shape);
}

std::vector<bool> SearchFilter::wanted(std::span<const RecordShape> shapes) {
  std::vector<bool> out(shapes.size());
  for (size_t i = 0; i < shapes.size(); ++i) out[i] = is_wanted(shapes[i]);
  return out;
}

bool SearchFilter::covers(const SegmentRow& row) const {
  return is_in_time(head_time_us(row.first_time_ns)) && is_in_time(head_time_us(row.last_time_ns));
}

bool SearchFilter::needs_record() const {
  return !filter_->values.empty() || !filter_->contains.empty() || with_id_;
}

// A value may be written with escapes, text that is searched may not.
bool SearchFilter::may_match(ByteView record) const {
  if (!filter_->contains.empty() && !holds_text(record, filter_->contains)) return false;
  return std::ranges::all_of(needles_, [&](const std::string& needle) {
    return holds_text(record, needle) || record.contains('\\');
  });
}

bool SearchFilter::holds_values(const record::DecisionContent& decision) const {
  std::vector<bool> found(filter_->values.size());
  size_t left = found.size();
  Bytes scratch;
  for (const auto* json : {&decision.input, &decision.result}) {
    if (!*json) continue;
    visit_json_values(**json, scratch, [&](ByteView value) {
      for (size_t i = 0; i < found.size(); ++i)
        if (!found[i] && filter_->values[i] == value) {
          found[i] = true;
          --left;
        }
      return left != 0;
    });
  }
  return left == 0;
}

bool SearchFilter::matches_content(const record::Record& record) const {
  if (!needs_record()) return true;
  const auto* decision = std::get_if<record::DecisionContent>(&record.content);
  if (decision == nullptr) return false;
  if (with_id_ && decision->decision_id != filter_->decision_id) return false;
  if (!filter_->contains.empty() && !holds(decision->input, filter_->contains) &&
      !holds(decision->result, filter_->contains))
    return false;
  return filter_->values.empty() || holds_values(*decision);
}

bool SearchFilter::matches_release(const RecordShape& shape,
                                   const record::ActiveSet* active) const {
  if (!needs_active()) return true;
  if (active == nullptr) return false;
  if (shape.kind != record::Kind::kDecision && shape.kind != record::Kind::kActive) return false;
  return std::ranges::any_of(active->releases, [&](const record::ActiveRelease& release) {
    return release.ref.release_hash == filter_->release_hash &&
           (shape.kind == record::Kind::kActive || release.ref.ledger.text() == shape.ledger);
  });
}

}  // namespace notp::audit
