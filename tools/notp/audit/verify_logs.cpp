// notp decisions verify: recomputes the logs of nodes from what the registry has.
#include <fmt/format.h>

#include <algorithm>

#include "common/limits.hpp"
#include "common/storage/files.hpp"
#include "tools/notp/audit/audit_commands.hpp"
#include "tools/notp/audit/log_verifier.hpp"
#include "tools/notp/audit/proof_port.hpp"
#include "tools/notp/audit/record_text.hpp"
#include "tools/notp/audit/times.hpp"

namespace notp::cli {
namespace {

struct VerifyOptions {
  std::string node, log;
  std::string node_ca;
  std::string checkpoint;
  bool all_ledgers = false;
};

// --- the registry's tree

// The registry answers that it has no tree, or, being of an earlier version, not at all.
bool has_no_tree(const Error& error) {
  return error.code == ErrorCode::kConfig || error.code == ErrorCode::kMessage ||
         error.code == ErrorCode::kNotFound;
}

Result<std::optional<record::Checkpoint>> kept_checkpoint(const std::string& path) {
  if (path.empty()) return std::nullopt;
  auto note = read_file(path, limits::kCheckpointBytesMax);
  if (!note && note.error().code == ErrorCode::kNotFound) return std::nullopt;
  if (!note) return std::unexpected(std::move(note).error());
  auto checkpoint = record::parse_checkpoint(*note);
  if (!checkpoint) return std::unexpected(std::move(checkpoint).error().in(path));
  return *std::move(checkpoint);
}

// Reads the whole tree, in a session of its own: an earlier registry ends it. nullopt: there is no
// tree.
Result<std::optional<TreeVerifier>> read_tree(const Context& context, const VerifyOptions& options,
                                              const NodeAuthorities* authorities) {
  NOTP_ASSIGN(auto kept, kept_checkpoint(options.checkpoint));
  const bool is_kept = kept.has_value();
  NOTP_ASSIGN(const Settings settings, context.settings());
  NOTP_ASSIGN(const QuerySession session, open_query_session(context, settings));
  RegistryProofs proofs(*session.client);
  TreeVerifier verifier(session.trust_domain, authorities, std::move(kept));
  Progress progress(context.output, "Reading the registry's tree, leaves", ProgressUnit::kCount);
  while (const auto from = verifier.wanted()) {
    auto part = proofs.ask(wire::TreeRequest{*from});
    if (!part && *from == 0 && has_no_tree(part.error())) {
      if (!is_kept) return std::nullopt;
      return fail(ErrorCode::kRegistrySplit,
                  fmt::format("the registry shows no tree, and {} has a checkpoint of one: {}",
                              options.checkpoint, part.error().message));
    }
    if (!part) return std::unexpected(std::move(part).error());
    verifier.take(*part);
    progress.update(verifier.report().verified, verifier.report().size);
  }
  return verifier;
}

// Logs that the tree knows and the registry does not list.
std::vector<record::LogId> missing_logs(const TreeVerifier& tree,
                                        const std::vector<wire::LogRow>& rows) {
  std::vector<record::LogId> out;
  for (const auto& [log, in_tree] : tree.logs())
    if (!in_tree.checkpoints.empty() &&
        std::ranges::find(rows, log, &wire::LogRow::log) == rows.end())
      out.push_back(log);
  return out;
}

std::string tree_text(const Output& output, const TreeReport& tree,
                      const std::vector<record::LogId>& missing) {
  std::string text;
  if (tree.problem)
    text += fmt::format("{}  the registry's tree: {}\n", output.paint(Colour::kRed, "DIFFERS"),
                        printable(tree.problem->message, 400));
  for (const record::LogId& log : missing)
    text += fmt::format("{}  log {} is missing: the registry's tree says that it was taken\n",
                        output.paint(Colour::kRed, "DIFFERS"), log.hex());
  if (!tree.problem)
    text += fmt::format("tree     {}, {} leaves, cosigned by {} others\n", tree.origin,
                        human_count(tree.size), tree.signers.size());
  return text;
}

json::object tree_json(const TreeReport& tree, const std::vector<record::LogId>& missing) {
  json::array logs, signers;
  for (const record::LogId& log : missing) logs.push_back(json::string(log.hex()));
  for (const std::string& name : tree.signers) signers.push_back(json::string(name));
  json::object out{{"origin", tree.origin},           {"size", tree.size},
                   {"root", tree.root.hex()},         {"verified", tree.verified},
                   {"cosigners", std::move(signers)}, {"missing_logs", std::move(logs)}};
  if (tree.problem)
    out["problem"] = json::object{{"code", error_traits(tree.problem->code).name},
                                  {"message", tree.problem->message}};
  return out;
}

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
  for (const auto& [how, records] : report.deleted) count(records, how);
  count(report.unsealed, "not in the registry's tree yet");
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
  json::object deleted;
  for (const auto& [how, records] : report.deleted) deleted[how] = records;
  json::object object{{"node", report.row.node},
                      {"log", report.row.log.hex()},
                      {"state", log_state_name(report.state())},
                      {"size", report.row.size},
                      {"root", report.row.root.hex()},
                      {"verified", report.verified},
                      {"segments", report.segments},
                      {"dropped_by_node", report.dropped},
                      {"deleted", std::move(deleted)},
                      {"unsealed", report.unsealed},
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

void print_reports(const Output& output, const std::vector<LogReport>& reports,
                   const std::optional<TreeReport>& tree, const std::vector<record::LogId>& missing,
                   LogState worst) {
  std::vector<std::vector<std::string>> lines{{"NODE", "LOG", "RECORDS", "VERIFIED", "STATE"}};
  std::string details = tree ? tree_text(output, *tree, missing) : std::string();
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
      reports.empty() && missing.empty()
          ? std::string("The registry has no log.\n")
          : fmt::format("{}\n{}{} of {} as the nodes signed them: {}\n", table(output, lines),
                        details, counted(records, "record"), counted(reports.size(), "log"),
                        log_state_name(worst));
  json::object document{
      {"state", log_state_name(worst)}, {"verified", records}, {"logs", std::move(documents)}};
  if (tree) document["tree"] = tree_json(*tree, missing);
  output.result(text, document);
}

// Both must hold to be called verified against the tree.
void print_notes(const Output& output, bool has_authorities, bool has_tree) {
  if (!has_authorities)
    output.note(
        "note: that these nodes made the logs is only the registry's word; --node-ca FILE checks "
        "their certificates");
  if (!has_tree)
    output.note(
        "note: this registry keeps no tree of what it has taken: that nothing was left out since "
        "is its word");
}

// Verifies logs, one after the other, against the tree if there is one.
class LogsVerification {
 public:
  LogsVerification(const Context& context, const AuditSession& session,
                   const VerifyOptions& options, const NodeAuthorities* authorities)
      : session_(session),
        options_(options),
        authorities_(authorities),
        progress_(context.output, "Verifying, records", ProgressUnit::kCount) {}

  Result<void> run(std::vector<wire::LogRow> rows, const std::optional<TreeVerifier>& tree) {
    for (const wire::LogRow& row : rows) total_ += row.size;
    for (wire::LogRow& row : rows) {
      NOTP_ASSIGN(LogReport report, verify(std::move(row), tree));
      reports_.push_back(std::move(report));
    }
    return {};
  }
  // Whether a log is not what the tree says.
  bool contradicts_tree() const { return std::ranges::any_of(reports_, is_contradiction); }
  // Verifies these logs once more, against a later tree.
  Result<void> run_again(const std::optional<TreeVerifier>& tree) {
    for (LogReport& report : reports_) {
      if (!is_contradiction(report)) continue;
      total_ += report.row.size;
      NOTP_ASSIGN(report, verify(std::move(report.row), tree));
    }
    return {};
  }
  std::vector<LogReport> take() && {
    progress_.clear();
    return std::move(reports_);
  }

 private:
  static bool is_contradiction(const LogReport& report) {
    return report.problem && report.problem->why.code == ErrorCode::kRegistrySplit;
  }
  Result<LogReport> verify(wire::LogRow row, const std::optional<TreeVerifier>& tree) {
    static const LogInTree kNotInTree;
    const record::LogId log = row.log;
    const uint64_t size = row.size;
    const LogInTree* in_tree = nullptr;
    if (tree && !tree->report().problem) {
      const auto at = tree->logs().find(log);
      in_tree = at == tree->logs().end() ? &kNotInTree : &at->second;
    }
    LogVerifier verifier(
        std::move(row), session_.query.trust_domain,
        {.authorities = authorities_, .in_tree = in_tree, .may_see_all = options_.all_ledgers});
    auto report = verify_log(*session_.port, log, std::move(verifier), progress_, done_, total_);
    done_ += size;
    return report;
  }

  const AuditSession& session_;
  const VerifyOptions& options_;
  const NodeAuthorities* const authorities_;
  Progress progress_;
  uint64_t done_ = 0, total_ = 0;
  std::vector<LogReport> reports_;
};

Result<int> run_verify(const Context& context, const VerifyOptions& options) {
  std::optional<NodeAuthorities> authorities;
  if (!options.node_ca.empty()) {
    NOTP_ASSIGN(authorities, NodeAuthorities::read(options.node_ca));
  }
  const NodeAuthorities* const by = authorities ? &*authorities : nullptr;
  // The tree first: what it says was taken must be there afterwards.
  NOTP_ASSIGN(auto tree, read_tree(context, options, by));
  NOTP_ASSIGN(const AuditSession session, open_audit_session(context));
  NOTP_ASSIGN(std::vector<wire::LogRow> rows, wanted_logs(session, options));
  std::vector<record::LogId> missing;
  if (tree && !tree->report().problem && options.node.empty() && options.log.empty())
    missing = missing_logs(*tree, rows);
  LogsVerification verification(context, session, options, by);
  NOTP_TRY(verification.run(std::move(rows), tree));
  if (verification.contradicts_tree()) {
    // What was deleted since is stated in leaves that were not read.
    NOTP_ASSIGN(auto later, read_tree(context, options, by));
    tree.reset();
    if (later) tree.emplace(*std::move(later));
    NOTP_TRY(verification.run_again(tree));
  }
  const std::vector<LogReport> reports = std::move(verification).take();
  const bool tree_differs = tree && (tree->report().problem || !missing.empty());
  LogState worst = tree_differs ? LogState::kDiffers : LogState::kWhole;
  for (const LogReport& report : reports) worst = std::max(worst, report.state());
  print_reports(context.output, reports,
                tree ? std::optional(tree->report()) : std::optional<TreeReport>(), missing, worst);
  if (!reports.empty()) print_notes(context.output, by != nullptr, tree.has_value());
  if (!options.checkpoint.empty() && tree && !tree->report().problem)
    NOTP_TRY(write_file(options.checkpoint, tree->note()));
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
        command
            .add_option("--checkpoint", options.checkpoint,
                        "A checkpoint of the registry's tree from before, which the tree must have "
                        "gone through; the newest one is written there")
            ->type_name("FILE");
        command.add_flag("--all-ledgers", options.all_ledgers,
                         "You may audit every ledger: a record that is closed and that no "
                         "statement in the tree explains is missing");
        command.footer(
            "Reads every segment, hashes every record and compares with the checkpoints that the\n"
            "node signed, with the registry's own root and with the tree of what it has taken: a\n"
            "record that was changed, removed, added or moved is found, and a record that was\n"
            "deleted by rule or erased is named with the statement that says so.\n"
            "Exit codes: 0 all is there, as it was signed; 1 something differs, is damaged or\n"
            "missing, or the registry keeps evidence of a fork: log, position and reason are "
            "named;\n"
            "3 nothing differs, but there are gaps, which the records or the registry tell of.");
      },
      run_verify);
}

}  // namespace notp::cli
