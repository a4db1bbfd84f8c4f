// The suite "audit": the registry's audit store in this process, from segments that arrive to
// answers about them, beside DuckDB over Parquet.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tools/bench/report.hpp"
#include "tools/bench/samples.hpp"

namespace notp::bench {

inline constexpr uint64_t kAuditRecordsMin = 1'000, kAuditRecordsMax = 1'000'000'000;
// The targets for questions are for this many records.
inline constexpr uint64_t kAuditGoalRecords = 10'000'000;

struct AuditSuiteOptions {
  uint64_t seed = 1;
  uint64_t records = 1'000'000;
  std::string python = "python3";  // that has the module duckdb, else there is no control
  std::filesystem::path parent;    // of the store; empty: the temporary folder
  std::function<void(const std::string&)> progress;
};

// Segments through the intake: decompressed, hashed, indexed, committed. The control runs over the
// same segments in turn.
struct IngestFigures {
  uint64_t records = 0, segments = 0;
  uint64_t content_bytes = 0, body_bytes = 0;
  double seconds = 0, processor_s = 0;  // of all threads
  double control_s = 0;                 // processor: memcpy + SHA-256 of the content
  double per_s() const { return static_cast<double>(records) / seconds; }
  double per_core_s() const { return static_cast<double>(records) / processor_s; }
  double control_per_core_s() const { return static_cast<double>(records) / control_s; }
};

// The questions, in the order of the report.
enum class AuditQuestion : uint8_t {
  kShow,
  kRareValue,
  kNewest,
  kCounts,
  kContainsFirst,
  kContainsAll,
};
inline constexpr size_t kAuditQuestions = 6;
// As in the report and for the control: "show", "rare_value", …
std::string_view audit_question_key(AuditQuestion question);
std::string_view audit_question_name(AuditQuestion question);

struct AnswerFigures {
  Samples ms;
  uint64_t hits = 0;  // records, of one answer; for counts, what they add up to
};
using AnswersByQuestion = std::map<AuditQuestion, AnswerFigures>;

struct VerifyFigures {
  uint64_t records = 0;
  double seconds = 0;
};

// `notp decisions prove` and `check`, of one decision each.
struct ProofFigures {
  uint64_t leaves = 0;  // of the registry's tree
  double tree_s = 0;    // to make it of what is stored
  Samples prove_ms, check_ms;
  Samples bytes;  // of the file, without the record
};

// DuckDB with the same records.
struct DuckdbFigures {
  std::string version;
  double export_per_s = 0;   // records/s, as OPA's events
  double write_s = 0;        // of the Parquet file
  double parquet_bytes = 0;  // a record
  AnswersByQuestion answers;
};

struct AuditResult {
  uint64_t records = 0;
  double load_before = 0;
  IngestFigures ingest;
  double store_bytes = 0;  // of all files, a record
  double open_ms = 0;      // of the store
  AnswersByQuestion answers;
  VerifyFigures verify;
  ProofFigures proofs;
  std::optional<DuckdbFigures> duckdb;
  std::string no_duckdb;  // why not
};

// kIo; kInternal: an answer is wrong, ours or the control's.
Result<AuditResult> run_audit(const AuditSuiteOptions& options);
std::string audit_table(const AuditResult& result);
json::object audit_json(const AuditResult& result, const CorpusLabels& labels);

}  // namespace notp::bench
