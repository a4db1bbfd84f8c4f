// The TLS settings of one side: TLS 1.3 only, both sides verified, ALPN notp/1, no tickets and no
// session cache, so that every connection is checked anew. A node without a certificate joins by a
// separate handshake.
#pragma once

#include <openssl/types.h>
#include <openssl/x509.h>

#include <filesystem>
#include <memory>
#include <optional>

#include "common/clock.hpp"
#include "common/crypto/digest.hpp"
#include "common/mutex.hpp"
#include "common/tls/certificates.hpp"
#include "protocol/session/identity.hpp"

namespace notp::transport {

enum class Side : uint8_t { kServer, kClient };

// PEM files, each at most kPemBytesMax. Certificate and key may be one file, so that both are
// replaced at once.
struct TlsFiles {
  std::filesystem::path certificate;  // the leaf first, then its intermediates
  std::filesystem::path private_key;  // unencrypted
  std::filesystem::path authorities;  // one or more CA certificates that peers must chain to
  std::string trust_domain;           // of every peer; empty: any
  bool allow_p384 = false;            // for a server: also key exchanges in P-384
  // The roles of ids that are not of the built-in form.
  session::IdentityRules identities = {};
  // One or more CA certificates under which ids of the built-in form are accepted. Empty:
  // `authorities` while `identities` is empty, else none.
  std::filesystem::path built_in_authorities = {};

  // Whether ids of the built-in form are accepted here.
  bool has_built_in_ids() const { return identities.empty() || !built_in_authorities.empty(); }
};

// The content of the files; `name` is for messages.
struct TlsTexts {
  using Pem = tls::Pem;
  Pem certificate, private_key, authorities;
  std::string trust_domain;
  bool allow_p384 = false;
  session::IdentityRules identities = {};
  std::optional<Pem> built_in_authorities = {};

  // kConfig names the file.
  static Result<TlsTexts> read(const TlsFiles& files);
  Hash digest() const;
};

// Immutable; connections share it and keep the one they started with. Thread-safe.
class TlsContext {
 public:
  // The context for sessions. kConfig names the file and the fault. An own certificate that is out
  // of date or has no identity loads: peers refuse it, and the host can warn by not_after_ms() and
  // identity().
  static Result<std::shared_ptr<const TlsContext>> load(const TlsFiles& files, Side side);
  static Result<std::shared_ptr<const TlsContext>> make(const TlsTexts& texts, Side side);

  // The context of the listener for joining nodes: ALPN notp-enroll/1, and clients show no
  // certificate. The own chain is shown up to its top, a certificate of `authorities`, so that a
  // client that knows the hash of that one can verify it. kConfig also when the chain does not end
  // there.
  static Result<std::shared_ptr<const TlsContext>> enroll_listener(const TlsFiles& files);
  // The context of a joining node: it shows no certificate, and trusts the one CA whose DER has
  // this SHA-256.
  static Result<std::shared_ptr<const TlsContext>> enroll_caller(const Hash& authority,
                                                                 std::string trust_domain);

  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  Side side() const { return side_; }
  const std::string& trust_domain() const { return trust_domain_; }
  // Whether the peer has to show a certificate.
  bool verifies_peer() const { return verifies_peer_; }
  const session::IdentityRules& rules() const { return rules_; }
  // Whether this leaf comes from an authority under which ids of the built-in form are accepted.
  bool attests_built_in(X509* leaf, const STACK_OF(X509) * shown) const;
  // "notp/1" or "notp-enroll/1".
  std::string_view protocol() const { return protocol_; }
  // The own leaf's identity; kIdentity when peers would refuse it, kNoCertificate without one.
  const Result<session::Identity>& identity() const { return identity_; }
  // The own leaf's validity, wall time; 0 without one.
  TimeMs not_before_ms() const { return not_before_ms_; }
  TimeMs not_after_ms() const { return not_after_ms_; }
  // Enrolment: SHA-256 of the DER of the top of the shown or expected chain. Sessions: zero.
  const Hash& authority() const { return authority_; }
  SSL_CTX* native() const { return context_; }

 private:
  struct Peers;  // allowed peers
  static Result<Peers> peers_of(const TlsTexts& texts);
  TlsContext(SSL_CTX* context, Side side, Peers peers, std::string_view protocol,
             bool verifies_peer, const Hash& authority);

  SSL_CTX* const context_;
  const Side side_;
  const std::string trust_domain_;
  const session::IdentityRules rules_;
  X509_STORE* const built_in_authorities_;  // null: see TlsFiles
  const std::string_view protocol_;
  const bool verifies_peer_;
  const Hash authority_;
  Result<session::Identity> identity_;
  TimeMs not_before_ms_ = 0;
  TimeMs not_after_ms_ = 0;
};

// The context of new connections, replaced without a restart. Thread-safe.
class TlsSource {
 public:
  // As TlsContext::load().
  static Result<std::unique_ptr<TlsSource>> open(TlsFiles files, Side side);
  // Reads the files again; true when they differ from those of current(), which is then a new
  // context. On an error the old one stays: a certificate whose key is not written yet is such an
  // error, and the next call tries again. Open connections keep theirs
  // (Connection::verify_peer_again).
  Result<bool> reload();
  std::shared_ptr<const TlsContext> current() const;
  TlsFiles files() const;
  // Replaces the rules, and the file of authorities for built-in ids, for the next reload().
  void set_identities(session::IdentityRules rules, std::filesystem::path built_in_authorities);

 private:
  TlsSource(TlsFiles files, Side side, std::shared_ptr<const TlsContext> context,
            const Hash& digest);

  const Side side_;

  mutable Mutex mutex_;
  TlsFiles files_ NOTP_GUARDED_BY(mutex_);
  std::shared_ptr<const TlsContext> context_ NOTP_GUARDED_BY(mutex_);
  Hash digest_ NOTP_GUARDED_BY(mutex_);  // of the files behind context_
};

}  // namespace notp::transport
