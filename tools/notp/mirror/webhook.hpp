// Authenticates a webhook of a Git host. What it says is not looked at: it is a hint that upstream
// may have moved, and the mirror asks upstream itself.
#pragma once

#include <string>
#include <string_view>

#include "common/http/message.hpp"

namespace notp::cli {

// GitHub's documentation has 25 MB as the largest payload; a push fits into this.
inline constexpr size_t kWebhookBodyBytesMax = 1 << 20;

enum class WebhookVerdict : uint8_t {
  kAuthentic,
  kUnsigned,  // no header that this mirror knows
  kForged,    // a header of that name does not fit the secret and the body
};

// Every header of these that is there must fit, and one must be:
//   X-Hub-Signature-256: sha256=<hex>   HMAC-SHA-256 of the body (GitHub, Gitea, Forgejo)
//   X-Gitea-Signature: <hex>            the same (Gitea, Forgejo)
//   X-Gitlab-Token: <secret>            the secret itself (GitLab)
// Takes the same time for every wrong value of the same length. Pure.
WebhookVerdict check_webhook(const http::Headers& headers, ByteView body, ByteView secret);

// The mirror that the path /hook/<name> names; "" for /hook, which means all of them.
std::string hooked_mirror(std::string_view path);

}  // namespace notp::cli
