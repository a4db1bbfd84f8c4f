#include "tests/sim/node_keys.hpp"

#include <fmt/format.h>
#include <openssl/asn1.h>

#include <map>
#include <utility>

#include "common/assert.hpp"
#include "common/crypto/x509.hpp"
#include "tests/sim/sim_trust.hpp"
#include "tests/sim/world_signatures.hpp"

namespace notp::sim {
namespace {

constexpr TimeMs kCertificateEndMs = 4'000'000'000'000;

PrivateKey key_of(std::string_view what, size_t node, size_t number) {
  return PrivateKey::from_seed(sha256(fmt::format("{} {} {}", what, node, number)).bytes);
}

struct Certificate {
  PrivateKey key;
  PublicKey public_key;
  Bytes der;
};

// The registry's, beside those of nodes.
constexpr size_t kRegistryNumber = 1'000'000;

// Signed by itself: what an announcement says is checked against its certificate alone.
Certificate make_certificate(size_t node) {
  PrivateKey key = key_of("certificate", node, 0);
  const auto signing = x509::read_key(key.to_pem());
  x509::Draft draft;
  draft.common_name = fmt::format("node {}", node);
  draft.uris = {node == kRegistryNumber ? registry_id() : node_id(node)};
  draft.not_after_ms = kCertificateEndMs;
  NOTP_ASSERT(signing, "OpenSSL reads its own key");
  const auto certificate = x509::sign_own(draft, signing->get());
  NOTP_ASSERT(certificate, "OpenSSL makes a certificate");
  // Another serial number would make another world.
  ASN1_INTEGER_set(X509_get_serialNumber(certificate->get()), static_cast<long>(node) + 1);
  NOTP_ASSERT(X509_sign(certificate->get(), signing->get(), nullptr) > 0,
              "OpenSSL signs a certificate");
  const PublicKey public_key = key.public_key();
  return {std::move(key), public_key, x509::der_of(certificate->get()).value()};
}

const Certificate& certificate_of(size_t node) {
  thread_local std::map<size_t, Certificate> made;
  const auto at = made.find(node);
  return at != made.end() ? at->second : made.emplace(node, make_certificate(node)).first->second;
}

}  // namespace

std::string node_id(size_t node) { return fmt::format("spiffe://{}/node/{}", kTrustDomain, node); }

LogKey log_key(size_t node, size_t number) {
  thread_local std::map<std::pair<size_t, size_t>, LogKey> made;
  LogKey& out = made[{node, number}];
  if (out.key) return out;
  out.key = std::make_shared<const PrivateKey>(key_of("log", node, number));
  out.public_key = out.key->public_key();
  out.log = record::LogId::of(out.public_key);
  return out;
}

namespace {

Bytes announce_by(const Certificate& certificate, const record::Announcement& announcement) {
  const auto made = record::sign_announcement(
      announcement, {{certificate.der}, [&](ByteView message) -> Result<Bytes> {
                       return sign_statement(certificate.key, certificate.public_key,
                                             Bytes(message));
                     }});
  NOTP_ASSERT(made, "the simulation makes valid announcements");
  return *made;
}

}  // namespace

Bytes announce(size_t node, const record::Announcement& announcement) {
  return announce_by(certificate_of(node), announcement);
}

std::string registry_id() { return fmt::format("spiffe://{}/registry/main", kTrustDomain); }

PrivateKey tree_key(size_t number) { return key_of("tree", 0, number); }

Bytes announce_tree(const record::Announcement& announcement) {
  return announce_by(certificate_of(kRegistryNumber), announcement);
}

}  // namespace notp::sim
