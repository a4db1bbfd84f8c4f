// Token lanes that real providers feed.
#include <doctest/doctest.h>

#include <chrono>

#include "tests/support/process/command.hpp"
#include "tests/support/process/lane_site.hpp"
#include "tests/support/providers/keycloak.hpp"
#include "tests/support/providers/keys_site.hpp"
#include "tests/support/results.hpp"
#include "tools/bench/samples.hpp"

namespace notp {
namespace {

using std::chrono::steady_clock;

// The slow proof sets it.
const uint64_t kLogouts = count_of("NOTP_KEYCLOAK_LOGOUTS", 0);
constexpr int64_t kPollMs = 1'000;

// A control beside `allow`: what the signature alone says.
constexpr std::string_view kPolicy = R"(package orders

import data.system.notp.tokens

default allow := false

allow if not tokens.revoked(claims)

default signed := false

signed if claims.exp > 0

claims := payload if {{
	[valid, _, payload] := io.jwt.decode_verify(input.token, {{
		"cert": json.marshal(data.keys.login),
		"iss": "{}",
		"aud": "orders",
	}})
	valid
}}
)";

// Keycloak's keys are those of its issuer's ledger; its events come by a stream.
class KeycloakSite : public KeysSite {
 public:
  KeycloakSite() {
    set_lane_key(stack);
    stack.grant("admin", "revoke");
  }
  void start(const Keycloak& keycloak) {
    must(write_file(stack.file("receiver-secret"), "receiver-secret", 0600));
    const json::object stream{
        {"name", "keycloak"},
        {"kind", "ssf"},
        {"issuer", keycloak.issuer()},
        {"delivery", "poll"},
        {"interval_ms", kPollMs},
        {"insecure_loopback", true},
        {"auth",
         {{"method", "client_secret_basic"},
          {"client_id", "receiver"},
          {"secret_file", stack.file("receiver-secret").string()},
          {"token_endpoint", keycloak.issuer() + "/protocol/openid-connect/token"},
          {"scope", "ssf.read ssf.manage"}}}};
    json::object lane{{"name", kLaneName}, {"life_max_s", 43'200}};
    lane["attributes"] = json::array{"iss", "sub", "sid", "exp", "iat"};
    lane["grants"] = json::array{json::object{{"nodes", json::array{"node/*"}}}};
    lane["sources"] = json::array{stream};
    stack.registry_more["lanes"] = json::object{{"key", stack.file("lane.key").string()},
                                                {"lanes", json::array{std::move(lane)}}};
    start_registry(keycloak.issuer());
    const auto policy = write_policy(keycloak.issuer());
    must(write_file(policy / "orders/policy.rego",
                    fmt::format(fmt::runtime(kPolicy), keycloak.issuer())));
    REQUIRE(stack.published(policy, kOrders) == 1);
  }
  Agent& start_node() {
    Agent& agent = start_agent({.name = "edge-1", .ledgers = {}, .more = LaneSite::agent_lane()});
    becomes_ready(agent);
    return agent;
  }
  // The stream's row of `notp tokens stats`.
  json::value stream() {
    const CliResult stats = stack.notp("eve", {"tokens", "stats"});
    REQUIRE_MESSAGE(stats.status == 0, stats.error);
    return at(at(stats.document, "lanes").as_array().at(0), "sources").as_array().at(0);
  }
};

bool is_signed(const Agent& agent, const std::string& token) {
  return agent.decide("orders/signed", json::object{{"token", token}}) == json::value(true);
}

// From now until the node denies.
double denied_after_ms(const Agent& agent, const std::string& token) {
  const auto begun = steady_clock::now();
  REQUIRE(wait_until([&] { return !allows(agent, token); }));
  return bench::ms_between(begun, steady_clock::now());
}

}  // namespace

TEST_CASE("Keycloak: a logout and a new password are denied at the node; a revoked token is not") {
  if (kLogouts == 0) return;
  KeycloakSite site;
  const CommandResult home =
      run_command({(site.stack.source() / "tools/build-openid").string(), "--keycloak"});
  REQUIRE_MESSAGE(home.status == 0, home.output);
  const std::string printed = home.output.substr(0, home.output.find_last_not_of('\n') + 1);
  Keycloak keycloak(site.setup(), printed.substr(printed.rfind('\n') + 1), /*with_events=*/true);
  site.start(keycloak);
  const Agent& agent = site.start_node();
  REQUIRE(wait_until([&] { return text_at(site.stream(), "state") == "ok"; }));

  bench::Samples of_logout;
  for (uint64_t i = 0; i < kLogouts; ++i) {
    const auto session = keycloak.log_in(), other = keycloak.log_in();
    REQUIRE(wait_until([&] { return allows(agent, session.access_token); }));
    CHECK(allows(agent, other.access_token));
    keycloak.log_out(session);
    of_logout.add(denied_after_ms(agent, session.access_token));
    // It is the end of one session: the other one, and the signature of this one, are good.
    CHECK(allows(agent, other.access_token));
    CHECK(is_signed(agent, session.access_token));
  }

  const auto before = keycloak.log_in();
  REQUIRE(wait_until([&] { return allows(agent, before.access_token); }));
  keycloak.set_password();
  const double of_password = denied_after_ms(agent, before.access_token);
  // What is issued in the same second counts as before it.
  REQUIRE(wait_until([&] { return allows(agent, keycloak.log_in().access_token); }));

  const auto ended = keycloak.log_in();
  REQUIRE(wait_until([&] { return allows(agent, ended.access_token); }));
  keycloak.end_all_sessions();
  const double of_all = denied_after_ms(agent, ended.access_token);

  // RFC 7009 tells nobody. The next logout shows that events still come.
  REQUIRE(wait_until([&] { return allows(agent, keycloak.log_in().access_token); }));
  const auto revoked = keycloak.log_in(), last = keycloak.log_in();
  keycloak.revoke(revoked.access_token);
  keycloak.log_out(last);
  denied_after_ms(agent, last.access_token);
  CHECK(allows(agent, revoked.access_token));
  CHECK_MESSAGE(text_at(site.stream(), "tells").contains("not"), text_at(site.stream(), "tells"));

  CHECK(of_logout.percentile(100) < 2 * static_cast<double>(kPollMs) + 1'000);
  record_result(
      fmt::format("logouts at Keycloak 26.7.3, a stream of events polled every {} ms", kPollMs),
      fmt::format("{} logouts", kLogouts),
      fmt::format("denied at the node after p50 {:.0f}, at most {:.0f} ms; after a new password "
                  "{:.0f} ms, after the end of all sessions {:.0f} ms; by its signature each token "
                  "was still good; a token that was revoked alone is told to nobody",
                  of_logout.p50(), of_logout.percentile(100), of_password, of_all));
}

}  // namespace notp
