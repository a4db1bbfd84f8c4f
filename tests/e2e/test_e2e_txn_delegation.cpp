// The delegation of tools/examples/txn with all its programs: the five steps, and what must not be
// possible between them.
#include <doctest/doctest.h>

#include "tests/support/process/delegation_site.hpp"
#include "tests/support/process/token_scan.hpp"
#include "tests/support/results.hpp"

namespace notp {
namespace {

json::value decide(const Agent& agent, const json::object& question) {
  const auto answer = agent.decide("refunds/decision", question);
  return answer ? *answer : json::value();
}
json::value decide(const LaneOpa& opa, const json::object& question) {
  const auto answer = opa.decide("refunds/decision", question);
  return answer ? *answer : json::value();
}
bool allows(const json::value& decision) { return at(decision, "allow") == json::value(true); }
std::string reasons(const json::value& decision) {
  return json::serialize(at(decision, "reasons"));
}

void export_records(DelegationSite& site, TokenScan& scan) {
  const auto file = site.stack.file("records.out");
  const CliResult exported =
      site.stack.notp("eve", {"decisions", "export", "--since", "1h", "--out", file});
  REQUIRE_MESSAGE(exported.status == 0, exported.error);
  scan.text("exported decision records", read_text(file));
  std::filesystem::remove(file);
}

TEST_CASE("the five steps of a delegation, and no token at rest") {
  DelegationSite site;
  // Steps 1 to 3, while nobody waits for jobs.
  const CommandResult requested = site.request();
  REQUIRE_MESSAGE(requested.status == 0, requested.output);
  for (const char* step : {"step 1", "step 2", "step 3"})
    CHECK_MESSAGE(requested.output.contains(step), requested.output);
  // Steps 4 and 5.
  site.start_payer();
  REQUIRE_MESSAGE(wait_until([&] { return site.payments() == 1; }), read_text(site.payer_log()));
  const json::value paid = must(parse_json(read_text(site.stack.file("paid"))));
  CHECK(text_at(paid, "Sub") == "ana");
  CHECK(text_at(paid, "Root") != text_at(paid, "Txn"));  // T2 is a transaction of its own
  CHECK_MESSAGE(requested.output.contains("txn=" + text_at(paid, "Root")), requested.output);

  // What the policy, not the service, refuses: the four checks of trust elevation.
  for (const auto& [arguments, reason] :
       std::vector<std::pair<std::vector<std::string>, std::string>>{
           {{"-amount", "501"}, "request: clerk may refund.pay up to 500"},
           {{"-channel", "telephone"}, "context: clerk may not refund.pay by this channel"}}) {
    const CommandResult refused = site.request(arguments);
    CHECK(refused.status == 1);
    CHECK_MESSAGE(refused.output.contains("unauthorized_client"), refused.output);
    CHECK_MESSAGE(refused.output.contains(reason), refused.output);
  }
  // Within the clerk's limit, and above the payer's.
  const CommandResult large = site.request({"-amount", "300"});
  REQUIRE_MESSAGE(large.status == 0, large.output);
  REQUIRE_MESSAGE(wait_until([&] { return site.payer_says("payer may refund.pay up to 200"); }),
                  read_text(site.payer_log()));
  CHECK(site.payments() == 1);

  // The broker's files, the logs, the stores, and the records of decisions.
  TokenScan scan;
  export_records(site, scan);
  scan.folder(site.stack.folder());
  for (const std::string& place : scan.findings()) FAIL_CHECK("a token is in ", place);
  CHECK(scan.messages() > 0);  // the broker's: the scan reads signed things in these files

  // The control, and the first sabotage: a shop that puts T1 into the message.
  const json::object job = DelegationSite::job();
  const TokenAnswer first = site.first(DelegationSite::digest_of(job));
  REQUIRE_MESSAGE(first.status == 200, json::serialize(first.body));
  const std::string leaking = site.shop->message(
      {{"job", job}, {"grant", first.grant()}, {"txn", "t-1"}, {"txn_token", first.token()}});
  site.broker().publish("refunds.jobs", leaking);
  REQUIRE(wait_until([&] { return site.payer_says("code=message"); }));
  CHECK(site.payments() == 1);
  TokenScan control;
  control.folder(site.broker().store());
  CHECK(control.findings().size() == 1);
  // Nor does the service take a token in what goes into tokens.
  site.check_refused("invalid_request", "token_in_details", [&] {
    return site.first(DelegationSite::digest_of(job), now_s() + 600, {{"note", first.token()}});
  });
  record_result("a scan after a delegation with NATS, an embedded agent and an OPA",
                "3 requests, 1 payment",
                fmt::format("{} files, {} MB: 0 tokens; the one that was planted was found",
                            scan.places(), scan.bytes() / 1'000'000));
}

TEST_CASE("a grant is worth nothing to anybody else, and no more than it says") {
  DelegationSite site;
  const json::object job = DelegationSite::job();
  const std::string digest = DelegationSite::digest_of(job);
  const TokenAnswer t1 = site.first(digest);
  REQUIRE_MESSAGE(t1.status == 200, json::serialize(t1.body));
  CHECK(text_at(t1.body, "token_type") == "N_A");
  CHECK(at(t1.body, "refresh_token").is_null());
  const std::string grant = t1.grant();

  // Wrong worker: the shop itself, and another workload of the domain that has seen the message.
  const TxnWorkload thief = site.workload("workload/thief");
  for (const TxnWorkload* other :
       std::initializer_list<const TxnWorkload*>{site.shop.get(), &thief})
    site.check_refused("invalid_request", "grant_not_for_client",
                       [&] { return other->redeem(grant, digest, "n-1"); });
  // Wider scope.
  site.check_refused("invalid_scope", "grant_scope", [&] {
    return site.payer->redeem(grant, digest, "n-2", {}, "refund.pay refund.request");
  });
  // Altered job: its digest is another. Without one it is as bad.
  json::object more = job;
  more["amount"] = 121;
  for (const std::string& other : {DelegationSite::digest_of(more), std::string(43, 'A')})
    CHECK(site.payer->redeem(grant, other, "n-3").token().empty());
  site.check_refused("invalid_request", "grant_digest", [&] {
    return site.payer->redeem(grant, DelegationSite::digest_of(more), "n-4");
  });
  // A wider grant than the token: no.
  site.check_refused("unauthorized_client", "policy_denied", [&] {
    return site.first(digest, now_s() + 600,
                      {{"delegate",
                        {{"to", "spiffe://core-platform.internal/*"},
                         {"scope", "refund.pay"},
                         {"not_after", now_s() + 600}}}});
  });

  // Used: once, and once more for the same number: the answer that was lost.
  const TokenAnswer t2 = site.payer->redeem(grant, digest, "n-5");
  REQUIRE_MESSAGE(t2.status == 200, json::serialize(t2.body));
  const TokenAnswer again = site.payer->redeem(grant, digest, "n-5");
  CHECK(again.status == 200);
  site.check_refused("invalid_request", "grant_used",
                     [&] { return site.payer->redeem(grant, digest, "n-6"); });
  site.check_refused("invalid_request", "grant_repeat_differs",
                     [&] { return site.payer->redeem(grant, digest, "n-5", {{"amount", 121}}); });

  // T2 is for this job, this action and this workload.
  CHECK(allows(decide(site.opa, DelegationSite::question("pay", t2.token(), job))));
  CHECK(reasons(decide(site.opa, DelegationSite::question("pay", t2.token(), more)))
            .contains("another job"));
  CHECK_FALSE(allows(decide(site.opa, DelegationSite::question("request", t2.token(), job))));

  // Replayed T1: at the shop's own PDP once, at the payer's never, and as a subject never.
  const json::object question = DelegationSite::question("request", t1.token(), job);
  const json::value decision = decide(*site.edge, question);
  CHECK_MESSAGE(allows(decision), json::serialize(decision));
  CHECK(reasons(decide(*site.edge, question)).contains("presented before"));
  CHECK_FALSE(allows(decide(site.opa, DelegationSite::question("pay", t1.token(), job))));
  const json::object details{{"actor", "clerk"}, {"order", "o-1"}, {"amount", 120}};
  site.check_refused("invalid_request", "replacement_off", [&] {
    return site.shop->ask("refund.pay", t1.token(), "txn_token", details, {{"channel", "web"}});
  });
  const TokenAnswer as_access_token =
      site.shop->ask("refund.pay", t1.token(), "access_token", details, {{"channel", "web"}});
  CHECK(as_access_token.error() == "invalid_request");

  // Other domain: a certificate of another one, a token for another one.
  const TxnWorkload stranger = site.workload("workload/refunds", "other.internal");
  const TokenAnswer refused = stranger.redeem(grant, digest, "n-7");
  CHECK_MESSAGE((refused.status == 0 || refused.error() == "invalid_client"),
                json::serialize(refused.body));
  site.check_refused("invalid_target", "audience", [&] {
    return site.shop->ask(
        {{"audience", "other.internal"},
         {"scope", "refund.pay"},
         {"subject_token", site.login()},
         {"subject_token_type", "urn:ietf:params:oauth:token-type:access_token"}});
  });

  // Late: refused by the service, and by the policy.
  const int64_t soon = now_s() + 10;
  const TokenAnswer short_lived = site.first(digest, soon);
  REQUIRE_MESSAGE(short_lived.status == 200, json::serialize(short_lived.body));
  REQUIRE(wait_until([&] { return now_s() > soon; }));
  const int64_t before = site.refusals("grant_expired") + site.refusals("grant_unknown");
  CHECK(site.payer->redeem(short_lived.grant(), digest, "n-8").error() == "invalid_request");
  CHECK(site.refusals("grant_expired") + site.refusals("grant_unknown") == before + 1);
  const json::object late = DelegationSite::job(soon);
  CHECK(reasons(decide(site.opa, DelegationSite::question("pay", t2.token(), late)))
            .contains("too late"));
}

// What the broker's files hold is no token.
void check_store(const DelegationSite& site) {
  TokenScan scan;
  scan.folder(site.broker().store());
  CHECK(scan.messages() > 0);
  CHECK(scan.findings().empty());
}

void check_broker(DelegationSite::With with) {
  DelegationSite site(with);
  site.start_payer();
  // MQTT keeps messages for who has subscribed.
  REQUIRE_MESSAGE(wait_until([&] { return site.payer_says("waiting for jobs"); }),
                  read_text(site.payer_log()));
  const json::object job = DelegationSite::job();
  const TokenAnswer t1 = site.first(DelegationSite::digest_of(job));
  REQUIRE_MESSAGE(t1.status == 200, json::serialize(t1.body));
  const json::object payload{{"job", job}, {"grant", t1.grant()}, {"txn", "t-1"}};
  const std::string message = site.shop->message(payload);
  const auto refused = [&](std::string_view why) {
    REQUIRE_MESSAGE(wait_until([&] { return site.payer_says(why); }), read_text(site.payer_log()));
    CHECK(site.payments() == 0);
  };

  // Altered on its way: the signature fails. Signed anew by another workload: it is not the shop.
  std::string altered = message;
  altered[altered.find('.') + 30] ^= 1;
  site.broker().publish("refunds.jobs", altered);
  refused("code=message");
  const TxnWorkload thief = site.workload("workload/thief");
  site.broker().publish("refunds.jobs", thief.message(payload));
  refused("this is spiffe://core-platform.internal/workload/thief");
  // Signed by the shop with the grant of another job: the digest says so.
  json::object other = job;
  other["id"] = "j-2";
  site.broker().publish(
      "refunds.jobs", site.shop->message({{"job", other}, {"grant", t1.grant()}, {"txn", "t-1"}}));
  refused("code=no_token");
  CHECK(site.refusals("grant_digest") == 1);
  // Too late.
  site.broker().publish(
      "refunds.jobs",
      site.shop->message(
          {{"job", DelegationSite::job(now_s() - 1)}, {"grant", t1.grant()}, {"txn", "t-1"}}));
  refused("code=late");

  // Twice, the second time to another process: paid once.
  site.broker().publish("refunds.jobs", message);
  REQUIRE_MESSAGE(wait_until([&] { return site.payments() == 1; }), read_text(site.payer_log()));
  site.payer_process.reset();
  site.broker().publish("refunds.jobs", message);
  site.start_payer();
  REQUIRE(wait_until([&] { return site.payer_says("paid already"); }));
  CHECK(site.payments() == 1);
  CHECK(site.refusals("grant_used") == 0);

  // The five steps. Then the broker itself restarts, with a job for a payer that is away.
  const CommandResult requested = site.request();
  REQUIRE_MESSAGE(requested.status == 0, requested.output);
  REQUIRE_MESSAGE(wait_until([&] { return site.payments() == 2; }), read_text(site.payer_log()));
  for (const char* step : {"step 4", "step 5"}) CHECK(site.payer_says(step));
  site.payer_process.reset();
  REQUIRE(site.request().status == 0);
  site.broker().stop();
  check_store(site);
  site.broker().start();
  // The service restarts between the message and its redemption, and a used grant stays used. A
  // payer that is killed with the job in its hands gets it again.
  site.service->kill();
  site.start_payer();
  REQUIRE_MESSAGE(wait_until([&] { return site.payer_says("INFO later"); }),
                  read_text(site.payer_log()));
  site.payer_process.reset();
  site.start_payer();
  site.service->start();
  REQUIRE_MESSAGE(wait_until([&] { return site.payments() == 3; }), read_text(site.payer_log()));
  site.check_refused("invalid_request", "grant_used", [&] {
    return site.payer->redeem(t1.grant(), DelegationSite::digest_of(job), "n-1");
  });
}

TEST_CASE("what the broker may do: deliver twice, alter, and bring what others wrote") {
  check_broker(DelegationSite::With::kNats);
}

TEST_CASE("nothing of it is NATS' own: the same through MQTT") {
  check_broker(DelegationSite::With::kMosquitto);
}

TEST_CASE("a grant that is passed on is for the next one, and never more than it was") {
  DelegationSite site;
  const TxnWorkload bank = site.workload("workload/bank");
  const json::object job = DelegationSite::job();
  const std::string digest = DelegationSite::digest_of(job);
  const int64_t not_after_s = now_s() + 600;
  const TokenAnswer t1 = site.first(digest, not_after_s);
  REQUIRE_MESSAGE(t1.status == 200, json::serialize(t1.body));
  const auto delegate = [&](json::object more) {
    json::object out{{"to", bank.identity()},
                     {"scope", "refund.pay"},
                     {"not_after", not_after_s},
                     {"digest", digest}};
    for (auto& [name, value] : more) out[name] = std::move(value);
    return json::object{{"delegate", std::move(out)}};
  };
  // Wider than what was handed to refunds: nothing, and the grant is not used by trying.
  for (const auto& [jti, wider] : std::vector<std::pair<std::string, json::object>>{
           {"w-1", {{"not_after", not_after_s + 1}}},
           {"w-2", {{"uses", 2}}},
           {"w-3", {{"scope", "refund.pay refund.request"}}},
           {"w-4", {{"to", kShop}}}}) {
    const TokenAnswer refused = site.payer->redeem(t1.grant(), digest, jti, delegate(wider));
    CAPTURE(jti);
    CAPTURE(json::serialize(refused.body));
    CHECK(refused.status == 400);
    CHECK(refused.token().empty());
  }
  const TokenAnswer t2 = site.payer->redeem(t1.grant(), digest, "n-1", delegate({}));
  REQUIRE_MESSAGE(t2.status == 200, json::serialize(t2.body));
  REQUIRE_FALSE(t2.grant().empty());
  CHECK(t2.grant() != t1.grant());
  // An answer that was lost has the same grant.
  CHECK(site.payer->redeem(t1.grant(), digest, "n-1", delegate({})).grant() == t2.grant());

  const json::object as_bank{{"actor", "transferrer"}};
  site.check_refused("invalid_request", "grant_not_for_client",
                     [&] { return site.payer->redeem(t2.grant(), digest, "n-2"); });
  site.check_refused("invalid_request", "grant_not_for_client",
                     [&] { return bank.redeem(t1.grant(), digest, "b-0", as_bank); });
  const TokenAnswer t3 = bank.redeem(t2.grant(), digest, "b-1", as_bank);
  REQUIRE_MESSAGE(t3.status == 200, json::serialize(t3.body));
  site.check_refused("invalid_request", "grant_used",
                     [&] { return bank.redeem(t2.grant(), digest, "b-2", as_bank); });
  const json::object first = t1.claims(), second = t2.claims(), third = t3.claims();
  CHECK(text_at(third, "sub") == "ana");
  CHECK(text_at(third, "scope") == "refund.pay");
  CHECK(text_at(third, "req_wl") == bank.identity());
  CHECK(text_at(third, "tctx.parent_txn") == text_at(second, "txn"));
  CHECK(text_at(third, "tctx.root_txn") == text_at(first, "txn"));
  CHECK(text_at(third, "tctx.origin") == kShop);
  CHECK(at(third, "tctx.chain") == json::value(json::array{kShop, kPayer}));
  CHECK(number_at(third, "exp") <= not_after_s);

  // Each token is for its own step.
  const auto allowed = [&](const char* action, const TokenAnswer& token) {
    return allows(decide(site.opa, DelegationSite::question(action, token.token(), job)));
  };
  CHECK(allowed("hand_on", t2));
  CHECK(allowed("transfer", t3));
  CHECK_FALSE(allowed("transfer", t2));
  CHECK_FALSE(allowed("pay", t3));

  // The first transaction is revoked: what was passed on of another grant of it ends with it.
  const TokenAnswer again = site.first(digest, not_after_s);
  REQUIRE_MESSAGE(again.status == 200, json::serialize(again.body));
  const TokenAnswer handed = site.payer->redeem(again.grant(), digest, "n-3", delegate({}));
  REQUIRE_MESSAGE(handed.status == 200, json::serialize(handed.body));
  const http::Response revoked = site.admin("POST", "/admin/grants/revoke",
                                            json::object{{"txn", text_at(again.claims(), "txn")}});
  REQUIRE_MESSAGE(revoked.status == 200, revoked.body);
  const TokenAnswer ended = bank.redeem(handed.grant(), digest, "b-3", as_bank);
  CHECK(ended.error() == "invalid_request");
  CHECK(ended.token().empty());
}

}  // namespace
}  // namespace notp
