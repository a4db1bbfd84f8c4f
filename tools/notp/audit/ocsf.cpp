#include "tools/notp/audit/ocsf.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/host_port.hpp"
#include "common/json/json_members.hpp"
#include "tools/notp/audit/event.hpp"
#include "tools/notp/audit/json_text.hpp"
#include "tools/notp/audit/times.hpp"

namespace notp::cli {
namespace {

constexpr std::string_view kSchemaVersion = "1.3.0";
constexpr uint64_t kCategory = 6, kClass = 6003;  // Application Activity: API Activity
constexpr uint64_t kActivityOther = 99;
constexpr uint64_t kSeverityInformational = 1;
constexpr uint64_t kStatusSuccess = 1, kStatusFailure = 2;

// The members of OPA's event that another attribute holds already.
constexpr std::string_view kMapped[] = {"labels",       "decision_id", "path",
                                        "requested_by", "timestamp",   "error"};

Bytes product_json(const AuditRecord& record) {
  JsonObject out;
  out.text("name", "notp").text("vendor_name", "NOTP").text("uid", record.node);
  if (record.active) out.text_if("version", record.active->engine_version);
  return out.done();
}

Bytes metadata_json(const AuditRecord& record) {
  return JsonObject()
      .text("version", kSchemaVersion)
      .text("uid", record.id())
      .text("log_name", record.log.hex())
      .number("sequence", record.position())
      .json("product", product_json(record))
      .done();
}

std::string_view decision_word(record::Outcome outcome) {
  if (outcome == record::Outcome::kAllow) return "allowed";
  if (outcome == record::Outcome::kDeny) return "denied";
  return record::outcome_name(outcome);
}

Bytes authorizations_json(const AuditRecord& record, const record::DecisionContent& content) {
  JsonObject policy;
  policy.text("name", content.ledger.empty() ? content.path : content.ledger);
  if (const record::ActiveRelease* release = record.release())
    policy.text("version", fmt::format("v{}", release->ref.version))
        .text("uid", release->ref.release_hash.hex());
  return JsonArray()
      .json(JsonObject()
                .text_if("decision", decision_word(content.outcome))
                .json("policy", policy.done())
                .done())
      .done();
}

// OCSF requires that the actor and the source are named somehow.
Bytes actor_json(const AuditRecord& record, const record::DecisionContent& content) {
  const record::Pep& pep = content.pep;
  JsonObject out;
  out.text_if("app_uid", pep.identity);
  out.text("app_name", pep.token.empty() ? "policy enforcement point" : pep.token);
  if (pep.pid) out.json("process", JsonObject().number("pid", *pep.pid).done());
  if (pep.uid) out.json("user", JsonObject().text("uid", std::to_string(*pep.uid)).done());
  return out.json("authorizations", authorizations_json(record, content)).done();
}

// A peer on the Unix socket is on the node itself.
Bytes source_json(const AuditRecord& record, const record::DecisionContent& content) {
  const std::string& address =
      content.pep.address.empty() ? content.requested_by : content.pep.address;
  if (address.empty() || !address.contains(':'))
    return JsonObject().text("name", address.empty() ? record.node : address).done();
  const auto split = HostPort::parse(address);
  if (!split) return JsonObject().text("name", address).done();
  return JsonObject().text("ip", split->host).number("port", split->port).done();
}

Bytes api_json(const AuditRecord& record, const record::DecisionContent& content) {
  JsonObject response;
  if (content.error)
    response.text("error", content.error->code).text("error_message", content.error->message);
  return JsonObject()
      .text("operation", content.path.empty() ? content.query : content.path)
      .json("service", JsonObject().text("name", api_name(content.api)).done())
      .json("request", JsonObject().text("uid", record.id()).done())
      .json_if("response", response.empty() ? Bytes() : response.done())
      .done();
}

Bytes unmapped_json(const Bytes& event) {
  JsonObject out;
  const auto members = json_members(event);
  if (!members) return out.json("event", string_json(event)).done();
  for (const JsonMember& member : *members)
    if (std::ranges::find(kMapped, member.name) == std::end(kMapped))
      out.json(member.name, member.value);
  return out.done();
}

}  // namespace

Bytes ocsf_event(const AuditRecord& record) {
  const record::DecisionContent* content = record.decision();
  if (!content) return "{}";
  const bool failed = content->outcome == record::Outcome::kError;
  return JsonObject()
      .number("category_uid", kCategory)
      .text("category_name", "Application Activity")
      .number("class_uid", kClass)
      .text("class_name", "API Activity")
      .number("activity_id", kActivityOther)
      .text("activity_name", "Authorize")
      .number("type_uid", kClass * 100 + kActivityOther)
      .number("severity_id", kSeverityInformational)
      .number("status_id", failed ? kStatusFailure : kStatusSuccess)
      .text("status", failed ? "Failure" : "Success")
      .signed_number("time", record.record.time_ns / kNanosecondsPerMs)
      .json("metadata", metadata_json(record))
      .json("actor", actor_json(record, *content))
      .json("api", api_json(record, *content))
      .json("src_endpoint", source_json(record, *content))
      .json("unmapped", unmapped_json(event_json(record)))
      .done();
}

}  // namespace notp::cli
