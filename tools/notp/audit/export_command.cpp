// notp decisions export: hands recorded decisions to other tools.
#include <fmt/format.h>
#include <unistd.h>

#include "common/limits.hpp"
#include "common/size_text.hpp"
#include "tools/notp/audit/audit_commands.hpp"
#include "tools/notp/audit/audit_record.hpp"
#include "tools/notp/audit/event.hpp"
#include "tools/notp/audit/export_file.hpp"
#include "tools/notp/audit/ocsf.hpp"

namespace notp::cli {
namespace {

struct ExportOptions {
  FilterOptions filter;
  std::string format = "opa";
  std::string file;
  bool compress = false;
};

// Every kind of record, for an export that is to be whole.
std::vector<record::Kind> all_kinds() {
  return {record::Kind::kDecision, record::Kind::kActive, record::Kind::kRunStart,
          record::Kind::kRunEnd,   record::Kind::kGap,    record::Kind::kDropped};
}

// The records of a query that says what a decision must be are decisions.
bool asks_for_decisions(const wire::DecisionFilter& filter) {
  return !filter.ledger.empty() || !filter.path.empty() ||
         filter.outcome != record::Outcome::kNone || !filter.release_hash.is_zero() ||
         !filter.values.empty() || !filter.contains.empty();
}

struct Exported {
  uint64_t records = 0, unreadable = 0, bytes = 0;
};

Result<Exported> write_all(RecordPages pages, const ExportOptions& options, ExportFile& file,
                           Progress& progress) {
  Exported done;
  const bool with_unreadable = options.format == "jsonl";
  while (true) {
    NOTP_ASSIGN(const auto page, pages.next(limits::kQueryRowsMax));
    if (!page) break;
    for (const AuditRecord& each : *page) {
      if (!each.unreadable.empty()) ++done.unreadable;
      if (!each.unreadable.empty() && !with_unreadable) continue;
      NOTP_TRY(file.write(options.format == "ocsf" ? ocsf_event(each) : event_json(each)));
      ++done.records;
    }
    progress.update(pages.bytes(), 0);
  }
  NOTP_TRY(file.finish());
  done.bytes = file.bytes();
  return done;
}

Result<int> run_export(const Context& context, const ExportOptions& options) {
  if (options.compress && options.file.empty() && ::isatty(STDOUT_FILENO) == 1)
    return fail(ErrorCode::kUsage, "compressed bytes are not for a terminal: give --out FILE");
  NOTP_ASSIGN(const AuditSession session, open_audit_session(context));
  NOTP_ASSIGN(wire::DecisionFilter filter,
              make_filter(options.filter, session.query.trust_domain, context.now.wall_ms,
                          release_finder(*session.query.client)));
  if (options.format == "jsonl" && !asks_for_decisions(filter)) filter.kinds = all_kinds();
  NOTP_ASSIGN(ExportFile file, ExportFile::open(options.file, options.compress));
  Progress progress(context.output, "Exporting");
  NOTP_ASSIGN(const Exported done,
              write_all(RecordPages(*session.port, std::move(filter), /*oldest_first=*/true),
                        options, file, progress));
  progress.clear();
  if (done.unreadable > 0)
    context.output.note(fmt::format("warning: {} cannot be read by this version of notp{}",
                                    counted(done.unreadable, "record"),
                                    options.format == "jsonl" ? "" : " and are left out"));
  // The export itself is on standard output.
  if (options.file.empty()) return exit_code::kOk;
  context.output.result(fmt::format("{} in {}, {}\n", counted(done.records, "record"), options.file,
                                    size_text(done.bytes)),
                        json::object{{"file", options.file},
                                     {"format", options.format},
                                     {"records", done.records},
                                     {"unreadable", done.unreadable},
                                     {"bytes", done.bytes}});
  return exit_code::kOk;
}

}  // namespace

void add_decision_export(Commands& commands, CLI::App& decisions) {
  commands.add<ExportOptions>(
      decisions, "export", "Write decisions for other tools, one JSON object a line",
      [](CLI::App& command, ExportOptions& options) {
        command.add_option("--format", options.format, "What a line is")
            ->check(CLI::IsMember({"opa", "jsonl", "ocsf"}))
            ->capture_default_str();
        command.add_option("--out", options.file, "Where to (default: standard output)")
            ->type_name("FILE");
        command.add_flag("--zstd", options.compress, "Compressed with Zstandard");
        add_filter_options(command, options.filter);
        command.footer(
            "opa: OPA's decision log event plus one object \"notp\".\n"
            "jsonl: the same, with the records between decisions: which releases were active,\n"
            "starts and stops, gaps, counts of what was dropped; unless a filter other than\n"
            "--since, --until and --node asks for decisions.\n"
            "ocsf: API Activity of OCSF 1.3.\n"
            "The oldest come first. FILE appears when it is complete; until then it is FILE.part.");
      },
      run_export);
}

}  // namespace notp::cli
