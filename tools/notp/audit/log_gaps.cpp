// notp decisions gaps, missing: what is not recorded, and why.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "common/storage/files.hpp"
#include "tools/notp/audit/audit_commands.hpp"
#include "tools/notp/audit/missing.hpp"
#include "tools/notp/audit/record_text.hpp"
#include "tools/notp/audit/times.hpp"

namespace notp::cli {
namespace {

constexpr size_t kIdsBytesMax = 256 << 20;

struct GapsOptions {
  std::string since, until, node;
};

struct TimeRange {
  TimeMs since_ms = 0, until_ms = kNever;
  bool covers_ms(TimeMs time_ms) const { return time_ms >= since_ms && time_ms < until_ms; }
  bool covers(int64_t time_ns) const { return covers_ms(time_ns / kNanosecondsPerMs); }
};

struct PositionRange {
  record::Position first = 0, end = 0;
};

struct LogGaps {
  wire::LogRow row;
  std::vector<GapFound> gaps;
  std::vector<DroppedFound> dropped;
  std::vector<RunInfo> broken;
  std::vector<wire::LogFault> faults;
  std::vector<PositionRange> pruned;

  bool lacks_something() const { return !gaps.empty() || !faults.empty() || row.pruned > 0; }
  bool has_something() const { return lacks_something() || !dropped.empty() || !broken.empty(); }
};

// Which records have no body any more. Of each segment it reads the first part alone.
Result<std::vector<PositionRange>> pruned_ranges(AuditPort& port, const wire::LogRow& row) {
  std::vector<PositionRange> ranges;
  for (record::Position position = 0; position < row.size;) {
    NOTP_ASSIGN(const wire::SegmentPart part, port.ask(wire::SegmentRequest{row.log, position, 0}));
    if (part.head.first > position || part.head.end() <= position)
      return fail(ErrorCode::kMessage,
                  fmt::format("the registry's segment for record {} of log {} lacks it", position,
                              row.log.hex()));
    position = part.head.end();
    if (part.total > 0) continue;
    if (!ranges.empty() && ranges.back().end == part.head.first)
      ranges.back().end = position;
    else
      ranges.push_back({part.head.first, position});
  }
  return ranges;
}

LogGaps gaps_of(wire::LogRow row, std::vector<AuditRecord> records, const TimeRange& range) {
  const LogHistory history(std::move(records));
  LogGaps out;
  std::ranges::copy_if(history.gaps(), std::back_inserter(out.gaps),
                       [&](const GapFound& gap) { return range.covers(gap.time_ns); });
  std::ranges::copy_if(history.dropped(), std::back_inserter(out.dropped),
                       [&](const DroppedFound& each) { return range.covers(each.time_ns); });
  out.broken = history.broken();
  std::erase_if(out.broken, [&](const RunInfo& run) { return !range.covers(run.start_ns); });
  std::ranges::copy_if(row.faults, std::back_inserter(out.faults),
                       [&](const wire::LogFault& fault) { return range.covers_ms(fault.at_ms); });
  out.row = std::move(row);
  return out;
}

Result<std::vector<LogGaps>> find_gaps(AuditPort& port, const std::string& node,
                                       const TimeRange& range) {
  NOTP_ASSIGN(std::vector<wire::LogRow> rows, ask_logs(port, node));
  wire::DecisionFilter filter;
  filter.node = node;
  filter.kinds.assign(std::begin(kHistoryKinds), std::end(kHistoryKinds));
  NOTP_ASSIGN(
      std::vector<AuditRecord> records,
      read_all(RecordPages(port, std::move(filter), /*oldest_first=*/true), kHistoryRecordsMax));
  std::map<record::LogId, std::vector<AuditRecord>> by_log;
  for (AuditRecord& each : records) by_log[each.log].push_back(std::move(each));
  std::ranges::sort(rows, {}, [](const wire::LogRow& row) { return std::tie(row.node, row.log); });
  std::vector<LogGaps> out;
  for (wire::LogRow& row : rows) {
    const record::LogId log = row.log;
    LogGaps gaps = gaps_of(std::move(row), std::move(by_log[log]), range);
    if (gaps.row.pruned > 0) {
      NOTP_ASSIGN(gaps.pruned, pruned_ranges(port, gaps.row));
    }
    out.push_back(std::move(gaps));
  }
  return out;
}

std::string dropped_line(const record::Dropped& dropped) {
  std::string text;
  for (const record::DroppedCount& each : dropped.counts)
    text += fmt::format(
        "{}{} {} of {}{}", text.empty() ? "" : ", ", human_count(each.count),
        each.outcome == record::Outcome::kNone ? "decisions" : record::outcome_name(each.outcome),
        printable(each.path), each.rule.empty() ? "" : " by " + printable(each.rule));
  return text;
}

std::string gaps_text(const Output& output, const LogGaps& log) {
  std::string text = fmt::format("{}, log {}, {}\n", short_identity(log.row.node),
                                 log.row.log.hex(), counted(log.row.size, "record"));
  const auto line = [&](Colour colour, std::string_view what, record::Position position,
                        std::string_view time, std::string_view detail) {
    text += fmt::format("  {}  {}  record {}  {}\n",
                        output.paint(colour, fmt::format("{:<11}", what)), time, position, detail);
  };
  for (const GapFound& each : log.gaps)
    line(Colour::kYellow, "gap", each.position, list_time(each.time_ns), gap_text(each.gap));
  for (const PositionRange& each : log.pruned)
    text += fmt::format("  {}  records {} to {}: bodies dropped by the node, hashes kept\n",
                        output.paint(Colour::kYellow, fmt::format("{:<11}", "pruned")), each.first,
                        each.end - 1);
  for (const wire::LogFault& each : log.faults)
    line(Colour::kRed, "fault", each.position, list_time(each.at_ms * kNanosecondsPerMs),
         fmt::format("{}: {}", error_traits(each.code).name, printable(each.message)));
  for (const RunInfo& each : log.broken)
    line(Colour::kDim, "killed", each.first, list_time(each.start_ns),
         fmt::format("run {} of {} began here and did not end in order", each.run,
                     printable(each.program)));
  for (const DroppedFound& each : log.dropped)
    line(Colour::kDim, "left out", each.position, list_time(each.time_ns),
         dropped_line(each.dropped));
  return text;
}

json::array dropped_json(const std::vector<DroppedFound>& dropped) {
  json::array out;
  for (const DroppedFound& each : dropped) {
    json::array counts;
    for (const record::DroppedCount& count : each.dropped.counts)
      counts.push_back(json::object{{"path", count.path},
                                    {"outcome", record::outcome_name(count.outcome)},
                                    {"rule", count.rule},
                                    {"count", count.count}});
    out.push_back(json::object{{"position", each.position},
                               {"time", rfc3339_nanoseconds(each.time_ns)},
                               {"counts", std::move(counts)}});
  }
  return out;
}

json::object gaps_json(const LogGaps& log) {
  json::array gaps, pruned, faults, broken;
  for (const GapFound& each : log.gaps)
    gaps.push_back(json::object{{"position", each.position},
                                {"time", rfc3339_nanoseconds(each.time_ns)},
                                {"reason", record::gap_reason_name(each.gap.reason)},
                                {"count", each.gap.count},
                                {"at_most", each.gap.at_most},
                                {"source", each.gap.source},
                                {"message", each.gap.message}});
  for (const PositionRange& each : log.pruned)
    pruned.push_back(json::object{{"first", each.first}, {"end", each.end}});
  for (const wire::LogFault& each : log.faults)
    faults.push_back(json::object{{"position", each.position},
                                  {"time", utc_time(each.at_ms)},
                                  {"code", error_traits(each.code).name},
                                  {"message", each.message}});
  for (const RunInfo& each : log.broken)
    broken.push_back(json::object{{"run", each.run},
                                  {"position", each.first},
                                  {"started", rfc3339_nanoseconds(each.start_ns)},
                                  {"program", each.program}});
  return {{"node", log.row.node},
          {"log", log.row.log.hex()},
          {"size", log.row.size},
          {"gaps", std::move(gaps)},
          {"pruned", std::move(pruned)},
          {"pruned_records", log.row.pruned},
          {"faults", std::move(faults)},
          {"killed_runs", std::move(broken)},
          {"left_out", dropped_json(log.dropped)}};
}

Result<int> run_gaps(const Context& context, const GapsOptions& options) {
  TimeRange range;
  if (!options.since.empty()) {
    NOTP_ASSIGN(range.since_ms, parse_time(options.since, context.now.wall_ms));
  }
  if (!options.until.empty()) {
    NOTP_ASSIGN(range.until_ms, parse_time(options.until, context.now.wall_ms));
  }
  NOTP_ASSIGN(const AuditSession session, open_audit_session(context));
  NOTP_ASSIGN(const std::string node, node_pattern(options.node, session.query.trust_domain));
  NOTP_ASSIGN(const std::vector<LogGaps> logs, find_gaps(*session.port, node, range));
  std::string text;
  json::array documents;
  bool has_gaps = false;
  for (const LogGaps& log : logs) {
    if (!log.has_something()) continue;
    has_gaps = has_gaps || log.lacks_something();
    text += gaps_text(context.output, log);
    documents.push_back(gaps_json(log));
  }
  if (text.empty()) text = fmt::format("No gap in {}.\n", counted(logs.size(), "log"));
  context.output.result(text, json::object{{"gaps", has_gaps}, {"logs", std::move(documents)}});
  return has_gaps ? kExitGaps : exit_code::kOk;
}

// --- missing

struct MissingOptions {
  std::string file;
};

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const size_t first = line.find_first_not_of(" \t\r");
    if (first == line.npos) continue;
    out.emplace_back(line.substr(first, line.find_last_not_of(" \t\r") - first + 1));
  }
  return out;
}

