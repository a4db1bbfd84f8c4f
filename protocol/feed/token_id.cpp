#include "protocol/feed/token_id.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/crypto/digest.hpp"

namespace notp::feed {
namespace {

TokenId front_of(const Hash& hash) {
  TokenId id;
  std::copy_n(hash.bytes.begin(), TokenId::kSize, id.bytes.begin());
  return id;
}

}  // namespace

Result<TokenId> TokenId::from_bytes(ByteView view) {
  if (view.size() != kSize) return fail(ErrorCode::kMessage, "a token's id is not 16 bytes");
  TokenId id;
  std::copy_n(view.begin(), kSize, id.bytes.begin());
  return id;
}

Result<TokenId> TokenId::from_hex(std::string_view text) {
  if (text.size() != 2 * kSize && text.size() != 4 * kSize)
    return fail(ErrorCode::kMessage,
                "a token's id is 32 hexadecimal digits, or the 64 of its SHA-256");
  NOTP_ASSIGN(const Bytes bytes, notp::from_hex(text));
  return from_bytes(ByteView(bytes).substr(0, kSize));
}

TokenId token_id(std::string_view token) { return front_of(sha256(token)); }

std::string_view mark_kind_name(MarkKind kind) {
  switch (kind) {
    case MarkKind::kSubject:
      return "sub";
    case MarkKind::kSession:
      return "sid";
    case MarkKind::kTokenNumber:
      return "jti";
    case MarkKind::kTransaction:
      return "txn";
  }
  return "unknown";
}

TokenId mark_key(MarkKind kind, std::string_view issuer, std::string_view value) {
  return front_of(sha256(
      fmt::format("{}:{}:{}", mark_kind_name(kind), sha256(issuer).hex(), sha256(value).hex())));
}

}  // namespace notp::feed
