// One registry with an auditor, and questions whose decision ids are kept: what was answered must
// be recorded, once.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <map>
#include <set>
#include <sstream>

#include "common/http/client.hpp"
#include "common/storage/files.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {

// The answer of an agent to one question.
struct IdentifiedAnswer {
  unsigned status = 0;  // 0: no answer
  std::string decision_id;
  std::string body;
};

inline IdentifiedAnswer ask_with_id(const std::string& url, const std::string& path,
                                    const json::value& input) {
  IdentifiedAnswer out;
  const auto answer = http::call_blocking({.method = "POST",
                                           .url = fmt::format("{}/v1/data/{}", url, path),
                                           .headers = {{"Content-Type", "application/json"}},
                                           .body = json::serialize(json::object{{"input", input}}),
                                           .deadline_ms = 20'000});
  if (!answer) return out;
  out.status = answer->status;
  out.body = answer->body;
  if (const auto body = parse_json(answer->body)) out.decision_id = text_at(*body, "decision_id");
  return out;
}

class AuditSite {
 public:
  Stack stack;

  AuditSite() {
    stack.grant("admin", "audit");
    stack.write_registry_config();
    stack.start_registry();
  }

  // The agent, with the example model "payments" active.
  Agent& start_agent(AgentSetup setup) {
    setup.ledgers = {kPayments};
    Agent& agent = stack.start_agent(std::move(setup));
    const int64_t version = stack.published(stack.copy_example("payments"), kPayments);
    REQUIRE(stack.becomes_active(agent, kPayments, version));
    return agent;
  }

  // Asks once. An answer with status 200 counts as given.
  bool ask(const Agent& agent, int64_t amount) {
    const IdentifiedAnswer answer =
        ask_with_id(agent.url(), "payments/transfer/decision", {{"amount", amount}});
    if (answer.status != 200 || answer.decision_id.empty()) return false;
    given(answer.decision_id);
    return true;
  }
  // A decision with this id was given.
  void given(const std::string& id) {
    CHECK_MESSAGE(answered_.insert(id).second, "two answers have the id " << id);
  }
  const std::set<std::string>& answered() const { return answered_; }

  // The lines of `notp decisions export`, with all kinds of records.
  std::vector<json::value> records() {
    const auto file = stack.file("export.jsonl");
    std::filesystem::remove(file);
    const CliResult result =
        stack.notp("eve", {"decisions", "export", "--format", "jsonl", "--out", file});
    REQUIRE_MESSAGE(result.status == 0, result.error);
    std::vector<json::value> out;
    std::istringstream lines(read_text(file));
    for (std::string line; std::getline(lines, line);) out.push_back(must(parse_json(line)));
    return out;
  }

  // Every given answer has arrived at the registry.
  bool has_all() {
    std::string ids;
    for (const std::string& id : answered_) ids += id + "\n";
    must(write_file(stack.file("ids"), ids));
    return stack.notp("eve", {"decisions", "missing", "--ids", stack.file("ids")}).status == 0;
  }

  // Waits for all answers, and checks: each is there once, and in each log the positions are dense.
  // Returns the number of recorded decisions.
  size_t check_all() {
    REQUIRE(wait_until([&] { return has_all(); }));
    std::map<std::string, size_t> seen;
    std::map<std::string, std::set<int64_t>> positions;
    for (const json::value& record : records()) {
      const std::string log = text_at(record, "notp.log");
      CHECK_MESSAGE(positions[log].insert(number_at(record, "notp.position")).second,
                    "a position twice: " << json::serialize(record));
      const std::string id = text_at(record, "decision_id");
      if (!id.empty()) ++seen[id];
    }
    for (const auto& [log, numbers] : positions)
      CHECK_MESSAGE(*numbers.rbegin() - *numbers.begin() + 1 == std::ssize(numbers),
                    "a hole in log " << log);
    for (const std::string& id : answered_)
      CHECK_MESSAGE(seen[id] == 1, id << " is recorded " << seen[id] << " times");
    return seen.size();
  }

  CliResult verify() { return stack.notp("eve", {"decisions", "verify"}); }

 private:
  std::set<std::string> answered_;
};

}  // namespace notp
