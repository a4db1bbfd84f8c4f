#include "common/rego/host/check_messages.hpp"

#include <algorithm>

#include "common/json/json.hpp"
#include "common/limits.hpp"
#include "common/rego/host/activation.hpp"

namespace notp::rego {
namespace {

constexpr char kRegoV0[] = "rego_v0";  // beside OPA's own names of features

json::object file_of(const std::string& path, const Hash& hash) {
  return {{"path", path}, {"hash", hash.hex()}};
}

json::array modules_of(const std::vector<CheckModule>& modules) {
  json::array array;
  for (const auto& module : modules) {
    auto file = file_of(module.path, module.hash);
    file["rego_version"] = module.rego_version;
    if (module.is_test) file["is_test"] = true;
    if (module.is_used) file["is_used"] = true;
    array.push_back(std::move(file));
  }
  return array;
}

// Reads members of an object that a worker sent: a missing member or one of another type is empty.
class Members {
 public:
  explicit Members(const json::value& value) : object_(value.if_object()) {}

  const json::value& at(std::string_view name) const {
    static const json::value nothing;
    const auto* found = object_ != nullptr ? object_->if_contains(name) : nullptr;
    return found != nullptr ? *found : nothing;
  }
  std::string text(std::string_view name) const {
    const auto* string = at(name).if_string();
    return string != nullptr ? std::string(*string) : std::string();
  }
  int64_t number(std::string_view name) const {
    const auto* value = at(name).if_int64();
    return value != nullptr ? std::max<int64_t>(*value, 0) : 0;
  }
  const json::array& array(std::string_view name) const {
    static const json::array nothing;
    const auto* found = at(name).if_array();
    return found != nullptr ? *found : nothing;
  }
  const json::object& object(std::string_view name) const {
    static const json::object nothing;
    const auto* found = at(name).if_object();
    return found != nullptr ? *found : nothing;
  }
  std::vector<std::string> texts(std::string_view name) const { return texts_of(array(name)); }

  static std::vector<std::string> texts_of(const json::array& array) {
    std::vector<std::string> texts;
    for (const auto& each : array)
      if (const auto* string = each.if_string()) texts.emplace_back(*string);
    return texts;
  }

 private:
  const json::object* object_;
};

TestOutcome outcome_of(std::string_view name) {
  if (name == "pass") return TestOutcome::kPass;
  if (name == "skip") return TestOutcome::kSkipped;
  return name == "error" ? TestOutcome::kError : TestOutcome::kFail;
}

TestResult test_of(const json::value& value) {
  const Members members(value);
  TestResult test;
  test.package = members.text("package");
  test.name = members.text("name");
  for (const auto& part : members.texts("trail")) test.name += "/" + part;
  test.path = members.text("path");
  test.row = static_cast<int>(std::min<int64_t>(members.number("row"), INT32_MAX));
  test.outcome = outcome_of(members.text("outcome"));
  test.message = members.text("message");
  std::string output = members.text("output");
  output.erase(output.find_last_not_of('\n') + 1);
  if (!output.empty()) test.message += (test.message.empty() ? "" : "\n") + ("printed:\n" + output);
  test.duration_ns = members.number("duration_ns");
  return test;
}

std::vector<Hash> hashes_of(const std::vector<std::string>& texts) {
  std::vector<Hash> hashes;
  for (const auto& text : texts)
    if (const auto hash = Hash::from_hex(text)) hashes.push_back(*hash);
  return hashes;
}

CheckReport report_of(const Members& members) {
  CheckReport report;
  if (auto findings = decode_findings(json::serialize(members.array("findings"))))
    report.findings = std::move(*findings);
  for (const auto& [path, package] : members.object("packages"))
    if (const auto* segments = package.if_array())
      report.packages[std::string(path)] = Members::texts_of(*segments);
  for (const auto& test : members.array("tests")) report.tests.push_back(test_of(test));
  report.tests_known = static_cast<uint64_t>(members.number("tests_known"));
  if (!members.object("coverage").empty())
    report.coverage_json = json::serialize(members.at("coverage"));
  const Members needs(members.at("needs"));
  report.builtins = needs.texts("builtins");
  report.features = needs.texts("features");
  if (const auto* v0 = needs.at(kRegoV0).if_bool(); v0 != nullptr && *v0)
    report.features.emplace_back(kRegoV0);
  std::ranges::sort(report.builtins);
  std::ranges::sort(report.features);
  return report;
}

}  // namespace

std::string facts_key(const CheckModule& module) {
  return module.hash.hex() + ":" + std::to_string(module.rego_version);
}

Bytes encode_check(const CheckRequest& request, const CheckKnowledge& knowledge,
                   const CheckTimes& times, bool one_by_one) {
  json::array documents;
  for (const auto& document : request.documents) {
    auto file = file_of(document.path, document.hash);
    file["mount"] = json::array(document.mount.begin(), document.mount.end());
    if (document.is_test) file["is_test"] = true;
    documents.push_back(std::move(file));
  }
  json::object root;
  root["modules"] = modules_of(request.modules);
  root["documents"] = std::move(documents);
  root["capabilities"] =
      json::object{{"allow", json::array(request.allow.begin(), request.allow.end())}};
  root["strict"] = request.strict;
  if (request.needs_only) root["needs_only"] = true;
  root["tests"] = json::object{{"run", request.run_tests},
                               {"coverage", request.coverage},
                               {"one_ms", times.test_ms},
                               {"all_ms", times.tests_ms},
                               {"one_by_one", one_by_one}};
  root["good"] = json::array(knowledge.good.begin(), knowledge.good.end());
  root["findings_max"] = limits::kFindingsMax;
  Bytes text = json::serialize(root);
  // Facts are already JSON.
  text.back() = ',';
  text += "\"facts\":{";
  for (size_t i = 0; i < knowledge.facts.size(); ++i) {
    if (i > 0) text.push_back(',');
    text += "\"" + knowledge.facts[i].first + "\":" + knowledge.facts[i].second;
  }
  return text + "}}";
}

Result<DecodedReport> decode_report(ByteView json_text) {
  NOTP_ASSIGN(const auto value, parse_json(json_text));
  if (!value.is_object())
    return fail(ErrorCode::kMessage, "the policy worker's report is no object");
  const Members members(value);
  DecodedReport decoded;
  decoded.want = hashes_of(members.texts("want"));
  if (!decoded.want.empty()) return decoded;
  decoded.report = report_of(members);
  for (const auto& [key, facts] : members.object("facts"))
    decoded.learnt.facts.emplace_back(std::string(key), json::serialize(facts));
  decoded.learnt.good = members.texts("good");
  return decoded;
}

Bytes encode_stubs(const std::vector<CheckModule>& callers,
                   const std::vector<CheckModule>& missing) {
  return json::serialize(
      json::object{{"callers", modules_of(callers)}, {"missing", modules_of(missing)}});
}

Result<std::vector<Bytes>> decode_stubs(ByteView json_text) {
  NOTP_ASSIGN(const auto value, parse_json(json_text));
  if (!value.is_array()) return fail(ErrorCode::kMessage, "the policy worker's stubs are no array");
  return Members::texts_of(value.get_array());
}

}  // namespace notp::rego
