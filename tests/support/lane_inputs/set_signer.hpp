// A transmitter's key, and security event tokens signed with it.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "common/base64url.hpp"
#include "common/jose/key_set.hpp"
#include "common/jose/signing_key.hpp"
#include "notp-server/lane_inputs/security_event.hpp"

namespace notp::lane_inputs {

inline const std::string kIssuer = "https://login.example/realms/shop";
inline const std::string kAudience = "https://registry.example/lane/tokens";
inline constexpr TimeMs kEventTime = 1'800'000'000'000;  // wall time

inline const std::string kCaep = "https://schemas.openid.net/secevent/caep/event-type/";
inline const std::string kRisc = "https://schemas.openid.net/secevent/risc/event-type/";
inline const std::string kSsf = "https://schemas.openid.net/secevent/ssf/event-type/";

inline json::object iss_sub(std::string_view sub, std::string_view iss = kIssuer) {
  return {{"format", "iss_sub"}, {"iss", iss}, {"sub", sub}};
}
inline json::object opaque(std::string_view id) { return {{"format", "opaque"}, {"id", id}}; }

// Claims of an event of `now_ms`; without a subject if that is null.
inline json::object set_claims(const std::string& type, json::value subject,
                               json::object payload = {}, std::string jti = "jti-1",
                               TimeMs now_ms = kEventTime) {
  json::object out{{"iss", kIssuer},
                   {"aud", kAudience},
                   {"iat", now_ms / 1000},
                   {"jti", std::move(jti)},
                   {"events", json::object{{type, std::move(payload)}}}};
  if (!subject.is_null()) out["sub_id"] = std::move(subject);
  return out;
}

class SetSigner {
 public:
  explicit SetSigner(jose::Algorithm algorithm = jose::Algorithm::kEs256, std::string kid = "k1")
      : key_(jose::SigningKey::generate(algorithm).value()), kid_(std::move(kid)) {}

  std::string sign(const json::object& claims) const {
    return sign_with({{"kid", kid_}, {"typ", "secevent+jwt"}}, claims);
  }
  std::string sign_with(const json::object& header, const json::object& claims) const {
    json::object whole = header;
    if (!whole.contains("alg")) whole["alg"] = jose::algorithm_name(key_.algorithm());
    return sign_text(json::serialize(whole), json::serialize(claims));
  }
  // Whatever the texts are.
  std::string sign_text(std::string_view header, std::string_view claims) const {
    const std::string input = to_base64url(header) + "." + to_base64url(claims);
    return input + "." + to_base64url(key_.sign(input).value());
  }
  jose::PublicJwk jwk() const { return key_.public_jwk(kid_); }
  std::shared_ptr<const jose::KeySet> keys() const {
    return std::make_shared<const jose::KeySet>(
        jose::KeySet::parse(json::object{{"keys", json::array{jwk().canonical()}}}).value());
  }
  const jose::SigningKey& key() const { return key_; }

 private:
  jose::SigningKey key_;
  std::string kid_;
};

inline SetRules set_rules() {
  return {.issuer = kIssuer,
          .audiences = {kAudience},
          .subjects = {.issuer = kIssuer, .issuers = {kIssuer}, .subjects = {}},
          .effects = {}};
}

}  // namespace notp::lane_inputs
