// notp decisions verify: recomputes the logs of nodes from what the registry has.
#include <fmt/format.h>

#include <algorithm>

#include "tools/notp/audit/audit_commands.hpp"
#include "tools/notp/audit/log_verifier.hpp"
#include "tools/notp/audit/record_text.hpp"
#include "tools/notp/audit/times.hpp"

namespace notp::cli {
namespace {

struct VerifyOptions {
  std::string node, log;
  std::string node_ca;
};

Result<std::vector<wire::LogRow>> wanted_logs(const AuditSession& session,
                                              const VerifyOptions& options) {
  NOTP_ASSIGN(const std::string node, node_pattern(options.node, session.query.trust_domain));
  NOTP_ASSIGN(std::vector<wire::LogRow> rows, ask_logs(*session.port, node));
  std::erase_if(rows,
                [&](const wire::LogRow& row) { return !row.log.hex().starts_with(options.log); });
  if (rows.empty() && (!options.node.empty() || !options.log.empty()))
    return fail(ErrorCode::kNotFound,
                fmt::format("the registry has no such log: {}",
                            printable(options.log.empty() ? options.node : options.log)));
  return rows;
}

// A failure of the session ends the whole command; what is wrong with a log is in its report.
bool is_of_the_log(const Error& error) {
  switch (error.code) {
    case ErrorCode::kMessage:
    case ErrorCode::kNotFound:
    case ErrorCode::kCorrupt:
    case ErrorCode::kArtifact:
      return true;
    default:
      return false;
  }
}

// Reads the log of a verifier to its end.
Result<LogReport> verify_log(AuditPort& port, const record::LogId& log, LogVerifier verifier,
                             Progress& progress, uint64_t before, uint64_t total) {
  while (const auto position = verifier.wanted()) {
    auto fetched = fetch_segment(port, log, *position);
    if (fetched)
      verifier.take(*fetched);
    else if (is_of_the_log(fetched.error()))
      verifier.refuse(std::move(fetched).error());
    else
      return std::unexpected(std::move(fetched).error());
    progress.update(before + *position, total);
  }
  return std::move(verifier).finish();
}

std::string state_cell(const Output& output, LogState state) {
  const Colour colour = state == LogState::kWhole  ? Colour::kGreen
                        : state == LogState::kGaps ? Colour::kYellow
                                                   : Colour::kRed;
  return output.paint(colour, log_state_name(state));
}

std::string report_text(const Output& output, const LogReport& report) {
  const std::string log = report.row.log.hex();
  std::string text;
  if (report.problem)
    text += fmt::format("{}  log {} at record {}: {}\n", output.paint(Colour::kRed, "DIFFERS"), log,
                        report.problem->position, printable(report.problem->why.message, 400));
  for (const wire::LogFault& fault : report.row.faults)
    text +=
        fmt::format("{}  log {} at record {}, refused by the registry {}: {}: {}\n",
                    output.paint(Colour::kRed, "fault  "), log, fault.position,
                    utc_time(fault.at_ms), error_traits(fault.code).name, printable(fault.message));
  for (const GapFound& found : report.gaps)
    text +=
        fmt::format("{}  log {} at record {}, {}: {}\n", output.paint(Colour::kYellow, "gap    "),
                    log, found.position, rfc3339_nanoseconds(found.time_ns), gap_text(found.gap));
  const auto count = [&](uint64_t records, std::string_view what) {
    if (records > 0)
      text += fmt::format("note     log {}: {} {}\n", log, counted(records, "record"), what);
  };
  count(report.dropped, "without a body, dropped by the node: only hashes are left");
  count(report.closed, "of ledgers that you may not audit: only hashes were seen");
  count(report.unreadable, "as the node wrote them, but not known to this version of notp");
  return text;
}

json::object report_json(const LogReport& report) {
  json::array gaps, faults;
  for (const GapFound& found : report.gaps)
    gaps.push_back(json::object{{"position", found.position},
                                {"time", rfc3339_nanoseconds(found.time_ns)},
                                {"reason", record::gap_reason_name(found.gap.reason)},
                                {"count", found.gap.count},
                                {"at_most", found.gap.at_most},
                                {"source", found.gap.source},
                                {"message", found.gap.message}});
  for (const wire::LogFault& fault : report.row.faults)
    faults.push_back(json::object{{"position", fault.position},
                                  {"code", error_traits(fault.code).name},
                                  {"message", fault.message},
                                  {"time", utc_time(fault.at_ms)},
                                  {"checkpoint", fault.checkpoint}});
  json::object object{{"node", report.row.node},
                      {"log", report.row.log.hex()},
                      {"state", log_state_name(report.state())},
                      {"size", report.row.size},
                      {"root", report.row.root.hex()},
                      {"verified", report.verified},
                      {"segments", report.segments},
                      {"dropped_by_node", report.dropped},
                      {"closed", report.closed},
                      {"unreadable", report.unreadable},
                      {"gaps", std::move(gaps)},
                      {"faults", std::move(faults)}};
  if (report.problem)
    object["problem"] = json::object{{"position", report.problem->position},
                                     {"code", error_traits(report.problem->why.code).name},
                                     {"message", report.problem->why.message}};
  return object;
}

int exit_of(LogState worst) {
  switch (worst) {
    case LogState::kWhole:
      return exit_code::kOk;
    case LogState::kGaps:
      return kExitGaps;
    case LogState::kDiffers:
      break;
  }
  return exit_code::kFailure;
}

void print_reports(const Output& output, const std::vector<LogReport>& reports, LogState worst) {
  std::vector<std::vector<std::string>> lines{{"NODE", "LOG", "RECORDS", "VERIFIED", "STATE"}};
  std::string details;
  json::array documents;
  uint64_t records = 0;
  for (const LogReport& report : reports) {
    lines.push_back({short_identity(report.row.node), report.row.log.hex(),
                     human_count(report.row.size), human_count(report.verified),
                     state_cell(output, report.state())});
    details += report_text(output, report);
    documents.push_back(report_json(report));
    records += report.verified;
  }
  if (!details.empty()) details += "\n";
  const std::string text =
      reports.empty() ? std::string("The registry has no log.\n")
                      : fmt::format("{}\n{}{} of {} as the nodes signed them: {}\n",
                                    table(output, lines), details, counted(records, "record"),
                                    counted(reports.size(), "log"), log_state_name(worst));
  output.result(text, json::object{{"state", log_state_name(worst)},
                                   {"verified", records},
                                   {"logs", std::move(documents)}});
}

Result<int> run_verify(const Context& context, const VerifyOptions& options) {
  std::optional<NodeAuthorities> authorities;
  if (!options.node_ca.empty()) {
    NOTP_ASSIGN(authorities, NodeAuthorities::read(options.node_ca));
  }
  NOTP_ASSIGN(const AuditSession session, open_audit_session(context));
  NOTP_ASSIGN(std::vector<wire::LogRow> rows, wanted_logs(session, options));
  uint64_t total = 0, done = 0;
  for (const wire::LogRow& row : rows) total += row.size;
  Progress progress(context.output, "Verifying, records", ProgressUnit::kCount);
  std::vector<LogReport> reports;
  LogState worst = LogState::kWhole;
  for (wire::LogRow& row : rows) {
    const uint64_t size = row.size;
    const record::LogId log = row.log;
    LogVerifier verifier(std::move(row), session.query.trust_domain,
                         authorities ? &*authorities : nullptr);
    NOTP_ASSIGN(LogReport report,
                verify_log(*session.port, log, std::move(verifier), progress, done, total));
    worst = std::max(worst, report.state());
    reports.push_back(std::move(report));
    done += size;
  }
  progress.clear();
  print_reports(context.output, reports, worst);
  if (!authorities && !reports.empty())
    context.output.note(
        "note: that these nodes made the logs is only the registry's word; --node-ca FILE checks "
        "their certificates");
  return exit_of(worst);
}

}  // namespace

void add_log_verify(Commands& commands, CLI::App& decisions) {
  commands.add<VerifyOptions>(
      decisions, "verify", "Recompute the logs of the nodes, and compare with what they signed",
      [](CLI::App& command, VerifyOptions& options) {
        command
            .add_option("--node", options.node, "Logs of this node; '*' at the end covers several")
            ->type_name("NAME");
        command.add_option("--log", options.log, "The log whose id begins so")
            ->check([](const std::string& text) {
              const bool is_hex = text.find_first_not_of("0123456789abcdef") == text.npos;
              return is_hex ? std::string() : text + " is not the beginning of a log's id";
            })
            ->type_name("ID");
        command
            .add_option("--node-ca", options.node_ca,
                        "Authorities that must have issued the nodes' certificates, PEM")
            ->type_name("FILE");
        command.footer(
            "Reads every segment, hashes every record and compares with the checkpoints that the\n"
            "node signed and with the registry's own root: a record that was changed, removed,\n"
            "added or moved is found. Exit codes: 0 all is there, as it was signed; 1 something\n"
            "differs or is damaged, or the registry keeps evidence of a fork: log, position and\n"
            "reason are named; 3 nothing differs, but there are gaps, which the records or the\n"
            "registry tell of.");
      },
      run_verify);
}

}  // namespace notp::cli
