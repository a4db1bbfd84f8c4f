#include "notp-server/audit_tree/reads.hpp"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "notp-server/audit_tree/tree_limits.hpp"
#include "protocol/wire/frame.hpp"

namespace notp::audit {
namespace {

// Values and texts are not told: every auditor reads the tree.
std::string text_of(const wire::DecisionFilter& filter) {
  std::string out;
  const auto add = [&out](std::string_view name, std::string_view value) {
    if (!value.empty()) out += fmt::format(" {}={}", name, value);
  };
  add("node", filter.node);
  add("ledger", filter.ledger);
  add("path", filter.path);
  if (filter.since_ms != 0) add("since", utc_time(filter.since_ms));
  if (filter.until_ms != 0) add("until", utc_time(filter.until_ms));
  if (!filter.values.empty()) add("values", fmt::to_string(filter.values.size()));
  if (!filter.contains.empty()) add("contains", "…");
  if (!filter.decision_id.empty()) add("decision_id", "…");
  return out;
}

// What a request reads of records; nullopt: none, or more of what was said before.
std::optional<std::string> read_by(const wire::DecisionsRequest& request) {
  if (!request.cursor.empty()) return std::nullopt;
  return text_of(request.filter);
}
std::optional<std::string> read_by(const wire::DecisionCountsRequest& request) {
  if (!request.cursor.empty()) return std::nullopt;
  return text_of(request.filter);
}
std::optional<std::string> read_by(const wire::SegmentRequest& request) {
  if (request.offset != 0) return std::nullopt;
  return fmt::format(" log={} position={}", request.log.hex(), request.position);
}
std::optional<std::string> read_by(const wire::ProofRequest& request) {
  return fmt::format(" log={} position={}", request.log.hex(), request.position);
}
std::optional<std::string> read_by(const auto&) { return std::nullopt; }

bool is_recent(TimeMs noted_ms, TimeMs now_ms) {
  return now_ms >= noted_ms && now_ms - noted_ms < limits::kReadsEveryMs;
}

}  // namespace

Result<void> Reads::note(const std::string& reader, const wire::Request& request, TimeMs now_ms) {
  const auto [kind, what] = std::visit(
      []<typename T>(const T& each) {
        return std::pair<std::string, std::optional<std::string>>(T::kName, read_by(each));
      },
      request.what);
  if (!what || is_noted({reader, kind}, now_ms)) return {};
  record::TreeEntry entry;
  entry.kind = record::TreeEntryKind::kRead;
  entry.time_ms = now_ms;
  entry.by = reader;
  entry.rule = printable(kind + *what, limits::kReadTextBytesMax);
  wire::Request unnumbered = request;
  unnumbered.request = 0;
  if (const auto frame = wire::try_encode_frame(unnumbered)) entry.digest = sha256(*frame);
  if (!tree_.add(entry))
    return fail(ErrorCode::kCancelled, "the registry stops: ask again when it is back");
  noted({reader, kind}, now_ms);
  return {};
}

// A clock that was set back forgets what came later.
bool Reads::is_noted(const Key& key, TimeMs now_ms) {
  const MutexLock lock(mutex_);
  const auto at = noted_ms_.find(key);
  return at != noted_ms_.end() && is_recent(at->second, now_ms);
}

void Reads::noted(const Key& key, TimeMs now_ms) {
  const MutexLock lock(mutex_);
  if (noted_ms_.size() >= limits::kReadersMax)
    std::erase_if(noted_ms_, [&](const auto& each) { return !is_recent(each.second, now_ms); });
  if (noted_ms_.size() < limits::kReadersMax) noted_ms_[key] = now_ms;
}

}  // namespace notp::audit
