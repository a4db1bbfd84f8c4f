#include "tools/notp/audit/missing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "common/limits.hpp"
#include "protocol/record/announcement.hpp"
#include "tools/notp/audit/filter.hpp"

namespace notp::cli {
namespace {

std::string gap_text(const GapFound& found) {
  return fmt::format("lost at the gap of record {}: {}, {}{} records", found.position,
                     record::gap_reason_name(found.gap.reason), found.gap.at_most ? "at most " : "",
                     found.gap.count);
}

struct Address {
  size_t index = 0;  // in the list of ids
  record::DecisionAddress address;
  const wire::LogRow* log = nullptr;
};

class IdSearch {
 public:
  IdSearch(AuditPort& port, std::vector<wire::LogRow> logs) : port_(port), logs_(std::move(logs)) {}

  // The log that the address begins with. Should two begin so, the one that reaches that far.
  const wire::LogRow* log_of(const record::DecisionAddress& address) const;
  Result<IdAnswer> find(const record::DecisionAddress& address, const wire::LogRow& log);
  // For ids that are no address.
  Result<IdAnswer> search(const std::string& id);

 private:
  struct Opened {
    record::LogId log;
    record::Position first = 0, end = 0;
    bool has_body = false;
    std::vector<SegmentRecord> records;
  };
  Result<PlaceSeen> look(const wire::LogRow& log, record::Position position);
  Result<const LogFacts*> facts(const wire::LogRow& log);

