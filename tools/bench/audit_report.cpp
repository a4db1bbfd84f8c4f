#include <fmt/format.h>

#include "tools/bench/audit_suite.hpp"
#include "tools/bench/targets.hpp"

namespace notp::bench {
namespace {

constexpr double kIngestPerS = 100'000, kVerifyS = 25, kStoreBytes = 200;
constexpr double kProveMs = 20, kCheckMs = 5, kProofBytes = 6'144;
// In ms, by question; the first hit of a text has no number of its own.
const std::map<AuditQuestion, double> kAnswerMs = {{AuditQuestion::kShow, 5},
                                                   {AuditQuestion::kRareValue, 300},
                                                   {AuditQuestion::kNewest, 50},
                                                   {AuditQuestion::kCounts, 200},
                                                   {AuditQuestion::kContainsAll, 5'000}};

std::vector<Target> targets_of(const AuditResult& r) {
  const std::string hashing = "memcpy + SHA-256";
  std::vector<Target> out = {{"ingest: records/s of one core", r.ingest.per_core_s(), kIngestPerS,
                              hashing, r.ingest.control_per_core_s(), true},
                             {"ingest: records/s on the clock", r.ingest.per_s(), kIngestPerS,
                              hashing, r.ingest.control_per_core_s(), true}};
  out.push_back(
      {.what = "ms, a proof made, p50", .figure = r.proofs.prove_ms.p50(), .bound = kProveMs});
  out.push_back(
      {.what = "ms, a proof checked, p50", .figure = r.proofs.check_ms.p50(), .bound = kCheckMs});
  out.push_back({.what = "bytes of a proof beside its record, p50",
                 .figure = r.proofs.bytes.p50(),
                 .bound = kProofBytes});
  if (r.records < kAuditGoalRecords) return out;
  for (const auto& [question, bound] : kAnswerMs) {
    Target target{.what = fmt::format("ms, {}, p50", audit_question_name(question)),
                  .figure = r.answers.at(question).ms.p50(),
                  .bound = bound};
    if (r.duckdb) {
      target.control_name = "DuckDB";
      target.control = r.duckdb->answers.at(question).ms.p50();
    }
    out.push_back(std::move(target));
  }
  out.push_back(
      {"s, all records verified", r.verify.seconds, kVerifyS, hashing, r.ingest.control_s});
  out.push_back({"bytes a record in the store", r.store_bytes, kStoreBytes,
                 r.duckdb ? "DuckDB's Parquet" : "", r.duckdb ? r.duckdb->parquet_bytes : 0});
  return out;
}

std::string reason(const AuditResult& r) {
  return r.records < kAuditGoalRecords
             ? fmt::format("Those for questions are left out: they are for {} records.\n",
                           grouped(kAuditGoalRecords))
             : std::string();
}

std::string questions_text(const AuditResult& r) {
  std::string out = fmt::format("{:<34}{:>10}{:>10}{:>12}{:>12}{:>10}\n", "question", "p50 ms",
                                "max ms", "records", "DuckDB ms", "/ DuckDB");
  for (const auto& [question, figures] : r.answers) {
    const double control = r.duckdb ? r.duckdb->answers.at(question).ms.p50() : 0;
    out += fmt::format("{:<34}{:>10.2f}{:>10.2f}{:>12}{:>12}{:>10}\n",
                       audit_question_name(question), figures.ms.p50(), figures.ms.percentile(100),
                       grouped(figures.hits), r.duckdb ? fmt::format("{:.2f}", control) : "-",
                       ratio_text(figures.ms.p50(), control));
  }
  return out;
}

std::string duckdb_text(const AuditResult& r) {
  if (!r.duckdb) return fmt::format("DuckDB: not measured: {}\n", r.no_duckdb);
  return fmt::format(
      "DuckDB {}: {:.1f} bytes a record in Parquet with zstd, written in {:.1f} s from an export "
      "of "
      "{} events/s; one thread, asked fields are columns.\n",
      r.duckdb->version, r.duckdb->parquet_bytes, r.duckdb->write_s,
      grouped(static_cast<uint64_t>(r.duckdb->export_per_s)));
}

json::object answers_json(const AnswersByQuestion& answers) {
  json::object out;
  for (const auto& [question, figures] : answers)
    out[audit_question_key(question)] =
        json::object{{"latency", figures.ms.to_json()}, {"hits", figures.hits}};
  return out;
}

json::value duckdb_json(const AuditResult& r) {
  if (!r.duckdb) return json::object{{"not_measured", r.no_duckdb}};
  return json::object{{"version", r.duckdb->version},
                      {"export_per_s", r.duckdb->export_per_s},
                      {"write_s", r.duckdb->write_s},
                      {"parquet_bytes", r.duckdb->parquet_bytes},
                      {"answers", answers_json(r.duckdb->answers)}};
}

}  // namespace

std::string audit_table(const AuditResult& r) {
  const IngestFigures& in = r.ingest;
  const auto each = [&](uint64_t bytes) {
    return static_cast<double>(bytes) / static_cast<double>(in.records);
  };
  std::string out = fmt::format(
      "The audit store in one process: {} records of 8 nodes over 7 days, {:.0f} bytes each, "
      "{:.0f} "
      "in segments. Load of the machine before: {:.1f}.\n\n",
      grouped(r.records), each(in.content_bytes), each(in.body_bytes), r.load_before);
  out += fmt::format(
      "ingest       {:>9} records/s on the clock, {} of one core: hash, filter, head, commit\n"
      "  control    {:>9} records/s of one core, memcpy + SHA-256\n"
      "store        {:>9.1f} bytes a record, opened in {:.0f} ms\n"
      "verify       {:>9.1f} s for all, {} records/s\n"
      "proofs       {:>9.2f} ms to make one (p99 {:.2f}), {:.2f} to check (p99 {:.2f}), {:.0f} "
      "bytes "
      "beside the record; tree of {} leaves made in {:.1f} s\n\n",
      grouped(static_cast<uint64_t>(in.per_s())), grouped(static_cast<uint64_t>(in.per_core_s())),
      grouped(static_cast<uint64_t>(in.control_per_core_s())), r.store_bytes, r.open_ms,
      r.verify.seconds,
      grouped(static_cast<uint64_t>(static_cast<double>(r.verify.records) / r.verify.seconds)),
      r.proofs.prove_ms.p50(), r.proofs.prove_ms.percentile(99), r.proofs.check_ms.p50(),
      r.proofs.check_ms.percentile(99), r.proofs.bytes.p50(), grouped(r.proofs.leaves),
      r.proofs.tree_s);
  return out + questions_text(r) + duckdb_text(r) + targets_table(targets_of(r), "") + reason(r);
}

json::object audit_json(const AuditResult& r, const CorpusLabels& labels) {
  const IngestFigures& in = r.ingest;
  json::object out{{"suite", "audit"},
                   {"records", r.records},
                   {"load_before", r.load_before},
                   {"ingest",
                    {{"segments", in.segments},
                     {"content_bytes", in.content_bytes},
                     {"body_bytes", in.body_bytes},
                     {"records_per_s", in.per_s()},
                     {"records_per_core_s", in.per_core_s()},
                     {"control_per_core_s", in.control_per_core_s()}}},
                   {"store_bytes", r.store_bytes},
                   {"open_ms", r.open_ms},
                   {"questions", answers_json(r.answers)},
                   {"verify", {{"records", r.verify.records}, {"seconds", r.verify.seconds}}},
                   {"proofs",
                    {{"leaves", r.proofs.leaves},
                     {"tree_s", r.proofs.tree_s},
                     {"prove", r.proofs.prove_ms.to_json()},
                     {"check", r.proofs.check_ms.to_json()},
                     {"bytes", r.proofs.bytes.p50()}}},
                   {"duckdb", duckdb_json(r)},
                   {"targets", targets_json(targets_of(r))}};
  add_circumstances(out, labels);
  return out;
}

}  // namespace notp::bench
