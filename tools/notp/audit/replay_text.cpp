#include "tools/notp/audit/replay_text.hpp"

#include <fmt/format.h>

#include "tools/notp/audit/event.hpp"
#include "tools/notp/audit/record_text.hpp"
#include "tools/notp/audit/times.hpp"

namespace notp::cli {
namespace {

using record::Replay;
using record::ReplayObstacle;

// Of a result in a line of text; JSON has all of it.
constexpr size_t kResultBytesMax = 2'000;

// What came out: "allow      true".
std::string outcome_text(record::Outcome outcome, const std::optional<Bytes>& result,
                         std::string_view error) {
  const std::string what = result          ? one_line_json(*result)
                           : error.empty() ? std::string()
                                           : std::string(error);
  return fmt::format("{:<9}  {}", record::outcome_name(outcome), printable(what, kResultBytesMax));
}

std::string error_text(const std::optional<record::Failure>& error) {
  return error ? fmt::format("{}: {}", error->code, error->message) : std::string();
}

Bytes outcome_json(record::Outcome outcome, const std::optional<Bytes>& result,
                   std::string_view error) {
  JsonObject out;
  out.text("outcome", record::outcome_name(outcome));
  if (result) out.json("result", one_line_json(*result));
  return out.text_if("error", error).done();
}

Bytes replayed_json(const ReplayedDecision& decision) {
  const record::ReplayVerdict& verdict = decision.verdict;
  JsonObject out;
  out.text("decision_id", decision.record.id())
      .text("node", decision.record.node)
      .text("timestamp", rfc3339_nanoseconds(decision.record.record.time_ns));
  const record::DecisionContent* const content = decision.record.decision();
  if (content) out.text_if("ledger", content->ledger).text_if("path", content->path);
  out.text("verdict", record::replay_name(verdict.replay))
      .text_if("obstacle", record::obstacle_name(verdict.obstacle))
      .text_if("reason", verdict.reason);
  if (!decision.unrecorded.empty()) out.json("unrecorded", strings_json(decision.unrecorded));
  if (content)
    out.json("recorded",
             outcome_json(content->outcome, content->result, error_text(content->error)));
  if (verdict.outcome != record::Outcome::kNone)
    out.json("replayed", outcome_json(verdict.outcome, decision.result, decision.error));
  return out.done();
}

}  // namespace

std::string replayed_text(const Output& output, const ReplayedDecision& decision) {
  const record::ReplayVerdict& verdict = decision.verdict;
  std::string text = decision_line(output, decision.record);
  if (const record::DecisionContent* const content = decision.record.decision())
    text += fmt::format("  recorded  {}\n", outcome_text(content->outcome, content->result,
                                                         error_text(content->error)));
  if (verdict.outcome != record::Outcome::kNone)
    text += fmt::format("  replayed  {}\n",
                        outcome_text(verdict.outcome, decision.result, decision.error));
  if (verdict.replay == Replay::kCannot)
    text += fmt::format("  {}    {}\n", output.paint(Colour::kYellow, "cannot"), verdict.reason);
  else
    text += verdict.replay == Replay::kSame
                ? fmt::format("  {}\n", output.paint(Colour::kGreen, "same"))
                : fmt::format("  {}\n", output.paint(Colour::kRed, "differs"));
  return text;
}

std::string changes_table(const Output& output, const ReplayReport& report) {
  if (report.changes.empty()) return {};
  std::vector<std::vector<std::string>> lines{{"PATH", "RECORDED", "NOW", "DECISIONS"}};
  for (const auto& [change, count] : report.changes)
    lines.push_back({printable(change.path), std::string(record::outcome_name(change.from)),
                     change.from == change.to
                         ? fmt::format("{}, another", record::outcome_name(change.to))
                         : std::string(record::outcome_name(change.to)),
                     human_count(count)});
  return table(output, lines);
}

std::string obstacles_text(const ReplayReport& report) {
  std::string text;
  for (size_t i = 0; i < report.obstacles.size(); ++i)
    if (report.obstacles[i] != 0)
      text += fmt::format("  {:<16}  {}\n", record::obstacle_name(static_cast<ReplayObstacle>(i)),
                          human_count(report.obstacles[i]));
  for (const auto& [name, count] : report.unrecorded)
    text += fmt::format("    {:<32}  {}\n", printable(name), human_count(count));
  return text;
}

Bytes replay_json(const ReplayReport& report, JsonObject front) {
  JsonObject obstacles, unrecorded;
  for (size_t i = 0; i < report.obstacles.size(); ++i)
    obstacles.number_if(record::obstacle_name(static_cast<ReplayObstacle>(i)), report.obstacles[i]);
  for (const auto& [name, count] : report.unrecorded) unrecorded.number(name, count);
  JsonArray changes, listed;
  for (const auto& [change, count] : report.changes)
    changes.json(JsonObject()
                     .text("path", change.path)
                     .text("from", record::outcome_name(change.from))
                     .text("to", record::outcome_name(change.to))
                     .number("count", count)
                     .done());
  for (const ReplayedDecision& each : report.listed) listed.json(replayed_json(each));
  return front.number("decisions", report.total())
      .number("same", report.same)
      .number("differs", report.differs)
      .number("cannot", report.cannot)
      .json("obstacles", obstacles.done())
      .json("unrecorded", unrecorded.done())
      .json("changes", changes.done())
      .json("listed", listed.done())
      .boolean("more", report.more)
      .done();
}

}  // namespace notp::cli
