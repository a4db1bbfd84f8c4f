// How identities of nodes begin and go on: join tokens, joins and renewals.
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

namespace notp {

// All of it outlives the enrolment and is thread-safe.
struct EnrollmentParts {
  JoinTokens& tokens;
  const NodeCa& authority;
  const DenyList* denied;  // null: none is configured
  // Envelopes of the roots that a node pins, the first one first.
  std::function<std::vector<Bytes>()> roots;
  // The name of this identity was given to another key: sessions of the former one have to end.
  // Thread-safe; may be empty.
  std::function<void(const std::string& identity)> replaced = {};
};

// What join tokens say, besides their secret.
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

  // Before the first token, and at each change.
  void tell(EnrollmentAddresses addresses) {
    addresses_.set(std::make_shared<const EnrollmentAddresses>(std::move(addresses)));
  }
  EnrollmentAddresses addresses() const { return *addresses_.get(); }
  // Where nodes join; empty before tell().
  std::string address() const { return addresses_.get()->enroll; }

  // A token for one node, valid for `lifetime_ms` (0: a day, at most kJoinTokenMsMax). The right to
  // ask for one is the caller's to check. kConflict when the name is known here, unless the order
  // is to replace who has it. kUsage, kRevoked, kLimit, kIo.
  Result<std::string> new_token(const wire::NewJoinToken& order, const std::string& issuer,
                                TimeMs now_ms);
  // The same token and key get the same certificate again while the token lives. kJoinRefused for
  // whatever is wrong with the token (`why`, when given, gets more for the log), kRevoked,
  // kMessage, kLimit.
  Result<wire::Joined> join(const wire::Join& join, TimeMs now_ms, std::string* node = nullptr,
                            Error* why = nullptr);
  // The next certificate of a node that is connected as itself, with `key`. kDenied for who is no
  // node, kRevoked, kMessage.
  Result<wire::Certificate> renew(const wire::RenewCertificate& order, const Identity& node,
                                  const Hash& key, TimeMs now_ms);

  // --- keys of nodes: protocol/session/README.md, "Enrolment". Others than nodes have nothing to
  // do with it.

  // kRevoked when the node's name was given to another key. Does not block.
  Result<void> check_key(const Identity& identity, const Hash& key) const;
  // Is seen_key() to be called for who shows this key? Does not block.
  bool changes_key(const Identity& identity, const Hash& key) const;
  // A node is here with this key; ends who is here with the key that it had before.
  Result<void> seen_key(const Identity& identity, const Hash& key);

  uint64_t joined_total() const { return joined_; }
  uint64_t refused_total() const { return refused_; }
  uint64_t renewed_total() const { return renewed_; }

 private:
  Result<wire::Certificate> issue(const CertificateRequest& request, const Identity& node,
                                  TimeMs now_ms) const;
  Result<wire::Joined> redeem(const wire::Join& join, TimeMs now_ms, std::string* node);

  const std::string trust_domain_;
  const EnrollmentParts parts_;
  AtomicShared<EnrollmentAddresses> addresses_{std::make_shared<const EnrollmentAddresses>()};
  std::atomic<uint64_t> joined_{0}, refused_{0}, renewed_{0};
};

}  // namespace notp
