// The delegation of tools/examples/txn while something around it changes: a subject is revoked, a
// key removed, a PDP offline, a model expired, a workload evicted. Each has an answer of its own.
#include <doctest/doctest.h>

#include "tests/support/process/delegation_site.hpp"

namespace notp {
namespace {

const json::object kJob = DelegationSite::job(now_s() + 3600);
const std::string kDigest = DelegationSite::digest_of(kJob);

std::string kid_of(const std::string& token) {
  const auto header = from_base64url(token.substr(0, token.find('.')));
  return text_at(must(parse_json(must(header))), "kid");
}
template <typename Node>
json::value pays(const Node& node, const std::string& token) {
  const auto answer = node.decide("refunds/decision", DelegationSite::question("pay", token, kJob));
  return answer ? *answer : json::value();
}
bool allows(const json::value& decision) { return at(decision, "allow") == json::value(true); }

TEST_CASE("a subject that is revoked between the request and the job") {
  DelegationSite site;
  const TokenAnswer t1 = site.first(kDigest), other = site.first(kDigest);
  REQUIRE_MESSAGE(other.status == 200, json::serialize(other.body));
  const TokenAnswer t2 = site.payer->redeem(other.grant(), kDigest, "n-1");
  REQUIRE_MESSAGE(t2.status == 200, json::serialize(t2.body));
  REQUIRE(wait_until([&] { return allows(pays(site.opa, t2.token())); }));

  // Ana is logged out: her grants are worth nothing, and no new token is issued for her old one.
  const std::string subject = site.login();
  site.lane_event(
      {{"op", "revoke"}, {"iss", site.provider.issuer()}, {"sub", "ana"}, {"before", now_s()}});
  const json::object details{{"actor", "clerk"}, {"order", "o-1"}, {"amount", 120}};
  REQUIRE(wait_until([&] {
    const TokenAnswer answer =
        site.shop->ask("refund.request", subject, "access_token", details, {{"channel", "web"}});
    return answer.error() == "invalid_request";
  }));
  site.check_refused("invalid_request", "subject_revoked",
                     [&] { return site.payer->redeem(t1.grant(), kDigest, "n-2"); });

  // T2 lives until it ends, unless its transaction is revoked, too.
  const json::value decision = pays(site.opa, t2.token());
  CHECK_MESSAGE(allows(decision), json::serialize(decision));
  site.lane_event({{"op", "revoke"},
                   {"iss", site.issuer()},
                   {"txn", text_at(decision, "transaction.txn")},
                   {"before", now_s()}});
  REQUIRE(wait_until([&] { return !allows(pays(site.opa, t2.token())); }));
}

TEST_CASE("a signing key that is removed at once, and a PDP that was offline meanwhile") {
  DelegationSite site;
  const TokenAnswer t1 = site.first(kDigest);
  const TokenAnswer t2 = site.payer->redeem(t1.grant(), kDigest, "n-1");
  REQUIRE_MESSAGE(t2.status == 200, json::serialize(t2.body));
  REQUIRE(wait_until([&] { return allows(pays(site.opa, t2.token())); }));

  // The payer's agent is away; its OPA goes on with what it has.
  site.fed->kill();
  // Two keys: the next one is at every node before it is needed.
  std::string kid = kid_of(t2.token());
  for (int i = 0; i < 2; ++i) {
    const http::Response revoked = site.admin("POST", fmt::format("/admin/keys/{}/revoke", kid));
    REQUIRE_MESSAGE(revoked.status == 200, revoked.body);
    // The service signs with another key as soon as the nodes that are there have it.
    TokenAnswer fresh;
    REQUIRE(wait_until([&] {
      fresh = site.first(kDigest);
      return fresh.status == 200 && kid_of(fresh.token()) != kid;
    }));
    kid = kid_of(fresh.token());
  }
  REQUIRE(wait_until([&] {
    const auto answer =
        site.edge->decide("refunds/decision", DelegationSite::question("pay", t2.token(), kJob));
    return answer && text_at(*answer, "token") == "unknown_key";
  }));

  // The payer's OPA does not know the new key: the job waits, and is paid when the agent is back.
  site.start_payer();
  REQUIRE(site.request().status == 0);
  REQUIRE_MESSAGE(wait_until([&] { return site.payer_says("denies it for now"); }),
                  read_text(site.payer_log()));
  CHECK(site.payments() == 0);
  site.fed->start();
  REQUIRE_MESSAGE(wait_until([&] { return site.payments() == 1; }), read_text(site.payer_log()));
  // And what the removed key has signed is dead there, too.
  CHECK(text_at(pays(site.opa, t2.token()), "token") == "unknown_key");
}

TEST_CASE("an issuance model that has expired, and workloads that were evicted") {
  DelegationSite site;
  Stack& stack = site.stack;
  const TokenAnswer t1 = site.first(kDigest);
  REQUIRE_MESSAGE(t1.status == 200, json::serialize(t1.body));

  // Evicted B, then A: whatever they hold, the service does not know them any more. Back again.
  const auto deny = [&](const std::vector<std::string>& identities, const TxnWorkload& who,
                        bool is_denied) {
    REQUIRE(stack.published(stack.write_deny_list(identities), kDenyList) > 1);
    const bool follows = wait_until([&] {
      const TokenAnswer answer = who.ask("refund.pay", who.self_signed("denied"), "self_signed",
                                         {{"actor", "clerk"}, {"order", "o-1"}, {"amount", 1}});
      return (answer.error() == "invalid_client") == is_denied && !answer.error().empty();
    });
    CHECK_MESSAGE(follows, who.identity());
  };
  deny({kPayer}, *site.payer, true);
  CHECK(site.payer->redeem(t1.grant(), kDigest, "n-1").error() == "invalid_client");
  CHECK(site.refusals("client_denied") > 0);
  deny({kShop}, *site.shop, true);
  CHECK(site.first(kDigest).error() == "invalid_client");
  deny({}, *site.shop, false);

  // The registry is away for longer than the model's terms allow.
  const std::filesystem::path model = stack.copy_example("txn/issuance");
  must(write_file(model / "txn/covered_by/data.yaml",
                  "refund.request: orders\nrefund.pay: orders\nrefund.cancel: orders\n"));
  const CliResult published = stack.notp(
      "alice", {"publish", model, "--base", "v1", "--ledger", kIssuance, "-m", "short terms",
                "--stale-after", "2s", "--expire-after", "4s", "--on-expired", "deny"});
  REQUIRE_MESSAGE(published.status == 0, published.error);
  REQUIRE(stack.becomes_active(*site.service, kIssuance, 2));
  REQUIRE(site.first(kDigest).status == 200);
  stack.kill_registry();
  TokenAnswer refused;
  REQUIRE(wait_until([&] { return (refused = site.first(kDigest)).status != 200; }));
  CHECK_MESSAGE(refused.status == 503, json::serialize(refused.body));
  CHECK(refused.error() == "temporarily_unavailable");
  // The payer waits for it: nothing is refused for good.
  stack.start_registry();
  REQUIRE(wait_until([&] { return site.first(kDigest).status == 200; }));
  const TokenAnswer t2 = site.payer->redeem(t1.grant(), kDigest, "n-2");
  CHECK_MESSAGE(t2.status == 200, json::serialize(t2.body));
}

}  // namespace
}  // namespace notp
