// A new root, releases that need two signatures, a withdrawal, and an audit of the Git repository:
// all through the admin CLI.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/storage/files.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

json::value document(const CliResult& result) { return must(parse_json(result.output)); }

// A registry with one release of payments; alice has the first publisher's key, bob a second one.
class TwoPeople {
 public:
  TwoPeople() {
    for (json::value& right : stack.rights)
      if (text_at(right, "identity") == "publisher/*")
        right.as_object()["actions"] = json::array{"read", "publish", "trust"};
    stack.write_registry_config();
    stack.start_registry();
    payments = stack.copy_example("payments");
    REQUIRE(stack.published(payments, kPayments) == 1);
    REQUIRE(stack.notp({}, {"keygen", "--out", stack.file("second")}).status == 0);
  }

  // Root 2: payments needs both keys.
  void ask_for_both() {
    const fs::path next = stack.file("root-2.envelope");
    const CliResult made =
        stack.notp({}, {"root", "add-key", stack.root_file(), "--role", "publisher", "--pattern",
                        kPayments, "--key", stack.file("publisher.pub"), "--key",
                        stack.file("second.pub"), "--threshold", "2", "--out", next});
    REQUIRE_MESSAGE(made.status == 0, made.error);
    const CliResult early = stack.notp("alice", {"root", "publish", next});
    CHECK(early.status == 7);
    const CliResult done =
        stack.notp({}, {"root", "sign", next, "--key", stack.file("root-key.key"), "--previous",
                        stack.root_file(), "--yes"});
    REQUIRE_MESSAGE(done.status == 0, done.error);
    const CliResult published = stack.notp("alice", {"root", "publish", next});
    REQUIRE_MESSAGE(published.status == 0, published.error);
    CHECK(number_at(published.document, "version") == 2);
    CHECK(number_at(published.document, "previous_version") == 1);
  }

  CliResult sign_as_bob(std::vector<std::string> more = {}) {
    std::vector<std::string> line{"sign", kPayments, "--signing-key", stack.file("second.key"),
                                  "--yes"};
    line.insert(line.end(), more.begin(), more.end());
    return stack.notp("bob", std::move(line));
  }
  json::array pending() {
    const CliResult result = stack.notp("bob", {"pending"});
    REQUIRE_MESSAGE(result.status == 0, result.error);
    return result.document.at("pending").as_array();
  }

  Stack stack;
  fs::path payments;
};

}  // namespace

TEST_CASE("a release that needs two people is proposed by one and published by the other") {
  TwoPeople people;
  Stack& stack = people.stack;
  people.ask_for_both();
  set_single_approval_max(people.payments, 4'200);

  const CliResult alone = stack.publish(people.payments, kPayments);
  CHECK(alone.status == 7);
  CHECK(alone.error_code() == "signature");
  const CliResult proposed = stack.notp("alice", {"publish", people.payments, "--ledger", kPayments,
                                                  "--pending", "-m", "a lower limit"});
  REQUIRE_MESSAGE(proposed.status == 9, proposed.error);
  CHECK(document(proposed).at("pending").as_bool());
  const json::array waiting = people.pending();
  REQUIRE(waiting.size() == 1);
  CHECK(number_at(waiting[0], "signers") == 1);
  CHECK(number_at(waiting[0], "threshold") == 2);
  CHECK(text_at(waiting[0], "message") == "a lower limit");

  // The same key twice counts as one signature.
  const CliResult again = stack.notp("bob", {"sign", kPayments, "--yes"});
  CHECK(again.status == 2);
  const CliResult signed_by_bob = people.sign_as_bob({"v2"});
  REQUIRE_MESSAGE(signed_by_bob.status == 0, signed_by_bob.error);
  CHECK(signed_by_bob.document.at("published").as_bool());
  CHECK(people.pending().empty());
  const CliResult shown = stack.notp("bob", {"show", kPayments});
  REQUIRE_MESSAGE(shown.status == 0, shown.error);
  CHECK(number_at(shown.document, "version") == 2);
  CHECK(number_at(shown.document, "root_version") == 2);
  CHECK(shown.document.at("signers").as_array().size() == 2);
  // Alice's folder is equal to the published release by now.
  const CliResult nothing = stack.publish(people.payments, kPayments);
  CHECK(nothing.status == 0);
  CHECK_FALSE(nothing.document.at("published").as_bool());
}

TEST_CASE("both keys at once publish at once, and a proposal can be dropped") {
  TwoPeople people;
  Stack& stack = people.stack;
  people.ask_for_both();
  set_single_approval_max(people.payments, 4'200);
  const std::vector<std::string> publish{"publish", people.payments, "--ledger", kPayments};
  std::vector<std::string> pending = publish;
  pending.push_back("--pending");
  REQUIRE(stack.notp("alice", pending).status == 9);
  const CliResult dropped = stack.notp("alice", {"pending", "drop", kPayments});
  REQUIRE_MESSAGE(dropped.status == 0, dropped.error);
  CHECK(people.pending().empty());
  CHECK(people.sign_as_bob().status == 8);

  std::vector<std::string> both = publish;
  for (const char* key : {"publisher.key", "second.key"})
    both.insert(both.end(), {"--signing-key", stack.file(key)});
  const CliResult published = stack.notp("alice", both);
  REQUIRE_MESSAGE(published.status == 0, published.error);
  CHECK(number_at(published.document, "version") == 2);
}

TEST_CASE("an auditor verifies the repository, withdrawals included, and sees what was changed") {
  TwoPeople people;
  Stack& stack = people.stack;
  const CliResult withdrawn =
      stack.notp("alice", {"withdraw", kPayments, "v1", "--reason", "the limits are wrong"});
  REQUIRE_MESSAGE(withdrawn.status == 0, withdrawn.error);
  const CliResult history = stack.notp("alice", {"history", kPayments});
  REQUIRE_MESSAGE(history.status == 0, history.error);
  CHECK(text_at(history.document.at("releases").at(0), "withdrawn").contains("limits are wrong"));

  const std::vector<std::string> verify{
      "--root", stack.root_file(), "verify", stack.repository(kPayments), "--ledger", kPayments};
  const CliResult good = stack.notp({}, verify);
  REQUIRE_MESSAGE(good.status == 0, (good.output + good.error));
  CHECK(good.document.at("verified").as_bool());
  CHECK(text_at(good.document.at("releases").at(0), "withdrawn") == "the limits are wrong");
  REQUIRE(stack
              .notp({}, {"--trust-domain", std::string(kStackDomain), "root", "init", "--root-key",
                         stack.file("root-key.key"), "--publisher",
                         "*/*=" + stack.file("second.pub").string(), "--out",
                         stack.file("other.envelope")})
              .status == 0);
  std::vector<std::string> other = verify;
  other[1] = stack.file("other.envelope");
  const CliResult bad = stack.notp({}, other);
  CHECK(bad.status == 7);
  CHECK(text_at(document(bad), "error.code") == "signature");
}

}  // namespace notp
