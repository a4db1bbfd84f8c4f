// Untrusted tokens, key sets and other documents of a provider. The first byte chooses; the rest is
// the text.
#include <string_view>

#include "common/assert.hpp"
#include "common/base64url.hpp"
#include "common/jose/json_depth.hpp"
#include "common/jose/token.hpp"

namespace {

using namespace notp;

// What is accepted is accepted again in its canonical form, as the same keys.
void check_keys(std::string_view text) {
  const auto set = jose::KeySet::parse_text(text);
  if (!set) return;
  NOTP_ASSERT(set->keys().size() <= jose::kKeysMax, "a key set within its limit");
  json::array keys;
  for (const jose::PublicJwk& key : set->keys()) {
    const json::object canonical = key.canonical();
    NOTP_ASSERT(jose::private_member_of(canonical).empty(), "no private member is kept");
    const auto again = jose::PublicJwk::parse(canonical);
    NOTP_ASSERT(again && again->canonical() == canonical && again->kid() == key.kid() &&
                    again->thumbprint() == key.thumbprint() &&
                    again->is_for_signatures() == key.is_for_signatures(),
                "a canonical key is the same key");
    size_t fitting = 0;
    for (const jose::Algorithm algorithm : jose::all_algorithms()) {
      fitting += key.fits(algorithm) ? 1 : 0;
      NOTP_ASSERT(!key.verify(algorithm, "input", "signature"), "garbage is not a signature");
    }
    NOTP_ASSERT(key.is_for_signatures() == (fitting > 0), "a key for signatures fits an algorithm");
    keys.push_back(canonical);
  }
  NOTP_ASSERT(jose::KeySet::parse(json::object{{"keys", keys}}), "a canonical set is a set");
}

// A token has one text: its parts encode to what was read.
void check_token(std::string_view text) {
  const auto token = jose::read_token(text);
  if (!token) return;
  NOTP_ASSERT(token->signing_input + "." + to_base64url(token->signature) == text,
              "a token has one form");
  NOTP_ASSERT(token->kid.size() <= jose::kKidBytesMax, "a kid within its limit");
  const jose::TokenRules rules{.algorithms = {token->algorithm}, .now_ms = 1'800'000'000'000};
  NOTP_ASSERT(!jose::check_token(*token, jose::KeySet(), rules), "no key, no trust");
  const auto claims = jose::check_claims(*token, rules);
  NOTP_ASSERT(!claims || token->claims.contains("exp"), "a token without an expiry is refused");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] == 't') check_token(text);
  if (data[0] == 'k') check_keys(text);
  if (data[0] == 'd') {
    // Levels of what is accepted are few: it may be walked recursively.
    const auto document = jose::parse_shallow_json(text);
    if (document)
      NOTP_ASSERT(json::serialize(*document).size() <= 8 * text.size() + 8, "no document grows");
  }
  // One text of base64url is one value.
  if (data[0] == 'b')
    if (const auto bytes = from_base64url(text))
      NOTP_ASSERT(to_base64url(*bytes) == text, "one form for one value");
  return 0;
}
