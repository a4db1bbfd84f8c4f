// Signs the certificates of nodes with a CA whose key this registry holds.
#pragma once

#include <filesystem>
#include <memory>

#include "common/atomic_shared.hpp"
#include "common/crypto/certificate.hpp"
#include "protocol/session/identity.hpp"
#include "protocol/wire/messages.hpp"

namespace notp::enroll {

struct NodeCaOptions {
  std::filesystem::path certificate;  // PEM; an intermediate is followed by its chain to the root
  std::filesystem::path private_key;  // PEM, unencrypted
  std::filesystem::path authorities;  // PEM: what nodes receive to trust
  TimeMs lifetime_ms = 0;             // of a node's certificate
};

// Thread-safe.
class NodeCa {
 public:
  // kConfig names the file.
  static Result<std::unique_ptr<NodeCa>> open(NodeCaOptions options);
  // Reloads the files; on an error the old ones stay in use.
  Result<void> reload();

  // Issues a certificate for the identity and the key in the request, with the authorities that the
  // node has to trust from now on. kCertificateExpired when the CA has expired.
  Result<wire::Certificate> issue(const CertificateRequest& request, const session::Identity& node,
                                  TimeMs now_ms) const;
  // Returns an earlier certificate with the authorities that the node has to trust from now on.
  wire::Certificate certificate_of(std::string issued) const;

 private:
  struct Files {
    CertificateAuthority authority;
    Bytes authorities;
  };
  explicit NodeCa(NodeCaOptions options) : options_(std::move(options)) {}
  Result<std::shared_ptr<const Files>> read() const;

  const NodeCaOptions options_;
  AtomicShared<Files> files_{nullptr};
};

}  // namespace notp::enroll
