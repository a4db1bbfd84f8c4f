// What the Txn-Token Service issues: the examples of draft-ietf-oauth-transaction-tokens-10, every
// type of subject token, what a policy cannot break, and replacement. test_hostile_txn has what is
// refused.
#include <doctest/doctest.h>

#include "common/jose/token.hpp"
#include "notp-client/txn/grants/sqlite_grants.hpp"
#include "notp-client/txn/issue/client_assertion.hpp"
#include "notp-client/txn/issue/policy_answer.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/txn/txn_world.hpp"

namespace notp {
namespace {

using namespace txn_world;

struct World {
  TemporaryFolder folder;
  std::unique_ptr<SqliteGrants> grants = SqliteGrants::open({.folder = folder.path()}).value();
  Service service{*grants};

  Given must(const std::string& name, const TokenRequest& form, TimeMs now_ms = kStartMs) {
    auto given = service.issue(name, form, now_ms);
    REQUIRE_MESSAGE(given, given.error().reason() << ": " << given.error().description);
    return *std::move(given);
  }
  std::string refused(const std::string& name, const TokenRequest& form, TimeMs now_ms = kStartMs) {
    const auto given = service.issue(name, form, now_ms);
    REQUIRE_FALSE(given);
    return std::string(given.error().reason());
  }
};

std::string names_of(const json::object& members) {
  std::string out;
  for (const json::key_value_pair& member : members)
    out += fmt::format("{}{}", out.empty() ? "" : " ", std::string_view(member.key()));
  return out;
}

// The body of the draft's request, without its line breaks.
constexpr std::string_view kDraftRequest =
    "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange"
    "&requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Atxn_token"
    "&audience=trust-domain.example"
    "&scope=trade.stocks"
    "&subject_token=eyJhbGciOiJFUzI1NiIsImtpZC...kdXjwhw"
    "&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token"
    "&request_context=%7B%0A%20%20%20%20%20%20%22req_ip%22%3A%20%2269.151.72.123%22%2C%20%0A%20%20"
    "%20%20%20%20%22authn%22%3A%20%22face%22%0A%7D"
    "&request_details=%7B%0A%20%20%20%20%20%20%22action%22%3A%20%22BUY%22%2C%0A%20%20%20%20%20%20"
    "%22ticker%22%3A%20%22MSFT%22%2C%0A%20%20%20%20%20%20%22quantity%22%3A%20%22100%22%0A%7D";
const json::object kDraftContext = {{"req_ip", "69.151.72.123"}, {"authn", "face"}};
const json::object kDraftDetails = {{"action", "BUY"}, {"ticker", "MSFT"}, {"quantity", "100"}};

TEST_CASE("the draft's request example is read") {
  const auto form = read_form(kFormType, kDraftRequest);
  REQUIRE_MESSAGE(form, form.error().description);
  CHECK(form->audience == "trust-domain.example");
  CHECK(form->scopes == std::vector<std::string>{"trade.stocks"});
  CHECK(form->subject_type == SubjectType::kAccessToken);
  CHECK(form->subject_token == "eyJhbGciOiJFUzI1NiIsImtpZC...kdXjwhw");
  CHECK(form->client_id.empty());
  CHECK(form->request_context == kDraftContext);
  CHECK(form->request_details == kDraftDetails);
}

TEST_CASE("the draft's token example is issued, by a policy that says it") {
  SubjectRules rules = subject_rules();
  rules.trust_domain = rules.audience = "trust-domain.example";
  rules.issuer = "";  // iss is optional
  World world;
  Service service(*world.grants, rules);
  const json::object tctx = {{"action", "BUY"},
                             {"ticker", "MSFT"},
                             {"quantity", "100"},
                             {"customer_type", {{"geo", "US"}, {"level", "VIP"}}}};
  service.policy = [&tctx](const json::object& input) -> Result<std::optional<json::value>> {
    CHECK(input.at("request").at("details") == json::value(kDraftDetails));
    return json::value{{"allow", true},
                       {"sub", "d084sdrt234fsaw34tr23t"},
                       {"scope", {"trade.stocks"}},
                       {"covers", {{{"scope", "trade.stocks"}, {"by", "trade"}}}},
                       {"lifetime_s", 300},
                       {"tctx", tctx},
                       {"rctx", input.at("request").at("context")}};
  };
  constexpr TimeMs kIssuedMs = 1'686'536'226'000;
  TokenRequest form = with(access_form(kIssuedMs, "trade.stocks"), "audience", rules.audience);
  form = with(form, "request_context", json::serialize(kDraftContext));
  form = with(form, "request_details", json::serialize(kDraftDetails));
  const Client gateway{"spiffe://trust-domain.example/apigateway", std::nullopt};
  const auto given = service.issue(gateway, form_of(form), kIssuedMs);
  REQUIRE_MESSAGE(given, given.error().description);
  // Of the example, exp is later than is issued here, and req_wl is not a SPIFFE id.
  CHECK(given->claims == json::object{{"iat", 1'686'536'226},
                                      {"exp", 1'686'536'526},
                                      {"aud", "trust-domain.example"},
                                      {"txn", "txn-1"},
                                      {"sub", "d084sdrt234fsaw34tr23t"},
                                      {"scope", "trade.stocks"},
                                      {"req_wl", "spiffe://trust-domain.example/apigateway"},
                                      {"tctx", tctx},
                                      {"rctx", kDraftContext}});
}

TEST_CASE("the draft's response example is written, and no refresh token") {
  const json::object claims = {{"exp", kStartS + 60}, {"scope", "a b"}};
  CHECK(token_document("eyJCI6IjllciJ9...Qedw6rx", claims, "", kStartMs) ==
        json::object{{"access_token", "eyJCI6IjllciJ9...Qedw6rx"},
                     {"issued_token_type", "urn:ietf:params:oauth:token-type:txn_token"},
                     {"token_type", "N_A"},
                     {"expires_in", 60},
                     {"scope", "a b"}});
  CHECK(token_document("t", claims, "g", kStartMs + 90'000).at("expires_in") == 0);
  CHECK(token_document("t", claims, "g", kStartMs).at("grant") == "g");
}

TEST_CASE("a token has the draft's header and claims, in their order, and is verified by its key") {
  World world;
  world.service.policy = generous({{"rctx", {{"ip", "192.0.2.1"}}}});
  const Given given = world.must("a", access_form(kStartMs, "order:pay order:read"));
  const auto token = jose::read_token(given.token).value();
  CHECK(token.header == json::object{{"alg", "ES256"}, {"typ", "txntoken+jwt"}, {"kid", "t1"}});
  CHECK(token.claims == given.claims);
  CHECK(names_of(token.claims) == "iss iat exp aud txn sub scope req_wl tctx rctx");
  CHECK(token.claims.at("iss") == json::value(kService));
  CHECK(token.claims.at("iat") == kStartS);
  CHECK(token.claims.at("exp") == kStartS + 120);
  CHECK(token.claims.at("aud") == json::value(kDomain));
  CHECK(token.claims.at("sub") == "ada");
  CHECK(token.claims.at("scope") == "order:pay order:read");
  CHECK(token.claims.at("req_wl") == json::value(workload("a")));
  CHECK(jose::check_token(token, key_set("txn", "t1"),
                          {.algorithms = {jose::Algorithm::kEs256},
                           .typ = "txntoken+jwt",
                           .issuer = kService,
                           .audience = kDomain,
                           .now_ms = kStartMs}));
  CHECK(given.token.size() < limits::kTxnTokenBytesMax);
  CHECK(token_hash(given.token) == to_base64url(sha256(given.token).view()));
}

TEST_CASE("a policy is asked with what was verified, and never with a token") {
  World world;
  TokenRequest form = with(access_form(kStartMs), "client_id", workload("a"));
  form = with(form, "request_context", R"({"ip":"192.0.2.1"})");
  form = with(form, "unknown", "is ignored");
  form = with(form, "request_details", "");  // as if it were not there
  const auto asked = world.service.ask(client("a"), form_of(form), kStartMs);
  REQUIRE_MESSAGE(asked, asked.error().description);
  const json::object expected = {
      {"client", workload("a")},
      {"subject",
       {{"type", "access_token"}, {"claims", access_claims(kStartMs)}, {"record", nullptr}}},
      {"request",
       {{"scope", {"order:pay"}}, {"context", {{"ip", "192.0.2.1"}}}, {"details", nullptr}}},
      {"grant", nullptr},
      {"txn", "txn-1"},
      {"now", kStartS}};
  CHECK(asked->input == expected);
  // Aggregated claims are tokens.
  const json::object sources = {{"src1", {{"JWT", id_token(kStartMs)}}}};
  const auto other = world.service.ask(
      client("a"),
      form_of(with(form, "subject_token", access_token(kStartMs, {{"_claim_sources", sources}}))),
      kStartMs);
  REQUIRE(other);
  CHECK(other->input.at("subject") == expected.at("subject"));
  CHECK_FALSE(holds_token(asked->input));
}

TEST_CASE("subject tokens of every type are taken") {
  World world;
  const auto sub_of = [&](const TokenRequest& form) {
    return std::string(world.must("a", form).claims.at("sub").as_string());
  };
  CHECK(sub_of(access_form(kStartMs)) == "ada");
  CHECK(sub_of(request_of("id_token", id_token(kStartMs), "order:pay")) == "ada");
  CHECK(sub_of(request_of("jwt", access_token(kStartMs, {}, {{"typ", nullptr}}), "order:pay")) ==
        "ada");
  CHECK(sub_of(request_of("self_signed", self_signed("a", "j1", kStartMs, {{"sub", "bob"}}),
                          "order:pay")) == "bob");
  CHECK(sub_of(request_of("unsigned_json", R"({ "sub": "eve", "why": "nightly" })", "order:pay")) ==
        "eve");
  SUBCASE("an audience among others, scp of another issuer, and a skew of 30 s") {
    CHECK(sub_of(request_of("access_token",
                            access_token(kStartMs, {{"aud", {"x", kShop}},
                                                    {"scope", nullptr},
                                                    {"scp", {"orders", "trade"}},
                                                    {"exp", kStartS - 29},
                                                    {"iat", kStartS + 29}}),
                            "order:pay")) == "ada");
  }
}

TEST_CASE("a self-signed token may have its one audience in a list") {
  World world;
  world.must("a", request_of("self_signed", self_signed("a", "j1", kStartMs, {{"aud", {kService}}}),
                             "order:pay"));
}

TEST_CASE("an opaque token is what the lane knows of it") {
  World world;
  const TokenRequest form = request_of("access_token", "2YotnFZFEjr1zCsicMWpAA", "order:pay");
  CHECK(world.refused("a", form) == "subject_unknown");  // without a lane
  const json::object record = {
      {"iss", kLogin}, {"sub", "ada"}, {"aud", {kShop}}, {"scope", "x y"}, {"exp", kStartS + 9}};
  LaneFinding finding{LaneFinding::State::kGood, record};
  world.service.lane = [&finding](const LaneQuestion& question) {
    CHECK(question.token_id == "6c96130f130ab0d6d158397e24d2bcc1");
    return finding;
  };
  world.service.policy = [&](const json::object& input) {
    CHECK(input.at("subject").at("claims") == json::value(record));
    CHECK(input.at("subject").at("record") == json::value(record));
    return generous()(input);
  };
  CHECK(world.must("a", form).claims.at("sub") == "ada");
  finding.record.reset();
  CHECK(world.refused("a", form) == "subject_unknown");
  finding.record = changed(record, {{"iss", "https://other.internal"}});
  CHECK(world.refused("a", form) == "subject_issuer");
  finding.record = changed(record, {{"aud", nullptr}});
  CHECK(world.refused("a", form) == "subject_issuer");
  finding.record = changed(record, {{"sub", nullptr}});
  CHECK(world.refused("a", form) == "subject_claims");
  finding.record = changed(record, {{"scope", nullptr}});
  CHECK(world.refused("a", form) == "subject_scope");
}

TEST_CASE("the lane is asked about a subject token, and its word is the last") {
  World world;
  LaneFinding finding{LaneFinding::State::kGood, std::nullopt};
  std::vector<LaneQuestion> questions;
  world.service.lane = [&](const LaneQuestion& question) {
    questions.push_back(question);
    return finding;
  };
  const TokenRequest form = access_form(kStartMs);
  world.must("a", form);
  REQUIRE(questions.size() == 1);
  CHECK(questions[0].claims == access_claims(kStartMs));
  CHECK(questions[0].token_id.size() == 32);
  finding.state = LaneFinding::State::kRevoked;
  CHECK(world.refused("a", form) == "subject_revoked");
  finding.state = LaneFinding::State::kStale;
  CHECK(world.refused("a", form) == "lane_stale");
  // A token without a scope gets it from what its issuer told the lane.
  finding = {LaneFinding::State::kGood, json::object{{"scope", "orders"}}};
  world.must("a", request_of("access_token", access_token(kStartMs, {{"scope", nullptr}}), "x"));
  // Of what a workload says of itself the lane knows nothing.
  questions.clear();
  world.must("a", request_of("self_signed", self_signed("a", "j", kStartMs), "order:pay"));
  CHECK(questions.empty());
}

TEST_CASE("a self-signed token counts once") {
  World world;
  const TokenRequest form =
      request_of("self_signed", self_signed("a", "j1", kStartMs), "order:pay");
  world.must("a", form);
  CHECK(world.refused("a", form) == "subject_used");
  CHECK(world.refused("a", form, kStartMs + 59'000) == "subject_used");
  // Of another workload the same number is another one.
  world.must("b", request_of("self_signed", self_signed("b", "j1", kStartMs), "order:pay"));
  // When it has ended it is forgotten, and refused for its age.
  CHECK(world.refused("a", form, kStartMs + 60'000) == "subject_expired");
}

TEST_CASE("an assertion is looked at before its certificates are, and each element is one") {
  const json::object good{{"iss", workload("a")},
                          {"sub", workload("a")},
                          {"aud", kService},
                          {"jti", "j1"},
                          {"exp", kStartS + 60}};
  const std::string one = to_base64(Bytes("\x30\x03\x02\x01\x01", 5));
  const auto reason = [&](const json::object& change, const json::object& header = {}) {
    TokenForm form;
    form.client_assertion_type = kClientAssertionType;
    form.client_assertion =
        sign(changed({{"x5c", json::array{one}}}, header), changed(good, change), "a");
    const auto read = read_client_assertion(form);
    if (!read) return std::string("x5c");
    const auto use = check_assertion_claims(*read, kService, kStartMs);
    return use ? use->peer + " " + use->jti : std::string(use.error().reason());
  };
  CHECK(reason({}) == workload("a") + " j1");
  CHECK(reason({}, {{"typ", "application/Client-Authentication+JWT"}}) == workload("a") + " j1");
  CHECK(reason({}, {{"x5c", json::array{one, one, one, one, one}}}) == workload("a") + " j1");
  // Two in one, one and a half, none, another structure, and a length that does not end.
  for (const std::string& der :
       {std::string("\x30\x03\x02\x01\x01\x30\x03\x02\x01\x01", 10),
        std::string("\x30\x03\x02\x01\x01\x30", 6), std::string("\x30\x04\x02\x01\x01", 5),
        std::string("\x02\x01\x01", 3), std::string("\x30\x80\x02\x01\x01\x00\x00", 7),
        std::string("\x30", 1)})
    CHECK(reason({}, {{"x5c", json::array{to_base64(der)}}}) == "x5c");
  for (const json::object& change : std::vector<json::object>{{{"iss", nullptr}},
                                                              {{"sub", workload("b")}},
                                                              {{"aud", kShop}},
                                                              {{"jti", nullptr}},
                                                              {{"exp", kStartS + 91}}})
    CHECK_MESSAGE(reason(change) == "bad_assertion", json::serialize(change));
  CHECK(reason({}, {{"typ", "at+jwt"}}) == "bad_assertion");
  CHECK(reason({{"exp", kStartS - 30}}) == "assertion_expired");
  CHECK(reason({{"exp", nullptr}}) == "assertion_expired");
}

TEST_CASE("the table of used numbers is bounded, and no client takes the room of all") {
  JtiTable table;
  const auto use = [](const std::string& peer, size_t number, TimeMs until_ms = kStartMs + 1'500) {
    return JtiUse{peer, std::to_string(number), "", until_ms};
  };
  // Another's share is not touched by one who uses all of its own.
  for (size_t i = 0; i < limits::kTxnJtisPerClientMax; ++i)
    REQUIRE(table.take(use("p", i), kStartMs));
  const auto refused = table.take(use("p", limits::kTxnJtisPerClientMax), kStartMs);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().reason() == "jtis_per_client");
  CHECK(refused.error().status() == 429);
  CHECK(refused.error().retry_after_ms == 1'500);
  const auto again = table.take(use("p", 0), kStartMs);
  REQUIRE_FALSE(again);
  CHECK(again.error().reason() == "subject_used");
  CHECK(table.was_used(use("p", 0), kStartMs));
  CHECK_FALSE(table.was_used(use("q", 0), kStartMs));
  const size_t clients = limits::kTxnJtisMax / limits::kTxnJtisPerClientMax;
  static_assert(limits::kTxnJtisMax % limits::kTxnJtisPerClientMax == 0);
  for (size_t client = 1; client < clients; ++client)
    for (size_t i = 0; i < limits::kTxnJtisPerClientMax; ++i)
      REQUIRE(table.take(use(std::to_string(client), i), kStartMs));
  const auto full = table.take(use("other", 0), kStartMs);
  REQUIRE_FALSE(full);
  CHECK(full.error().status() == 503);
  // What has ended makes room, in the table and in the share.
  CHECK(table.take(use("p", limits::kTxnJtisPerClientMax, kStartMs + 2'000), kStartMs + 1'500));
  CHECK(table.size() == 1);
  CHECK_FALSE(table.was_used(use("p", 0), kStartMs + 1'500));
  for (size_t i = 1; i < limits::kTxnJtisPerClientMax; ++i)
    REQUIRE(table.take(use("p", i, kStartMs + 2'000), kStartMs + 1'500));
  CHECK_FALSE(table.take(use("p", 0, kStartMs + 2'000), kStartMs + 1'500));
}

// --- what a policy cannot break

struct Broken {
  const char* what;
  json::object change;
  const char* reason;
};

const std::string kJwt = access_token(kStartMs);

const std::vector<Broken>& broken_answers() {
  static const std::vector<Broken> rows = {
      {"allow is no boolean", {{"allow", 1}}, "policy_broken"},
      {"allow is text", {{"allow", "true"}}, "policy_broken"},
      {"no allow", {{"allow", nullptr}}, "policy_denied"},
      {"allow is false", {{"allow", false}}, "policy_denied"},
      {"no sub", {{"sub", nullptr}}, "policy_broken"},
      {"an empty sub", {{"sub", ""}}, "policy_broken"},
      {"a sub that is a number", {{"sub", 7}}, "policy_broken"},
      {"a long sub", {{"sub", std::string(257, 's')}}, "policy_broken"},
      {"a sub with a line break", {{"sub", "a\nb"}}, "policy_broken"},
      {"no scope", {{"scope", nullptr}}, "policy_broken"},
      {"scope as text", {{"scope", "order:pay"}}, "policy_broken"},
      {"no scope left", {{"scope", json::array{}}}, "no_scope_left"},
      {"a scope that was not requested", {{"scope", {"order:pay", "order:all"}}}, "policy_broken"},
      {"a scope in another case", {{"scope", {"Order:pay"}}}, "policy_broken"},
      {"a scope twice", {{"scope", {"order:pay", "order:pay"}}}, "policy_broken"},
      {"a scope that is no text", {{"scope", {1}}}, "policy_broken"},
      {"no covers", {{"covers", nullptr}}, "policy_broken"},
      {"empty covers", {{"covers", json::array{}}}, "policy_broken"},
      {"covers as an object", {{"covers", {{"order:pay", "orders"}}}}, "policy_broken"},
      {"covers of another scope",
       {{"covers", {{{"scope", "x"}, {"by", "orders"}}}}},
       "policy_broken"},
      {"covered by what the subject lacks",
       {{"covers", {{{"scope", "order:pay"}, {"by", "admin"}}}}},
       "policy_broken"},
      {"covered by an entitlement, though the token has scopes",
       {{"covers", {{{"scope", "order:pay"}, {"entitlement", "e"}}}}},
       "policy_broken"},
      {"covered by itself",
       {{"covers", {{{"scope", "order:pay"}, {"by", "order:pay"}}}}},
       "policy_broken"},
      {"tctx is a list", {{"tctx", json::array{}}}, "policy_broken"},
      {"rctx is text", {{"rctx", "x"}}, "policy_broken"},
      {"tctx with sub", {{"tctx", {{"sub", "x"}}}}, "policy_broken"},
      {"tctx with exp", {{"tctx", {{"exp", 1}}}}, "policy_broken"},
      {"tctx with scope", {{"tctx", {{"scope", "x"}}}}, "policy_broken"},
      {"tctx with req_wl", {{"tctx", {{"req_wl", "x"}}}}, "policy_broken"},
      {"tctx with a chain", {{"tctx", {{"chain", json::array{}}}}}, "policy_broken"},
      {"tctx with an origin", {{"tctx", {{"origin", "x"}}}}, "policy_broken"},
      {"tctx with a parent", {{"tctx", {{"parent_txn", "x"}}}}, "policy_broken"},
      {"rctx with txn", {{"rctx", {{"txn", "x"}}}}, "policy_broken"},
      {"the access token in tctx", {{"tctx", {{"t", kJwt}}}}, "policy_broken"},
      {"it deep inside", {{"rctx", {{"t", {{{"u", {1, kJwt}}}}}}}}, "policy_broken"},
      {"it as a name", {{"tctx", {{kJwt, 1}}}}, "policy_broken"},
      {"it within a text", {{"tctx", {{"t", "Bearer " + kJwt + "."}}}}, "policy_broken"},
      {"another token", {{"tctx", {{"t", id_token(kStartMs)}}}}, "policy_broken"},
      {"a deep tctx",
       {{"tctx", parse_json(R"({"a":[[[[[[[[1]]]]]]]]})").value()}},
       "policy_broken"},
      {"a large tctx", {{"tctx", {{"t", std::string(5'000, 'x')}}}}, "policy_broken"},
      {"no life", {{"lifetime_s", 0}}, "policy_broken"},
      {"a negative life", {{"lifetime_s", -5}}, "policy_broken"},
      {"more than five minutes", {{"lifetime_s", 301}}, "policy_broken"},
      {"half a second", {{"lifetime_s", 1.5}}, "policy_broken"},
      {"a huge life", {{"lifetime_s", 1e300}}, "policy_broken"},
      {"a life as text", {{"lifetime_s", "60"}}, "policy_broken"},
  };
  return rows;
}

TEST_CASE("a policy that breaks an invariant gets no token issued") {
  World world;
  for (const Broken& row : broken_answers()) {
    CAPTURE(row.what);
    world.service.policy = generous(row.change);
    CHECK(world.refused("a", access_form(kStartMs)) == row.reason);
  }
  // The control: what they changed is all that was wrong.
  world.service.policy = generous();
  world.must("a", access_form(kStartMs));
  for (const json::value& whole :
       {json::value(), json::value(true), json::value("x"), json::value(json::array{})}) {
    world.service.policy = [&whole](const json::object&) {
      return Result<std::optional<json::value>>(whole);
    };
    CHECK(world.refused("a", access_form(kStartMs)) == "policy_broken");
  }
}

TEST_CASE("undefined is a refusal, a failure is not, and a reason reaches the client") {
  World world;
  world.service.policy = [](const json::object&) {
    return Result<std::optional<json::value>>(std::nullopt);
  };
  auto given = world.service.issue("a", access_form(kStartMs), kStartMs);
  REQUIRE_FALSE(given);
  CHECK(given.error().code() == "unauthorized_client");
  CHECK(given.error().status() == 400);
  world.service.policy = [](const json::object&) -> Result<std::optional<json::value>> {
    return fail(ErrorCode::kUnavailable, "no model");
  };
  given = world.service.issue("a", access_form(kStartMs), kStartMs);
  REQUIRE_FALSE(given);
  CHECK(given.error().reason() == "policy_unavailable");
  CHECK(given.error().status() == 503);
  world.service.policy = generous({{"allow", false}, {"reason", "not at \"night\"\\\n\u00e9"}});
  given = world.service.issue("a", access_form(kStartMs), kStartMs);
  REQUIRE_FALSE(given);
  CHECK(given.error().description.starts_with("the policy refuses: not at 'night'"));
  for (const char c : given.error().description)
    CHECK((c >= ' ' && c <= '~' && c != '"' && c != '\\'));
  CHECK(error_document(given.error()).at("error") == "unauthorized_client");
}

TEST_CASE("without a scope of its own a subject has what the model entitles the client to") {
  World world;
  int jti = 0;
  const auto forms = [&jti] {
    return std::vector{
        request_of("id_token", id_token(kStartMs), "order:pay"),
        request_of("self_signed", self_signed("a", std::to_string(++jti), kStartMs), "order:pay"),
        request_of("unsigned_json", R"({"sub":"ada"})", "order:pay")};
  };
  for (const json::object& entry : {json::object{{"scope", "order:pay"}, {"by", "order:pay"}},
                                    json::object{{"scope", "order:pay"}, {"entitlement", ""}},
                                    json::object{{"scope", "order:pay"}, {"entitlement", true}}}) {
    world.service.policy = generous({{"covers", json::array{entry}}});
    for (const TokenRequest& form : forms()) CHECK(world.refused("a", form) == "policy_broken");
  }
  world.service.policy = generous();
  for (const TokenRequest& form : forms()) world.must("a", form);
  world.service.policy = generous({{"unsigned_json", nullptr}});
  CHECK(world.refused("a", request_of("unsigned_json", R"({"sub":"ada"})", "order:pay")) ==
        "policy_denied");
  // A token that could have a scope, and has none, may do nothing.
  world.service.policy = generous();
  CHECK(world.refused("a", request_of("access_token", access_token(kStartMs, {{"scope", nullptr}}),
                                      "order:pay")) == "subject_scope");
  CHECK(world.refused("a", request_of("access_token", access_token(kStartMs, {{"scope", ""}}),
                                      "order:pay")) == "policy_broken");
}

TEST_CASE("looks like a token, or not") {
  CHECK(holds_token(json::value(kJwt)));
  CHECK(holds_token(json::value("x" + kJwt)));
  CHECK(holds_token(json::value("eyJhbGciOiJub25lIn0..")));
  CHECK(holds_token(json::value("ewogICJhbGciIDogIm5vbmUiCn0.e30.")));  // with white space
  CHECK(holds_token(json::value("eyJlbmMiOiJBMTI4R0NNIn0.a.b.c.d")));
  CHECK(holds_token(json::value("see 2YotnFZFEjr1zCsicMWpAA!"), "2YotnFZFEjr1zCsicMWpAA"));
  CHECK_FALSE(holds_token(json::value("a short one"), "short"));
  for (const char* text : {"e2e-tests.core.internal", "eyJ.eyJ.eyJ", "10.0.0.1", "a.b.c",
                           "eyJrIjoxfQ.eyJrIjoxfQ.c2ln", "eyJhbGciOiJub25lIn0.one-dot", "..", ""})
    CHECK_FALSE_MESSAGE(holds_token(json::value(text)), text);
}

// --- replacement

TEST_CASE("a Txn-Token is replaced: the same transaction, less scope, more context, a chain") {
  World world;
  const Given first = world.must("a", access_form(kStartMs, "order:pay order:read"));
  world.service.policy = generous({{"tctx", {{"kind", 1}, {"more", 2}}}});
  TimeMs now_ms = kStartMs + 60'000;
  const Given second = world.must("b", request_of("txn_token", first.token, "order:pay"), now_ms);
  CHECK(second.claims.at("txn") == first.claims.at("txn"));
  CHECK(second.claims.at("sub") == "ada");
  CHECK(second.claims.at("aud") == first.claims.at("aud"));
  CHECK(second.claims.at("scope") == "order:pay");
  CHECK(second.claims.at("req_wl") == json::value(workload("b")));
  const json::object tctx = {{"kind", 1},
                             {"more", 2},
                             {"chain", {workload("a")}},
                             {"replaced", {{"times", 1}, {"first_iat", kStartS}}}};
  CHECK(second.claims.at("tctx") == json::value(tctx));
  CHECK(world.refused("b", request_of("txn_token", second.token, "order:read"), now_ms) ==
        "replacement_scope");
  world.service.policy = generous({{"tctx", {{"kind", 2}}}});
  CHECK(world.refused("b", request_of("txn_token", first.token, "order:pay"), now_ms) ==
        "policy_broken");
  world.service.policy = generous({{"sub", "bob"}});
  CHECK(world.refused("b", request_of("txn_token", first.token, "order:pay"), now_ms) ==
        "policy_broken");
  world.service.policy = generous();
  // Three times at most.
  const Given third = world.must("c", request_of("txn_token", second.token, "order:pay"), now_ms);
  const Given fourth = world.must("d", request_of("txn_token", third.token, "order:pay"), now_ms);
  CHECK(fourth.claims.at("tctx").at("chain") ==
        json::value{workload("a"), workload("b"), workload("c")});
  CHECK(world.refused("e", request_of("txn_token", fourth.token, "order:pay"), now_ms) ==
        "replaced_too_often");
  // With the second in which it expires it is not replaced, skew or not.
  CHECK(world.refused("b", request_of("txn_token", first.token, "order:pay"), kStartMs + 120'000) ==
        "subject_expired");
}

TEST_CASE("replacement ends ten minutes after the first issue") {
  World world;
  world.service.policy = generous({{"lifetime_s", 300}});
  Given token = world.must("a", access_form(kStartMs));
  token = world.must("b", request_of("txn_token", token.token, "order:pay"), kStartMs + 299'000);
  CHECK(token.claims.at("exp") == kStartS + 599);
  token = world.must("b", request_of("txn_token", token.token, "order:pay"), kStartMs + 598'000);
  CHECK(token.claims.at("exp") == kStartS + 600);
  token = world.must("b", request_of("txn_token", token.token, "order:pay"), kStartMs + 599'000);
  CHECK(token.claims.at("exp") == kStartS + 600);
}

TEST_CASE("replacement is off, but for a service that has it on") {
  World world;
  const Given first = world.must("a", access_form(kStartMs));
  SubjectRules rules = subject_rules();
  rules.replacement = false;
  Service service(*world.grants, rules);
  const auto given =
      service.issue("a", request_of("txn_token", first.token, "order:pay"), kStartMs);
  REQUIRE_FALSE(given);
  CHECK(given.error().reason() == "replacement_off");
}

}  // namespace
}  // namespace notp
