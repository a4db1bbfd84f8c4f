// Runs all cases of OPA's own suite through the agent's PDP.
#include <doctest/doctest.h>

#include <fstream>
#include <map>
#include <set>

#include "tests/conformance/agent_pdp.hpp"
#include "tests/conformance/opa_values.hpp"
#include "tests/support/results.hpp"

namespace notp {
namespace {

using reference::Value;

// A few less than version 1.22.2 has; the suite only grows.
constexpr size_t kCasesMin = 4'400;
constexpr size_t kPrintedMax = 20;

enum class Exception { kCannotBeAsked, kMustBeRefused };
// Cases that are not compared, by note, in both versions of the suite. All others are compared.
const std::map<std::string, std::pair<Exception, const char*>> kExceptions = {
    {"time/time caching",
     {Exception::kCannotBeAsked, "test.sleep is a built-in of OPA's own tests alone"}},
    {"baseandvirtualdocs/base/virtual: conflicts",
     {Exception::kMustBeRefused,
      "rules lie over base data: the suite asks OPA's evaluator alone, an OPA that is given both "
      "refuses them, and so must the agent"}}};

// Built-ins that are off by default are allowed for one ledger only.
constexpr std::string_view kGrants = R"([{"ledgers": ["100000000000/allowed"],
    "builtins": ["http.send", "net.lookup_ip_addr", "opa.runtime"]}])";
constexpr std::string_view kManifest = R"({"metadata": {"name": "case"},
    "runtimes": {"old": {"language": {"name": "rego", "version": "0"}},
                 "new": {"language": {"name": "rego", "version": "1"}}},
    "partitions": {"/": {"runtime": "new"}, "/v0": {"runtime": "old"}}, "roots": ["case"]})";

bool is_set(const Value& line, const std::string& name) {
  const Value* const value = line.member(name);
  return value != nullptr && value->scalar == "true";
}

std::string text_of(const Value& line, const std::string& name) {
  const Value* const value = line.member(name);
  return value == nullptr ? std::string() : value->string();
}

TestComposition active_set_of(const Value& line, uint64_t number) {
  TestLedger ledger{line.member("allow") ? "allowed" : "suite", number, {}, {}};
  ledger.files["manifest.json"] = kManifest;
  size_t modules = 0;
  for (const auto& module : line.member("modules")->elements)
    ledger
        .files[fmt::format("v{}/test-{}.rego", module->member("rego_version")->scalar, modules++)] =
        module->member("text")->string();
  if (const Value* const data = line.member("data")) ledger.files["data.json"] = data->text;
  return compose({ledger});
}

pdp::Question question_of(const Value& line) {
  pdp::Question question;
  for (const auto& segment : line.member("path")->elements)
    question.path.push_back(segment->string());
  const auto input = line.members.find("input");
  question.inputs.push_back(input == line.members.end()
                                ? std::nullopt
                                : std::optional<Bytes>(Bytes(input->second->text)));
  if (is_set(line, "strict_error")) question.flags = rego::kStrictBuiltinErrors;
  return question;
}

// A row of a result: the values of its variables, as text.
std::string row_text(const std::map<std::string, reference::ValuePtr>& row, bool sets) {
  std::string out;
  for (const auto& [name, value] : row)
    out += fmt::format("{} = {}; ", name,
                       sets ? conformance::set_by_value(*value) : conformance::by_value(*value));
  return out;
}

std::set<std::string> wanted_rows(const Value& line) {
  std::set<std::string> rows;
  for (const auto& row : line.member("want_result")->elements)
    rows.insert(row_text(row->members, is_set(line, "sort_bindings")));
  return rows;
}

