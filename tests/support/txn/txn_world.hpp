// A Txn-Token Service in one process, for tests of its core: keys, workloads, forms, and the way of
// a request through the steps of issuer_core.hpp.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base64url.hpp"
#include "common/jose/signing_key.hpp"
#include "common/random.hpp"
#include "notp-client/txn/grants/grants.hpp"
#include "notp-client/txn/issue/issuer_core.hpp"
#include "notp-client/txn/issue/jti_table.hpp"
#include "notp-client/txn/issue/token_answer.hpp"
#include "notp-client/txn/txn_limits.hpp"
#include "tests/support/txn/token_form.hpp"

namespace notp::txn_world {

using namespace txn;

inline const std::string kDomain = "core-platform.internal";
inline const std::string kService = "https://tts.core-platform.internal:7446";
inline const std::string kLogin = "https://login.internal";
inline const std::string kShop = "https://shop.internal";  // the audience of access tokens
inline constexpr TimeMs kStartMs = 1'800'000'000'000;
inline constexpr int64_t kStartS = kStartMs / 1'000;
inline constexpr std::string_view kFormType = "application/x-www-form-urlencoded";

inline std::string type_uri(std::string_view name) {
  return fmt::format("urn:ietf:params:oauth:token-type:{}", name);
}
inline std::string workload(std::string_view name) {
  return fmt::format("spiffe://{}/ns/shop/sa/{}", kDomain, name);
}

// Replaces the value of a parameter, or adds it.
inline TokenRequest with(TokenRequest parameters, const std::string& name,
                         const std::string& value) {
  for (auto& [known, old] : parameters)
    if (known == name) {
      old = value;
      return parameters;
    }
  parameters.emplace_back(name, value);
  return parameters;
}
inline TokenRequest leave_out(TokenRequest parameters, std::string_view name) {
  std::erase_if(parameters, [name](const auto& parameter) { return parameter.first == name; });
  return parameters;
}

inline const jose::SigningKey& signing_key(const std::string& name) {
  static std::map<std::string, jose::SigningKey> keys;
  auto found = keys.find(name);
  if (found == keys.end())
    found = keys.emplace(name, jose::SigningKey::generate(jose::Algorithm::kEs256).value()).first;
  return found->second;
}
inline jose::KeySet key_set(const std::string& name, const std::string& kid) {
  return jose::KeySet::parse({{"keys", json::array{signing_key(name).public_jwk(kid).canonical()}}})
      .value();
}
inline Client client(const std::string& name) {
  return {workload(name), signing_key(name).public_jwk()};
}

// --- subject tokens

inline std::string sign(const json::object& header, const json::object& claims,
                        const std::string& key) {
  return jose::sign_token(header, claims, signing_key(key)).value();
}
inline json::object access_claims(TimeMs now_ms) {
  return {{"iss", kLogin},
          {"sub", "ada"},
          {"aud", kShop},
          {"iat", now_ms / 1'000},
          {"exp", now_ms / 1'000 + 600},
          {"scope", "orders trade"},
          {"sid", "s1"}};
}
inline std::string access_token(TimeMs now_ms, const json::object& change = {},
                                const json::object& header = {}) {
  return sign(changed({{"typ", "at+jwt"}, {"kid", "l1"}}, header),
              changed(access_claims(now_ms), change), "login");
}
inline std::string id_token(TimeMs now_ms, const json::object& change = {}) {
  return sign({{"typ", "JWT"}, {"kid", "l1"}},
              changed(changed(access_claims(now_ms), {{"scope", nullptr}}), change), "login");
}
inline std::string self_signed(const std::string& name, const std::string& jti, TimeMs now_ms,
                               const json::object& change = {}) {
  const json::object claims = {
      {"iss", workload(name)}, {"sub", workload(name)},      {"aud", kService},
      {"iat", now_ms / 1'000}, {"exp", now_ms / 1'000 + 30}, {"jti", jti}};
  return sign({}, changed(claims, change), name);
}

// --- forms

inline TokenRequest request_of(std::string_view type, const std::string& token,
                               const std::string& scope) {
  return {{"grant_type", std::string(kTokenExchange)},
          {"audience", kDomain},
          {"scope", scope},
          {"requested_token_type", std::string(kTxnTokenType)},
          {"subject_token", token},
          {"subject_token_type", type_uri(type)}};
}
inline TokenRequest access_form(TimeMs now_ms, const std::string& scope = "order:pay") {
  return request_of("access_token", access_token(now_ms), scope);
}
// Redeems a grant.
inline TokenRequest redeem_form(const std::string& name, const std::string& jti,
                                const std::string& grant, TimeMs now_ms,
                                const std::string& scope = "order:pay",
                                const json::object& details = {}) {
  return with(request_of("self_signed", self_signed(name, jti, now_ms), scope), "request_details",
              json::serialize(changed({{"grant", grant}}, details)));
}
inline json::object delegate_to(const std::string& to, int64_t not_after_s,
                                const json::object& change = {}) {
  return {{"delegate",
           changed({{"to", to}, {"scope", "order:pay"}, {"not_after", not_after_s}}, change)}};
}

// --- the service

inline SubjectRules subject_rules() {
  return {
      .trust_domain = kDomain,
      .audience = kDomain,
      .issuer = kService,
      .own_keys = "txn",
      .replacement = true,
      .sources = {{.issuer = kLogin,
                   .keys = "login",
                   .audience = kShop,
                   .types = {SubjectType::kAccessToken, SubjectType::kIdToken, SubjectType::kJwt},
                   .algorithms = {jose::Algorithm::kEs256}}}};
}

using Policy = std::function<Result<std::optional<json::value>>(const json::object& input)>;

// Grants every scope that is requested, covered by the subject's first one or by an entitlement.
inline json::object generous_answer(const json::object& input) {
  const json::object& subject = input.at("subject").as_object();
  const json::object& claims = subject.at("claims").as_object();
  const json::array& scopes = input.at("request").at("scope").as_array();
  auto known = scopes_of(claims);
  if (!known && subject.at("record").is_object())
    known = scopes_of(subject.at("record").as_object());
  const bool has_scope = known && !known->empty();
  json::array covers;
  for (const json::value& scope : scopes)
    covers.push_back({{"scope", scope},
                      {has_scope ? "by" : "entitlement", has_scope ? known->front() : "entitled"}});
  json::object answer = {{"allow", true},        {"scope", scopes},  {"covers", covers},
                         {"lifetime_s", 120},    {"delegate", true}, {"unsigned_json", true},
                         {"tctx", {{"kind", 1}}}};
  if (input.at("grant").is_null() && subject.at("type").as_string() != "txn_token")
    answer["sub"] = claims.at("sub");
  return answer;
}
inline Policy generous(const json::object& change = {}) {
  return [change](const json::object& input) -> Result<std::optional<json::value>> {
    return json::value(changed(generous_answer(input), change));
  };
}

struct Given {
  std::string token;
  json::object claims;
  std::string grant;
  bool is_repeat = false;
};

// One instance of the service. One thread.
class Service {
 public:
  explicit Service(Grants& grants, SubjectRules rules = subject_rules())
      : core_(std::move(rules)), grants_(&grants) {
    keys_["login"] = std::make_shared<jose::KeySet>(key_set("login", "l1"));
    keys_["txn"] = std::make_shared<jose::KeySet>(key_set("txn", "t1"));
  }

  Policy policy = generous();
  // What the lane says to each question; unset: there is no lane.
  std::function<LaneFinding(const LaneQuestion&)> lane;
  // What issuers say of their tokens; unset: they are not asked, as if that was forgotten.
  std::function<TokenResult<Introspected>(const IntrospectionQuestion&)> introspect;

  void forget_keys(const std::string& name) { keys_.erase(name); }
  void restart(Grants& grants) {
    grants_ = &grants;
    jtis_ = {};
  }

  TokenResult<PolicyAsk> ask(const Client& client, std::string_view body, TimeMs now_ms,
                             std::string_view content_type = kFormType) {
    NOTP_ASSIGN(CheckedRequest request, check(client, body, now_ms, content_type));
    return core_.ask(std::move(request), next_txn(), now_ms);
  }

  TokenResult<Given> issue(const Client& client, std::string_view body, TimeMs now_ms,
                           std::string_view content_type = kFormType) {
    NOTP_ASSIGN(CheckedRequest request, check(client, body, now_ms, content_type));
    if (request.repeated) return give(*request.repeated, true);
    NOTP_ASSIGN(const PolicyAsk asked, core_.ask(std::move(request), next_txn(), now_ms));
    NOTP_ASSIGN(const Issued issued, core_.finish(
                                         asked, policy(asked.input),
                                         [this](size_t size) { return random(size); }, now_ms));
    if (!issued.grant && !issued.use) return give({issued.claims, ""}, false);
    GrantChange change;
    if (issued.grant)
      change = *issued.grant;
    else
      change = *issued.use;
    const auto applied = grants_->apply({&change, 1}, now_ms);
    if (!applied) return token_refused(Refusal::kStoreUnavailable, applied.error().message);
    NOTP_ASSIGN(const GrantOutcome outcome, applied->front());
    if (issued.use) return give(outcome.token, outcome.is_repeat);
    return give({issued.claims, issued.grant_id()}, false);
  }
  TokenResult<Given> issue(const std::string& name, const TokenRequest& form, TimeMs now_ms) {
    return issue(client(name), form_of(form), now_ms);
  }

 private:
  TokenResult<CheckedRequest> check(const Client& client, std::string_view body, TimeMs now_ms,
                                    std::string_view content_type) {
    NOTP_ASSIGN(TokenForm form, read_form(content_type, body));
    NOTP_ASSIGN(CheckedRequest request,
                core_.check(
                    std::move(form), client,
                    [this](const std::string& name) { return keys_[name]; }, now_ms));
    if (request.jti_use) NOTP_TRY(jtis_.take(*request.jti_use, now_ms));
    if (request.redeem) {
      const auto found =
          grants_->find(request.redeem->grant_id, request.client, request.subject.jti);
      if (!found) return token_refused(Refusal::kStoreUnavailable, found.error().message);
      NOTP_TRY(core_.attach_grant(request, *found, now_ms));
    }
    NOTP_TRY(ask_lane(request));
    const auto question = core_.introspection_question(request);
    if (!question || !introspect) return request;
    NOTP_ASSIGN(const Introspected answer, introspect(*question));
    NOTP_TRY(core_.attach_introspection(request, answer, now_ms));
    if (question->is_unknown) NOTP_TRY(ask_lane(request));
    return request;
  }

  TokenResult<> ask_lane(CheckedRequest& request) {
    std::vector<LaneFinding> findings;
    for (const LaneQuestion& question : core_.lane_questions(request))
      findings.push_back(lane ? lane(question) : LaneFinding{});
    return core_.attach_lane(request, std::move(findings));
  }

  TokenResult<Given> give(const GrantedToken& token, bool is_repeat) {
    NOTP_ASSIGN(std::string text, sign_txn_token(token.claims, "t1", signing_key("txn")));
    return Given{std::move(text), token.claims, token.grant_id, is_repeat};
  }
  std::string next_txn() { return fmt::format("txn-{}", ++txns_); }
  Bytes random(size_t size) {
    Bytes out(size, '\0');
    for (char& c : out) c = static_cast<char>(random_.next_u64());
    return out;
  }

  IssuerCore core_;
  Grants* grants_;
  JtiTable jtis_;
  std::map<std::string, std::shared_ptr<const jose::KeySet>> keys_;
  SeededRandom random_{7};
  uint64_t txns_ = 0;
};

}  // namespace notp::txn_world
