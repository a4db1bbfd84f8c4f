#include "notp-server/enroll/enrollment.hpp"

#include <fmt/format.h>

#include <cstring>

#include "common/limits.hpp"
#include "common/log.hpp"
#include "common/random.hpp"
#include "protocol/transport/join_token.hpp"

namespace notp::enroll {
namespace {

// Other identities get certificates elsewhere, each time with another key.
bool is_enrolled_here(const session::Identity& identity) {
  return identity.role == session::Role::kNode && identity.is_built_in();
}

constexpr uint64_t kDayMs = 24ULL * 3600 * 1000;

Bytes new_secret() {
  SystemRandom random;
  Bytes secret;
  while (secret.size() < transport::JoinToken::kSecretBytes) {
    const uint64_t word = random.next_u64();
    secret.append(reinterpret_cast<const char*>(&word), sizeof word);
  }
  return secret;
}

}  // namespace

Result<std::string> Enrollment::new_token(const wire::NewJoinToken& order,
                                          const std::string& issuer, TimeMs now_ms) {
  session::Identity node{trust_domain_, session::Role::kNode, order.node};
  if (!session::Identity::parse(node.text()))
    return fail(ErrorCode::kUsage,
                fmt::format("'{}' is no name of a node: 1 to {} letters, digits, '.', '_' and '-'",
                            printable(order.node), limits::kNameBytesMax));
  const uint64_t lifetime_ms = order.lifetime_ms == 0 ? kDayMs : order.lifetime_ms;
  if (lifetime_ms > static_cast<uint64_t>(limits::kJoinTokenMsMax))
    return fail(ErrorCode::kUsage, fmt::format("a join token lives at most {} hours",
                                               limits::kJoinTokenMsMax / 3'600'000));
  if (parts_.denied != nullptr) NOTP_TRY(parts_.denied->check(node.text()));
  if (!order.replace && parts_.tokens.knows(order.node))
    return fail(ErrorCode::kConflict,
                fmt::format("{} is a node of this registry already; another name, or --replace to "
                            "give this one to another machine and shut the present one out",
                            node.text()));
  const auto addresses = addresses_.get();
  const transport::JoinToken token{addresses->enroll, addresses->registry, trust_domain_,
                                   addresses->authority, new_secret()};
  NOTP_TRY(parts_.tokens.add({.secret = sha256(token.secret),
                              .node = order.node,
                              .issuer = issuer,
                              .expires_ms = now_ms + static_cast<TimeMs>(lifetime_ms),
                              .replaces = order.replace},
                             now_ms));
  return token.encode();
}

Result<wire::Certificate> Enrollment::issue(const CertificateRequest& request,
                                            const session::Identity& node, TimeMs now_ms) const {
  if (parts_.denied != nullptr) NOTP_TRY(parts_.denied->check(node.text()));
  return parts_.authority.issue(request, node, now_ms);
}

Result<wire::Joined> Enrollment::redeem(const wire::Join& join, TimeMs now_ms, std::string* node) {
  const auto secret = from_hex(join.token);
  NOTP_ASSIGN(const CertificateRequest request, CertificateRequest::read(join.request));
  NOTP_ASSIGN(
      const JoinTokens::Used used,
      parts_.tokens.use(secret ? sha256(*secret) : Hash{}, request.key_hash(), now_ms,
                        [&](const std::string& name) -> Result<std::string> {
                          if (node != nullptr) *node = name;
                          NOTP_ASSIGN(
                              wire::Certificate made,
                              issue(request, {trust_domain_, session::Role::kNode, name}, now_ms));
                          return std::move(made.certificate);
                        }));
  if (node != nullptr) *node = used.node;
  const std::string identity =
      session::Identity{trust_domain_, session::Role::kNode, used.node}.text();
  if (parts_.denied != nullptr) NOTP_TRY(parts_.denied->check(identity));
  if (used.has_replaced) {
    log::warn(
        "identity_replaced",
        {{"identity", identity},
         {"ordered_by", used.issuer},
         {"message", "the node's name was given to another key; who had it before is shut out"}});
    if (parts_.replaced) parts_.replaced(identity);
  }
  if (!used.is_again) ++joined_;
  return wire::Joined{parts_.authority.certificate_of(used.certificate), parts_.roots()};
}

Result<wire::Joined> Enrollment::join(const wire::Join& join, TimeMs now_ms, std::string* node,
                                      Error* why) {
  auto joined = redeem(join, now_ms, node);
  if (joined) return joined;
  ++refused_;
  if (why != nullptr) *why = joined.error();
  const ErrorCode code = joined.error().code;
  if (code == ErrorCode::kIo || code == ErrorCode::kCorrupt || code == ErrorCode::kInternal)
    return fail(code, fmt::format("the registry cannot do it; its log says why, under the code {}",
                                  error_traits(code).name));
  if (code != ErrorCode::kJoinRefused) return joined;
  return fail(ErrorCode::kJoinRefused,
              "the join token is invalid: it is unknown, was used before or has expired; ask for a "
              "new one with `notp node enroll`");
}

Result<wire::Certificate> Enrollment::renew(const wire::RenewCertificate& order,
                                            const session::Identity& node, const Hash& key,
                                            TimeMs now_ms) {
  if (!is_enrolled_here(node))
    return fail(ErrorCode::kDenied,
                fmt::format("{} has no certificate of this registry: whoever issued it renews it",
                            node.text()));
  NOTP_ASSIGN(const CertificateRequest request, CertificateRequest::read(order.request));
  NOTP_TRY(parts_.tokens.check(node.name, key));
  NOTP_ASSIGN(wire::Certificate certificate, issue(request, node, now_ms));
  NOTP_TRY(parts_.tokens.renewed(node.name, key, request.key_hash()));
  ++renewed_;
  return certificate;
}

// --- keys of nodes

Result<void> Enrollment::check_key(const session::Identity& identity, const Hash& key) const {
  if (!is_enrolled_here(identity)) return {};
  return parts_.tokens.check(identity.name, key);
}

bool Enrollment::changes_key(const session::Identity& identity, const Hash& key) const {
  return is_enrolled_here(identity) && parts_.tokens.changes_key(identity.name, key);
}

Result<void> Enrollment::seen_key(const session::Identity& identity, const Hash& key) {
  if (!is_enrolled_here(identity)) return {};
  NOTP_ASSIGN(const bool former_ended, parts_.tokens.seen(identity.name, key));
  if (former_ended && parts_.replaced) parts_.replaced(identity.text());
  return {};
}

}  // namespace notp::enroll