// nullopt when the value is not JSON.
std::optional<std::set<std::string>> rows_of(const Value& line, const std::optional<Bytes>& text) {
  std::set<std::string> rows;
  if (!text) return rows;
  const auto value = reference::read(*text);
  if (!value) return std::nullopt;
  // The whole of data includes the agent's own document.
  if (line.member("path")->elements.empty()) value->members.erase("system");
  const bool sets = is_set(line, "sort_bindings");
  if (const std::string binding = text_of(line, "binding"); !binding.empty()) {
    rows.insert(row_text({{binding, value}}, sets));
    return rows;
  }
  for (const auto& row : value->elements) rows.insert(row_text(row->members, sets));
  return rows;
}

// Describes what is wrong with a decision; empty: nothing.
std::string judged(const Value& line, const Result<pdp::Decision>& decision) {
  if (line.member("want_error") != nullptr || line.member("want_error_code") != nullptr) {
    if (decision) return "no error, but " + decision->value.value_or("undefined");
    if (decision.error().code != ErrorCode::kInvalidModel)
      return "another error: " + decision.error().message;
    for (const char* part : {"want_error_code", "want_error"})
      if (!decision.error().message.contains(text_of(line, part)))
        return fmt::format("{}, want {}", decision.error().message, text_of(line, part));
    return {};
  }
  if (!decision) return "error: " + decision.error().message;
  const auto rows = rows_of(line, decision->value);
  const auto wanted = wanted_rows(line);
  if (rows == wanted) return {};
  std::string wants;
  for (const std::string& row : wanted) wants += row + "\n";
  return fmt::format("got {}, want\n{}", decision->value.value_or("undefined"), wants);
}

struct Count {
  size_t asked = 0, refused = 0, left_out = 0, different = 0;
};

std::string difference_of(conformance::AgentPdp& pdp, const Value& line, uint64_t number,
                          std::set<std::string>& excepted, Count& count) {
  const std::string note = text_of(line, "note");
  const auto exception = kExceptions.find(note);
  const bool cannot = line.member("inapplicable") != nullptr;
  const bool refused = is_set(line, "data_conflict");
  if (exception != kExceptions.end()) excepted.insert(note);
  if ((cannot || refused) != (exception != kExceptions.end()))
    return "the table of exceptions is not right about it";
  if (cannot) return ++count.left_out, std::string();
  const auto active = pdp.activate(active_set_of(line, number));
  if (refused) {
    ++count.refused;
    if (active) return "taken";
    return active.error().code == ErrorCode::kPdpRejected &&
                   active.error().message.contains("conflicting rule")
               ? std::string()
               : active.error().message;
  }
  ++count.asked;
  if (!active) return "refused: " + active.error().message;
  return judged(line, pdp.decide(question_of(line)));
}

}  // namespace

TEST_CASE("every case of OPA's suite is answered as OPA answers it") {
  conformance::AgentPdp pdp({.engine = {.has_network = true},
                             .builtins = model::BuiltinGrants(json::parse(kGrants).as_array())});
  std::ifstream lines(conformance::oracle("opa-cases.jsonl"));
  REQUIRE(lines.is_open());
  Count count;
  std::set<std::string> excepted;
  uint64_t number = 0, worker_losses = 0;
  for (std::string text; std::getline(lines, text);) {
    const auto line = reference::read(text);
    REQUIRE(line);
    const std::string difference = difference_of(pdp, *line, ++number, excepted, count);
    if (const auto status = pdp.status(); worker_losses != status.kills + status.deaths) {
      worker_losses = status.kills + status.deaths;
      FAIL_CHECK(text_of(*line, "suite"), "/", text_of(*line, "note"),
                 ": a worker ended: ", status.last_error);
    }
    if (difference.empty()) continue;
    if (++count.different <= kPrintedMax)
      FAIL_CHECK(text_of(*line, "suite"), "/", text_of(*line, "note"), ": ", difference);
  }
  CHECK(count.different == 0);
  CHECK(count.asked >= kCasesMin);
  CHECK(excepted.size() == kExceptions.size());
  record_result("OPA's own suite through the agent's PDP",
                fmt::format("{} cases asked, {} refused as OPA refuses them, {} left out",
                            count.asked, count.refused, count.left_out),
                fmt::format("{} differ", count.different));
}

}  // namespace notp
