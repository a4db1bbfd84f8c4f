// One registry with an auditor, and questions whose decision ids are kept: what was answered must
// be recorded, once.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
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

// Asks "payments" with these amounts until each is answered, and keeps no id: two branches of one
// log give the same ones.
inline void ask_branch(const Agent& agent, int64_t first, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    REQUIRE(wait_until([&] {
      return ask_with_id(agent.url(), "payments/transfer/decision", {{"amount", first + i}})
                 .status == 200;
    }));
}

// The log that an agent writes; empty while none is open, or when the agent does not answer.
inline std::string log_of(const Agent& agent) { return text_at(agent.status(), "decisions.log"); }

inline bool holds(const std::set<int64_t>& all, int64_t first, int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    if (!all.contains(first + i)) return false;
  return true;
}

// What decides: an agent with the embedded PDP, or an OPA beside it.
struct AskedPdp {
  Agent* agent = nullptr;
  std::unique_ptr<Opa> opa;  // null: the embedded PDP
  std::string url() const { return opa ? opa->url() : agent->url(); }
};

class AuditSite {
 public:
  // Between two checkpoints of the registry's tree: a test does not wait for the usual ten seconds.
  static constexpr int64_t kSealMs = 300;
  Stack stack;

  AuditSite() {
    stack.grant("admin", "audit");
    stack.registry_more["audit"] = json::object{{"seal_ms", kSealMs}};
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

  // An agent for one ledger. `opa_feed`: "file" or "service" of an OPA; empty: the embedded PDP.
  AskedPdp start_pdp(const std::string& name, const std::string& ledger,
                     const std::string& opa_feed) {
    AskedPdp out;
    AgentSetup setup{.name = name, .ledgers = {ledger}};
    if (!opa_feed.empty()) {
      out.opa = std::make_unique<Opa>(stack, free_port());
      setup.pdp = "opa";
      setup.opa_port = out.opa->port();
      setup.more["decisions"] = {{"ring_bytes", 8 << 20}, {"opa_feed", opa_feed}};
    }
    out.agent = &stack.start_agent(std::move(setup));
    if (out.opa) out.opa->start(*out.agent);
    return out;
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

  // What `notp decisions export` writes.
  std::string exported(std::vector<std::string> options) {
    const auto file = stack.file("export");
    std::filesystem::remove(file);
    std::vector<std::string> command = {"decisions", "export", "--out", file};
    command.insert(command.end(), options.begin(), options.end());
    const CliResult result = stack.notp("eve", std::move(command));
    REQUIRE_MESSAGE(result.status == 0, result.error);
    return read_text(file);
  }
  // All kinds of records.
  std::vector<json::value> records() {
    std::vector<json::value> out;
    std::istringstream lines(exported({"--format", "jsonl"}));
    for (std::string line; std::getline(lines, line);) out.push_back(must(parse_json(line)));
    return out;
  }
  // The amounts of recorded decisions of "payments", by log.
  std::map<std::string, std::set<int64_t>> recorded_amounts() {
    std::map<std::string, std::set<int64_t>> out;
    for (const json::value& record : records())
      if (text_at(record, "path") == "payments/transfer/decision")
        out[text_at(record, "notp.log")].insert(number_at(record, "input.amount"));
    return out;
  }
  // The registry was told that the log continues another one.
  bool is_announced(const std::string& log, const std::string& previous) const {
    return std::ranges::any_of(stack.registry_log(), [&](const json::value& line) {
      return text_at(line, "event") == "log_announced" && text_at(line, "log") == log &&
             text_at(line, "previous") == previous;
    });
  }
  // How many files of earlier logs an agent keeps.
  size_t old_files(const std::string& agent) const {
    size_t out = 0;
    for (const auto& file :
         std::filesystem::directory_iterator(stack.file(agent + ".data/decisions")))
      out += file.path().filename().string().contains(".old-") ? 1 : 0;
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