  AuditPort& port_;
  std::vector<wire::LogRow> logs_;
  std::optional<Opened> opened_;
  std::map<record::LogId, LogFacts> facts_;
};

const wire::LogRow* IdSearch::log_of(const record::DecisionAddress& address) const {
  const wire::LogRow* found = nullptr;
  for (const wire::LogRow& row : logs_) {
    if (!std::ranges::equal(address.log_prefix,
                            std::span(row.log.bytes).first(address.log_prefix.size())))
      continue;
    if (!found || found->size <= address.position) found = &row;
  }
  return found;
}

Result<PlaceSeen> IdSearch::look(const wire::LogRow& log, record::Position position) {
  using What = PlaceSeen::What;
  if (position >= log.size) return PlaceSeen{What::kBeyond, 0};
  if (!opened_ || opened_->log != log.log || position < opened_->first ||
      position >= opened_->end) {
    NOTP_ASSIGN(const FetchedSegment fetched, fetch_segment(port_, log.log, position));
    const record::SegmentHead& head = fetched.segment.head;
    Opened opened{log.log, head.first, head.end(), fetched.has_body(), {}};
    if (opened.has_body) {
      NOTP_ASSIGN(opened.records, records_of(fetched));
    }
    if (position < opened.first || position >= opened.end ||
        (opened.has_body && opened.records.size() != head.count))
      return fail(ErrorCode::kMessage,
                  fmt::format("the registry's segment for record {} of log {} lacks it: see 'notp "
                              "decisions verify --log {}'",
                              position, log.log.hex(), log.log.hex()));
    opened_ = std::move(opened);
  }
  if (!opened_->has_body) return PlaceSeen{What::kDropped, 0};
  const SegmentRecord& record = opened_->records[position - opened_->first];
  if (!record.record) return PlaceSeen{What::kClosed, 0};
  NOTP_ASSIGN(const record::RecordStart start, record::decode_start(*record.record));
  return PlaceSeen{start.kind == record::Kind::kDecision ? What::kDecision : What::kOther,
                   start.place.run};
}

Result<const LogFacts*> IdSearch::facts(const wire::LogRow& log) {
  if (const auto known = facts_.find(log.log); known != facts_.end()) return &known->second;
  wire::DecisionFilter filter;
  filter.node = log.node;
  filter.kinds = {record::Kind::kRunStart, record::Kind::kGap};
  NOTP_ASSIGN(
      std::vector<AuditRecord> records,
      read_all(RecordPages(port_, std::move(filter), /*oldest_first=*/true), kHistoryRecordsMax));
  std::erase_if(records, [&](const AuditRecord& each) { return each.log != log.log; });
  std::string successor;
  for (const wire::LogRow& row : logs_)
    if (const auto announced = record::verify_announcement(row.announcement);
        announced && announced->previous == log.log)
      successor = row.log.hex();
  return &facts_.emplace(log.log, LogFacts{log, LogHistory(std::move(records)), successor})
              .first->second;
}

Result<IdAnswer> IdSearch::find(const record::DecisionAddress& address, const wire::LogRow& log) {
  NOTP_ASSIGN(const PlaceSeen seen, look(log, address.position));
  if (seen.what == PlaceSeen::What::kDecision && seen.run == address.run)
    return IdAnswer{{}, IdState::kRecorded, {}};
  NOTP_ASSIGN(const LogFacts* known, facts(log));
  return classify(address, *known, seen);
}

Result<IdAnswer> IdSearch::search(const std::string& id) {
  if (!is_askable_id(id)) return IdAnswer{{}, IdState::kForeign, "no record can have such an id"};
  wire::DecisionFilter filter;
  filter.decision_id = id;
  RecordPages pages(port_, std::move(filter), /*oldest_first=*/false);
  while (true) {
    NOTP_ASSIGN(const auto page, pages.next(1));
    if (!page) break;
    if (!page->empty()) return IdAnswer{{}, IdState::kRecorded, {}};
  }
  return IdAnswer{{}, IdState::kForeign, "no record has this id, and it is not the address of one"};
}

}  // namespace

std::string_view id_state_name(IdState state) {
  switch (state) {
    case IdState::kRecorded:
      return "recorded";
    case IdState::kLost:
      return "lost";
    case IdState::kUnknown:
      return "unknown";
    case IdState::kForeign:
      return "foreign";
  }
  return "";
}

IdAnswer classify(const record::DecisionAddress& address, const LogFacts& log,
                  const PlaceSeen& seen) {
  using What = PlaceSeen::What;
  const auto answer = [](IdState state, std::string why) {
    return IdAnswer{{}, state, std::move(why)};
  };
  const bool same_run = log.history.run_at(address.position) == address.run;
  if (seen.what == What::kDecision && seen.run == address.run)
    return answer(IdState::kRecorded, {});
  if (seen.what == What::kClosed && same_run)
    return answer(IdState::kRecorded, "of a ledger that you may not audit: only its hash was seen");
  if (const GapFound* gap = log.history.end_of(address.run, address.position))
    return answer(IdState::kLost, gap_text(*gap));
  if (seen.what == What::kDropped && same_run)
    return answer(IdState::kLost, "its hash is in the log, its body was dropped at the node");
  if (seen.what != What::kBeyond)
    return answer(IdState::kUnknown,
                  "its place holds another record, and no gap says that it was lost");
  if (!log.successor.empty())
    return answer(IdState::kLost, fmt::format("its log ended at record {}; the node went on with "
                                              "log {}",
                                              log.row.size, log.successor));
  return answer(
      IdState::kUnknown,
      fmt::format("the registry has this log up to record {}: {} may not have sent it yet",
                  log.row.size, log.row.node));
}

Result<std::vector<IdAnswer>> find_ids(AuditPort& port, std::span<const std::string> ids,
                                       const std::function<void(size_t count)>& looked_at) {
  NOTP_ASSIGN(std::vector<wire::LogRow> logs, ask_logs(port, {}));
  IdSearch search(port, std::move(logs));
  std::vector<IdAnswer> out(ids.size());
  std::vector<Address> addresses;
  size_t count = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    const auto address = record::DecisionAddress::parse(ids[i]);
    const wire::LogRow* log = address ? search.log_of(*address) : nullptr;
    if (log) {
      addresses.push_back({i, *address, log});
      continue;
    }
    NOTP_ASSIGN(out[i], search.search(ids[i]));
    if (address && out[i].state == IdState::kForeign)
      out[i].why = "the registry has no log that it could be of";
    looked_at(++count);
  }
  // A segment is fetched once for all ids in it.
  std::ranges::sort(addresses, {}, [](const Address& each) {
    return std::pair(each.log->log, each.address.position);
  });
  for (const Address& each : addresses) {
    NOTP_ASSIGN(out[each.index], search.find(each.address, *each.log));
    looked_at(++count);
  }
  for (size_t i = 0; i < ids.size(); ++i) out[i].id = ids[i];
  return out;
}

}  // namespace notp::cli
