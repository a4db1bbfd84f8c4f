// notp decisions tail, search, stats, show: questions about recorded decisions.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <thread>

#include "common/json/json_indent.hpp"
#include "common/limits.hpp"
#include "tools/notp/audit/audit_commands.hpp"
#include "tools/notp/audit/decision_tail.hpp"
#include "tools/notp/audit/event.hpp"
#include "tools/notp/audit/record_text.hpp"

namespace notp::cli {
namespace {

constexpr uint32_t kTailDefault = 20, kSearchDefault = 50;
// Between two polls: longer while nothing arrives, and while the registry does not answer.
constexpr TimeMs kPollMs = 1'000, kQuietPollMs = 5'000, kRetryMs = 1'000, kRetryMaxMs = 30'000;

// Prints decisions as they come: lines, or with -o json one document, a line for each.
class DecisionList {
 public:
  explicit DecisionList(const Output& output) : output_(output) {}

  void print(const std::vector<AuditRecord>& records) {
    std::string text;
    for (const AuditRecord& each : records) {
      if (output_.is_json())
        text.append(started_ ? ",\n" : kOpening).append(event_json(each));
      else
        text += decision_line(output_, each);
      started_ = true;
    }
    if (!text.empty()) output_.raw(text);
  }
  // `rest`: members of the document after the list.
  void finish(const std::string& rest) {
    if (output_.is_json())
      output_.raw(fmt::format("{}\n]{}}}\n", started_ ? std::string_view() : kOpening, rest));
    else if (!started_)
      output_.note("No decision matches.");
  }

