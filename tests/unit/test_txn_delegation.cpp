// Delegation: a grant is made with one token, redeemed for another, passed on, used once.
#include <doctest/doctest.h>

#include "tests/support/txn/grants_world.hpp"

namespace notp {
namespace {

using namespace txn_world;

using World = GrantsWorld;

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
                             {"chain", {workload("a")}},
                             {"grant_exp", kStartS + 3'600}};
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
  const TokenRequest form = redeem_form("b", "j1", grant, now_ms);
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
    const Grant grant = world.grants->find(given->grant, "", "").value()->grant;
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
  const TokenRequest form = redeem_form("b", "1", first.grant, kStartMs, "order:pay",
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
  CHECK(questions[1].claims == json::object{{"iss", kService}, {"txn", first.claims.at("txn")}});
  finding.state = LaneFinding::State::kGood;

  // Of a grant that was passed on twice more: of each token of the chain, so that one in its middle
  // that is revoked ends what came of it.
  const auto pass_on = [&](const char* name, const std::string& grant) {
    return world.must(name,
                      redeem_form(name, "2", grant, kStartMs, "order:pay",
                                  delegate_to(workload("*"), kStartS + 60)),
                      kStartMs);
  };
  const Given third = pass_on("c", second.grant), fourth = pass_on("d", third.grant);
  questions.clear();
  finding.state = LaneFinding::State::kRevoked;
  world.service.lane = [&](const LaneQuestion& question) {
    questions.push_back(question);
    const json::value* txn = question.claims.if_contains("txn");
    return txn != nullptr && *txn == second.claims.at("txn")
               ? finding
               : LaneFinding{LaneFinding::State::kGood, std::nullopt};
  };
  CHECK(world.refused("e", redeem_form("e", "1", fourth.grant, kStartMs), kStartMs) ==
        "subject_revoked");
  REQUIRE(questions.size() == 5);
  const Given* const before[] = {&first, &second, &third};
  for (size_t i = 0; i < 3; ++i)
    CHECK(questions[i + 1].claims ==
          json::object{{"iss", kService}, {"txn", before[i]->claims.at("txn")}});
  CHECK(questions[4].claims ==
        json::object{
            {"iss", kService}, {"txn", fourth.claims.at("txn")}, {"sub", "ada"}, {"iat", kStartS}});
  finding.state = LaneFinding::State::kGood;
  world.must("e", redeem_form("e", "2", fourth.grant, kStartMs), kStartMs);
}

TEST_CASE("a token that came by a grant does not outlive it by being replaced") {
  World world;
  const Given first = world.delegate({{"not_after", kStartS + 100}});
  Given last = world.must("b", redeem_form("b", "1", first.grant, kStartMs), kStartMs);
  CHECK(last.claims.at("exp") == kStartS + 100);
  const auto replace = [&](const char* name, const Given& given, TimeMs now_ms) {
    return world.service.issue(name, request_of("txn_token", given.token, "order:pay"), now_ms);
  };
  for (const TimeMs now_ms : {kStartMs + 50'000, kStartMs + 99'000}) {
    const auto next = replace("b", last, now_ms);
    REQUIRE_MESSAGE(next, next.error().description);
    CHECK(next->claims.at("exp") == kStartS + 100);
    last = *next;
  }
  // The control: of one that came by none.
  const Given free = world.delegate();
  const auto later = replace("a", free, kStartMs + 99'000);
  REQUIRE_MESSAGE(later, later.error().description);
  CHECK(later->claims.at("exp") == kStartS + 99 + 120);
}

}  // namespace
}  // namespace notp