Result<int> run_missing(const Context& context, const MissingOptions& options) {
  NOTP_ASSIGN(const Bytes text, read_file(options.file, kIdsBytesMax));
  const std::vector<std::string> ids = lines_of(text);
  NOTP_ASSIGN(const AuditSession session, open_audit_session(context));
  Progress progress(context.output, "Looking for ids", ProgressUnit::kCount);
  NOTP_ASSIGN(const std::vector<IdAnswer> answers, find_ids(*session.port, ids, [&](size_t count) {
                progress.update(count, ids.size());
              }));
  progress.clear();
  std::vector<std::vector<std::string>> lines{{"ID", "STATE", "WHY"}};
  json::array documents;
  std::map<IdState, uint64_t> counts;
  for (const IdAnswer& answer : answers) {
    ++counts[answer.state];
    if (answer.why.empty()) continue;
    lines.push_back({printable(answer.id), std::string(id_state_name(answer.state)), answer.why});
    documents.push_back(json::object{
        {"id", answer.id}, {"state", id_state_name(answer.state)}, {"why", answer.why}});
  }
  json::object document{{"ids", ids.size()}};
  for (const IdState state :
       {IdState::kRecorded, IdState::kLost, IdState::kUnknown, IdState::kForeign})
    document[id_state_name(state)] = counts[state];
  document["answers"] = std::move(documents);
  context.output.result(
      fmt::format("{}{} of {} recorded.\n",
                  lines.size() == 1 ? "" : table(context.output, lines) + "\n",
                  human_count(counts[IdState::kRecorded]), counted(ids.size(), "decision")),
      document);
  return counts[IdState::kRecorded] == ids.size() ? exit_code::kOk : kExitGaps;
}

}  // namespace

