#include "tools/notp/audit/audit_record.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/limits.hpp"
#include "tools/notp/audit/filter.hpp"

namespace notp::cli {
namespace {

// A record that this program cannot read must not hide those around it.
record::Record read_or_say(ByteView bytes, record::Position position, std::string& unreadable) {
  auto decoded = record::decode(bytes);
  if (decoded && decoded->place.position == position) return *std::move(decoded);
  unreadable = decoded ? fmt::format("it says that it is record {}", decoded->place.position)
                       : decoded.error().message;
  record::Record out;
  if (const auto start = record::decode_start(bytes)) out.place = start->place;
  out.place.position = position;
  return out;
}

std::shared_ptr<const record::ActiveSet> read_active(ByteView bytes) {
  auto decoded = record::decode(bytes);
  if (!decoded) return nullptr;
  auto* set = std::get_if<record::ActiveSet>(&decoded->content);
  return set ? std::make_shared<const record::ActiveSet>(std::move(*set)) : nullptr;
}

}  // namespace

std::string_view kind_name(record::Kind kind) {
  switch (kind) {
    case record::Kind::kDecision:
      return "decision";
    case record::Kind::kActive:
      return "active";
    case record::Kind::kRunStart:
      return "run_start";
    case record::Kind::kRunEnd:
      return "run_end";
    case record::Kind::kGap:
      return "gap";
    case record::Kind::kDropped:
      return "dropped";
  }
  return "";
}

std::string_view api_name(record::Api api) {
  switch (api) {
    case record::Api::kData:
      return "data";
    case record::Api::kPlainData:
      return "plain_data";
    case record::Api::kDefault:
      return "default";
    case record::Api::kAuthzen:
      return "authzen";
    case record::Api::kHealth:
      return "health";
    case record::Api::kOpa:
      return "opa";
  }
  return "";
}

const record::DecisionContent* AuditRecord::decision() const {
  return unreadable.empty() ? std::get_if<record::DecisionContent>(&record.content) : nullptr;
}

const record::ActiveRelease* AuditRecord::release() const {
  const record::DecisionContent* content = decision();
  if (!content || !active || content->ledger.empty()) return nullptr;
  for (const record::ActiveRelease& release : active->releases)
    if (release.ref.ledger.text() == content->ledger) return &release;
  return nullptr;
}

std::string AuditRecord::id() const {
  if (const auto* content = decision(); content && !content->decision_id.empty())
    return content->decision_id;
  if (record.place.run > limits::kRunMax || position() > limits::kPositionMax) return {};
  return record::DecisionAddress::of(log, record.place.run, position()).text();
}

RecordPages::RecordPages(AuditPort& port, wire::DecisionFilter filter, bool oldest_first)
    : port_(port) {
  request_.filter = std::move(filter);
  request_.oldest_first = oldest_first;
}

Result<AuditRecord> RecordPages::read(wire::DecisionRow& row) {
  AuditRecord out;
  out.node = std::move(row.node);
  out.log = row.log;
  if (row.record.empty()) {
    NOTP_ASSIGN(const FetchedSegment fetched, fetch_segment(port_, row.log, row.position));
    NOTP_ASSIGN(std::vector<SegmentRecord> records, records_of(fetched));
    const record::Position first = fetched.segment.head.first;
    if (row.position < first || row.position - first >= records.size() ||
        !records[row.position - first].record)
      return fail(ErrorCode::kMessage,
                  fmt::format("the registry names record {} of log {}, and its segment lacks it",
                              row.position, row.log.hex()));
    row.record = *std::move(records[row.position - first].record);
  }
  bytes_ += row.record.size();
  out.record = read_or_say(row.record, row.position, out.unreadable);
  auto& active = actives_[{out.log, out.record.place.active}];
  if (!row.active.empty()) active = read_active(row.active);
  out.active = active;
  return out;
}

Result<std::optional<std::vector<AuditRecord>>> RecordPages::next(uint32_t rows_max) {
  if (!more_) return std::nullopt;
  request_.rows_max = std::clamp<uint32_t>(rows_max, 1, limits::kQueryRowsMax);
  NOTP_ASSIGN(wire::DecisionsPage page, port_.ask(request_));
  if (page.more && page.cursor == request_.cursor)
    return fail(ErrorCode::kMessage, "the registry answers with the same page again and again");
  more_ = page.more;
  request_.cursor = std::move(page.cursor);
  searched_ += page.searched;
  actives_.clear();
  std::vector<AuditRecord> out;
  out.reserve(page.rows.size());
  for (wire::DecisionRow& row : page.rows) {
    NOTP_ASSIGN(AuditRecord each, read(row));
    out.push_back(std::move(each));
  }
  return out;
}

Result<std::vector<AuditRecord>> find_decisions(AuditPort& port, const std::string& id) {
  if (!is_askable_id(id))
    return fail(ErrorCode::kUsage, "that is too long for the id of a decision");
  wire::DecisionFilter filter;
  filter.decision_id = id;
  RecordPages pages(port, std::move(filter), /*oldest_first=*/false);
  std::vector<AuditRecord> found;
  while (found.empty()) {
    NOTP_ASSIGN(auto page, pages.next(2));
    if (!page)
      return std::unexpected(Error{
          ErrorCode::kNotFound,
          fmt::format("no decision that you may read has the id {}", printable(id)),
          {}}.with("hint", "'notp decisions missing' says what became of it"));
    found = *std::move(page);
  }
  return found;
}

Result<std::vector<AuditRecord>> read_all(RecordPages pages, size_t records_max) {
  std::vector<AuditRecord> out;
  while (true) {
    NOTP_ASSIGN(auto page, pages.next(limits::kQueryRowsMax));
    if (!page) return out;
    if (out.size() + page->size() > records_max)
      return fail(
          ErrorCode::kLimit,
          fmt::format("there are more than {} such records: ask for fewer nodes with --node",
                      records_max));
    std::ranges::move(*page, std::back_inserter(out));
  }
}

}  // namespace notp::cli
