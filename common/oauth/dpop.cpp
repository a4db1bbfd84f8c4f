#include "common/oauth/dpop.hpp"

#include <algorithm>
#include <array>

#include "common/base64url.hpp"
#include "common/crypto/digest.hpp"
#include "common/json/json.hpp"
#include "common/oauth/oauth_limits.hpp"

namespace notp::oauth {
namespace {

constexpr std::string_view kNonceError = "use_dpop_nonce";

// RFC 6749 appendix A: %x21 / %x23-5B / %x5D-7E.
bool is_nonce_char(char c) { return c >= 0x21 && c <= 0x7e && c != '"' && c != '\\'; }

}  // namespace

Result<std::string> dpop_proof(const jose::SigningKey& key, const ProofTarget& target,
                               TimeMs wall_ms, Random& random) {
  json::object claims{{"jti", random_id(random)},
                      {"htm", target.method},
                      {"htu", target.url.substr(0, target.url.find_first_of("?#"))},
                      {"iat", wall_ms / 1'000}};
  if (!target.access_token.empty())
    claims.emplace("ath", to_base64url(sha256(target.access_token).view()));
  if (!target.nonce.empty()) claims.emplace("nonce", target.nonce);
  // The key itself, without what it is for: §4.2 wants no more.
  json::object jwk = key.public_jwk().canonical();
  jwk.erase("use");
  jwk.erase("alg");
  return jose::sign_token({{"typ", "dpop+jwt"}, {"jwk", jwk}}, claims, key);
}

std::string nonce_of(const http::Response& response) {
  const std::string_view nonce = http::find_header(response.headers, "DPoP-Nonce");
  const bool is_good = nonce.size() <= kNonceBytesMax && std::ranges::all_of(nonce, is_nonce_char);
  return is_good ? std::string(nonce) : std::string();
}

bool wants_nonce(const http::Response& response) {
  if (response.status != 400 && response.status != 401) return false;
  if (http::find_header(response.headers, "WWW-Authenticate").contains(kNonceError)) return true;
  const auto body = parse_json(response.content());
  if (!body || !body->is_object()) return false;
  const json::value* error = body->get_object().if_contains("error");
  return error != nullptr && error->is_string() && error->get_string() == kNonceError;
}

std::string random_id(Random& random) {
  const std::array<uint64_t, 2> bits = {random.next_u64(), random.next_u64()};
  return to_base64url({reinterpret_cast<const char*>(bits.data()), sizeof bits});
}

}  // namespace notp::oauth
