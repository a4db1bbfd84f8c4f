#include "tools/notp/audit/proof_file.hpp"

#include <fmt/format.h>

#include "common/limits.hpp"

namespace notp::cli {
namespace {

constexpr std::string_view kFormat = "notp-decision-proof/1";

std::unexpected<Error> refuse(std::string_view why) {
  return fail(ErrorCode::kMessage, fmt::format("the proof of a decision: {}", why));
}

json::object record_json(const ProvenRecord& record) {
  return {{"record", to_base64(record.record)},
          {"salt", to_base64(record.salt)},
          {"in_log", record.in_log},
          {"entry", to_base64(record.entry)},
          {"in_tree", record.in_tree}};
}

// Reads members of one object.
class Members {
 public:
  Members(const json::object& object, std::string_view where) : object_(object), where_(where) {}

  Result<std::string> text(std::string_view name) const {
    const json::value* value = object_.if_contains(name);
    if (value == nullptr || !value->is_string())
      return refuse(fmt::format("{}.{} is missing, or no text", where_, name));
    return std::string(value->get_string());
  }
  Result<Bytes> bytes(std::string_view name) const {
    NOTP_ASSIGN(const std::string encoded, text(name));
    auto out = from_base64(encoded);
    if (!out) return refuse(fmt::format("{}.{} is not base64", where_, name));
    return *std::move(out);
  }
  Result<uint64_t> number(std::string_view name) const {
    const json::value* value = object_.if_contains(name);
    if (value == nullptr || !value->is_int64() || value->get_int64() < 0)
      return refuse(fmt::format("{}.{} is missing, or no number", where_, name));
    return static_cast<uint64_t>(value->get_int64());
  }
  Result<const json::array*> list(std::string_view name, size_t max) const {
    const json::value* value = object_.if_contains(name);
    if (value == nullptr || !value->is_array() || value->get_array().size() > max)
      return refuse(fmt::format("{}.{} is missing, no list, or too long", where_, name));
    return &value->get_array();
  }
  Result<const json::object*> object(std::string_view name) const {
    const json::value* value = object_.if_contains(name);
    if (value == nullptr || !value->is_object())
      return refuse(fmt::format("{}.{} is missing, or no object", where_, name));
    return &value->get_object();
  }

 private:
  const json::object& object_;
  const std::string where_;
};

Result<ProvenRecord> read_record(const json::object& object, std::string_view where) {
  const Members members(object, where);
  ProvenRecord out;
  NOTP_ASSIGN(out.record, members.bytes("record"));
  NOTP_ASSIGN(out.salt, members.bytes("salt"));
  NOTP_ASSIGN(out.in_log, members.text("in_log"));
  NOTP_ASSIGN(out.entry, members.bytes("entry"));
  NOTP_ASSIGN(out.in_tree, members.text("in_tree"));
  return out;
}

Result<const json::object*> object_of(const json::value& value, std::string_view where) {
  if (!value.is_object()) return refuse(fmt::format("an element of {} is no object", where));
  return &value.get_object();
}

}  // namespace

std::string to_json_text(const DecisionProof& proof) {
  json::array cosigners, releases, roots;
  for (const wire::Cosigner& each : proof.cosigners)
    cosigners.push_back(
        json::object{{"node", each.node}, {"announcement", to_base64(each.announcement)}});
  for (const ProvenRelease& each : proof.releases)
    releases.push_back(json::object{{"ledger", each.ledger},
                                    {"version", each.version},
                                    {"envelope", to_base64(each.envelope)}});
  for (const Bytes& each : proof.roots) roots.push_back(json::string(to_base64(each)));
  json::object out{{"format", kFormat},
                   {"id", proof.id},
                   {"decision", record_json(proof.decision)},
                   {"log_announcement", to_base64(proof.log_announcement)},
                   {"tree_announcement", to_base64(proof.tree_announcement)},
                   {"cosigners", std::move(cosigners)},
                   {"releases", std::move(releases)},
                   {"roots", std::move(roots)}};
  if (proof.active) out["active"] = record_json(*proof.active);
  return json::serialize(out) + "\n";
}

Result<DecisionProof> parse_decision_proof(std::string_view text) {
  NOTP_ASSIGN(const json::value document, parse_json(text));
  if (!document.is_object()) return refuse("it is no JSON object");
  const Members members(document.get_object(), "proof");
  NOTP_ASSIGN(const std::string format, members.text("format"));
  if (format != kFormat)
    return refuse(fmt::format("its format is {}, and this version of notp reads {}",
                              printable(format), kFormat));
  DecisionProof out;
  NOTP_ASSIGN(out.id, members.text("id"));
  NOTP_ASSIGN(const json::object* decision, members.object("decision"));
  NOTP_ASSIGN(out.decision, read_record(*decision, "decision"));
  if (document.get_object().contains("active")) {
    NOTP_ASSIGN(const json::object* active, members.object("active"));
    NOTP_ASSIGN(out.active, read_record(*active, "active"));
  }
  NOTP_ASSIGN(out.log_announcement, members.bytes("log_announcement"));
  NOTP_ASSIGN(out.tree_announcement, members.bytes("tree_announcement"));
  NOTP_ASSIGN(const json::array* cosigners, members.list("cosigners", limits::kCosignaturesMax));
  for (const json::value& each : *cosigners) {
    NOTP_ASSIGN(const json::object* object, object_of(each, "cosigners"));
    const Members cosigner(*object, "cosigner");
    wire::Cosigner read;
    NOTP_ASSIGN(read.node, cosigner.text("node"));
    NOTP_ASSIGN(read.announcement, cosigner.bytes("announcement"));
    out.cosigners.push_back(std::move(read));
  }
  NOTP_ASSIGN(const json::array* releases, members.list("releases", limits::kLedgersPerSessionMax));
  for (const json::value& each : *releases) {
    NOTP_ASSIGN(const json::object* object, object_of(each, "releases"));
    const Members release(*object, "release");
    ProvenRelease read;
    NOTP_ASSIGN(read.ledger, release.text("ledger"));
    NOTP_ASSIGN(read.version, release.number("version"));
    NOTP_ASSIGN(read.envelope, release.bytes("envelope"));
    out.releases.push_back(std::move(read));
  }
  NOTP_ASSIGN(const json::array* roots, members.list("roots", kProofRootsMax));
  for (const json::value& each : *roots) {
    if (!each.is_string()) return refuse("an element of roots is no text");
    auto root = from_base64(std::string_view(each.get_string()));
    if (!root) return refuse("an element of roots is not base64");
    out.roots.push_back(*std::move(root));
  }
  return out;
}

}  // namespace notp::cli
