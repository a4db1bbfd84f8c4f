// Workloads behind a proxy that ends TLS: they authenticate by an assertion with their certificate
// in x5c (private_key_jwt, RFC 7523), and what others may send in its place.
#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include "common/base64url.hpp"
#include "tests/support/process/txn_site.hpp"

namespace notp {
namespace {

// Base64 of DER is what a PEM file has between its lines (RFC 7468 §2).
json::array x5c_of(const std::string& file) {
  json::array out;
  std::string text = read_text(file);
  constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----", kEnd = "-----END CERT";
  for (size_t at = text.find(kBegin); at != std::string::npos; at = text.find(kBegin, at + 1)) {
    std::string body = text.substr(at + kBegin.size(), text.find(kEnd, at) - at - kBegin.size());
    std::erase_if(body, [](char c) { return c == '\n' || c == '\r'; });
    out.emplace_back(body);
  }
  return out;
}

struct Scene : TxnSite {
  explicit Scene(const json::object& more = {}) {
    service_more = more;
    service_more["client_assertions"] = true;
    start();
    client = std::make_unique<http::Client>(must(http::Client::open(
        {.tls = {.authorities = stack.authority_file(), .certificate = {}, .private_key = {}},
         .proxy = {.url = "none"},
         .environment = {}})));
  }

