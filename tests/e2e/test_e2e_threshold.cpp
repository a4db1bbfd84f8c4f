// Two publishers on separate machines who must both sign; an auditor with a stock clone and no
// registry; and a registry that lost releases that nodes already have.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "common/bytes.hpp"
#include "common/storage/files.hpp"
#include "tests/support/process/command.hpp"
#include "tests/support/process/root_signing.hpp"
#include "tests/support/process/stack.hpp"
#include "tests/support/wire/test_pki.hpp"

namespace notp {
namespace {

namespace fs = std::filesystem;

json::value document(const CliResult& result) {
  return must(parse_json(result.output.empty() ? result.error : result.output));
}

// alice and bob have one key each, and the root requires both.
struct TwoPublishers {
  TwoPublishers() {
    stack.grant("admin", "trust");
    stack.write_registry_config();
    stack.configure_cli("bob", stack.file("pki/bob"), {}, stack.file("publisher-2.key"));
    stack.start_registry();
  }
  CliResult propose(const std::string& who = "alice") {
    return stack.notp(
        who, {"publish", payments, "--ledger", kPayments, "--pending", "-m", "proposed by " + who});
  }
  CliResult sign(const std::string& who, std::vector<std::string> more = {}) {
    std::vector<std::string> line{"sign", kPayments, "--yes"};
    line.insert(line.end(), more.begin(), more.end());
    return stack.notp(who, std::move(line));
  }
  json::array pending() {
    const CliResult result = stack.notp("bob", {"pending"});
    REQUIRE_MESSAGE(result.status == 0, result.error);
    return result.document.at("pending").as_array();
  }
  // Publishes the next version with both signatures.
  void publish(int64_t version) {
    set_single_approval_max(payments, 100'000 + version);
    const CliResult proposed = propose();
    REQUIRE_MESSAGE(proposed.status == 9, proposed.error);
    const CliResult done = sign("bob");
    REQUIRE_MESSAGE(done.status == 0, done.error);
    REQUIRE(number_at(done.document, "version") == version);
  }

  Stack stack{{.publishers = 2, .freshness_interval_s = 1}};
  const fs::path payments = stack.copy_example("payments");
};

TEST_CASE("a release takes both publishers, each at a machine of their own") {
  TwoPublishers people;
  Stack& stack = people.stack;
  const Agent& agent = stack.start_agent({.name = "edge-1", .ledgers = {kPayments}});
  people.publish(1);
  REQUIRE(stack.becomes_active(agent, kPayments, 1));

  set_single_approval_max(people.payments, 90'000);
  CHECK(stack.publish(people.payments, kPayments).status == 7);
  REQUIRE(people.propose().status == 9);
  REQUIRE(people.pending().size() == 1);
  // A pending release is not used anywhere, and survives a restart of the registry.
  stack.kill_registry();
  stack.start_registry();
  REQUIRE(people.pending().size() == 1);
  CHECK(number_at(people.pending()[0], "signers") == 1);
  CHECK(agent.has_active(kPayments, 1));

  REQUIRE(stack.notp({}, {"keygen", "--out", stack.file("mallory")}).status == 0);
  const CliResult third = people.sign("bob", {"--signing-key", stack.file("mallory.key")});
  CHECK(third.status == 7);
  CHECK(third.error_code() == "signature");
  CHECK(people.sign("alice").status == 2);  // has signed
  REQUIRE(people.pending().size() == 1);

  const CliResult signed_by_both = people.sign("bob");
  REQUIRE_MESSAGE(signed_by_both.status == 0, signed_by_both.error);
  CHECK(signed_by_both.document.at("published").as_bool());
  REQUIRE(stack.becomes_active(agent, kPayments, 2));
  CHECK(people.pending().empty());

  set_single_approval_max(people.payments, 80'000);
  REQUIRE(people.propose("bob").status == 9);
  const CliResult dropped = stack.notp("alice", {"pending", "drop", kPayments});
  REQUIRE_MESSAGE(dropped.status == 0, dropped.error);
  CHECK(people.pending().empty());
  CHECK(people.sign("alice").status == 8);
  CHECK(stack.is_at_head(agent, kPayments));
  CHECK(agent.has_active(kPayments, 2));
}

TEST_CASE("a machine without a key proposes, and nothing is published before both have signed") {
  TwoPublishers people;
  Stack& stack = people.stack;
  const Agent& agent = stack.start_agent({.name = "edge-1", .ledgers = {kPayments}});
  people.publish(1);
  REQUIRE(stack.becomes_active(agent, kPayments, 1));
  stack.configure_cli("alice", stack.file("pki/alice"));  // no signing key

  const auto propose = [&](int64_t cents) {
    set_single_approval_max(people.payments, cents);
    return stack.notp("alice", {"publish", people.payments, "--ledger", kPayments, "--unsigned"});
  };
  REQUIRE(propose(70'000).status == 9);
  const CliResult again = propose(60'000);
  REQUIRE_MESSAGE(again.status == 9, again.error);
  // The second takes the place of the first.
  REQUIRE(people.pending().size() == 1);
  CHECK(number_at(people.pending()[0], "signers") == 0);
  CHECK(number_at(people.pending()[0], "threshold") == 2);

  // A signer sees what it changes.
  const CliResult first = people.sign("bob");
  REQUIRE_MESSAGE(first.status == 9, first.error);
  CHECK(number_at(document(first), "signers") == 1);
  CHECK(agent.has_active(kPayments, 1));
  const CliResult last =
      people.sign("bob", {"--signing-key", stack.file("publisher.key").string()});
  REQUIRE_MESSAGE(last.status == 0, last.error);
  REQUIRE(stack.becomes_active(agent, kPayments, 2));
  CHECK(people.pending().empty());
}

// --- the auditor

// A stock clone of a ledger, to be modified.
class Clone {
 public:
  Clone(Stack& stack, const std::string& name) : folder_(stack.file(name)) {
    const CommandResult cloned =
        run_command({"git", "clone", "--quiet", stack.repository(kPayments), folder_});
    REQUIRE_MESSAGE(cloned.status == 0, cloned.output);
  }
  const fs::path& folder() const { return folder_; }

  // Returns git's output without the last newline.
  std::string git(std::vector<std::string> words, const std::string& input_file = "/dev/null") {
    words.insert(words.begin(), {"git", "-C", folder_, "-c", "user.name=mallory", "-c",
                                 "user.email=mallory@example.org"});
    CommandResult done = run_command(words, {}, input_file);
    REQUIRE_MESSAGE(done.status == 0, done.output);
    while (done.output.ends_with('\n')) done.output.pop_back();
    return done.output;
  }
  // Replaces the tag object of a version.
  void change_tag(const std::string& tag, const std::function<void(std::string&)>& change) {
    std::string object = git({"cat-file", "tag", tag}) + "\n";
    change(object);
    const fs::path file = folder_ / "tag.object";
    must(write_file(file, object));
    git({"update-ref", "refs/tags/" + tag,
         git({"hash-object", "-t", "tag", "-w", "--stdin"}, file)});
  }

 private:
  const fs::path folder_;
};

// Changes one byte in the middle of the signed statement.
void damage_envelope(std::string& tag) {
  const std::string begin = "-----BEGIN NOTP ENVELOPE-----\n", end = "-----END NOTP ENVELOPE-----";
  const size_t from = tag.find(begin) + begin.size(), to = tag.find(end);
  Bytes envelope = must(from_base64(tag.substr(from, to - from)));
  char& byte = envelope[envelope.size() / 2];
  byte = static_cast<char>(byte ^ 1);
  tag.replace(from, to - from, to_base64(envelope) + "\n");
}

// Changes one byte of one file, in a new commit for the tag and main.
void damage_content(Clone& clone, const std::string& tag) {
  clone.git({"checkout", "--quiet", "--detach", tag});
  const fs::path file = clone.folder() / "payments/limits/data.yaml";
  std::string text = read_text(file);
  const size_t digit = text.find_first_of("0123456789");
  text[digit] = text[digit] == '1' ? '9' : '1';
  must(write_file(file, text));
  const std::string before = clone.git({"rev-parse", tag + "^{commit}"});
  clone.git({"commit", "--quiet", "--all", "--message", "a better limit"});
  const std::string after = clone.git({"rev-parse", "HEAD"});
  clone.change_tag(tag,
                   [&](std::string& object) { object.replace(object.find(before), 40, after); });
  clone.git({"update-ref", "refs/heads/main", after});
}

struct AuditResult {
  int status = -1;
  json::value document;
  std::vector<json::value> steps;  // of all releases

  bool passed(std::string_view check) const {
    return std::ranges::any_of(steps, [&](const json::value& step) {
      return text_at(step, "check") == check && at(step, "passed").as_bool();
    });
  }
  // The step that failed; empty when none did.
  std::string failed() const {
    std::string name;
    for (const json::value& step : steps)
      if (!at(step, "passed").as_bool()) name += text_at(step, "check");
    return name;
  }
};

AuditResult audit(Stack& stack, const Clone& clone, std::vector<std::string> more = {}) {
  std::vector<std::string> words{"--root", stack.root_file(), "verify", clone.folder()};
  words.insert(words.end(), more.begin(), more.end());
  const CliResult result = stack.notp({}, std::move(words));
  AuditResult out{result.status, document(result), {}};
  if (at(out.document, "releases").is_array())
    for (const json::value& release : at(out.document, "releases").as_array())
      for (const json::value& step : at(release, "steps").as_array()) out.steps.push_back(step);
  return out;
}

TEST_CASE("an auditor verifies a stock clone without a registry, and sees one changed byte") {
  TwoPublishers people;
  Stack& stack = people.stack;
  for (int64_t version : {1, 2, 3}) people.publish(version);
  Clone clone(stack, "clone");
  stack.kill_registry();

  SUBCASE("as it is") {
    const AuditResult good = audit(stack, clone, {"--ledger", kPayments});
    CHECK(good.status == 0);
    CHECK(at(good.document, "verified").as_bool());
    CHECK(at(good.document, "releases").as_array().size() == 3);
    CHECK(good.failed().empty());
    for (const char* check : {"release.threshold", "release.floor", "content.files", "content.root",
                              "git.tag", "git.main"})
      CHECK_MESSAGE(good.passed(check), check);
    const CommandResult words =
        run_command({stack.program("notp"), "--root", stack.root_file(), "verify", clone.folder()},
                    {{"HOME", stack.folder()}});
    CHECK(words.status == 0);
    CHECK(words.output.contains("3 releases of " + kPayments + " verified"));
    CHECK(audit(stack, clone, {"--ledger", kGateway}).status == 7);
  }
  SUBCASE("a byte of a signed statement") {
    clone.change_tag("v2", damage_envelope);
    const AuditResult bad = audit(stack, clone);
    CHECK(bad.status == 7);
    CHECK(bad.failed().starts_with("release."));
    CHECK_FALSE(at(bad.document, "verified").as_bool());
  }
  SUBCASE("a byte of a file") {
    damage_content(clone, "v3");
    const AuditResult bad = audit(stack, clone);
    CHECK(bad.status == 7);
    CHECK(bad.failed() == "content.root");
    CHECK(text_at(bad.document, "error.code") == "content_root");
  }
  SUBCASE("a release that was left out") {
    clone.git({"update-ref", "-d", "refs/tags/v3"});
    const AuditResult bad = audit(stack, clone);
    CHECK(bad.status != 0);
    CHECK_FALSE(at(bad.document, "verified").as_bool());
  }
}

// --- the epoch

// The registry's disk is lost and restored from an old copy: nodes and their floors are ahead of
// it, as after a thief's versions that no release can exceed.
TEST_CASE("what nodes have and their registry lost is left behind with a new epoch") {
  Stack stack{{.freshness_interval_s = 1}};
  stack.grant("admin", "trust");
  stack.write_registry_config();
  stack.start_registry();
  const fs::path payments = stack.copy_example("payments");
  REQUIRE(stack.published(payments, kPayments) == 1);
  stack.stop_registry();
  const fs::path copy = stack.file("registry.copy");
  fs::copy(stack.file("registry.data"), copy, fs::copy_options::recursive);
  stack.start_registry();
  const Agent& agent = stack.start_agent({.name = "edge-1", .ledgers = {kPayments}});
  for (int64_t version : {2, 3, 4}) {
    set_single_approval_max(payments, 100'000 + version);
    REQUIRE(stack.published(payments, kPayments) == version);
  }
  REQUIRE(stack.becomes_active(agent, kPayments, 4));

  stack.stop_registry();
  fs::remove_all(stack.file("registry.data"));
  fs::rename(copy, stack.file("registry.data"));
  stack.start_registry();
  // The node keeps its release, and the registry says what it lacks.
  REQUIRE(wait_until([&] { return stack.count_events("ledger_lost") == 1; }));
  CHECK(agent.has_active(kPayments, 4));
  const auto publish_onto_head = [&](int64_t cents) {
    set_single_approval_max(payments, cents);
    return stack.notp("bob", {"publish", payments, "--ledger", kPayments, "--onto-head"});
  };
  const CliResult below = publish_onto_head(70'000);
  CHECK(below.status == 4);
  CHECK_MESSAGE(below.error.contains("lacks v2 to v4"), below.error);
  CHECK(agent.has_active(kPayments, 4));

  RootSigning signing(stack, "eve");
  signing.change({{"set-epoch"}}, {"root-key"});
  const CliResult above = publish_onto_head(60'000);
  REQUIRE_MESSAGE(above.status == 0, above.error);
  REQUIRE(number_at(above.document, "version") == 2);
  REQUIRE(stack.becomes_active(agent, kPayments, 2));
  REQUIRE(wait_until([&] { return text_at(agent.ledger_status(kPayments), "state") == "fresh"; }));
  CHECK(number_at(agent.status(), "root_version") == 2);
  const CliResult shown = stack.notp("bob", {"show", kPayments});
  REQUIRE_MESSAGE(shown.status == 0, shown.error);
  CHECK(number_at(shown.document, "epoch") == 2);

  // The history is consistent across both roots.
  Clone clone(stack, "clone");
  const AuditResult good =
      audit(stack, clone, {"--roots", stack.file("registry.data/roots").string()});
  CHECK(good.status == 0);
  CHECK(number_at(good.document, "root_version") == 2);
}

}  // namespace
}  // namespace notp
