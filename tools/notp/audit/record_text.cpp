#include "tools/notp/audit/record_text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "common/json/json_indent.hpp"
#include "tools/notp/audit/event.hpp"
#include "tools/notp/audit/json_text.hpp"
#include "tools/notp/audit/times.hpp"

namespace notp::cli {
namespace {

// Of one line: a decision is shown whole, as long as it was not made to flood a terminal.
constexpr size_t kLineBytesMax = 64 << 10;

using Facts = std::vector<std::pair<std::string, std::string>>;

void add_if(Facts& facts, std::string name, std::string_view value) {
  if (!value.empty()) facts.emplace_back(std::move(name), printable(value, kLineBytesMax));
}

std::string outcome_cell(const Output& output, record::Outcome outcome) {
  const std::string name = fmt::format("{:<9}", record::outcome_name(outcome));
  switch (outcome) {
    case record::Outcome::kAllow:
      return output.paint(Colour::kGreen, name);
    case record::Outcome::kDeny:
      return output.paint(Colour::kYellow, name);
    case record::Outcome::kError:
      return output.paint(Colour::kRed, name);
    default:
      return name;
  }
}

std::string pep_text(const record::DecisionContent& content) {
  const record::Pep& pep = content.pep;
  std::vector<std::string> parts;
  if (!pep.identity.empty()) parts.push_back(printable(pep.identity));
  if (!pep.token.empty()) parts.push_back("token " + printable(pep.token));
  if (pep.uid) parts.push_back(fmt::format("uid {}", *pep.uid));
  if (pep.gid) parts.push_back(fmt::format("gid {}", *pep.gid));
  if (pep.pid) parts.push_back(fmt::format("process {}", *pep.pid));
  if (!pep.address.empty()) parts.push_back(printable(pep.address));
  if (pep.address.empty() && !content.requested_by.empty())
    parts.push_back(printable(content.requested_by));
  return parts.empty() ? "not known" : fmt::format("{}", fmt::join(parts, ", "));
}

std::string pointers_text(const std::vector<std::string>& pointers) {
  std::string text;
  for (const std::string& each : pointers)
    text += (text.empty() ? "" : ", ") + printable(each, kLineBytesMax);
  return text;
}

void add_active(Facts& facts, const AuditRecord& record, const record::DecisionContent& content) {
  facts.emplace_back("ledger", release_text(record));
  if (const record::ActiveRelease* release = record.release()) {
    facts.emplace_back("release", release->ref.release_hash.hex());
    facts.emplace_back("content root", release->ref.content_root.hex());
    add_if(facts, "freshness", release->freshness);
  }
  if (!record.active) return facts.emplace_back("active", "not known"), void();
  std::string others;
  for (const record::ActiveRelease& each : record.active->releases)
    if (each.ref.ledger.text() != content.ledger)
      others += fmt::format("{}{}@v{}", others.empty() ? "" : ", ", each.ref.ledger.text(),
                            each.ref.version);
  add_if(facts, "also active", others);
  facts.emplace_back("engine", printable(fmt::format("{} {}", record.active->engine,
                                                     record.active->engine_version)));
  add_if(facts, "revision", record.active->revision);
}

void add_masking(Facts& facts, const record::DecisionContent& content) {
  add_if(facts, "erased", pointers_text(content.erased));
  add_if(facts, "masked", pointers_text(content.masked));
  for (const record::Commitment& each : content.commitments)
    facts.emplace_back("committed",
                       fmt::format("{}: HMAC-SHA-256 {}, salt {}", printable(each.pointer),
                                   to_hex(each.hmac), to_hex(each.salt)));
  if (!content.withheld) return;
  const record::Withheld& withheld = *content.withheld;
  facts.emplace_back(
      "withheld",
      fmt::format("input and result: {}", withheld.reason == record::WithheldReason::kOversized
                                              ? "the record would be too large"
                                              : "the mask failed, " + printable(withheld.message)));
  if (withheld.input_hash) facts.emplace_back("input SHA-256", withheld.input_hash->hex());
  if (withheld.result_hash) facts.emplace_back("result SHA-256", withheld.result_hash->hex());
}

Facts facts_of(const AuditRecord& record, const record::DecisionContent& content) {
  Facts facts{{"time", rfc3339_nanoseconds(record.record.time_ns)}};
  if (content.eval_time_ns != 0)
    facts.emplace_back("evaluated at", rfc3339_nanoseconds(content.eval_time_ns));
  facts.emplace_back("node", printable(record.node));
  facts.emplace_back("outcome", record::outcome_name(content.outcome));
  add_if(facts, "path", content.path);
  add_if(facts, "query", content.query);
  add_active(facts, record, content);
  if (content.lane)
    facts.emplace_back("token lane",
                       fmt::format("{} at revision {}, {}", printable(content.lane->name),
                                   content.lane->revision, printable(content.lane->state)));
  for (const record::TxnToken& token : content.txn_tokens)
    facts.emplace_back(
        "txn token",
        fmt::format("{} at {}{}{}{}{}", token.hash.brief(), printable(token.pointer),
                    token.txn.empty() ? ", not verified" : ": txn ", printable(token.txn),
                    token.sub.empty() ? "" : " of ", printable(token.sub)) +
            (token.req_wl.empty() ? "" : " for " + printable(token.req_wl)));
  facts.emplace_back("asked by", pep_text(content));
  facts.emplace_back("asked through", api_name(content.api));
  add_if(facts, "batch", content.batch_decision_id);
  add_if(facts, "trace", content.trace_id);
  add_if(facts, "span", content.span_id);
  if (content.req_id != 0) facts.emplace_back("request", std::to_string(content.req_id));
  if (content.times.evaluation_us != 0 || content.times.handler_us != 0)
    facts.emplace_back("took", fmt::format("{} µs, of which the evaluation {} µs",
                                           content.times.handler_us, content.times.evaluation_us));
  if (content.error)
    facts.emplace_back("error", fmt::format("{}: {}", printable(content.error->code),
                                            printable(content.error->message, kLineBytesMax)));
  add_masking(facts, content);
  facts.emplace_back("log", record.log.hex());
  facts.emplace_back("position",
                     fmt::format("{}, of run {}", record.position(), record.record.place.run));
  return facts;
}

// JSON may hold control characters only as escapes, so the terminal is safe.
void add_json(std::string& text, std::string_view name, ByteView value) {
  if (!value.empty()) text += fmt::format("\n{}\n{}\n", name, indent_json(one_line_json(value)));
}

}  // namespace

std::string decision_line(const Output& output, const AuditRecord& record) {
  const record::DecisionContent* content = record.decision();
  const std::string node = fmt::format("{:<14}", short_identity(record.node));
  if (!content)
    return fmt::format("{:<23}  {}  {}  record {} of log {}: {}\n", "-", node,
                       output.paint(Colour::kRed, "unreadable"), record.position(),
                       record.log.hex(), printable(record.unreadable));
  return fmt::format("{}  {}  {}  {:<28}  {}  {}\n", list_time(record.record.time_ns), node,
                     outcome_cell(output, content->outcome), release_text(record),
                     printable(content->path.empty() ? content->query : content->path),
                     printable(record.id()));
}

std::string decision_text(const AuditRecord& record) {
  const record::DecisionContent* content = record.decision();
  if (!content)
    return fmt::format("{}\n{}", printable(record.id()),
                       facts({{"node", printable(record.node)},
                              {"log", record.log.hex()},
                              {"position", std::to_string(record.position())},
                              {"unreadable", printable(record.unreadable)}}));
  std::string text =
      fmt::format("{}\n{}", printable(record.id()), facts(facts_of(record, *content)));
  add_json(text, "input", content->input.value_or(Bytes()));
  add_json(text, "result", content->result.value_or(Bytes()));
  if (content->error) add_json(text, "errors", content->error->errors);
  add_json(text, "mapped result", content->mapped_result);
  add_json(text, "intermediate results", content->intermediate_results);
  add_json(text, "results of non-deterministic functions", content->nd_builtin_cache);
  add_json(text, "rule labels", content->rule_labels);
  add_json(text, "request context", content->request_context);
  add_json(text, "custom", content->custom);
  add_json(text, "metrics", content->times.all);
  return text;
}

std::string gap_text(const record::Gap& gap) {
  std::string text = fmt::format("{}, {}{} missing", record::gap_reason_name(gap.reason),
                                 gap.at_most ? "at most " : "", human_count(gap.count));
  if (!gap.source.empty()) text += " of " + printable(gap.source);
  if (!gap.message.empty()) text += ": " + printable(gap.message);
  return text;
}

}  // namespace notp::cli
