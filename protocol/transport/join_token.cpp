#include "protocol/transport/join_token.hpp"

#include <algorithm>

#include "common/host_port.hpp"
#include "common/limits.hpp"
#include "protocol/model/ledger.hpp"

namespace notp::transport {
namespace {

constexpr std::string_view kPrefix = "notp-join-1.";
constexpr size_t kChecksumBytes = 4;

Bytes checksum(ByteView body) { return Bytes(sha256(body).view().substr(0, kChecksumBytes)); }

void put_text(Bytes& out, std::string_view text) {
  put_varint(out, text.size());
  out += text;
}

Result<std::string> take_text(ByteView& in) {
  NOTP_ASSIGN(const uint64_t size, take_varint(in));
  NOTP_ASSIGN(const ByteView text, take_bytes(in, size));
  return std::string(text);
}

std::string to_url(std::string base64) {
  std::ranges::replace(base64, '+', '-');
  std::ranges::replace(base64, '/', '_');
  base64.resize(base64.find_last_not_of('=') + 1);
  return base64;
}

Result<Bytes> from_url(std::string text) {
  if (text.find_first_of("+/= \t\r\n") != std::string::npos)
    return fail(ErrorCode::kMessage, "a foreign character");
  std::ranges::replace(text, '-', '+');
  std::ranges::replace(text, '_', '/');
  text.append((4 - text.size() % 4) % 4, '=');
  return from_base64(text);
}

Result<JoinToken> parse(ByteView body) {
  JoinToken out;
  NOTP_ASSIGN(out.address, take_text(body));
  NOTP_ASSIGN(out.registry, take_text(body));
  NOTP_ASSIGN(out.trust_domain, take_text(body));
  NOTP_ASSIGN(const ByteView authority, take_bytes(body, Hash::kSize));
  NOTP_ASSIGN(out.authority, Hash::from_bytes(authority));
  NOTP_ASSIGN(const ByteView secret, take_bytes(body, JoinToken::kSecretBytes));
  out.secret = Bytes(secret);
  NOTP_TRY(HostPort::parse(out.address));
  NOTP_TRY(HostPort::parse(out.registry));
  NOTP_TRY(model::check_trust_domain(out.trust_domain));
  if (!body.empty()) return fail(ErrorCode::kMessage, "bytes behind it");
  return out;
}

}  // namespace

std::string JoinToken::encode() const {
  Bytes body;
  put_text(body, address);
  put_text(body, registry);
  put_text(body, trust_domain);
  body += authority.view();
  body += secret;
  return std::string(kPrefix) + to_url(to_base64(body + checksum(body)));
}

Result<JoinToken> JoinToken::decode(std::string_view text) {
  if (!text.starts_with(kPrefix) || text.size() > limits::kJoinTokenBytesMax)
    return fail(ErrorCode::kUsage,
                "that is no join token: it starts with notp-join-1. and `notp node enroll` makes "
                "it");
  const auto bytes = from_url(std::string(text.substr(kPrefix.size())));
  const ByteView body =
      bytes ? ByteView(*bytes).substr(0, bytes->size() - std::min(bytes->size(), kChecksumBytes))
            : ByteView();
  if (!bytes || checksum(body) != bytes->substr(body.size()))
    return fail(ErrorCode::kUsage,
                "the join token is not whole: a character is missing, wrong or too many; copy it "
                "again");
  auto token = parse(body);
  if (!token) return fail(ErrorCode::kUsage, "the join token cannot be read by this version");
  return token;
}

}  // namespace notp::transport
