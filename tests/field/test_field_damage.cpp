// A ledger whose repository cannot be opened, as after a restore by another user: every answer
// about it says that it is damaged. None says that it does not exist, and none suggests an attack.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include "tests/support/process/health.hpp"
#include "tests/support/process/shop_model.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

// Git and libgit2 refuse a repository of another user; without the right to change its owner,
// breaks the reference to its newest release instead.
void damage(const fs::path& repository) {
  constexpr uid_t kSomebody = 12345;
  if (::geteuid() != 0) return must(write_file(repository / "HEAD", "no reference\n"));
  for (const auto& entry : fs::recursive_directory_iterator(repository))
    REQUIRE(::lchown(entry.path().c_str(), kSomebody, kSomebody) == 0);
  REQUIRE(::chown(repository.c_str(), kSomebody, kSomebody) == 0);
}

TEST_CASE("a ledger that cannot be opened is damaged wherever it is named") {
  Stack stack;
  stack.registry_more["health_listen"] = "127.0.0.1:0";
  stack.write_registry_config();
  stack.start_registry();
  const fs::path shop = write_shop_model(stack), payments = stack.copy_example("payments");
  REQUIRE(stack.published(shop, kShop) == 1);
  REQUIRE(stack.published(payments, kPayments) == 1);
  Agent& agent = stack.start_agent({.name = "edge-1", .ledgers = {kShop, kPayments}});
  REQUIRE(stack.becomes_active(agent, kShop, 1));
  CHECK(ask_health(stack, "/health").status == 200);

  stack.stop_registry();
  damage(stack.repository(kShop));
  stack.start_registry();
  REQUIRE(wait_until([&] { return stack.is_at_head(agent, kPayments); }));
  CHECK(stack.count_events("ledger_damaged") == 1);

  const CliResult ledgers = stack.notp("alice", {"ledgers"});
  REQUIRE_MESSAGE(ledgers.status == 0, ledgers.error);
  CHECK(at(ledgers.document, "ledgers").as_array().size() == 1);
  REQUIRE(at(ledgers.document, "damaged").as_array().size() == 1);
  const json::value& row = at(ledgers.document, "damaged").as_array()[0];
  CHECK(text_at(row, "ledger") == kShop);
  CHECK(text_at(row, "code") == "corrupt");

  set_users(shop, R"("u-9")");
  const std::vector<std::vector<std::string>> questions = {
      {"history", kShop},
      {"show", kShop},
      {"show", kShop + "@v1"},
      {"clone", kShop, stack.file("clone")},
      {"plan", shop, "--ledger", kShop},
      {"publish", shop, "--ledger", kShop, "-m", "a change"},
      {"publish", shop, "--ledger", kShop, "-m", "a change", "--onto-head"},
      {"publish", shop, "--ledger", kShop, "-m", "a change", "--base", "0"},
      {"rollback", kShop, "--to", "v1"},
      {"diff", kShop, "v1", "v2"},
      {"withdraw", kShop, "v1", "--reason", "wrong"}};
  // With a state from earlier commands, and without.
  for (const std::string who : {"alice", "bob"})
    for (const auto& question : questions) {
      const CliResult answer = stack.notp(who, question);
      INFO(who, ": notp ", question[0], " says ", answer.output, answer.error);
      CHECK(answer.status != 0);
      CHECK((answer.error_code() == "corrupt" || answer.error_code() == "denied"));
      CHECK((answer.error_code() == "denied" || answer.error_message().contains("is damaged")));
      CHECK_FALSE(answer.error.contains("do not use this registry"));
      CHECK_FALSE(answer.error.contains("no release"));
      CHECK_FALSE(answer.error.contains(stack.folder().string() + "/registry"));
    }

  const http::Response health = ask_health(stack, "/health");
  CHECK(health.status == 503);
  CHECK(health.body.contains(R"("status":"damaged")"));
  CHECK(health.body.contains(kShop));
  CHECK(ask_health(stack, "/health/ready").status == 200);
  CHECK(ask_health(stack, "/health/live").status == 200);

  // The node decides with its stored release, and reports why it gets no newer one.
  CHECK(agent.has_active(kShop, 1));
  std::string status;
  const bool is_said = wait_until([&] {
    status = json::serialize(agent.status());
    return status.contains("is damaged");
  });
  CHECK_MESSAGE(is_said, status);
  CHECK_MESSAGE(!status.contains("held back"), status);
  // The other ledger is served as before.
  set_single_approval_max(payments, 4711);
  CHECK(stack.published(payments, kPayments) == 2);
  CHECK(stack.becomes_active(agent, kPayments, 2));
}

TEST_CASE("a registry whose deny list is damaged does not let everybody in") {
  Stack stack;
  stack.registry_more["deny_list"] = kDenyList;
  stack.write_registry_config();
  stack.start_registry();
  const fs::path list =
      stack.write_deny_list({"spiffe://core-platform.internal/publisher/mallory"});
  REQUIRE(stack.published(list, kDenyList) == 1);
  stack.stop_registry();
  damage(stack.repository(kDenyList));
  CHECK_THROWS(stack.start_registry());
  const std::string log = read_text(stack.registry_log_file());
  CHECK_MESSAGE(log.contains("could not be turned away"), log);
}

}  // namespace
}  // namespace notp