  json::object claims(const Workload& who, const json::object& change = {}) {
    return changed({{"iss", who.identity()},
                    {"sub", who.identity()},
                    {"aud", url()},
                    {"jti", fmt::format("jti-{}", ++jti)},
                    {"exp", seconds_now() + 50}},
                   change);
  }
  std::string assertion(const Workload& who, const json::object& change = {},
                        const json::object& header = {}, const std::string& key = {}) {
    return must(jose::sign_token(
        changed({{"typ", "client-authentication+jwt"}, {"x5c", x5c_of(who.stem() + ".crt")}},
                header),
        claims(who, change),
        must(jose::SigningKey::load((key.empty() ? who.stem() : key) + ".key"))));
  }
  TokenRequest asked(const std::string& assertion) const {
    TokenRequest out = request(lane.jwt());
    out.emplace_back("client_assertion", assertion);
    out.emplace_back("client_assertion_type",
                     "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    return out;
  }
  // Without a certificate in TLS.
  TokenAnswer ask(const TokenRequest& request) const {
    const http::Response answer = must(
        client->call_blocking({.method = "POST",
                               .url = url() + "/token",
                               .headers = {{"Content-Type", "application/x-www-form-urlencoded"}},
                               .body = form_of(request),
                               .deadline_ms = 30'000}));
    return {.status = answer.status, .body = must(parse_json(answer.body)).as_object()};
  }
  // Whether this is why the last request was refused, by the service's own count.
  bool counted(const std::string& reason) {
    const std::string text =
        must(http::call_blocking({.url = service().url() + "/metrics", .deadline_ms = 30'000}))
            .body;
    return text.contains(
        fmt::format("notp_txn_refused_total{{reason=\"{}\"}} {}\n", reason, ++counts[reason]));
  }

  // Decisions and refusals that were recorded.
  int64_t recorded() {
    constexpr std::string_view kName = "\nnotp_agent_decisions_recorded_total ";
    const std::string text =
        must(http::call_blocking({.url = service().url() + "/metrics", .deadline_ms = 30'000}))
            .body;
    const size_t at = text.find(kName);
    REQUIRE(at != std::string::npos);
    return std::stoll(text.substr(at + kName.size()));
  }

  std::unique_ptr<http::Client> client;
  int jti = 0;
  std::map<std::string, int> counts;  // of refusals, by reason
};

TEST_CASE("a workload without a certificate in TLS authenticates by an assertion") {
  Scene site;
  const Workload shop = site.workload(std::string(TxnSite::kShop));
  const Workload worker = site.workload(std::string(TxnSite::kWorker));
  const auto metadata =
      must(parse_json(shop.call("GET", "/.well-known/oauth-authorization-server").body));
  CHECK(metadata.at("token_endpoint_auth_methods_supported") ==
        json::value{"tls_client_auth", "private_key_jwt"});
  CHECK(metadata.at("token_endpoint_auth_signing_alg_values_supported").as_array().size() > 3);

  const auto taken = [&](const std::string& assertion) {
    const TokenAnswer answer = site.ask(site.asked(assertion));
    REQUIRE_MESSAGE(answer.status == 200, json::serialize(answer.body));
    CHECK(text_at(answer.claims(), "req_wl") == shop.identity());
    CHECK(text_at(answer.claims(), "sub") == "ana");
  };
  taken(site.assertion(shop));
  taken(site.assertion(shop, {{"aud", site.url() + "/token"}}, {{"typ", "JWT"}}));
  taken(site.assertion(shop, {{"aud", json::array{site.url()}}}, {{"typ", nullptr}}));
  taken(site.assertion(shop, {}, {{"kid", "whatever"}}));
  // With a certificate of the same identity, too.
  CHECK(shop.ask(site.asked(site.assertion(shop))).status == 200);
  // The key of x5c is that of self-signed subject tokens.
  TokenRequest self = site.asked(site.assertion(worker));
  self = TxnSite::with(self, "subject_token", worker.self_signed(site.url(), "own-1"));
  self = TxnSite::with(self, "subject_token_type", "urn:ietf:params:oauth:token-type:self_signed");
  CHECK(site.ask(self).status == 200);
  // One JWT is not both: each jti counts once.
  const std::string both = site.assertion(worker, {{"iat", seconds_now()}}, {{"typ", "JWT"}});
  self = TxnSite::with(self, "client_assertion", both);
  CHECK(site.ask(TxnSite::with(self, "subject_token", both)).error() == "invalid_request");
  CHECK(site.counted("subject_used"));
}

TEST_CASE("an assertion that is not the workload's own authenticates nobody") {
  Scene site;
  const Workload shop = site.workload(std::string(TxnSite::kShop));
  const Workload worker = site.workload(std::string(TxnSite::kWorker));
  Stack& stack = site.stack;
  const auto leaf = [&](const std::string& stem, const pki::Credential& authority, auto change) {
    pki::LeafOptions options = stack.leaf("node", "workload");
    options.uris = {shop.identity()};
    change(options);
    return stack.issue(stem, authority, options);
  };
  const auto stranger =
      must(pki::make_authority("another CA", pki::Validity::days(read_clock().wall_ms, 30)));
  const std::string foreign = leaf("foreign", stranger, [](auto&) {});
  const std::string old = leaf("old", stack.authority(), [](pki::LeafOptions& options) {
    options.validity = {.not_before_ms = read_clock().wall_ms - 7'200'000,
                        .not_after_ms = read_clock().wall_ms - 3'600'000};
  });
  const std::string elsewhere = leaf("elsewhere", stack.authority(), [](auto& options) {
    options.uris = {"spiffe://other.internal/ns/shop/sa/till"};
  });
  const std::string server = leaf("server-only", stack.authority(), [](auto& options) {
    options.client_auth = false;
    options.server_auth = true;
  });
  const auto x5c = [&](const std::string& stem) {
    return json::object{{"x5c", x5c_of(stem + ".crt")}};
  };
  const auto unsigned_token = [&](std::string_view alg) {
    const json::object header{{"alg", alg}, {"x5c", x5c_of(shop.stem() + ".crt")}};
    return to_base64url(json::serialize(header)) + "." +
           to_base64url(json::serialize(site.claims(shop))) + ".c2lnbmF0dXJl";
  };
  const std::string both_in_one =
      to_base64(must(from_base64(x5c_of(shop.stem() + ".crt")[0].as_string())) +
                must(from_base64(x5c_of(stack.authority_file())[0].as_string())));
  const std::string used = site.assertion(shop);
  REQUIRE(site.ask(site.asked(used)).status == 200);
  const int64_t now_s = seconds_now();
  const std::vector<std::tuple<const char*, std::string, const char*>> rows{
      {"another key", site.assertion(shop, {}, {}, worker.stem()), "bad_assertion"},
      {"another key, in jwk",
       site.assertion(
           shop, {},
           {{"jwk", must(jose::SigningKey::load(worker.stem() + ".key")).public_jwk().canonical()}},
           worker.stem()),
       "bad_assertion"},
      {"another sub", site.assertion(shop, {{"sub", worker.identity()}}), "bad_assertion"},
      {"another iss", site.assertion(shop, {{"iss", worker.identity()}}), "bad_assertion"},
      {"no sub", site.assertion(shop, {{"sub", nullptr}}), "bad_assertion"},
      {"no iss", site.assertion(shop, {{"iss", nullptr}}), "bad_assertion"},
      {"expired", site.assertion(shop, {{"exp", now_s - 31}}), "assertion_expired"},
      {"no exp", site.assertion(shop, {{"exp", nullptr}}), "assertion_expired"},
      {"ten minutes", site.assertion(shop, {{"exp", now_s + 600}}), "bad_assertion"},
      {"from the future", site.assertion(shop, {{"iat", now_s + 90}}), "bad_assertion"},
      {"not yet", site.assertion(shop, {{"nbf", now_s + 90}}), "bad_assertion"},
      {"used before", used, "assertion_used"},
      {"no jti", site.assertion(shop, {{"jti", nullptr}}), "bad_assertion"},
      {"a long jti", site.assertion(shop, {{"jti", std::string(300, 'j')}}), "bad_assertion"},
      {"alg none", unsigned_token("none"), "bad_assertion"},
      {"HS256", unsigned_token("HS256"), "bad_assertion"},
      {"RS256 by a key that is not RSA", unsigned_token("RS256"), "bad_assertion"},
      {"another aud", site.assertion(shop, {{"aud", "https://other.internal"}}), "bad_assertion"},
      {"no aud", site.assertion(shop, {{"aud", nullptr}}), "bad_assertion"},
      {"two auds",
       site.assertion(shop, {{"aud", json::array{site.url(), "https://other.internal"}}}),
       "bad_assertion"},
      {"an access token", site.assertion(shop, {}, {{"typ", "at+jwt"}}), "bad_assertion"},
      {"no x5c", site.assertion(shop, {}, {{"x5c", nullptr}}), "bad_assertion"},
      {"an empty x5c", site.assertion(shop, {}, {{"x5c", json::array{}}}), "bad_assertion"},
      {"x5c as text", site.assertion(shop, {}, {{"x5c", x5c_of(shop.stem() + ".crt")[0]}}),
       "bad_assertion"},
      {"x5c of numbers", site.assertion(shop, {}, {{"x5c", json::array{1}}}), "bad_assertion"},
      {"x5c of nothing", site.assertion(shop, {}, {{"x5c", json::array{"AAAA"}}}), "bad_assertion"},
      {"x5c of many",
       site.assertion(shop, {},
                      {{"x5c", json::array{"AAAA", "AAAA", "AAAA", "AAAA", "AAAA", "AAAA"}}}),
       "bad_assertion"},
      {"two certificates in one element of x5c",
       site.assertion(shop, {}, {{"x5c", json::array{both_in_one}}}), "bad_assertion"},
      {"x5c of another CA", site.assertion(shop, {}, x5c(foreign), foreign), "bad_certificate"},
      {"an expired certificate", site.assertion(shop, {}, x5c(old), old), "bad_certificate"},
      {"a server's certificate", site.assertion(shop, {}, x5c(server), server), "bad_certificate"},
      {"another trust domain", site.assertion(shop, {}, x5c(elsewhere), elsewhere),
       "not_a_workload"},
      {"no JWT", "x", "bad_assertion"}};
  for (const auto& [what, assertion, reason] : rows) {
    CAPTURE(what);
    const TokenAnswer refused = site.ask(site.asked(assertion));
    CAPTURE(json::serialize(refused.body));
    CHECK(refused.status == 401);
    CHECK(refused.error() == "invalid_client");
    if (assertion.size() > 20)
      CHECK_FALSE(json::serialize(refused.body).contains(assertion.substr(assertion.size() - 20)));
    CHECK(site.counted(reason));
  }
  const auto refuse = [&](const char* what, const TokenAnswer& answer, const char* reason) {
    CAPTURE(what);
    CHECK(answer.status == 401);
    CHECK(site.counted(reason));
  };
  refuse("with the certificate of another", worker.ask(site.asked(site.assertion(shop))),
         "other_identity");
  refuse("client_id of another",
         site.ask(TxnSite::with(site.asked(site.assertion(shop)), "client_id", worker.identity())),
         "other_client");
  refuse(
      "another type",
      site.ask(TxnSite::with(site.asked(site.assertion(shop)), "client_assertion_type", "urn:x")),
      "bad_assertion");
  refuse("no type",
         site.ask(TxnSite::with(site.asked(site.assertion(shop)), "client_assertion_type", "")),
         "bad_assertion");
  refuse("no assertion", site.ask(TxnSite::with(site.asked(""), "client_assertion", "")),
         "bad_assertion");
  refuse("nothing", site.ask(site.request(site.lane.jwt())), "no_certificate");

  const int64_t version = stack.published(stack.write_deny_list({shop.identity()}), kDenyList);
  REQUIRE(wait_until([&] { return site.service().has_active(kDenyList, version); }));
  refuse("denied", site.ask(site.asked(site.assertion(shop))), "client_denied");
}

TEST_CASE("bad assertions fill no log, and an address that sends many waits") {
  Scene site;
  const Workload shop = site.workload(std::string(TxnSite::kShop));
  const Workload worker = site.workload(std::string(TxnSite::kWorker));
  const int64_t before = site.recorded();
  // With a good certificate, too.
  for (int i = 0; i < 40; ++i) CHECK(shop.ask(site.asked("x")).status == 401);
  CHECK(shop.ask(site.asked(site.assertion(shop, {}, {}, worker.stem()))).status == 401);
  CHECK(site.recorded() == before);
  // What a client asks that is authenticated is recorded.
  CHECK(shop.ask(TxnSite::with(site.asked(site.assertion(shop)), "audience", "other")).status ==
        400);
  CHECK(site.recorded() == before + 1);

  // A public certificate, and a signature of another key.
  const TokenRequest forged = site.asked(site.assertion(shop, {}, {}, worker.stem()));
  unsigned last = 0;
  REQUIRE(wait_until([&] {
    std::vector<std::jthread> asking;
    std::atomic<unsigned> most = 0;
    for (int i = 0; i < 4; ++i)
      asking.emplace_back([&] {
        for (int j = 0; j < 25; ++j)
          if (site.ask(forged).status == 429) most = 429;
      });
    asking.clear();
    last = most;
    return last == 429;
  }));
  CHECK(site.recorded() == before + 1);
  // For a second.
  CHECK(wait_until([&] { return site.ask(site.asked(site.assertion(shop))).status == 200; }));
}

TEST_CASE("a request that comes too soon does not use up its assertion") {
  Scene site(json::object{{"limits", json::object{{"per_second", 1}}}});
  const Workload shop = site.workload(std::string(TxnSite::kShop));
  TokenRequest early;
  REQUIRE(wait_until([&] {
    site.ask(site.asked(site.assertion(shop)));
    early = site.asked(site.assertion(shop));
    return site.ask(early).status == 429;
  }));
  TokenAnswer late;
  REQUIRE(wait_until([&] {
    late = site.ask(early);
    return late.status != 429;
  }));
  CHECK_MESSAGE(late.status == 200, json::serialize(late.body));
  CHECK(site.ask(early).status == 401);
}

}  // namespace
}  // namespace notp
