// Issues certificates for nodes: a PKCS #10 request (RFC 2986) on one side, the authority that
// answers it on the other. Thread-safe: no state.
#pragma once

#include <string>
#include <string_view>

#include "common/bytes.hpp"
#include "common/crypto/x509.hpp"

namespace notp {

struct KeyAndRequest {
  std::string key_pem;  // P-256, PKCS #8
  Bytes request;        // DER
};

// Makes a new key and a request for its certificate. The request contains nothing else: the
// requester is identified by other means. kInternal.
Result<KeyAndRequest> make_certificate_request();
// The same for an existing key, in PEM. kConfig when a node may not have such a key.
Result<KeyAndRequest> make_certificate_request(std::string key_pem);

// A verified request. Only its public key is used: names, extensions and attributes are ignored, so
// that the requester cannot choose an identity.
class CertificateRequest {
 public:
  // kLimit above kCertificateRequestBytesMax; kMessage when it is not one request in DER, when its
  // key is neither P-256 nor Ed25519, and when its signature, which proves possession of the key,
  // does not verify.
  static Result<CertificateRequest> read(ByteView der);
  EVP_PKEY* key() const { return key_.get(); }
  // Returns x509::key_hash() of its key.
  Hash key_hash() const { return x509::key_hash(key_.get()); }

 private:
  explicit CertificateRequest(x509::Key key) : key_(std::move(key)) {}
  x509::Key key_;
};

// Signs the certificates of nodes.
class CertificateAuthority {
 public:
  // PEM; the certificate must be a CA's. kConfig.
  static Result<CertificateAuthority> read(std::string_view certificate_pem,
                                           std::string_view key_pem);

  // Issues a leaf for clients whose one URI is `uri`, followed by its chain to a root: PEM. It ends
  // with its issuer at the latest. kInternal; kCertificateExpired when the issuer has ended.
  Result<std::string> issue(const CertificateRequest& request, const std::string& uri,
                            std::string_view common_name, TimeMs not_before_ms,
                            TimeMs not_after_ms) const;

 private:
  explicit CertificateAuthority(x509::Issuer issuer) : issuer_(std::move(issuer)) {}
  x509::Issuer issuer_;
};

}  // namespace notp
