#include "tools/bench/audit_questions.hpp"

#include <fmt/format.h>

#include "common/limits.hpp"
#include "tools/bench/stopwatch.hpp"
#include "tools/notp/audit/audit_record.hpp"
#include "tools/notp/audit/event.hpp"
#include "tools/notp/audit/export_file.hpp"
#include "tools/notp/audit/log_verifier.hpp"

namespace notp::bench {
namespace {

bool sees_all(std::string_view) { return true; }

// Asks for at most `rows` records; 0: for all.
Result<uint64_t> count_records(cli::AuditPort& port, wire::DecisionFilter filter, uint32_t rows) {
  cli::RecordPages pages(port, std::move(filter), /*oldest_first=*/false);
  uint64_t found = 0;
  while (rows == 0 || found < rows) {
    const uint32_t wanted = rows == 0 ? limits::kQueryRowsMax : rows - static_cast<uint32_t>(found);
    NOTP_ASSIGN(const auto page, pages.next(wanted));
    if (!page) break;
    found += page->size();
  }
  return found;
}

Result<uint64_t> sum_of_counts(cli::AuditPort& port) {
  wire::DecisionCountsRequest request;
  for (uint64_t sum = 0;;) {
    NOTP_ASSIGN(const wire::DecisionCountsPage page, port.ask(request));
    for (const wire::DecisionCount& row : page.rows) sum += row.count;
    if (!page.more) return sum;
    request.cursor = page.cursor;
  }
}

wire::DecisionFilter with_value(std::string value) {
  wire::DecisionFilter out;
  out.values = {std::move(value)};
  return out;
}
wire::DecisionFilter with_text(std::string text) {
  wire::DecisionFilter out;
  out.contains = std::move(text);
  return out;
}
wire::DecisionFilter with_id(std::string id) {
  wire::DecisionFilter out;
  out.decision_id = std::move(id);
  return out;
}

// Asks once, and compares with what there is.
template <typename Ask>
Result<void> measure(AuditQuestion question, uint64_t expected, AnswersByQuestion& out, Ask&& ask) {
  const Stopwatch watch;
  NOTP_ASSIGN(const uint64_t hits, ask());
  AnswerFigures& figures = out[question];
  figures.ms.add(watch.ms());
  figures.hits = hits;
  if (hits == expected) return {};
  return fail(ErrorCode::kInternal, fmt::format("{}: {} records were found, and there are {}",
                                                audit_question_name(question), hits, expected));
}

}  // namespace

Result<wire::DecisionsPage> LocalAudit::ask(const wire::DecisionsRequest& request) {
  return search_.decisions(request, sees_all);
}
Result<wire::DecisionCountsPage> LocalAudit::ask(const wire::DecisionCountsRequest& request) {
  return search_.counts(request, sees_all);
}
Result<wire::LogsPage> LocalAudit::ask(const wire::LogsRequest& request) {
  return search_.logs(request);
}
Result<wire::SegmentPart> LocalAudit::ask(const wire::SegmentRequest& request) {
  return search_.segment(request, sees_all);
}

Result<AnswersByQuestion> measure_questions(
    cli::AuditPort& port, const RecordedFleet& fleet,
    const std::function<void(const std::string&)>& progress) {
  AnswersByQuestion out;
  for (const std::string& id : fleet.draw_ids(kShowIds))
    NOTP_TRY(
        measure(AuditQuestion::kShow, 1, out, [&] { return count_records(port, with_id(id), 0); }));
  for (size_t round = 0; round < kQuestionRounds; ++round) {
    NOTP_TRY(measure(AuditQuestion::kRareValue, fleet.rare(), out,
                     [&] { return count_records(port, with_value(kRareValue), 0); }));
    NOTP_TRY(measure(AuditQuestion::kNewest, std::min<uint64_t>(fleet.frequent(), kNewestRows), out,
                     [&] { return count_records(port, with_value(kFrequentValue), kNewestRows); }));
    NOTP_TRY(measure(AuditQuestion::kCounts, fleet.decisions(), out,
                     [&] { return sum_of_counts(port); }));
    NOTP_TRY(measure(AuditQuestion::kContainsFirst, 1, out,
                     [&] { return count_records(port, with_text(kRareText), 1); }));
    NOTP_TRY(measure(AuditQuestion::kContainsAll, fleet.rare(), out,
                     [&] { return count_records(port, with_text(kRareText), 0); }));
    progress(fmt::format("questions: round {} of {}", round + 1, kQuestionRounds));
  }
  return out;
}

Result<VerifyFigures> measure_verify(cli::AuditPort& port, const RecordedFleet& fleet) {
  VerifyFigures out;
  const Stopwatch watch;
  NOTP_ASSIGN(const auto rows, cli::ask_logs(port, ""));
  for (const wire::LogRow& row : rows) {
    cli::LogVerifier verifier(row, kFleetDomain);
    while (const auto position = verifier.wanted()) {
      NOTP_ASSIGN(const auto fetched, cli::fetch_segment(port, row.log, *position));
      verifier.take(fetched);
    }
    const cli::LogReport report = std::move(verifier).finish();
    if (report.state() != cli::LogState::kWhole)
      return fail(ErrorCode::kInternal,
                  fmt::format("log {} is not whole: {}", row.log.hex(),
                              report.problem ? report.problem->why.message : "it has gaps"));
    out.records += report.verified;
  }
  out.seconds = watch.seconds();
  if (out.records == fleet.records()) return out;
  return fail(ErrorCode::kInternal, fmt::format("{} records were verified, and there are {}",
                                                out.records, fleet.records()));
}

Result<uint64_t> export_events(cli::AuditPort& port, const std::filesystem::path& file) {
  NOTP_ASSIGN(cli::ExportFile out, cli::ExportFile::open(file, /*compress=*/true));
  cli::RecordPages pages(port, {}, /*oldest_first=*/true);
  uint64_t events = 0;
  while (true) {
    NOTP_ASSIGN(const auto page, pages.next(limits::kQueryRowsMax));
    if (!page) break;
    for (const cli::AuditRecord& record : *page) NOTP_TRY(out.write(cli::event_json(record)));
    events += page->size();
  }
  NOTP_TRY(out.finish());
  return events;
}

}  // namespace notp::bench
