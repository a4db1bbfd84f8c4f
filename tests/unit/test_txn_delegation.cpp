// Delegation: a grant is made with one token, redeemed for another, passed on, used once, ended;
// and the file that keeps it.
#include <doctest/doctest.h>

#include <filesystem>

#include "common/storage/files.hpp"
#include "notp-client/txn/grants/sqlite_grants.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/txn/txn_world.hpp"

namespace notp {
namespace {

using namespace txn_world;

constexpr TimeMs kHourMs = 3'600'000;

struct World {
  TemporaryFolder folder;
  std::unique_ptr<SqliteGrants> grants = SqliteGrants::open({.folder = folder.path()}).value();
  Service service{*grants};

  // A new process with the same file.
  void restart() {
    grants.reset();
    grants = SqliteGrants::open({.folder = folder.path()}).value();
    service.restart(*grants);
  }
  Given must(const std::string& name, const Parameters& form, TimeMs now_ms) {
    auto given = service.issue(name, form, now_ms);
    REQUIRE_MESSAGE(given, given.error().reason() << ": " << given.error().description);
    return *std::move(given);
  }
  std::string refused(const std::string& name, const Parameters& form, TimeMs now_ms) {
    const auto given = service.issue(name, form, now_ms);
    REQUIRE_FALSE(given);
    return std::string(given.error().reason());
  }
  // T1 of workload a, with a grant for b.
  Given delegate(const json::object& change = {}, const std::string& scope = "order:pay order:read",
                 TimeMs now_ms = kStartMs) {
    const json::object details = delegate_to(workload("b"), now_ms / 1'000 + 3'600, change);
    return must("a", with(access_form(now_ms, scope), "request_details", json::serialize(details)),
                now_ms);
  }
};

TEST_CASE("a grant is redeemed when the first token is dead") {
  World world;
  const Given first = world.delegate();
  CHECK(first.grant.size() == 22);
  CHECK_FALSE(first.claims.contains("grant"));
  CHECK(world.grants->size() == 1);
  const TimeMs later_ms = kStartMs + kHourMs / 2;
  json::object input;
  world.service.policy = [&input](const json::object& asked) {
    input = asked;
    return generous()(asked);
  };
  const Given second = world.must("b", redeem_form("b", "j1", first.grant, later_ms), later_ms);
  CHECK(second.claims.at("sub") == "ada");
  CHECK(second.claims.at("scope") == "order:pay");
  CHECK(second.claims.at("txn") != first.claims.at("txn"));
  CHECK(second.claims.at("req_wl") == json::value(workload("b")));
  const json::object tctx = {{"kind", 1},
                             {"parent_txn", first.claims.at("txn")},
                             {"root_txn", first.claims.at("txn")},
                             {"origin", workload("a")},
                             {"chain", {workload("a")}}};
  CHECK(second.claims.at("tctx") == json::value(tctx));
  CHECK(second.grant.empty());
  const json::object grant = {{"id", first.grant},
                              {"parent_txn", first.claims.at("txn")},
                              {"root_txn", first.claims.at("txn")},
                              {"sub", "ada"},
                              {"scope", {"order:pay"}},
                              {"to", workload("b")},
                              {"origin", workload("a")},
                              {"chain", {workload("a")}},
                              {"depth", 1},
                              {"not_after", kStartS + 3'600}};
  CHECK(input.at("grant") == json::value(grant));
  CHECK(world.refused("b", redeem_form("b", "j2", first.grant, later_ms), later_ms) ==
        "grant_used");
}

TEST_CASE("a lost answer is given again: to the same workload, number and request, for 30 s") {
  World world;
  const std::string grant = world.delegate().grant;
  const TimeMs now_ms = kStartMs + 1'000;
  const Parameters form = redeem_form("b", "j1", grant, now_ms);
  const Given second = world.must("b", form, now_ms);
  int asked = 0;
  world.service.policy = [&asked](const json::object& input) {
    ++asked;
    return generous()(input);
  };
  for (const bool restarts : {false, true}) {
    if (restarts) world.restart();
    const Given again = world.must("b", form, now_ms + 29'999);
    CHECK(again.is_repeat);
    CHECK(again.claims == second.claims);
  }
  CHECK(asked == 0);
  CHECK(world.refused("b", redeem_form("b", "j1", grant, now_ms, "order:pay", {{"more", 1}}),
                      now_ms) == "grant_repeat_differs");
  CHECK(world.refused("b", redeem_form("b", "j2", grant, now_ms), now_ms) == "grant_used");
  CHECK(world.refused("b", form, now_ms + 30'000) == "grant_used");
  while (world.grants->sweep(now_ms + 30'000).value()) {
  }
  CHECK(world.refused("b", form, now_ms + 30'001) == "grant_used");
}

TEST_CASE("a grant is for its workload, time, message and scope") {
  World world;
  const Hash job = sha256("the job"), other = sha256("another");
  const std::string digest = to_base64url(job.view());
  const TimeMs now_ms = kStartMs + 1'000;
  const Given first = world.delegate({{"digest", digest}});
  const auto form = [&](const std::string& name, const std::string& jti,
                        const json::object& details, const std::string& scope = "order:pay") {
    return redeem_form(name, jti, first.grant, now_ms, scope, details);
  };
  const json::object good = {{"digest", digest}};
  CHECK(world.refused("c", form("c", "1", good), now_ms) == "grant_not_for_client");
  CHECK(world.refused("b", form("b", "2", {}), now_ms) == "grant_digest");
  CHECK(world.refused("b", form("b", "3", {{"digest", to_base64url(other.view())}}), now_ms) ==
        "grant_digest");
  CHECK(world.refused("b", form("b", "4", good, "order:read"), now_ms) == "grant_scope");
  CHECK(world.refused("b", form("b", "5", good, "order:pay order:read"), now_ms) == "grant_scope");
  const TimeMs end_ms = kStartMs + kHourMs;
  CHECK(world.refused("b", redeem_form("b", "6", first.grant, end_ms, "order:pay", good), end_ms) ==
        "grant_expired");
  world.service.policy = generous({{"sub", "bob"}});
  CHECK(world.refused("b", form("b", "7", good), now_ms) == "policy_broken");
  world.service.policy = generous({{"scope", {"order:read"}}});
  CHECK(world.refused("b", form("b", "8", good), now_ms) == "policy_broken");
  world.service.policy = generous();
  // A grant for no message is no grant for this one.
  const Given plain = world.delegate();
  CHECK(world.refused("b", redeem_form("b", "9", plain.grant, now_ms, "order:pay", good), now_ms) ==
        "grant_digest");
  // None of it has used it up.
  world.must("b", form("b", "10", good), now_ms);
}

TEST_CASE("no token outlives its grant") {
  World world;
  const Given first = world.delegate();
  const TimeMs late_ms = kStartMs + kHourMs - 5'500;
  const Given second = world.must("b", redeem_form("b", "1", first.grant, late_ms), late_ms);
  CHECK(second.claims.at("exp") == kStartS + 3'600);
  const Given other = world.delegate();
  const TimeMs last_ms = kStartMs + kHourMs - 1;
  const Given last = world.must("b", redeem_form("b", "2", other.grant, last_ms), last_ms);
  CHECK(last.claims.at("exp").as_int64() <= kStartS + 3'600);
}

TEST_CASE("a grant may be used as often as it says") {
  World world;
  const Given first = world.delegate({{"uses", 3}});
  for (const char* jti : {"1", "2", "3"})
    world.must("b", redeem_form("b", jti, first.grant, kStartMs), kStartMs);
  CHECK(world.refused("b", redeem_form("b", "4", first.grant, kStartMs), kStartMs) == "grant_used");
}

TEST_CASE("the policy narrows a delegation, and cannot widen it") {
  World world;
  const auto made = [&](const json::value& delegate) -> std::string {
    world.service.policy = generous({{"delegate", delegate}});
    const json::object details = delegate_to(workload("*"), kStartS + 3'600,
                                             {{"scope", "order:pay order:read"}, {"uses", 2}});
    const auto given = world.service.issue("a",
                                           with(access_form(kStartMs, "order:pay order:read"),
                                                "request_details", json::serialize(details)),
                                           kStartMs);
    if (!given) return std::string(given.error().reason());
    const Grant grant = world.grants->find(given->grant, "", "", kStartMs).value()->grant;
    return fmt::format("{} {} {} {}", join_scopes(grant.scopes), grant.uses,
                       grant.not_after_ms / 1'000 - kStartS, grant.to);
  };
  CHECK(made(true) == "order:pay order:read 2 3600 " + workload("*"));
  CHECK(made({{"scope", {"order:pay"}}, {"uses", 1}, {"not_after", kStartS + 60}}) ==
        "order:pay 1 60 " + workload("*"));
  CHECK(made(false) == "delegation_denied");
  CHECK(made(nullptr) == "delegation_denied");
  CHECK(made("yes") == "policy_broken");
  CHECK(made({{"scope", {"order:all"}}}) == "policy_broken");
  CHECK(made({{"scope", json::array{}}}) == "policy_broken");
  CHECK(made({{"uses", 3}}) == "policy_broken");
  CHECK(made({{"uses", 0}}) == "policy_broken");
  CHECK(made({{"not_after", kStartS + 3'601}}) == "policy_broken");
  CHECK(made({{"not_after", kStartS}}) == "grant_expired");
  // What the token may not do is not delegated.
  world.service.policy = generous({{"scope", {"order:read"}}});
  const auto given =
      world.service.issue("a",
                          with(access_form(kStartMs, "order:pay order:read"), "request_details",
                               json::serialize(delegate_to(workload("b"), kStartS + 60))),
                          kStartMs);
  REQUIRE_FALSE(given);
  CHECK(given.error().reason() == "delegation_denied");
}

TEST_CASE("a grant is passed on, four workloads deep, and nothing of it grows") {
  World world;
  Given given = world.delegate({{"to", workload("*")}, {"uses", 2}});
  const std::string root(given.claims.at("txn").as_string());
  const std::string origin = workload("a");
  const char* names[] = {"b", "c", "d", "e"};
  std::vector<std::string> chain = {origin};
  for (int i = 0; i < 4; ++i) {
    CAPTURE(i);
    const std::string name = names[i], parent(given.claims.at("txn").as_string());
    const auto wish = [&](int64_t not_after_s, int uses, const char* scope = "order:pay") {
      return delegate_to(workload("*"), not_after_s, {{"uses", uses}, {"scope", scope}});
    };
    const auto redeem = [&](const std::string& jti, const json::object& details) {
      return redeem_form(name, jti, given.grant, kStartMs, "order:pay", details);
    };
    const int64_t end_s = kStartS + 3'600 - i;
    if (i < 3) {
      CHECK(world.refused(name, redeem("1", wish(end_s + 1, 1)), kStartMs) == "bad_delegate");
      CHECK(world.refused(name, redeem("2", wish(end_s, 3)), kStartMs) == "bad_delegate");
      CHECK(world.refused(name, redeem("3", wish(end_s, 1, "order:read")), kStartMs) ==
            "grant_scope");
      given = world.must(name, redeem("4", wish(end_s - 1, 2)), kStartMs);
    } else {
      CHECK(world.refused(name, redeem("5", wish(end_s - 1, 1)), kStartMs) == "grant_depth");
      given = world.must(name, redeem("6", {}), kStartMs);
    }
    const json::object& tctx = given.claims.at("tctx").as_object();
    CHECK(tctx.at("parent_txn") == json::value(parent));
    CHECK(tctx.at("root_txn") == json::value(root));
    CHECK(tctx.at("origin") == json::value(origin));
    CHECK(tctx.at("chain") == json::value(json::array(chain.begin(), chain.end())));
    CHECK(given.claims.at("sub") == "ada");
    chain.push_back(workload(name));
  }
}

TEST_CASE("a use and what it passes on are one step, and one answer") {
  World world;
  const Given first = world.delegate({{"to", workload("*")}});
  const Parameters form = redeem_form("b", "1", first.grant, kStartMs, "order:pay",
                                      delegate_to(workload("c"), kStartS + 60));
  const Given second = world.must("b", form, kStartMs);
  CHECK(world.grants->size() == 2);
  world.restart();
  const Given again = world.must("b", form, kStartMs + 1);
  CHECK(again.claims == second.claims);
  CHECK(again.grant == second.grant);
  CHECK(world.grants->size() == 2);
  world.must("c", redeem_form("c", "1", second.grant, kStartMs), kStartMs);
}

TEST_CASE("the lane is asked about the subject that delegated, and about the tokens before") {
  World world;
  std::vector<LaneQuestion> questions;
  LaneFinding finding{LaneFinding::State::kGood, std::nullopt};
  world.service.lane = [&](const LaneQuestion& question) {
    questions.push_back(question);
    return finding;
  };
  const Given first = world.delegate({{"to", workload("*")}});
  const std::string token_id = questions.at(0).token_id;
  questions.clear();
  const Given second = world.must("b",
                                  redeem_form("b", "1", first.grant, kStartMs, "order:pay",
                                              delegate_to(workload("c"), kStartS + 60)),
                                  kStartMs);
  REQUIRE(questions.size() == 2);
  CHECK(questions[0].token_id == token_id);
  CHECK(questions[0].claims ==
        json::object{{"iss", kLogin}, {"sub", "ada"}, {"sid", "s1"}, {"iat", kStartS}});
  CHECK(questions[1].claims ==
        json::object{
            {"iss", kService}, {"sub", "ada"}, {"txn", first.claims.at("txn")}, {"iat", kStartS}});
  questions.clear();
  finding.state = LaneFinding::State::kRevoked;
  CHECK(world.refused("c", redeem_form("c", "1", second.grant, kStartMs), kStartMs) ==
        "subject_revoked");
  REQUIRE(questions.size() == 3);
  CHECK(questions[2].claims.at("txn") == first.claims.at("txn"));
  finding.state = LaneFinding::State::kGood;
  world.must("c", redeem_form("c", "2", second.grant, kStartMs), kStartMs);
}

// --- the store

TEST_CASE("what is revoked is gone, with all that came of it, and names the tokens that live") {
  World world;
  const Given first = world.delegate({{"to", workload("*")}, {"uses", 2}});
  const Given second = world.must("b",
                                  redeem_form("b", "1", first.grant, kStartMs, "order:pay",
                                              delegate_to(workload("*"), kStartS + 3'600)),
                                  kStartMs);
  const TimeMs later_ms = kStartMs + 100'000;
  const Given third = world.must("c", redeem_form("c", "1", second.grant, later_ms), later_ms);
  const Given other = world.delegate();
  REQUIRE(world.grants->size() == 3);
  const TimeMs now_ms = kStartMs + 130'000;  // the second token has expired, the third has not
  SUBCASE("by the first token") {
    const auto revoked =
        world.grants->revoke_txn(first.claims.at("txn").as_string(), now_ms).value();
    CHECK(revoked.grants == 2);
    CHECK(revoked.txns ==
          std::vector<std::string>{std::string(third.claims.at("txn").as_string())});
    CHECK(world.grants->size() == 1);
  }
  SUBCASE("by the number of the first grant") {
    CHECK(world.grants->revoke(first.grant, kStartMs + 1'000).value().txns.size() == 2);
    CHECK(world.grants->size() == 1);
    CHECK(world.grants->revoke(first.grant, now_ms).error().code == ErrorCode::kNotFound);
  }
  SUBCASE("by the number of the second: the first can still be used") {
    CHECK(world.grants->revoke(second.grant, now_ms).value().grants == 1);
    world.must("b", redeem_form("b", "2", first.grant, now_ms), now_ms);
    CHECK(world.grants->revoke_txn("unknown", now_ms).value().grants == 0);
    return;
  }
  world.restart();
  CHECK(world.refused("c", redeem_form("c", "9", second.grant, now_ms), now_ms) == "grant_unknown");
  CHECK(world.refused("b", redeem_form("b", "9", first.grant, now_ms), now_ms) == "grant_unknown");
  world.must("b", redeem_form("b", "8", other.grant, now_ms), now_ms);
}

TEST_CASE("of two uses at once one counts; the other gets its answer, or none") {
  World world;
  const Given first = world.delegate();
  const Grant grant = world.grants->find(first.grant, "", "", kStartMs).value()->grant;
  const auto use = [&](const char* jti, const char* txn) {
    return GrantUse{grant.id,    workload("b"), jti,
                    sha256("r"), txn,           {{"txn", txn}, {"exp", kStartS + 60}},
                    std::nullopt};
  };
  const std::vector<GrantChange> changes = {use("1", "t2"), use("1", "t3"), use("2", "t4")};
  const auto outcomes = world.grants->apply(changes, kStartMs).value();
  CHECK(outcomes[0]->token.claims.at("txn") == "t2");
  CHECK_FALSE(outcomes[0]->is_repeat);
  CHECK(outcomes[1]->token.claims.at("txn") == "t2");
  CHECK(outcomes[1]->is_repeat);
  CHECK(outcomes[2].error().refusal == Refusal::kGrantUsed);
}

TEST_CASE("a store takes nothing that is wider than the grant that was used") {
  World world;
  const Given first = world.delegate({{"to", workload("*")}, {"uses", 2}});
  const Grant parent = world.grants->find(first.grant, "", "", kStartMs).value()->grant;
  Grant child = parent;
  child.id = "AAAAAAAAAAAAAAAAAAAAAA";
  child.parent_txn = "t2";
  child.chain.push_back(workload("b"));
  const auto pass_on = [&](Grant passed_on, const char* jti) {
    const GrantChange change = GrantUse{
        parent.id, workload("b"), jti, {}, "t2", {{"exp", kStartS + 60}}, std::move(passed_on)};
    return world.grants->apply({&change, 1}, kStartMs).value().front().has_value();
  };
  Grant wide = child;
  wide.scopes.emplace_back("order:read");
  CHECK_FALSE(pass_on(wide, "1"));
  wide = child;
  wide.not_after_ms += 1;
  CHECK_FALSE(pass_on(wide, "2"));
  wide = child;
  wide.sub = "bob";
  CHECK_FALSE(pass_on(wide, "3"));
  wide = child;
  wide.uses += 1;
  CHECK_FALSE(pass_on(wide, "4"));
  wide = child;
  wide.chain = {workload("x"), workload("b")};
  CHECK_FALSE(pass_on(wide, "5"));
  wide = child;
  wide.chain = parent.chain;
  CHECK_FALSE(pass_on(wide, "6"));
  wide = child;
  wide.origin = workload("x");
  CHECK_FALSE(pass_on(wide, "7"));
  CHECK(world.grants->size() == 1);
  CHECK(pass_on(child, "8"));
}

TEST_CASE("a store of grants has limits, lists pages, and sweeps what has ended") {
  TemporaryFolder folder;
  const auto grants = SqliteGrants::open({.folder = folder.path(), .grants_max = 3'000}).value();
  Grant grant;
  grant.parent_txn = grant.root_txn = "t1";
  grant.sub = "ada";
  grant.scopes = {"order:pay"};
  grant.to = workload("b");
  grant.origin = workload("a");
  grant.chain = {workload("a")};
  grant.not_after_ms = kStartMs + 1'000;
  std::vector<GrantChange> changes;
  for (size_t i = 0; i <= 3'000; ++i) {
    grant.id = fmt::format("{:022}", i);
    if (i == 1'500) grant.to = workload("c/*");
    changes.emplace_back(grant);
  }
  const auto outcomes = grants->apply(changes, kStartMs).value();
  CHECK(outcomes[2'999]);
  CHECK(outcomes[3'000].error().refusal == Refusal::kGrantsFull);
  CHECK(outcomes[3'000].error().status() == 503);
  CHECK(grants->size() == 3'000);
  const GrantPage page = grants->list({.client = workload("b"), .txn = {}}, "").value();
  CHECK(page.grants.size() == 1'500);
  CHECK(page.next.empty());
  CHECK(grants->list({.client = workload("a"), .txn = "t1"}, fmt::format("{:022}", 2'990))
            .value()
            .grants.size() == 10);
  CHECK(grants->list({.client = workload("c/d"), .txn = {}}, "").value().grants.size() == 1'500);
  CHECK(grants->list({.client = {}, .txn = "t2"}, "").value().grants.empty());
  // An answer could be asked for again so long.
  CHECK_FALSE(grants->sweep(kStartMs + 30'999).value());
  CHECK(grants->size() == 3'000);
  int steps = 1;
  while (grants->sweep(kStartMs + 31'000).value()) ++steps;
  CHECK(steps == 4);
  CHECK(grants->size() == 0);
  CHECK(grants->apply({changes.data(), 1}, kStartMs).value()[0]);
}

TEST_CASE("one workload cannot fill the store") {
  TemporaryFolder folder;
  const auto grants = SqliteGrants::open({.folder = folder.path()}).value();
  Grant grant;
  grant.scopes = {"s"};
  grant.origin = workload("a");
  grant.chain = {workload("a")};
  grant.not_after_ms = kStartMs + 1'000;
  std::vector<GrantChange> changes;
  for (size_t i = 0; i <= limits::kTxnGrantsPerClientMax; ++i) {
    grant.id = fmt::format("{:022}", i);
    changes.emplace_back(grant);
  }
  grant.id = "other";
  grant.chain = {workload("b")};
  changes.emplace_back(grant);
  const auto outcomes = grants->apply(changes, kStartMs).value();
  CHECK(outcomes[limits::kTxnGrantsPerClientMax - 1]);
  CHECK(outcomes[limits::kTxnGrantsPerClientMax].error().refusal == Refusal::kGrantsPerClient);
  CHECK(outcomes[limits::kTxnGrantsPerClientMax].error().status() == 429);
  CHECK(outcomes.back());
}

TEST_CASE("no token is in the file of grants, and a damaged one is not replaced by an empty one") {
  World world;
  const Given first = world.delegate();
  const Parameters form = redeem_form("b", "1", first.grant, kStartMs);
  const Given second = world.must("b", form, kStartMs);
  world.grants.reset();
  const std::filesystem::path file = world.folder.path() / kGrantsFile;
  Bytes bytes;
  for (const auto& entry : std::filesystem::directory_iterator(world.folder.path()))
    bytes += read_file(entry.path(), 1 << 24).value();
  for (const std::string& token : {first.token, second.token, form[4].second})
    CHECK_FALSE(bytes.contains(token.substr(0, 40)));
  CHECK(bytes.contains("order:pay"));  // the control: the file has what it keeps, readably
  const auto mode = std::filesystem::status(file).permissions();
  CHECK(mode == (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
  REQUIRE(write_file(file, Bytes(100'000, 'x'), 0600));
  const auto opened = SqliteGrants::open({.folder = world.folder.path()});
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == ErrorCode::kCorrupt);
  CHECK(read_file(file, 1 << 24).value() == Bytes(100'000, 'x'));
}

}  // namespace
}  // namespace notp
