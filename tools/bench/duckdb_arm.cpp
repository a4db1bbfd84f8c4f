#include "tools/bench/duckdb_arm.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/storage/files.hpp"
#include "tools/bench/audit_questions.hpp"
#include "tools/bench/child.hpp"
#include "tools/bench/duckdb_control.hpp"

namespace notp::bench {
namespace {

constexpr TimeMs kVersionMs = 30'000;
constexpr TimeMs kControlMs = 4LL * 3600 * 1000;
// It reads whole columns for each.
constexpr size_t kDuckdbShowIds = 20;

json::object questions_json(const std::filesystem::path& folder,
                            const std::filesystem::path& exported, const RecordedFleet& fleet) {
  json::array ids;
  for (const std::string& id : fleet.draw_ids(kDuckdbShowIds)) ids.emplace_back(id);
  return {{"export", exported.string()}, {"parquet", (folder / "events.parquet").string()},
          {"ids", std::move(ids)},       {"rare", kRareValue},
          {"frequent", kFrequentValue},  {"newest", kNewestRows},
          {"text", kRareText},           {"rounds", kQuestionRounds}};
}

uint64_t expected_hits(AuditQuestion question, const RecordedFleet& fleet) {
  switch (question) {
    case AuditQuestion::kShow:
    case AuditQuestion::kContainsFirst:
      return 1;
    case AuditQuestion::kRareValue:
    case AuditQuestion::kContainsAll:
      return fleet.rare();
    case AuditQuestion::kNewest:
      return std::min<uint64_t>(fleet.frequent(), kNewestRows);
    case AuditQuestion::kCounts:
      return fleet.decisions();
  }
  return 0;
}

Result<DuckdbFigures> figures_of(const json::value& printed, const RecordedFleet& fleet) {
  DuckdbFigures out;
  out.version = printed.at("version").as_string();
  out.write_s = printed.at("write_s").to_number<double>();
  const auto records = printed.at("records").to_number<uint64_t>();
  out.parquet_bytes =
      printed.at("parquet_bytes").to_number<double>() / static_cast<double>(records);
  if (records != fleet.decisions())
    return fail(ErrorCode::kInternal,
                fmt::format("DuckDB has {} records of {}", records, fleet.decisions()));
  for (size_t i = 0; i < kAuditQuestions; ++i) {
    const auto question = static_cast<AuditQuestion>(i);
    const json::value& answer = printed.at("questions").at(audit_question_key(question));
    AnswerFigures& figures = out.answers[question];
    for (const json::value& ms : answer.at("ms").as_array()) figures.ms.add(ms.to_number<double>());
    figures.hits = answer.at("hits").to_number<uint64_t>();
    if (const uint64_t expected = expected_hits(question, fleet); figures.hits != expected)
      return fail(ErrorCode::kInternal,
                  fmt::format("DuckDB, {}: {} records were found, and there are {}",
                              audit_question_name(question), figures.hits, expected));
  }
  return out;
}

}  // namespace

Result<std::string> duckdb_version(const std::string& python) {
  Command command;
  command.words = {python, "-c", "import duckdb; print(duckdb.__version__)"};
  auto printed = run(command, kVersionMs);
  if (!printed) return fail(ErrorCode::kNotFound, "no duckdb");
  return printed->substr(0, printed->find('\n'));
}

Result<DuckdbFigures> run_duckdb(const std::string& python, const std::filesystem::path& folder,
                                 const std::filesystem::path& exported,
                                 const RecordedFleet& fleet) {
  const auto script = folder / "duckdb_control.py", questions = folder / "questions.json";
  NOTP_TRY(write_file(script, kDuckdbControl));
  NOTP_TRY(write_file(questions, json::serialize(questions_json(folder, exported, fleet))));
  Command command;
  command.words = {python, script.string(), questions.string()};
  command.folder = folder;
  NOTP_ASSIGN(const std::string printed, run(command, kControlMs));
  NOTP_ASSIGN(const json::value figures, parse_json(printed));
  return figures_of(figures, fleet);
}

}  // namespace notp::bench
