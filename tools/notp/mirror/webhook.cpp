#include "tools/notp/mirror/webhook.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <boost/beast/core/string.hpp>

#include "common/assert.hpp"
#include "common/crypto/digest.hpp"

namespace notp::cli {
namespace {

using boost::beast::iequals;

constexpr std::string_view kHookPath = "/hook/";

// RFC 2104 with SHA-256.
Hash hmac_sha256(ByteView key, ByteView message) {
  Hash out;
  unsigned length = 0;
  const bool done = ::HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                           reinterpret_cast<const unsigned char*>(message.data()), message.size(),
                           out.bytes.data(), &length) != nullptr;
  NOTP_ASSERT(done && length == Hash::kSize, "HMAC-SHA-256 failed");
  return out;
}

// The length of a signature is no secret.
bool is_same_text(std::string_view expected, std::string_view given) {
  return expected.size() == given.size() &&
         CRYPTO_memcmp(expected.data(), given.data(), expected.size()) == 0;
}

// The length of a secret is one: both are hashed under a key first.
bool is_same_secret(ByteView secret, ByteView given) {
  return is_same_text(hmac_sha256(secret, secret).view(), hmac_sha256(secret, given).view());
}

}  // namespace

WebhookVerdict check_webhook(const http::Headers& headers, ByteView body, ByteView secret) {
  const std::string signature = hmac_sha256(secret, body).hex();
  size_t known = 0;
  bool fits = true;
  // All of them, so that a second header of a name cannot hide the first.
  for (const auto& [name, value] : headers) {
    bool is_right = false;
    if (iequals(name, "X-Hub-Signature-256"))
      is_right = is_same_text("sha256=" + signature, value);
    else if (iequals(name, "X-Gitea-Signature"))
      is_right = is_same_text(signature, value);
    else if (iequals(name, "X-Gitlab-Token"))
      is_right = is_same_secret(secret, value);
    else
      continue;
    ++known;
    fits = fits && is_right;
  }
  if (known == 0) return WebhookVerdict::kUnsigned;
  return fits ? WebhookVerdict::kAuthentic : WebhookVerdict::kForged;
}

std::string hooked_mirror(std::string_view path) {
  return path.starts_with(kHookPath) ? std::string(path.substr(kHookPath.size())) : std::string();
}

}  // namespace notp::cli
