// Decisions that are held, erased by their person's request, and deleted by the rule of a manifest;
// what an auditor is told of it.
#include <doctest/doctest.h>

#include "tests/support/process/audit_site.hpp"
#include "tests/support/process/faked_clock.hpp"
#include "tests/support/registry/model_folder.hpp"

namespace notp {
namespace {

constexpr int kExitSomeStay = 3;

struct ErasureStack {
  AuditSite site;
  Agent* agent = nullptr;

  explicit ErasureStack(const json::value& retain_days) {
    site.stack.grant("admin", "erase");
    CHECK(site.stack.stop_registry() == 0);
    site.stack.write_registry_config();
    site.stack.start_registry();
    agent = &site.stack.start_agent({.name = "edge-1", .ledgers = {kPayments}});
    publish(retain_days);
  }
  void publish(const json::value& retain_days) {
    const std::filesystem::path model = site.stack.copy_example("payments");
    json::value manifest = must(parse_json(read_text(model / "manifest.json")));
    manifest.as_object()["decisions"] = json::object{{"retain_days", retain_days}};
    must(write_file(model / "manifest.json", json::serialize(manifest)));
    const CliResult published = site.stack.notp(
        "alice", {"publish", model, "--ledger", kPayments, "-m", "terms", "--onto-head"});
    REQUIRE_MESSAGE(published.status == 0, published.error);
    const int64_t version = number_at(published.document, "version");
    REQUIRE(site.stack.becomes_active(*agent, kPayments, version));
  }
  void ask(int64_t first, int64_t count) {
    for (int64_t i = 0; i < count; ++i) REQUIRE(site.ask(*agent, first + i));
    REQUIRE(wait_until([&] { return site.has_all(); }));
  }
  CliResult decisions(std::vector<std::string> arguments, const std::string& who = "eve") {
    arguments.insert(arguments.begin(), "decisions");
    return site.stack.notp(who, std::move(arguments));
  }
  CliResult erase(const std::string& value) {
    return decisions({"erase", "--value", value, "--reason", "request 4711", "--yes"});
  }
  size_t found(const std::string& value) {
    const CliResult result = decisions({"search", "--value", value});
    REQUIRE_MESSAGE(result.status == 0, result.error);
    return at(result.document, "decisions").as_array().size();
  }
};

TEST_CASE("the decisions of one person are erased, unless they are held") {
  ErasureStack erasing(json::object{{"max", 30}});
  erasing.ask(100, 60);
  CHECK(erasing.found("120") == 1);

  const CliResult unsure = erasing.decisions({"erase", "--value", "120", "--reason", "why"});
  CHECK(unsure.error_code() == "usage");
  const CliResult dry =
      erasing.decisions({"erase", "--value", "120", "--reason", "why", "--dry-run"});
  REQUIRE_MESSAGE(dry.status == 0, dry.error);
  CHECK(number_at(dry.document, "records") == 1);
  CHECK(erasing.decisions({"erase", "--reason", "why", "--yes"}).error_code() == "usage");
  CHECK(erasing.decisions({"erase", "--value", "120", "--reason", "why", "--yes"}, "alice")
            .error_code() == "denied");

  const CliResult held =
      erasing.decisions({"hold", "case-7", "--value", "120", "--reason", "a case"});
  REQUIRE_MESSAGE(held.status == 0, held.error);
  const CliResult holds = erasing.decisions({"holds"});
  REQUIRE(holds.status == 0);
  CHECK(at(holds.document, "holds").as_array().size() == 1);
  const CliResult kept = erasing.erase("120");
  CHECK_MESSAGE(kept.status == kExitSomeStay, kept.output << kept.error);
  CHECK(number_at(must(parse_json(kept.output)), "held") == 1);
  CHECK(erasing.found("120") == 1);
  CHECK(erasing.decisions({"hold", "case-7", "--lift", "--reason", "over"}).status == 0);
  CHECK(at(erasing.decisions({"holds"}).document, "holds").as_array().empty());

  const CliResult erased = erasing.erase("120");
  REQUIRE_MESSAGE(erased.status == 0, erased.error);
  CHECK(number_at(erased.document, "records") == 1);
  CHECK(erasing.found("120") == 0);
  CHECK(erasing.found("121") == 1);
  const CliResult verified = erasing.decisions({"verify"});
  CHECK_MESSAGE(verified.status == 0, verified.output << verified.error);

  // One that is still wanted, by its id.
  erasing.publish(json::object{{"min", 7}});
  erasing.ask(500, 5);
  const std::string id = text_at(
      at(erasing.decisions({"search", "--value", "502"}).document, "decisions").as_array().at(0),
      "decision_id");
  const CliResult young = erasing.decisions({"erase", id, "--reason", "why", "--yes"});
  CHECK(young.status == kExitSomeStay);
  CHECK(number_at(must(parse_json(young.output)), "young") == 1);
  CHECK(erasing.found("502") == 1);
}

TEST_CASE("decisions that are older than their manifest allows are deleted, and said to be") {
  ErasureStack deleting(json::object{{"max", 1}});
  const FakedClock clock(deleting.site.stack.file("clock"));
  deleting.ask(100, 40);
  CHECK(deleting.decisions({"hold", "kept", "--value", "110", "--reason", "why"}).status == 0);
  CHECK(deleting.site.stack.stop_registry() == 0);
  clock.set("+2d");
  deleting.site.stack.registry_environment = clock.environment();
  deleting.site.stack.start_registry();
  REQUIRE(
      wait_until([&] { return deleting.site.stack.count_events("audit_records_deleted") > 0; }));
  CHECK(deleting.found("111") == 0);
  CHECK(deleting.found("110") == 1);
  const CliResult verified = deleting.decisions({"verify"});
  CHECK_MESSAGE(verified.status == 0, verified.output << verified.error);
  CHECK(verified.output.contains("retain_days max 1 of"));
}

}  // namespace
}  // namespace notp
