// What a side shows and trusts in its TLS handshakes: TLS 1.3 only, both sides verified, ALPN
// notp/1, no tickets and no session cache, so that every connection is checked anew.
#pragma once

#include <openssl/types.h>

#include <filesystem>
#include <memory>
#include <mutex>

#include "common/clock.hpp"
#include "protocol/session/identity.hpp"

namespace notp {

enum class Side : uint8_t { kServer, kClient };

// PEM files, each at most kPemBytesMax.
struct TlsFiles {
  std::filesystem::path certificate;  // the leaf first, then its intermediates
  std::filesystem::path private_key;  // unencrypted
  std::filesystem::path authorities;  // one or more CA certificates that peers must chain to
  std::string trust_domain;           // of every peer; empty: any
};

// Immutable; connections share it and keep the one they started with. Thread-safe.
class TlsContext {
 public:
  // kConfig names the file and what is wrong with it. An own certificate that is out of date or has
  // no identity loads: peers refuse it, and not_after_ms() and identity() let the host warn.
  static Result<std::shared_ptr<const TlsContext>> load(const TlsFiles& files, Side side);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  Side side() const { return side_; }
  const std::string& trust_domain() const { return trust_domain_; }
  // The own leaf's identity; kIdentity when peers would refuse it.
  const Result<Identity>& identity() const { return identity_; }
  // The own leaf's end, wall time.
  TimeMs not_after_ms() const { return not_after_ms_; }
  SSL_CTX* native() const { return context_; }

 private:
  TlsContext(SSL_CTX* context, Side side, std::string trust_domain);

  SSL_CTX* const context_;
  const Side side_;
  const std::string trust_domain_;
  Result<Identity> identity_;
  TimeMs not_after_ms_ = 0;
};

// The context of new connections, replaced without a restart. Thread-safe.
class TlsSource {
 public:
  // As TlsContext::load().
  static Result<std::unique_ptr<TlsSource>> open(TlsFiles files, Side side);
  // Reads the files again; on an error the old context stays. Open connections keep theirs.
  Result<void> reload();
  std::shared_ptr<const TlsContext> current() const;

 private:
  TlsSource(TlsFiles files, Side side, std::shared_ptr<const TlsContext> context);

  const TlsFiles files_;
  const Side side_;

  mutable std::mutex mutex_;
  std::shared_ptr<const TlsContext> context_;  // guarded by mutex_
};

}  // namespace notp
