// Issues and renews identities of nodes: join tokens, joins and renewals.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "common/atomic_shared.hpp"
#include "notp-server/authz/deny_list.hpp"
#include "notp-server/enroll/join_tokens.hpp"
#include "notp-server/enroll/node_ca.hpp"
#include "protocol/transport/tls_context.hpp"

namespace notp::enroll {

// All of it outlives the enrolment and is thread-safe.
struct EnrollmentParts {
  JoinTokens& tokens;
  const NodeCa& authority;
  const authz::DenyList* denied;  // null: none is configured
  // Envelopes of the roots that a node pins, the first one first.
  std::function<std::vector<Bytes>()> roots;
  // The name of this identity was given to another key: sessions of the former key have to end.
  // Thread-safe; may be empty.
  std::function<void(const std::string& identity)> replaced = {};
};

// The contents of join tokens besides their secret.
struct EnrollmentAddresses {
  std::string enroll;    // "host:port" of the listener
  std::string registry;  // "host:port" of sessions
  Hash authority;        // TlsContext::authority() of the listener
};

// Thread-safe; blocking.
class Enrollment {
 public:
  Enrollment(std::string trust_domain, EnrollmentParts parts)
      : trust_domain_(std::move(trust_domain)), parts_(std::move(parts)) {}

  // Call it before the first token, and at each change.
  void tell(EnrollmentAddresses addresses) {
    addresses_.set(std::make_shared<const EnrollmentAddresses>(std::move(addresses)));
  }
  EnrollmentAddresses addresses() const { return *addresses_.get(); }
  // Where nodes join; empty before tell().
  std::string address() const { return addresses_.get()->enroll; }

  // Issues a token for one node, valid for `lifetime_ms` (0: a day, at most kJoinTokenMsMax). The
  // caller checks the right to request one. kConflict when the name is known here, unless the order
  // is to replace its holder. kUsage, kRevoked, kLimit, kIo.
  Result<std::string> new_token(const wire::NewJoinToken& order, const std::string& issuer,
                                TimeMs now_ms);
  // The same token and key get the same certificate again during the token's life. kJoinRefused for
  // any defect of the token (`why`, if given, gets the details for the log), kRevoked, kMessage,
  // kLimit.
  Result<wire::Joined> join(const wire::Join& join, TimeMs now_ms, std::string* node = nullptr,
                            Error* why = nullptr);
  // Issues the next certificate, with `key`, to a node that is connected under its own identity.
  // kDenied for a peer that is not a node, kRevoked, kMessage.
  Result<wire::Certificate> renew(const wire::RenewCertificate& order,
                                  const session::Identity& node, const Hash& key, TimeMs now_ms);

  // --- keys of nodes: protocol/session/README.md, "Enrolment". They do not apply to other peers.

  // kRevoked when the node's name was given to another key. Does not block.
  Result<void> check_key(const session::Identity& identity, const Hash& key) const;
  // Whether seen_key() is to be called for a peer that proves this key. Does not block.
  bool changes_key(const session::Identity& identity, const Hash& key) const;
  // A node is connected with this key; ends sessions with the key that it had before.
  Result<void> seen_key(const session::Identity& identity, const Hash& key);

  uint64_t joined_total() const { return joined_; }
  uint64_t refused_total() const { return refused_; }
  uint64_t renewed_total() const { return renewed_; }

 private:
  Result<wire::Certificate> issue(const CertificateRequest& request, const session::Identity& node,
                                  TimeMs now_ms) const;
  Result<wire::Joined> redeem(const wire::Join& join, TimeMs now_ms, std::string* node);

  const std::string trust_domain_;
  const EnrollmentParts parts_;
  AtomicShared<EnrollmentAddresses> addresses_{std::make_shared<const EnrollmentAddresses>()};
  std::atomic<uint64_t> joined_{0}, refused_{0}, renewed_{0};
};

}  // namespace notp::enroll
