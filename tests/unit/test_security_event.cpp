// Security events: what each type of CAEP and RISC does to a lane, how subjects are named, and
// which tokens are refused, by the name of the rule.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "common/jose/jose_limits.hpp"
#include "notp-server/lane_inputs/key_waits.hpp"
#include "notp-server/lane_inputs/lane_input_limits.hpp"
#include "notp-server/lane_inputs/refusal.hpp"
#include "tests/support/lane_inputs/set_signer.hpp"

namespace notp::lane_inputs {
namespace {

using feed::MarkKind;

constexpr int64_t kEventSecond = kEventTime / 1000;

const SetSigner& signer() {
  static const SetSigner kSigner;
  return kSigner;
}

Result<SecurityEvent> accept(const std::string& compact, const SetRules& rules = set_rules(),
                             TimeMs now_ms = kEventTime) {
  auto token = read_set(compact);
  if (!token) return std::unexpected(token.error());
  return accept_set(*token, *signer().keys(), rules, now_ms);
}
Result<SecurityEvent> accept(const json::object& claims, const SetRules& rules = set_rules(),
                             TimeMs now_ms = kEventTime) {
  return accept(signer().sign(claims), rules, now_ms);
}
// The revocation that follows; fails the test when none does.
lane::Revoked revoked(const json::object& claims, const SetRules& rules = set_rules()) {
  const auto event = accept(claims, rules);
  REQUIRE_MESSAGE(event, event.error().message);
  REQUIRE(event->revoked);
  return *event->revoked;
}
bool is(const lane::Revoked& got, MarkKind kind, std::string_view value, int64_t not_before_s,
        std::string_view issuer = kIssuer) {
  INFO(got.value << " of " << got.issuer << " before " << got.not_before_s);
  CHECK(got.kind == kind);
  return got.kind == kind && got.value == value && got.not_before_s == not_before_s &&
         got.issuer == issuer;
}
std::string rule(const Result<SecurityEvent>& result) {
  return result ? "" : std::string(rule_of(result.error()));
}

TEST_CASE("each event type does what its row says, and a person may say otherwise") {
  struct Row {
    std::string type;
    bool revokes;
  };
  const Row rows[] = {{kCaep + "session-revoked", true},
                      {kCaep + "token-claims-change", true},
                      {kCaep + "credential-change", true},
                      {kCaep + "assurance-level-change", false},
                      {kCaep + "device-compliance-change", false},
                      {kCaep + "risk-level-change", false},
                      {kCaep + "session-established", false},
                      {kCaep + "session-presented", false},
                      {kRisc + "account-credential-change-required", true},
                      {kRisc + "account-purged", true},
                      {kRisc + "account-disabled", true},
                      {kRisc + "account-enabled", false},
                      {kRisc + "identifier-changed", false},
                      {kRisc + "identifier-recycled", false},
                      {kRisc + "credential-compromise", true},
                      {kRisc + "opt-out-effective", false},
                      {kRisc + "recovery-activated", false},
                      {kRisc + "sessions-revoked", true}};
  for (const Row& row : rows) {
    INFO(row.type);
    const json::object claims = set_claims(row.type, iss_sub("ana"));
    const auto event = accept(claims);
    REQUIRE(event);
    CHECK(event->revoked.has_value() == row.revokes);
    if (row.revokes) CHECK(is(*event->revoked, MarkKind::kSubject, "ana", kEventSecond));
    // The other way round by the configuration.
    SetRules rules = set_rules();
    rules.effects[std::string(event_name(row.type))] =
        row.revokes ? EventEffect::kIgnore : EventEffect::kRevoke;
    CHECK(accept(claims, rules)->revoked.has_value() == !row.revokes);
  }
  // RFC 8417 §2: what is not understood is no error.
  const auto unknown = accept(set_claims("https://example/event-type/lunch", iss_sub("ana")));
  REQUIRE(unknown);
  CHECK(unknown->effect == EventEffect::kIgnore);
  CHECK(!unknown->revoked);
}

TEST_CASE("a new credential harms nobody, unless a person says so") {
  const auto of = [](std::string_view change) {
    return set_claims(kCaep + "credential-change", iss_sub("ana"),
                      {{"credential_type", "fido2-roaming"}, {"change_type", change}});
  };
  CHECK(!accept(of("create"))->revoked);
  for (const char* change : {"revoke", "update", "delete"}) CHECK(accept(of(change))->revoked);
  SetRules rules = set_rules();
  rules.effects["credential-change"] = EventEffect::kRevoke;
  CHECK(accept(of("create"), rules)->revoked);
}

TEST_CASE("subjects are named by issuer and sub, session, token number, or a configured map") {
  const std::string gone = kCaep + "session-revoked", changed = kCaep + "token-claims-change";
  // CAEP 1.0 §3.1: an opaque id is a session; it is over for good.
  CHECK(is(revoked(set_claims(gone, opaque("dMTlD|1600802906337.16"))), MarkKind::kSession,
           "dMTlD|1600802906337.16", feed::kAnyIssueTime));
  CHECK(is(revoked(set_claims(gone, iss_sub("jane"))), MarkKind::kSubject, "jane", kEventSecond));
  // CAEP 1.0 §3.1, the complex example: the session counts, not all that its user has.
  CHECK(is(revoked(set_claims(gone, json::object{{"format", "complex"},
                                                 {"session", opaque("s-1")},
                                                 {"user", iss_sub("44f6142df96bd6ab61e7521d9")},
                                                 {"tenant", opaque("123456789")}})),
           MarkKind::kSession, "s-1", feed::kAnyIssueTime));
  // Keycloak: all sessions of a user.
  CHECK(is(revoked(set_claims(gone, json::object{{"format", "complex"},
                                                 {"user", iss_sub("u-1")},
                                                 {"session", opaque("ALL")}})),
           MarkKind::kSubject, "u-1", kEventSecond));
  CHECK(is(revoked(set_claims(gone, json::object{{"format", "complex"},
                                                 {"user", iss_sub("u-1")},
                                                 {"device", opaque("d-1")}})),
           MarkKind::kSubject, "u-1", kEventSecond));
  CHECK(is(
      revoked(set_claims(gone, json::object{{"format", "complex"}, {"session", iss_sub("s-2")}})),
      MarkKind::kSession, "s-2", feed::kAnyIssueTime));
  // CAEP 1.0 §3.2: one token. A session that goes on ends no later token.
  CHECK(is(revoked(set_claims(
               changed, json::object{{"format", "jwt_id"}, {"iss", kIssuer}, {"jti", "B70B"}})),
           MarkKind::kTokenNumber, "B70B", feed::kAnyIssueTime));
  CHECK(is(
      revoked(set_claims(changed, json::object{{"format", "complex"}, {"session", opaque("s-3")}})),
      MarkKind::kSession, "s-3", kEventSecond));
  // RISC: an opaque id is an account.
  CHECK(is(revoked(set_claims(kRisc + "account-disabled", opaque("acct-7"))), MarkKind::kSubject,
           "acct-7", kEventSecond));

  SetRules rules = set_rules();
  rules.subjects.subjects = {{"ana@shop.example", "u-ana"}, {"acct:bo@shop.example", "u-bo"}};
  const auto by = [&](json::object subject) {
    return revoked(set_claims(kRisc + "account-disabled", std::move(subject)), rules);
  };
  CHECK(is(by({{"format", "email"}, {"email", "Ana@Shop.example"}}), MarkKind::kSubject, "u-ana",
           kEventSecond));
  CHECK(is(by({{"format", "account"}, {"uri", "acct:bo@shop.example"}}), MarkKind::kSubject, "u-bo",
           kEventSecond));
  CHECK(is(by({{"format", "aliases"},
               {"identifiers",
                json::array{json::object{{"format", "phone_number"}, {"phone_number", "+1206555"}},
                            json::object{{"format", "email"}, {"email", "ana@shop.example"}}}}}),
           MarkKind::kSubject, "u-ana", kEventSecond));

  // Before SSF 1.0 the subject stood within the event.
  CHECK(is(revoked(set_claims(gone, nullptr, {{"subject", iss_sub("jane")}})), MarkKind::kSubject,
           "jane", kEventSecond));
  // Another issuer's subjects, when a person says so.
  rules.subjects.issuers.push_back("https://idp.example");
  CHECK(is(revoked(set_claims(gone, iss_sub("jane", "https://idp.example")), rules),
           MarkKind::kSubject, "jane", kEventSecond, "https://idp.example"));
}

TEST_CASE("the time of the event counts before that of the token, in seconds") {
  const auto at = [](json::value time) {
    return set_claims(kCaep + "session-revoked", iss_sub("ana"), {{"event_timestamp", time}});
  };
  CHECK(revoked(at(kEventSecond - 900)).not_before_s == kEventSecond - 900);
  CHECK(revoked(at(1'799'999'999.75)).not_before_s == 1'799'999'999);
  CHECK(revoked(at(kEventSecond + 60)).not_before_s == kEventSecond + 60);
  CHECK(rule(accept(at(kEventSecond + 61))) == "event.future");
  CHECK(rule(accept(at(kEventTime))) == "event.timestamp");  // milliseconds
  CHECK(rule(accept(at("now"))) == "event.timestamp");
}

TEST_CASE("events about the stream itself are no revocations") {
  const auto verified = accept(set_claims(kSsf + "verification", opaque("stream-1"),
                                          {{"state", "VGhpcyBpcyBhbiBleGFtcGxlIHN0YXRl"}}));
  REQUIRE(verified);
  CHECK(verified->effect == EventEffect::kVerification);
  CHECK(verified->state == "VGhpcyBpcyBhbiBleGFtcGxlIHN0YXRl");
  CHECK(!verified->revoked);
  const auto updated = accept(set_claims(kSsf + "stream-updated", opaque("stream-1"),
                                         {{"status", "paused"}, {"reason", "Internal error"}}));
  REQUIRE(updated);
  CHECK(updated->status == "paused");
  CHECK(updated->reason == "Internal error");
}

// --- hostile tokens

struct Hostile {
  const char* name;
  std::string token;
  const char* rule;
  const char* code;  // of RFC 8935 §2.4
};

std::string unsigned_token(std::string_view header, const json::object& claims,
                           std::string_view signature = "AAAA") {
  return fmt::format("{}.{}.{}", to_base64url(header), to_base64url(json::serialize(claims)),
                     signature);
}

json::object changed(const char* member, json::value value) {
  json::object out = set_claims(kCaep + "session-revoked", iss_sub("ana"));
  if (value.is_null())
    out.erase(member);
  else
    out[member] = std::move(value);
  return out;
}

std::vector<Hostile> hostile_tokens() {
  const std::string type = kCaep + "session-revoked";
  const json::object good = set_claims(type, iss_sub("ana"));
  const std::string token = signer().sign(good), text = json::serialize(good);
  const std::string header = R"({"alg":"ES256","kid":"k1","typ":"secevent+jwt"})";
  const auto subject = [&](json::value value) {
    return signer().sign(set_claims(type, std::move(value)));
  };
  const auto claims = [](const char* member, json::value value) {
    return signer().sign(changed(member, std::move(value)));
  };
  const auto with_header = [&](json::object more) {
    json::object whole{{"alg", "ES256"}, {"kid", "k1"}, {"typ", "secevent+jwt"}};
    for (const auto& member : more) whole[member.key()] = member.value();
    return signer().sign_with(whole, good);
  };
  const SetSigner other, rsa(jose::Algorithm::kRs256);
  std::string deep = "1";
  for (size_t i = 0; i <= jose::kJsonDepthMax; ++i) deep = "[" + deep + "]";
  const char *malformed = "set.malformed", *request = "invalid_request";
  return {
      {"alg none", unsigned_token(R"({"alg":"none","typ":"secevent+jwt"})", good, ""), malformed,
       request},
      {"alg None", unsigned_token(R"({"alg":"None","typ":"secevent+jwt"})", good), malformed,
       request},
      {"no alg", unsigned_token(R"({"typ":"secevent+jwt"})", good), malformed, request},
      {"HS256 with the public key",
       unsigned_token(R"({"alg":"HS256","kid":"k1","typ":"secevent+jwt"})", good), malformed,
       request},
      {"another algorithm than the key's",
       rsa.sign_with({{"kid", "k1"}, {"typ", "secevent+jwt"}}, good), "set.key", "invalid_key"},
      {"unknown kid", signer().sign_with({{"kid", "k2"}, {"typ", "secevent+jwt"}}, good), "set.key",
       "invalid_key"},
      {"another's key", other.sign(good), "set.signature", "authentication_failed"},
      {"a changed claim",
       token.substr(0, token.find('.') + 1) + to_base64url(json::serialize(changed("jti", "x"))) +
           token.substr(token.rfind('.')),
       "set.signature", "authentication_failed"},
      {"no signature", token.substr(0, token.rfind('.') + 1), malformed, request},
      {"a key in the header",
       other.sign_with({{"kid", "k1"}, {"typ", "secevent+jwt"}, {"jwk", other.jwk().canonical()}},
                       good),
       "set.signature", "authentication_failed"},
      {"typ JWT", with_header({{"typ", "JWT"}}), "set.typ", request},
      {"typ of an access token", with_header({{"typ", "at+jwt"}}), "set.typ", request},
      {"typ of a logout token", with_header({{"typ", "logout+jwt"}}), "set.typ", request},
      {"no typ", signer().sign_with({{"kid", "k1"}}, good), "set.typ", request},
      {"crit", with_header({{"crit", json::array{"exp"}}}), malformed, request},
      {"b64", with_header({{"b64", false}}), malformed, request},
      {"zip", with_header({{"zip", "DEF"}}), malformed, request},
      {"a token inside", with_header({{"cty", "secevent+jwt"}}), malformed, request},
      {"another iss", claims("iss", "https://evil.example"), "set.iss", "invalid_issuer"},
      {"iss with a slash more", claims("iss", json::string(kIssuer + "/")), "set.iss",
       "invalid_issuer"},
      {"no iss", claims("iss", nullptr), "set.iss", "invalid_issuer"},
      {"iss a number", claims("iss", 1), malformed, request},
      {"another aud", claims("aud", "https://other.example"), "set.aud", "invalid_audience"},
      {"no aud", claims("aud", nullptr), "set.aud", "invalid_audience"},
      {"aud of others", claims("aud", json::array{"a", "b"}), "set.aud", "invalid_audience"},
      {"aud empty", claims("aud", json::array()), malformed, request},
      {"no iat", claims("iat", nullptr), "set.iat", request},
      {"iat in the future", claims("iat", kEventSecond + 120), "set.iat", request},
      {"old", claims("iat", kEventSecond - 40LL * 24 * 3600), "set.age", request},
      {"iat in milliseconds", claims("iat", kEventTime), malformed, request},
      {"expired", claims("exp", kEventSecond - 120), "set.exp", request},
      {"not yet", claims("nbf", kEventSecond + 120), "set.nbf", request},
      {"no jti", claims("jti", nullptr), "set.jti", request},
      {"jti too long", claims("jti", json::string(kJtiBytesMax + 1, 'j')), "set.jti", request},
      {"jti a number", claims("jti", 7), malformed, request},
      {"no events", claims("events", nullptr), "set.events", request},
      {"events empty", claims("events", json::object()), "set.events", request},
      {"two events",
       claims("events",
              json::object{{type, json::object()}, {kRisc + "account-disabled", json::object()}}),
       "set.events", request},
      {"events an array", claims("events", json::array{type}), "set.events", request},
      {"an event that is no object", claims("events", json::object{{type, true}}), "set.events",
       request},
      {"a type too long",
       claims("events",
              json::object{{type + std::string(kEventTypeBytesMax, 'x'), json::object()}}),
       "set.events", request},
      {"no subject", claims("sub_id", nullptr), "set.subject", request},
      {"only a sub", signer().sign([&] {
         json::object out = changed("sub_id", nullptr);
         out["sub"] = "ana";
         return out;
       }()),
       "set.subject", request},
      {"two subjects",
       signer().sign(set_claims(type, iss_sub("ana"), {{"subject", iss_sub("bo")}})), "set.subject",
       request},
      {"subject a text", subject("ana"), "subject.not-an-object", request},
      {"no format", subject(json::object{{"iss", kIssuer}, {"sub", "ana"}}), "subject.format",
       request},
      {"unknown format",
       subject(json::object{{"format", "phone_number"}, {"phone_number", "+12065550100"}}),
       "subject.unknown-format", request},
      {"subject of another issuer", subject(iss_sub("ana", "https://idp.example")),
       "subject.other-issuer", "access_denied"},
      {"no sub", subject(json::object{{"format", "iss_sub"}, {"iss", kIssuer}}), "subject.member",
       request},
      {"empty sub", subject(iss_sub("")), "subject.member", request},
      {"sub too long", subject(iss_sub(std::string(kSubjectBytesMax + 1, 's'))), "subject.member",
       request},
      {"an email nobody mapped",
       subject(json::object{{"format", "email"}, {"email", "ana@shop.example"}}),
       "subject.not-mapped", request},
      {"a whole tenant", subject(json::object{{"format", "complex"}, {"tenant", opaque("t-1")}}),
       "subject.too-wide", request},
      {"all sessions of nobody",
       subject(json::object{{"format", "complex"}, {"session", opaque("ALL")}}), "subject.too-wide",
       request},
      {"aliases in aliases",
       subject(json::object{
           {"format", "aliases"},
           {"identifiers", json::array{json::object{{"format", "aliases"},
                                                    {"identifiers", json::array{iss_sub("a")}}}}}}),
       "subject.unknown-format", request},
      {"complex in complex",
       subject(
           json::object{{"format", "complex"},
                        {"user", json::object{{"format", "complex"}, {"user", iss_sub("ana")}}}}),
       "subject.unknown-format", request},
      {"a claim twice", signer().sign_text(header, "{\"jti\":\"a\"," + text.substr(1)), malformed,
       request},
      {"a header parameter twice",
       signer().sign_text(R"({"alg":"none","alg":"ES256","typ":"secevent+jwt"})", text), malformed,
       request},
      {"too deep",
       signer().sign_text(header, text.substr(0, text.size() - 1) + ",\"x\":" + deep + "}"),
       malformed, request},
      {"not UTF-8",
       signer().sign_text(header, text.substr(0, text.size() - 1) + ",\"x\":\"\xff\"}"), malformed,
       request},
      {"claims an array", signer().sign_text(header, "[]"), malformed, request},
      {"two parts", token.substr(0, token.rfind('.')), malformed, request},
      {"four parts", token + ".AAAA", malformed, request},
      {"padding", token + "=", malformed, request},
      {"a line break", token + "\n", malformed, request},
      {"nothing", "", malformed, request},
      {"too large",
       signer().sign_text(header, text.substr(0, text.size() - 1) + ",\"x\":\"" +
                                      std::string(kSetBytesMax, 'x') + "\"}"),
       "set.too-large", request},
  };
}

TEST_CASE("hostile security event tokens are refused by name") {
  const auto tokens = hostile_tokens();
  CHECK(tokens.size() >= 60);
  for (const Hostile& hostile : tokens) {
    INFO(hostile.name);
    const auto result = accept(hostile.token);
    REQUIRE(!result);
    CHECK(rule(result) == hostile.rule);
    CHECK(set_error_code(result.error()) == hostile.code);
    CHECK(result.error().message.size() < 500);
  }
  // The one that all of them were made from is good, also a large one.
  json::object good = set_claims(kCaep + "session-revoked", iss_sub("ana"));
  CHECK(accept(good));
  good["x"] = std::string(40 << 10, 'x');
  CHECK(accept(good));
}

TEST_CASE("a key that an issuer may have published since is waited for, but not for ever") {
  KeyWaits waits;
  CHECK(waits.is_worth_waiting("new", 0));
  CHECK(waits.is_worth_waiting("new", kUnknownKeyMs - 1));
  CHECK(!waits.is_worth_waiting("new", kUnknownKeyMs));
  CHECK(!waits.is_worth_waiting("new", 2 * kUnknownKeyMs - 1));
  CHECK(waits.is_worth_waiting("new", 2 * kUnknownKeyMs));
  // Invented ones take nothing but their own places.
  for (int i = 0; i < 1'000; ++i)
    CHECK(waits.is_worth_waiting(fmt::format("k{}", i), 3 * kUnknownKeyMs));
}

}  // namespace
}  // namespace notp::lane_inputs
