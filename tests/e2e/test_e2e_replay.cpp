// notp decisions replay and impact, with a real registry, agents and an OPA.
#include <doctest/doctest.h>

#include "tests/support/process/audit_site.hpp"

namespace notp {
namespace {

const std::string kRule = "payments/transfer/decision";

class ReplaySite : public AuditSite {
 public:
  ReplaySite() : transfer_(stack.example_question("transfer-750-euros")) {}

  // A transfer of so many euros; returns the decision's id.
  std::string ask(const std::string& url, int64_t euros) {
    json::value input = transfer_;
    input.at("transfer").at("amount_cents") = euros * 100;
    const IdentifiedAnswer answer = ask_with_id(url, kRule, input);
    REQUIRE_MESSAGE(answer.status == 200, answer.body);
    REQUIRE_FALSE(answer.decision_id.empty());
    given(answer.decision_id);
    return answer.decision_id;
  }
  CliResult decisions(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "decisions");
    return stack.notp("eve", std::move(arguments));
  }

 private:
  const json::value transfer_;
};

int64_t count(const CliResult& result, std::string_view member) {
  return number_at(result.document, member);
}

}  // namespace

TEST_CASE("an auditor replays decisions of two releases, and sees what a third one would change") {
  ReplaySite site;
  Agent& agent = *site.start_pdp("edge-1", kPayments, "").agent;
  const auto model = site.stack.copy_example("payments");
  REQUIRE(site.stack.becomes_active(agent, kPayments, site.stack.published(model, kPayments)));
  constexpr int64_t kEach = 40;
  std::vector<std::string> ids;
  for (int64_t i = 1; i <= kEach; ++i) ids.push_back(site.ask(agent.url(), i * 50));
  set_single_approval_max(model, 150'000);
  REQUIRE(site.stack.becomes_active(agent, kPayments, site.stack.published(model, kPayments)));
  for (int64_t i = 1; i <= kEach; ++i) ids.push_back(site.ask(agent.url(), i * 50));
  REQUIRE(wait_until([&] { return site.has_all(); }));

  const CliResult all = site.decisions({"replay"});
  REQUIRE_MESSAGE(all.status == 0, all.error << all.output);
  CHECK(count(all, "decisions") == 2 * kEach);
  CHECK(count(all, "same") == 2 * kEach);
  CHECK(at(all.document, "listed").as_array().empty());
  const CliResult some =
      site.decisions({"replay", "--outcome", "deny", "--since", "1h", "-n", "5"});
  CHECK(some.status == 0);
  CHECK(count(some, "same") == 5);

  // By id, from each release.
  const CliResult named = site.decisions({"replay", ids.front(), ids.back()});
  REQUIRE_MESSAGE(named.status == 0, named.error);
  const json::array& listed = at(named.document, "listed").as_array();
  REQUIRE(listed.size() == 2);
  for (const json::value& each : listed) {
    CHECK(text_at(each, "verdict") == "same");
    CHECK(at(each, "recorded") == at(each, "replayed"));
  }
  CHECK(text_at(listed[0], "decision_id") == ids.front());
  const CliResult unknown = site.decisions({"replay", "no-such-id"});
  CHECK(unknown.status == 8);
  CHECK(site.decisions({"replay", ids.front(), "--since", "1h"}).status == 2);

  // The first release allowed up to 1,000 euros, the second 1,500; this one 500.
  set_single_approval_max(model, 50'000);
  const CliResult impact =
      site.decisions({"impact", model, "--ledger", kPayments, "--detailed-exitcode"});
  REQUIRE_MESSAGE(impact.status == 10, impact.error);
  const json::value report = must(parse_json(impact.output));
  CHECK(number_at(report, "decisions") == 2 * kEach);
  CHECK(number_at(report, "differs") == 30);
  CHECK(number_at(report, "same") == 50);
  CHECK(number_at(report, "cannot") == 0);
  const json::array& changes = at(report, "changes").as_array();
  REQUIRE(changes.size() == 1);
  CHECK(text_at(changes[0], "path") == kRule);
  CHECK(text_at(changes[0], "from") == "allow");
  CHECK(text_at(changes[0], "to") == "deny");
  CHECK(number_at(changes[0], "count") == 30);
  CHECK(at(report, "listed").as_array().size() == 30);
  // The second release itself changes what only the first one decided otherwise.
  set_single_approval_max(model, 150'000);
  const CliResult second = site.decisions({"impact", model, "--ledger", kPayments});
  REQUIRE_MESSAGE(second.status == 0, second.error);
  CHECK(count(second, "differs") == 10);
  const CliResult mine = site.decisions({"impact", model, "--ledger", kPayments, "--release",
                                         kPayments + "@v2", "--detailed-exitcode"});
  CHECK(mine.status == 0);
  CHECK(count(mine, "same") == kEach);
}

TEST_CASE("what an OPA beside the agent decided is replayed, too") {
  ReplaySite site;
  const auto model = site.stack.copy_example("payments");
  const AskedPdp opa = site.start_pdp("edge-2", kPayments, "file");
  REQUIRE(site.stack.becomes_active(*opa.agent, kPayments, site.stack.published(model, kPayments)));
  for (int64_t i = 1; i <= 20; ++i) site.ask(opa.url(), i * 100);
  REQUIRE(wait_until([&] { return site.has_all(); }));
  const CliResult replay = site.decisions({"replay", "--node", "edge-2"});
  REQUIRE_MESSAGE(replay.status == 0, replay.error << replay.output);
  CHECK(count(replay, "same") == 20);
  // Another one may have changed this OPA's data: nothing is said of a difference.
  set_single_approval_max(model, 50'000);
  const CliResult impact = site.decisions({"impact", model, "--ledger", kPayments});
  CHECK(count(impact, "differs") == 0);
  CHECK(number_at(impact.document, "obstacles.other_engine") == 5);
}

TEST_CASE("what may not be read is not replayed, and a release of another registry neither") {
  ReplaySite site;
  Agent& agent = site.start_agent({.name = "edge-1"});
  site.ask(agent.url(), 10);
  REQUIRE(wait_until([&] { return site.has_all(); }));
  for (json::value& right : site.stack.rights) {
    json::object& entry = right.as_object();
    if (json::serialize(entry).contains("admin/"))
      for (auto& [name, value] : entry)
        if (value.is_array() && json::serialize(value).contains("\"read\""))
          value = json::array{"fleet"};
  }
  site.stack.write_registry_config();
  site.stack.reload_registry();
  const CliResult replay = site.decisions({"replay"});
  CHECK_MESSAGE(replay.status == 3, replay.error);
  const json::value report = must(parse_json(replay.output));
  CHECK(number_at(report, "cannot") == 1);
  CHECK(number_at(report, "obstacles.release_missing") == 1);
}

}  // namespace notp
