// Transaction tokens with real daemons: a registry that publishes the service's keys, the service,
// workloads with certificates, and a lane that revokes.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "tests/support/process/health.hpp"
#include "tests/support/process/txn_site.hpp"
#include "tests/support/wire/http_host.hpp"

namespace notp {
namespace {

// A token verifies under the keys that the registry publishes, as it reaches nodes.
void verifies(TxnSite& site, const std::string& token) {
  const auto keys = site.service().decide("keys/txn", json::object{});
  REQUIRE(keys);
  const auto read = jose::read_token(token);
  REQUIRE(read);
  CHECK(read->typ == "txntoken+jwt");
  const auto set = jose::KeySet::parse(*keys);
  REQUIRE_MESSAGE(set, set.error().message);
  const auto checked = jose::check_token(*read, *set,
                                         {.algorithms = {jose::Algorithm::kEs256},
                                          .typ = "txntoken+jwt",
                                          .issuer = site.url(),
                                          .audience = std::string(kStackDomain),
                                          .now_ms = read_clock().wall_ms});
  CHECK_MESSAGE(checked, checked.error().message);
}

TEST_CASE("a workload gets a token that verifies, and every refusal has its code") {
  TxnSite site;
  site.service_more["limits"] = json::object{{"at_once", 64}, {"per_second", 100'000}};
  site.start();
  const Workload shop = site.workload(std::string(TxnSite::kShop));
  const Workload worker = site.workload(std::string(TxnSite::kWorker));
  const Workload other = site.workload("ns/other/sa/app");
  const std::string subject = site.lane.jwt();
  const TokenRequest good = site.request(subject);

  const TokenAnswer answer = shop.ask(good);
  REQUIRE_MESSAGE(answer.status == 200, json::serialize(answer.body));
  CHECK(answer.cache_control == "no-store");
  CHECK(text_at(answer.body, "token_type") == "N_A");
  CHECK(text_at(answer.body, "issued_token_type") == "urn:ietf:params:oauth:token-type:txn_token");
  CHECK_FALSE(answer.body.contains("refresh_token"));
  const json::object claims = answer.claims();
  CHECK(text_at(claims, "sub") == "ana");
  CHECK(text_at(claims, "scope") == "invoice.pay");
  CHECK(text_at(claims, "req_wl") == shop.identity());
  CHECK(text_at(claims, "aud") == kStackDomain);
  CHECK(text_at(claims, "tctx.invoice") == "i-1");
  verifies(site, answer.token());

  // For itself, by a token of its own.
  const auto self = [&](const std::string& jti, json::object more = {}) {
    return TxnSite::with(
        TxnSite::with(good, "subject_token", worker.self_signed(site.url(), jti, std::move(more))),
        "subject_token_type", "urn:ietf:params:oauth:token-type:self_signed");
  };
  const TokenAnswer own = worker.ask(self("own-1"));
  REQUIRE_MESSAGE(own.status == 200, json::serialize(own.body));
  CHECK(text_at(own.claims(), "sub") == worker.identity());

  struct Refused {
    const Workload& who;
    TokenRequest request;
    unsigned status;
    std::string_view error, reason;
  };
  const auto changed = [&](const char* name, std::string value) {
    return TxnSite::with(good, name, std::move(value));
  };
  TokenRequest doubled = good;
  doubled.emplace_back("scope", "invoice.pay");
  TokenRequest missing = good;
  std::erase_if(missing, [](const auto& each) { return each.first == "subject_token"; });
  const int64_t now_s = seconds_now();
  const std::vector<Refused> all{
      {shop, changed("client_id", "spiffe://core-platform.internal/ns/x"), 401, "invalid_client",
       "other_client"},
      {other, good, 400, "unauthorized_client", ""},
      {shop, doubled, 400, "invalid_request", "repeated_parameter"},
      {shop, missing, 400, "invalid_request", "missing_parameter"},
      {shop, changed("request_details", "{"), 400, "invalid_request", "bad_details"},
      {shop, changed("subject_token", subject.substr(0, subject.size() - 8) + "AAAAAAAA"), 400,
       "invalid_request", "subject_signature"},
      {shop, changed("subject_token", site.lane.jwt({.exp_s = now_s - 100})), 400,
       "invalid_request", "subject_expired"},
      {shop, changed("subject_token", site.lane.jwt({}, {{"iss", "https://other.example"}})), 400,
       "invalid_request", "subject_issuer"},
      {shop, changed("subject_token_type", "urn:ietf:params:oauth:token-type:refresh_token"), 400,
       "invalid_request", "subject_type"},
      {shop, changed("audience", "other.internal"), 400, "invalid_target", "audience"},
      {shop, changed("scope", ""), 400, "invalid_scope", "bad_scope"},
      {shop, changed("grant_type", "client_credentials"), 400, "unsupported_grant_type",
       "grant_type"},
      {shop, changed("request_details", R"({"invoice": "broken"})"), 500, "server_error",
       "policy_broken"},
      {shop, changed("subject_token", site.lane.jwt({.scope = "invoices.read"})), 500,
       "server_error", "policy_broken"},
      {worker, self("own-1"), 400, "invalid_request", "subject_used"},
      {worker, self("own-2", {{"aud", "https://other.example"}}), 400, "invalid_request",
       "subject_audience"},
      {shop, self("own-3"), 400, "invalid_request", ""},
      {shop,
       changed("request_details",
               fmt::format(R"({{"invoice": "i-1", "grant": "{}"}})", "AAAAAAAAAAAAAAAAAAAAAA")),
       400, "invalid_request", "grant_subject"},
  };
  for (const Refused& each : all) {
    const TokenAnswer refused = each.who.ask(each.request);
    CAPTURE(each.reason);
    CAPTURE(json::serialize(refused.body));
    CHECK(refused.status == each.status);
    CHECK(refused.error() == each.error);
    CHECK_FALSE(json::serialize(refused.body).contains(subject.substr(0, 20)));
  }
  // Each of them is logged under its name.
  for (const Refused& each : all)
    if (!each.reason.empty()) {
      const bool is_logged =
          std::ranges::any_of(log_lines(site.service().log_file()), [&](const json::value& line) {
            return text_at(line, "event") == "txn_refused" &&
                   text_at(line, "reason") == each.reason;
          });
      CHECK_MESSAGE(is_logged, each.reason);
    }
}

TEST_CASE("a grant is used once, by whom it is for, also over a restart of the service") {
  TxnSite site;
  site.start();
  const Workload shop = site.workload(std::string(TxnSite::kShop));
  const Workload worker = site.workload(std::string(TxnSite::kWorker));
  const TokenAnswer first = shop.ask(TxnSite::with(site.request(site.lane.jwt()), "request_details",
                                                   site.delegate_to(TxnSite::kWorker)));
  REQUIRE_MESSAGE(first.status == 200, json::serialize(first.body));
  const std::string grant = text_at(first.body, "grant");
  REQUIRE_FALSE(grant.empty());

  const TokenRequest redeemed = site.redeem(worker, grant, "job-1");
  TokenRequest stolen = site.redeem(shop, grant, "job-1");
  CHECK(shop.ask(stolen).error() == "invalid_request");
  const TokenAnswer second = worker.ask(redeemed);
  REQUIRE_MESSAGE(second.status == 200, json::serialize(second.body));
  const json::object claims = second.claims();
  CHECK(text_at(claims, "sub") == "ana");
  CHECK(text_at(claims, "req_wl") == worker.identity());
  CHECK(text_at(claims, "txn") != text_at(first.claims(), "txn"));
  CHECK(text_at(claims, "tctx.parent_txn") == text_at(first.claims(), "txn"));
  CHECK(text_at(claims, "tctx.origin") == shop.identity());
  verifies(site, second.token());

  // A lost answer is given again; another request of the same grant is not.
  CHECK(worker.ask(redeemed).claims() == claims);
  CHECK(worker.ask(site.redeem(worker, grant, "job-2")).error() == "invalid_request");

  site.service().kill();
  site.service().start();
  site.issues();
  CHECK(worker.ask(redeemed).claims() == claims);
  const TokenAnswer used = worker.ask(site.redeem(worker, grant, "job-3"));
  CHECK(used.error() == "invalid_request");
  CHECK(text_at(used.body, "error_description").contains("used"));
}

TEST_CASE("a revoked subject, a denied workload and an expired model get no token") {
  TxnSite site;
  Agent& service = site.start();
  Stack& stack = site.stack;
  const Workload shop = site.workload(std::string(TxnSite::kShop));
  const Workload worker = site.workload(std::string(TxnSite::kWorker));
  const TokenRequest request = site.request(site.lane.jwt({.iat_s = seconds_now() - 10}));
  const TokenAnswer first =
      shop.ask(TxnSite::with(request, "request_details", site.delegate_to(TxnSite::kWorker)));
  REQUIRE_MESSAGE(first.status == 200, json::serialize(first.body));
  const TokenRequest redeemed = site.redeem(worker, text_at(first.body, "grant"), "job-1");

  site.lane.revoke_subject("ana");
  REQUIRE(wait_until([&] { return shop.ask(request).status == 400; }));
  CHECK(text_at(shop.ask(request).body, "error_description").contains("revoked"));
  CHECK(text_at(worker.ask(redeemed).body, "error_description").contains("revoked"));
  const TokenRequest of_bob = site.request(site.lane.jwt({.sub = "bob"}));
  CHECK(shop.ask(of_bob).status == 200);

  const int64_t version = stack.published(stack.write_deny_list({shop.identity()}), kDenyList);
  REQUIRE(wait_until([&] { return service.has_active(kDenyList, version); }));
  const TokenAnswer denied = shop.ask(of_bob);
  CHECK(denied.status == 401);
  CHECK(denied.error() == "invalid_client");
  // Each of these is a record, with the name of the reason.
  REQUIRE(wait_until([&] {
    const CliResult found = stack.notp("eve", {"decisions", "search", "--all"});
    return found.status == 0 && found.output.contains("client_denied") &&
           found.output.contains("subject_revoked");
  }));

  stack.published(stack.write_deny_list({}), kDenyList);
  REQUIRE(wait_until([&] { return shop.ask(of_bob).status == 200; }));
  const std::filesystem::path issuance = stack.file("models/issuance");
  must(write_file(issuance / "txn/issue.rego",
                  read_text(issuance / "txn/issue.rego") + "\nshort_terms := true\n"));
  const CliResult again =
      stack.notp("alice", {"publish", issuance.string(), "--base", "v1", "--ledger", kIssuance,
                           "-m", "short terms", "--stale-after", "2s", "--expire-after", "4s"});
  REQUIRE_MESSAGE(again.status == 0, again.output);
  REQUIRE(wait_until([&] { return service.has_active(kIssuance, 2); }));
  stack.kill_registry();
  REQUIRE(wait_until([&] { return shop.ask(of_bob).status == 503; }));
  const TokenAnswer expired = shop.ask(of_bob);
  CHECK(expired.error() == "temporarily_unavailable");
  CHECK(expired.retry_after == "5");
  CHECK_MESSAGE(text_at(expired.body, "error_description").contains("expired"),
                json::serialize(expired.body));
  CHECK(at(service.status(), "txn.issues") == json::value(false));
}

// The endpoint of an issuer: its tokens are active, as soon as it may say so.
struct HeldIssuer {
  HeldIssuer()
      : host([this](const http::Request&) -> boost::asio::awaitable<http::Response> {
          ++asked;
          boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
          while (!may_answer) {
            timer.expires_after(std::chrono::milliseconds(5));
            co_await timer.async_wait(boost::asio::use_awaitable);
          }
          http::Response answer;
          answer.body = R"({"active": true})";
          co_return answer;
        }) {}

  ~HeldIssuer() { may_answer = true; }
  HeldIssuer(const HeldIssuer&) = delete;
  HeldIssuer& operator=(const HeldIssuer&) = delete;

  std::atomic<int> asked{0};
  std::atomic<bool> may_answer{true};
  HttpHost host;
};

TEST_CASE("who is denied while an issuer is asked gets no token") {
  TxnSite site;
  HeldIssuer issuer;
  must(write_file(site.stack.file("secret"), "app-secret", 0600));
  json::object subject = site.service_config().at("subjects").at(0).as_object();
  // A quarter of at_once, one question, is a client's.
  subject["introspection"] =
      json::object{{"url", fmt::format("http://127.0.0.1:{}/", issuer.host.server->port())},
                   {"auth", json::object{{"method", "client_secret_basic"},
                                         {"client_id", "app"},
                                         {"secret_file", site.stack.file("secret").string()}}},
                   {"insecure_loopback", true},
                   {"timeout_ms", 10'000},
                   {"at_once", 4}};
  site.service_more["subjects"] = json::array{subject};
  Agent& service = site.start();
  const Workload shop = site.workload(std::string(TxnSite::kShop));
  const Workload again = site.workload(std::string(TxnSite::kShop));
  const TokenRequest request = site.request(site.lane.jwt());
  const TokenAnswer given = shop.ask(request);
  REQUIRE_MESSAGE(given.status == 200, json::serialize(given.body));

  issuer.may_answer = false;
  TokenAnswer answer;
  std::jthread asking([&] { answer = shop.ask(request); });
  REQUIRE(wait_until([&] { return issuer.asked == 2; }));
  // What is beyond a client's share of questions is no record.
  const auto recorded = [&] {
    constexpr std::string_view kName = "\nnotp_agent_decisions_recorded_total ";
    const std::string text =
        must(http::call_blocking({.url = service.url() + "/metrics", .deadline_ms = 30'000})).body;
    return text.substr(text.find(kName) + kName.size(), 6);
  };
  const std::string before = recorded();
  CHECK(again.ask(request).status == 429);
  CHECK(recorded() == before);
  const int64_t version =
      site.stack.published(site.stack.write_deny_list({shop.identity()}), kDenyList);
  REQUIRE(wait_until([&] { return service.has_active(kDenyList, version); }));
  issuer.may_answer = true;
  asking.join();
  CHECK_MESSAGE(answer.status == 401, json::serialize(answer.body));
  CHECK(text_at(answer.body, "error_description").contains("deny list"));
  CHECK(issuer.asked == 2);
}

TEST_CASE("administrators list and revoke, others do not; what anyone may read is open") {
  TxnSite site;
  Agent& service = site.start();
  const Workload shop = site.workload(std::string(TxnSite::kShop));
  const Workload admin = site.workload("admin/ops");
  CHECK(shop.call("GET", "/admin/keys").status == 403);
  const auto keys = parse_json(admin.call("GET", "/admin/keys").body);
  REQUIRE(keys);
  CHECK_FALSE(at(*keys, "keys").as_array().empty());
  const std::string kid = text_at(service.status(), "txn.kid");
  CHECK(json::serialize(*keys).contains(kid));

  const TokenAnswer first = shop.ask(TxnSite::with(site.request(site.lane.jwt()), "request_details",
                                                   site.delegate_to(TxnSite::kWorker)));
  REQUIRE_MESSAGE(first.status == 200, json::serialize(first.body));
  const auto grants = parse_json(admin.call("GET", "/admin/grants?client=" + shop.identity()).body);
  REQUIRE(grants);
  REQUIRE(at(*grants, "grants").as_array().size() == 1);
  const std::string txn = text_at(first.claims(), "txn");
  CHECK(admin.call("POST", "/admin/grants/revoke", R"({"txn": 1})").status == 400);
  const auto revoked = parse_json(
      admin.call("POST", "/admin/grants/revoke", fmt::format(R"({{"txn": "{}"}})", txn)).body);
  REQUIRE(revoked);
  CHECK(number_at(*revoked, "grants") == 1);

  CHECK(admin.call("POST", "/admin/keys/unknown/revoke").status == 404);
  CHECK(admin.call("POST", fmt::format("/admin/keys/{}/revoke", kid)).status == 200);
  REQUIRE(wait_until([&] {
    const std::string now = text_at(service.status(), "txn.kid");
    return !now.empty() && now != kid;
  }));
  const TokenAnswer second = shop.ask(site.request(site.lane.jwt()));
  REQUIRE(second.status == 200);

  // Without a certificate the keys and the metadata are there, and tokens are not.
  const auto anyone = std::make_unique<http::Client>(
      must(http::Client::open({.tls = {.authorities = site.stack.authority_file()},
                               .proxy = {.url = "none"},
                               .environment = {}})));
  const auto get = [&](const std::string& method, const std::string& path) {
    return must(
        anyone->call_blocking({.method = method, .url = site.url() + path, .deadline_ms = 30'000}));
  };
  const auto metadata = parse_json(get("GET", "/.well-known/oauth-authorization-server").body);
  REQUIRE(metadata);
  CHECK(text_at(*metadata, "token_endpoint") == site.url() + "/token");
  CHECK(get("GET", "/jwks").status == 200);
  const http::Response nobody = get("POST", "/token");
  CHECK(nobody.status == 401);
  CHECK(nobody.body.contains("invalid_client"));
  CHECK(get("GET", "/admin/grants").status == 401);

  const std::string metrics =
      must(anyone->call_blocking(
               {.method = "GET", .url = service.url() + "/metrics", .deadline_ms = 30'000}))
          .body;
  CHECK(metrics.contains("notp_txn_issued_total{subject=\"access_token\"} 2"));
  CHECK(metrics.contains("notp_txn_refused_total{reason=\"no_certificate\"} 1"));
  CHECK(metrics.contains("notp_txn_can_issue 1"));
}

TEST_CASE("a client that asks too much waits") {
  TxnSite site;
  site.service_more["limits"] = json::object{{"per_second", 1}};
  site.start();
  const Workload other = site.workload("ns/other/sa/app");
  const TokenRequest request = site.request(site.lane.jwt());
  // Many at once: a machine would have to need a second for each of them to let all in.
  std::vector<Workload> shops;
  for (int i = 0; i < 8; ++i) shops.push_back(site.workload(std::string(TxnSite::kShop)));
  std::vector<TokenAnswer> answers(shops.size());
  TokenAnswer busy;
  REQUIRE(wait_until([&] {
    std::vector<std::jthread> asking;
    for (size_t i = 0; i < shops.size(); ++i)
      asking.emplace_back([&, i] { answers[i] = shops[i].ask(request); });
    asking.clear();
    const auto found = std::ranges::find(answers, 429U, &TokenAnswer::status);
    if (found != answers.end()) busy = *found;
    return found != answers.end();
  }));
  CHECK(busy.retry_after == "1");
  CHECK(busy.error() == "temporarily_unavailable");
  CHECK(other.ask(request).error() == "unauthorized_client");
}

}  // namespace
}  // namespace notp
