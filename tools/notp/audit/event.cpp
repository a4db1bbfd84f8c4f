#include "tools/notp/audit/event.hpp"

#include <fmt/format.h>

#include "tools/notp/audit/json_text.hpp"
#include "tools/notp/audit/times.hpp"

namespace notp::cli {
namespace {

constexpr uint64_t kNanosecondsPerMicrosecond = 1'000;

std::string_view withheld_name(record::WithheldReason reason) {
  return reason == record::WithheldReason::kOversized ? "oversized" : "mask_failed";
}

Bytes labels_json(const AuditRecord& record) {
  JsonObject out;
  out.text("id", record.node);
  if (record.active) out.text_if("version", record.active->engine_version);
  return out.done();
}

// As OPA's own errors, which have a code and a message.
Bytes error_json(const record::Failure& failure) {
  return JsonObject()
      .text("code", failure.code)
      .text("message", failure.message)
      .json_if("errors", failure.errors)
      .done();
}

Bytes metrics_json(const record::Times& times) {
  if (!times.all.empty()) return one_line_json(times.all);
  if (times.evaluation_us == 0 && times.handler_us == 0) return {};
  return JsonObject()
      .number("timer_rego_query_eval_ns", times.evaluation_us * kNanosecondsPerMicrosecond)
      .number("timer_server_handler_ns", times.handler_us * kNanosecondsPerMicrosecond)
      .done();
}

void put_value(JsonObject& out, std::string_view name, const std::optional<Bytes>& value) {
  if (value) out.json(name, one_line_json(*value));
}

void put_strings(JsonObject& out, std::string_view name, const std::vector<std::string>& texts) {
  if (!texts.empty()) out.json(name, strings_json(texts));
}

// The members of EventV1, in its order.
void put_decision(JsonObject& out, const AuditRecord& record,
                  const record::DecisionContent& content) {
  out.json("labels", labels_json(record))
      .text("decision_id", record.id())
      .text_if("batch_decision_id", content.batch_decision_id)
      .text_if("trace_id", content.trace_id)
      .text_if("span_id", content.span_id);
  if (record.active && !record.active->revision.empty()) {
    const std::string& revision = record.active->revision;
    out.text("revision", revision)
        .json("bundles",
              JsonObject().json("notp", JsonObject().text("revision", revision).done()).done());
  }
  out.text_if("path", content.path).text_if("query", content.query);
  put_value(out, "input", content.input);
  put_value(out, "result", content.result);
  out.json_if("intermediate_results", content.intermediate_results)
      .json_if("mapped_result", content.mapped_result)
      .json_if("nd_builtin_cache", content.nd_builtin_cache);
  put_strings(out, "erased", content.erased);
  put_strings(out, "masked", content.masked);
  if (content.error) out.json("error", error_json(*content.error));
  out.text_if("requested_by",
              content.requested_by.empty() ? content.pep.address : content.requested_by)
      .text("timestamp", rfc3339_nanoseconds(record.record.time_ns))
      .json_if("metrics", metrics_json(content.times))
      .number_if("req_id", content.req_id)
      .json_if("rule_labels", content.rule_labels)
      .json_if("request_context", content.request_context)
      .json_if("custom", content.custom);
}

Bytes pep_json(const record::Pep& pep) {
  JsonObject out;
  if (pep.uid) out.number("uid", *pep.uid);
  if (pep.gid) out.number("gid", *pep.gid);
  if (pep.pid) out.number("pid", *pep.pid);
  out.text_if("identity", pep.identity).text_if("token", pep.token).text_if("address", pep.address);
  return out.empty() ? Bytes() : out.done();
}

Bytes withheld_json(const record::Withheld& withheld) {
  JsonObject out;
  out.text("reason", withheld_name(withheld.reason)).text_if("message", withheld.message);
  if (withheld.input_hash) out.text("input_sha256", withheld.input_hash->hex());
  if (withheld.result_hash) out.text("result_sha256", withheld.result_hash->hex());
  return out.done();
}

Bytes commitments_json(const std::vector<record::Commitment>& commitments) {
  JsonArray out;
  for (const record::Commitment& each : commitments)
    out.json(JsonObject()
                 .text("pointer", each.pointer)
                 .text("salt", to_hex(each.salt))
                 .text("hmac", to_hex(each.hmac))
                 .done());
  return out.done();
}

Bytes txn_tokens_json(const std::vector<record::TxnToken>& tokens) {
  JsonArray out;
  for (const record::TxnToken& each : tokens)
    out.json(JsonObject()
                 .text("pointer", each.pointer)
                 .text("sha256", each.hash.hex())
                 .text_if("txn", each.txn)
                 .text_if("sub", each.sub)
                 .text_if("req_wl", each.req_wl)
                 .done());
  return out.done();
}

Bytes release_json(const record::ActiveRelease& release) {
  return JsonObject()
      .text("ledger", release.ref.ledger.text())
      .number("epoch", release.ref.epoch)
      .number("version", release.ref.version)
      .text("release", release.ref.release_hash.hex())
      .text("content_root", release.ref.content_root.hex())
      .text_if("freshness", release.freshness)
      .done();
}

// --- what each kind has in "notp" beside the record's place

void put_content(JsonObject& out, const AuditRecord& record,
                 const record::DecisionContent& content) {
  if (const record::ActiveRelease* release = record.release()) {
    out.text("ledger", content.ledger)
        .number("version", release->ref.version)
        .text("release", release->ref.release_hash.hex())
        .number("epoch", release->ref.epoch)
        .text("content_root", release->ref.content_root.hex())
        .text_if("freshness", release->freshness);
  } else {
    out.text_if("ledger", content.ledger);
  }
  out.text_if("outcome", record::outcome_name(content.outcome));
  if (content.eval_time_ns != 0) out.signed_number("eval_time_ns", content.eval_time_ns);
  out.text("api", api_name(content.api)).json_if("pep", pep_json(content.pep));
  if (record.active) out.text_if("engine", record.active->engine);
  if (content.lane)
    out.json("lane", JsonObject()
                         .text("name", content.lane->name)
                         .number("revision", content.lane->revision)
                         .text("state", content.lane->state)
                         .done());
  if (!content.txn_tokens.empty()) out.json("txn_tokens", txn_tokens_json(content.txn_tokens));
  if (content.withheld) out.json("withheld", withheld_json(*content.withheld));
  if (!content.commitments.empty()) out.json("commitments", commitments_json(content.commitments));
}

void put_content(JsonObject& out, const AuditRecord&, const record::ActiveSet& set) {
  JsonArray releases;
  for (const record::ActiveRelease& release : set.releases) releases.json(release_json(release));
  out.json("releases", releases.done())
      .text_if("engine", set.engine)
      .text_if("engine_version", set.engine_version)
      .text_if("revision", set.revision)
      .json_if("system", set.system);
}

void put_content(JsonObject& out, const AuditRecord&, const record::RunStart& start) {
  out.text_if("program", start.program)
      .signed_number("boot_ns", start.boot_ns)
      .text_if("boot_id", start.boot_id);
}

void put_content(JsonObject& out, const AuditRecord&, const record::RunEnd& end) {
  out.text_if("reason", end.reason);
}

void put_content(JsonObject& out, const AuditRecord&, const record::Gap& gap) {
  out.text("reason", record::gap_reason_name(gap.reason))
      .number("count", gap.count)
      .boolean("at_most", gap.at_most)
      .text_if("source", gap.source)
      .text_if("message", gap.message);
}

void put_content(JsonObject& out, const AuditRecord&, const record::Dropped& dropped) {
  JsonArray counts;
  for (const record::DroppedCount& each : dropped.counts)
    counts.json(JsonObject()
                    .text("path", each.path)
                    .text_if("outcome", record::outcome_name(each.outcome))
                    .text_if("rule", each.rule)
                    .number("count", each.count)
                    .done());
  out.json("counts", counts.done());
}

}  // namespace

Bytes notp_json(const AuditRecord& record) {
  JsonObject out;
  out.text("kind", record.unreadable.empty() ? kind_name(record.record.kind()) : "unreadable")
      .text("log", record.log.hex())
      .number("position", record.position())
      .number("run", record.record.place.run)
      .text("node", record.node);
  if (record.unreadable.empty())
    std::visit([&](const auto& content) { put_content(out, record, content); },
               record.record.content);
  else
    out.text("why", record.unreadable);
  return out.done();
}

Bytes event_json(const AuditRecord& record) {
  JsonObject out;
  if (const record::DecisionContent* content = record.decision())
    put_decision(out, record, *content);
  else if (record.unreadable.empty())
    out.json("labels", labels_json(record))
        .text("timestamp", rfc3339_nanoseconds(record.record.time_ns));
  return out.json("notp", notp_json(record)).done();
}

std::string release_text(const AuditRecord& record) {
  const record::DecisionContent* content = record.decision();
  if (!content || content->ledger.empty()) return "-";
  const record::ActiveRelease* release = record.release();
  return release ? fmt::format("{}@v{}", content->ledger, release->ref.version) : content->ledger;
}

}  // namespace notp::cli
