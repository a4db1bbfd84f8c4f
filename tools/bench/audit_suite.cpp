#include "tools/bench/audit_suite.hpp"

#include <fmt/format.h>
#include <stdlib.h>

#include <array>

#include "notp-server/audit/day_files.hpp"
#include "tools/bench/audit_ingest.hpp"
#include "tools/bench/audit_proofs.hpp"
#include "tools/bench/audit_questions.hpp"
#include "tools/bench/duckdb_arm.hpp"
#include "tools/bench/scratch_folder.hpp"
#include "tools/bench/stopwatch.hpp"

namespace notp::bench {
namespace {

Result<double> bytes_of_files(const std::filesystem::path& folder) {
  double bytes = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error))
    bytes += static_cast<double>(at->file_size(error));
  if (error) return fail(ErrorCode::kIo, "cannot read " + folder.string());
  return bytes;
}

Result<void> measure_control(const AuditSuiteOptions& options, const std::filesystem::path& folder,
                             cli::AuditPort& port, const RecordedFleet& fleet,
                             AuditResult& result) {
  if (const auto version = duckdb_version(options.python); !version) {
    result.no_duckdb = version.error().message;
    return {};
  }
  const auto exported = folder / "events.jsonl.zst";
  const Stopwatch watch;
  NOTP_ASSIGN(const uint64_t events, export_events(port, exported));
  const double export_s = watch.seconds();
  options.progress(
      fmt::format("exported: {} events, {:.0f}/s", events, static_cast<double>(events) / export_s));
  NOTP_ASSIGN(result.duckdb, run_duckdb(options.python, folder, exported, fleet));
  result.duckdb->export_per_s = static_cast<double>(events) / export_s;
  return {};
}

}  // namespace

std::string_view audit_question_key(AuditQuestion question) {
  constexpr std::array<std::string_view, kAuditQuestions> kKeys = {
      "show", "rare_value", "newest", "counts", "contains_first", "contains_all"};
  return kKeys.at(static_cast<size_t>(question));
}

std::string_view audit_question_name(AuditQuestion question) {
  constexpr std::array<std::string_view, kAuditQuestions> kNames = {"show, by id",
                                                                    "a rare value, all hits",
                                                                    "newest 50 of a frequent value",
                                                                    "counts by path and outcome",
                                                                    "any text, first hit",
                                                                    "any text, all hits"};
  return kNames.at(static_cast<size_t>(question));
}

Result<AuditResult> run_audit(const AuditSuiteOptions& options) {
  NOTP_ASSIGN(const auto scratch, ScratchFolder::make(options.parent));
  const auto folder = scratch->path() / "audit";
  AuditResult result;
  result.records = options.records;
  ::getloadavg(&result.load_before, 1);
  RecordedFleet fleet(options.seed, options.records);
  NOTP_ASSIGN(result.ingest, measure_ingest(folder, fleet, options.records, options.progress));
  options.progress(fmt::format("ingest: {:.0f} records/s, {:.0f} a second of processor",
                               result.ingest.per_s(), result.ingest.per_core_s()));
  NOTP_ASSIGN(const double bytes, bytes_of_files(folder));
  result.store_bytes = bytes / static_cast<double>(options.records);

  const Stopwatch opening;
  NOTP_ASSIGN(const auto store, audit::DayFiles::open(folder, {}));
  result.open_ms = opening.ms();
  LocalAudit port(*store);
  NOTP_ASSIGN(result.answers, measure_questions(port, fleet, options.progress));
  NOTP_ASSIGN(result.verify, measure_verify(port, fleet));
  options.progress(fmt::format("verified: {} records in {:.1f} s", result.verify.records,
                               result.verify.seconds));
  NOTP_ASSIGN(result.proofs, measure_proofs(folder, *store, port, fleet));
  options.progress(fmt::format("proofs: {} leaves, one made in {:.2f} ms, checked in {:.2f} ms",
                               result.proofs.leaves, result.proofs.prove_ms.p50(),
                               result.proofs.check_ms.p50()));
  NOTP_TRY(measure_control(options, scratch->path(), port, fleet, result));
  return result;
}

}  // namespace notp::bench