void add_log_gaps(Commands& commands, CLI::App& decisions) {
  commands.add<GapsOptions>(
      decisions, "gaps", "List what is missing, and why: by node",
      [](CLI::App& command, GapsOptions& options) {
        command.add_option("--since", options.since, "Not before this time, or so long ago")
            ->type_name("7d|TIME");
        command.add_option("--until", options.until, "Before this time, or so long ago")
            ->type_name("1h|TIME");
        command.add_option("--node", options.node, "Of this node; '*' at the end covers several")
            ->type_name("NAME");
        command.footer(
            "gap: the node's own record that others are missing, and how many.\n"
            "pruned: the node's disk was full; hashes are left.\n"
            "fault: the registry refused what contradicts the log, or skips a part of it.\n"
            "killed: a run without its end; nothing is missing unless a gap says so.\n"
            "left out: counts of decisions that a rule of the policy's authors drops.\n"
            "Exit codes: 0 nothing is missing, 3 there is a gap, a pruned range or a fault.");
      },
      run_gaps);
  commands.add<MissingOptions>(
      decisions, "missing", "Say of each decision in a list whether it is recorded",
      [](CLI::App& command, MissingOptions& options) {
        command
            .add_option("--ids", options.file, "One decision_id a line, as applications kept them")
            ->type_name("FILE")
            ->required();
        command.footer(
            "recorded; lost: the log says that it is gone, and why; unknown: not there, or not "
            "yet,\n"
            "and nothing says why; foreign: not an id of this domain's logs. Those that are not\n"
            "recorded are listed. Exit codes: 0 all are recorded, 3 some are not.");
      },
      run_missing);
}

}  // namespace notp::cli