 private:
  static constexpr std::string_view kOpening = "{\"decisions\": [\n";
  const Output& output_;
  bool started_ = false;
};

void print_lines(const Output& output, const std::vector<AuditRecord>& records) {
  std::string text;
  for (const AuditRecord& each : records)
    text += output.is_json() ? event_json(each) + "\n" : decision_line(output, each);
  if (!text.empty()) output.raw(text);
}

// --- search

struct SearchOptions {
  FilterOptions filter;
  uint32_t limit = kSearchDefault;
  bool all = false;
};

Result<int> run_search(const Context& context, const SearchOptions& options) {
  NOTP_ASSIGN(const AuditSession session, open_audit_session(context));
  NOTP_ASSIGN(wire::DecisionFilter filter,
              make_filter(options.filter, session.query.trust_domain, context.now.wall_ms,
                          release_finder(*session.query.client)));
  RecordPages pages(*session.port, std::move(filter), /*oldest_first=*/false);
  DecisionList list(context.output);
  Progress progress(context.output, "Searching, records", ProgressUnit::kCount);
  uint64_t printed = 0;
  while (options.all || printed < options.limit) {
    const uint64_t left = options.all ? limits::kQueryRowsMax : options.limit - printed;
    NOTP_ASSIGN(auto page,
                pages.next(static_cast<uint32_t>(std::min<uint64_t>(left, limits::kQueryRowsMax))));
    if (!page) break;
    if (page->size() > left) page->resize(left);
    progress.clear();
    list.print(*page);
    printed += page->size();
    progress.update(pages.searched(), 0);
  }
  progress.clear();
  const bool more = pages.more();
  list.finish(fmt::format(", \"more\": {}", more));
  if (more && printed > 0)
    context.output.note(
        fmt::format("There may be more than these {}: --limit N, or --all.", human_count(printed)));
  return exit_code::kOk;
}

// --- tail

struct TailOptions {
  FilterOptions filter;
  uint32_t limit = kTailDefault;
  bool follow = false;
};

void pause(TimeMs time_ms) { std::this_thread::sleep_for(std::chrono::milliseconds(time_ms)); }

// Follows until the user ends the program or the registry refuses.
Result<int> follow(const Context& context, AuditSession session, DecisionTail tail) {
  TimeMs poll_ms = kPollMs, retry_ms = kRetryMs;
  while (true) {
    pause(poll_ms);
    auto arrived = tail.poll(*session.port, read_clock().wall_ms);
    while (!arrived) {
      if (error_traits(arrived.error().code).action != ErrorAction::kRetry)
        return std::unexpected(std::move(arrived).error());
      context.output.note(fmt::format("note: {}; trying again in {} s",
                                      printable(arrived.error().message), retry_ms / 1000));
      pause(retry_ms);
      retry_ms = std::min(2 * retry_ms, kRetryMaxMs);
      auto opened = open_audit_session(context);
      if (!opened) {
        arrived = std::unexpected(std::move(opened).error());
        continue;
      }
      session = *std::move(opened);
      arrived = tail.poll(*session.port, read_clock().wall_ms);
    }
    retry_ms = kRetryMs;
    poll_ms = arrived->records.empty() ? std::min(poll_ms + kPollMs, kQuietPollMs) : kPollMs;
    if (arrived->left_out)
      context.output.note(
          fmt::format("note: more than {} arrived at once; 'notp decisions search' has the others",
                      human_count(kTailRowsMax)));
    print_lines(context.output, arrived->records);
  }
}

Result<int> run_tail(const Context& context, const TailOptions& options) {
  if (options.follow && !options.filter.until.empty())
    return fail(ErrorCode::kUsage, "--follow and --until exclude each other");
  NOTP_ASSIGN(AuditSession session, open_audit_session(context));
  NOTP_ASSIGN(wire::DecisionFilter filter,
              make_filter(options.filter, session.query.trust_domain, context.now.wall_ms,
                          release_finder(*session.query.client)));
  DecisionTail tail(std::move(filter));
  NOTP_ASSIGN(const std::vector<AuditRecord> newest, tail.start(*session.port, options.limit));
  if (options.follow) {
    print_lines(context.output, newest);
    return follow(context, std::move(session), std::move(tail));
  }
  DecisionList list(context.output);
  list.print(newest);
  list.finish({});
  return exit_code::kOk;
}

// --- stats

struct StatsOptions {
  FilterOptions filter;
};

using OutcomeCounts = std::array<uint64_t, record::kOutcomes>;
using PathCounts = std::map<std::pair<std::string, std::string>, OutcomeCounts>;  // ledger, path

Result<PathCounts> ask_counts(AuditPort& port, wire::DecisionFilter filter, Progress& progress) {
  PathCounts counts;
  uint64_t total = 0;
  wire::DecisionCountsRequest request;
  request.filter = std::move(filter);
  while (true) {
    NOTP_ASSIGN(wire::DecisionCountsPage page, port.ask(request));
    for (const wire::DecisionCount& row : page.rows) {
      counts[{row.ledger, row.path}][static_cast<size_t>(row.outcome)] += row.count;
      progress.update(total += row.count, 0);
    }
    if (!page.more) return counts;
    if (page.cursor == request.cursor)
      return fail(ErrorCode::kMessage, "the registry answers with the same page again and again");
    request.cursor = std::move(page.cursor);
  }
}

std::string count_cell(uint64_t count) { return count == 0 ? "-" : human_count(count); }

Result<int> run_stats(const Context& context, const StatsOptions& options) {
  NOTP_ASSIGN(const AuditSession session, open_audit_session(context));
  NOTP_ASSIGN(wire::DecisionFilter filter,
              make_filter(options.filter, session.query.trust_domain, context.now.wall_ms,
                          release_finder(*session.query.client)));
  Progress progress(context.output, "Counting, decisions", ProgressUnit::kCount);
  NOTP_ASSIGN(const PathCounts counts, ask_counts(*session.port, std::move(filter), progress));
  progress.clear();
  std::vector<std::vector<std::string>> lines{
      {"PATH", "LEDGER", "ALLOW", "DENY", "OTHER", "UNDEFINED", "ERROR", "TOTAL"}};
  json::array rows;
  uint64_t all = 0;
  for (const auto& [key, outcomes] : counts) {
    const auto& [ledger, path] = key;
    std::vector<std::string> line{printable(path), ledger.empty() ? "-" : printable(ledger)};
    json::object row{{"path", path}, {"ledger", ledger}};
    uint64_t total = outcomes[0];
    for (size_t i = 1; i < record::kOutcomes; ++i) {
      total += outcomes[i];
      line.push_back(count_cell(outcomes[i]));
      row[record::outcome_name(static_cast<record::Outcome>(i))] = outcomes[i];
    }
    line.push_back(human_count(total));
    row["total"] = total;
    all += total;
    lines.push_back(std::move(line));
    rows.push_back(std::move(row));
  }
  context.output.result(counts.empty() ? "No decision matches.\n" : table(context.output, lines),
                        json::object{{"paths", std::move(rows)}, {"total", all}});
  return exit_code::kOk;
}

// --- show

struct ShowOptions {
  std::string id;
};

Result<int> run_show(const Context& context, const ShowOptions& options) {
  NOTP_ASSIGN(const AuditSession session, open_audit_session(context));
  NOTP_ASSIGN(const std::vector<AuditRecord> found, find_decisions(*session.port, options.id));
  if (context.output.is_json())
    context.output.raw(indent_json(event_json(found.front())) + "\n");
  else
    context.output.raw(decision_text(found.front()));
  if (found.size() > 1)
    context.output.note("note: several decisions have this id; 'notp decisions export' has all");
  return exit_code::kOk;
}

}  // namespace

Result<AuditSession> open_audit_session(const Context& context) {
  NOTP_ASSIGN(const Settings settings, context.settings());
  return open_audit_session(context, settings);
}

Result<AuditSession> open_audit_session(const Context& context, const Settings& settings) {
  AuditSession session;
  NOTP_ASSIGN(session.query, open_query_session(context, settings));
  session.port = std::make_unique<RegistryAudit>(*session.query.client);
  return session;
}

void add_decision_lists(Commands& commands, CLI::App& decisions) {
  commands.add<TailOptions>(
      decisions, "tail", "Show the newest decisions; with -f also those that arrive",
      [](CLI::App& command, TailOptions& options) {
        command.add_flag("-f,--follow", options.follow, "Go on with what arrives");
        command.add_option("-n,--limit", options.limit, "How many to begin with")
            ->check(CLI::Range(1U, static_cast<uint32_t>(kTailRowsMax)))
            ->type_name("N")
            ->capture_default_str();
        add_filter_options(command, options.filter);
        command.footer(
            "With -f each decision is shown once, in the order of arrival; one that arrives more\n"
            "than ten minutes after it was made is left to 'search'. With -f and -o json the\n"
            "output is one object a line.");
      },
      run_tail);
  commands.add<SearchOptions>(
      decisions, "search", "Search the decisions, the newest first",
      [](CLI::App& command, SearchOptions& options) {
        auto* limit = command.add_option("-n,--limit", options.limit, "How many at most")
                          ->check(CLI::Range(1U, 1'000'000'000U))
                          ->type_name("N")
                          ->capture_default_str();
        command.add_flag("--all", options.all, "All that match")->excludes(limit);
        add_filter_options(command, options.filter);
      },
      run_search);
  commands.add<StatsOptions>(
      decisions, "stats", "Count the decisions by path and outcome",
      [](CLI::App& command, StatsOptions& options) { add_filter_options(command, options.filter); },
      run_stats);
  commands.add<ShowOptions>(
      decisions, "show", "Show all that one decision says",
      [](CLI::App& command, ShowOptions& options) {
        command.add_option("id", options.id, "Its decision_id")->type_name("ID")->required();
        command.footer("With -o json it is OPA's decision log event, plus one object \"notp\".");
      },
      run_show);
}

void add_decisions(Commands& commands) {
  CLI::App* decisions = commands.root().add_subcommand(
      "decisions", "Ask for recorded decisions, verify them, find what is missing");
  decisions->require_subcommand(1);
  add_decision_lists(commands, *decisions);
  add_log_verify(commands, *decisions);
  add_log_gaps(commands, *decisions);
  add_decision_export(commands, *decisions);
  add_decision_holds(commands, *decisions);
  add_decision_erase(commands, *decisions);
  add_decision_replays(commands, *decisions);
  add_decision_proofs(commands, *decisions);
}

}  // namespace notp::cli
