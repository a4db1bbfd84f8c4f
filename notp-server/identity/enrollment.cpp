#include "notp-server/identity/enrollment.hpp"

#include <fmt/format.h>

#include <cstring>

#include "common/limits.hpp"
#include "common/random.hpp"
#include "protocol/transport/join_token.hpp"

namespace notp {
namespace {

constexpr uint64_t kDayMs = 24ULL * 3600 * 1000;

Bytes new_secret() {
  SystemRandom random;
  Bytes secret;
  while (secret.size() < JoinToken::kSecretBytes) {
    const uint64_t word = random.next_u64();
    secret.append(reinterpret_cast<const char*>(&word), sizeof word);
  }
  return secret;
}

}  // namespace

Result<std::string> Enrollment::new_token(const wire::NewJoinToken& order,
                                          const std::string& issuer, TimeMs now_ms) {
  Identity node{trust_domain_, Role::kNode, order.node};
  if (!Identity::parse(node.text()))
    return fail(ErrorCode::kUsage,
                fmt::format("'{}' is no name of a node: 1 to {} letters, digits, '.', '_' and '-'",
                            printable(order.node), limits::kNameBytesMax));
  const uint64_t lifetime_ms = order.lifetime_ms == 0 ? kDayMs : order.lifetime_ms;
  if (lifetime_ms > static_cast<uint64_t>(limits::kJoinTokenMsMax))
    return fail(ErrorCode::kUsage, fmt::format("a join token lives at most {} hours",
                                               limits::kJoinTokenMsMax / 3'600'000));
  if (parts_.denied != nullptr) NOTP_TRY(parts_.denied->check(node.text()));
  const auto addresses = addresses_.get();
  const JoinToken token{addresses->enroll, addresses->registry, trust_domain_, addresses->authority,
                        new_secret()};
  NOTP_TRY(parts_.tokens.add({.secret = sha256(token.secret),
                              .node = order.node,
                              .issuer = issuer,
                              .expires_ms = now_ms + static_cast<TimeMs>(lifetime_ms)},
                             now_ms));
  return token.encode();
}

Result<wire::Certificate> Enrollment::issue(ByteView request, const Identity& node,
                                            TimeMs now_ms) const {
  if (parts_.denied != nullptr) NOTP_TRY(parts_.denied->check(node.text()));
  return parts_.authority.issue(request, node, now_ms);
}

Result<wire::Joined> Enrollment::join(const wire::Join& join, TimeMs now_ms, std::string* node,
                                      Error* why) {
  const auto secret = from_hex(join.token);
  wire::Joined out;
  auto used = parts_.tokens.use(
      secret ? sha256(*secret) : Hash{}, now_ms, [&](const std::string& name) -> Result<void> {
        if (node != nullptr) *node = name;
        NOTP_ASSIGN(out.certificate,
                    issue(join.request, Identity{trust_domain_, Role::kNode, name}, now_ms));
        return {};
      });
  if (used) {
    out.roots = parts_.roots();
    ++joined_;
    return out;
  }
  ++refused_;
  if (why != nullptr) *why = used.error();
  if (used.error().code != ErrorCode::kJoinRefused) return std::unexpected(std::move(used).error());
  return fail(ErrorCode::kJoinRefused,
              "the join token is no good: it is unknown, was used before or has expired; ask for a "
              "new one with `notp node enroll`");
}

Result<wire::Certificate> Enrollment::renew(const wire::RenewCertificate& order,
                                            const Identity& node, TimeMs now_ms) {
  if (node.role != Role::kNode)
    return fail(ErrorCode::kDenied,
                fmt::format("{} is no node: only nodes renew their certificate here", node.text()));
  NOTP_ASSIGN(wire::Certificate certificate, issue(order.request, node, now_ms));
  ++renewed_;
  return certificate;
}

}  // namespace notp
