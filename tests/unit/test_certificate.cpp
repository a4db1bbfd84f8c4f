// Certificate requests, and the authority that answers them.
#include <doctest/doctest.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "common/crypto/certificate.hpp"
#include "common/limits.hpp"
#include "tests/support/wire/test_pki.hpp"

using namespace notp;

namespace {

constexpr TimeMs kHourMs = 3'600'000;

using RequestPointer = CPointer<X509_REQ, X509_REQ_free>;

Bytes der_of(X509_REQ* request) {
  unsigned char* der = nullptr;
  const int size = i2d_X509_REQ(request, &der);
  Bytes out(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return out;
}

// A request with any key, for a name and an identity of the requester's choice.
Bytes request_of(EVP_PKEY* key) {
  const RequestPointer request(X509_REQ_new());
  X509_NAME* subject = X509_REQ_get_subject_name(request.get());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>("king"), -1, -1, 0);
  STACK_OF(X509_EXTENSION)* wishes = sk_X509_EXTENSION_new_null();
  for (const auto& [nid, value] :
       {std::pair{NID_subject_alt_name, "URI:spiffe://core-platform.internal/admin/king"},
        std::pair{NID_basic_constraints, "critical,CA:TRUE"},
        std::pair{NID_ext_key_usage, "serverAuth"}})
    sk_X509_EXTENSION_push(wishes, X509V3_EXT_conf_nid(nullptr, nullptr, nid, value));
  X509_REQ_add_extensions(request.get(), wishes);
  sk_X509_EXTENSION_pop_free(wishes, X509_EXTENSION_free);
  X509_REQ_set_pubkey(request.get(), key);
  X509_REQ_sign(request.get(), key, EVP_PKEY_is_a(key, "ED25519") == 1 ? nullptr : EVP_sha256());
  return der_of(request.get());
}

ErrorCode refused(ByteView der) {
  const auto request = CertificateRequest::read(der);
  return request ? ErrorCode{} : request.error().code;
}

x509::Certificate leaf_of(const std::string& pem) {
  const CPointer<BIO, BIO_free> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return x509::Certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

std::vector<std::string> uris_of(X509* certificate) {
  std::vector<std::string> out;
  auto* names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    REQUIRE(name->type == GEN_URI);
    out.emplace_back(
        reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.uniformResourceIdentifier)));
  }
  GENERAL_NAMES_free(names);
  return out;
}

}  // namespace

TEST_CASE("a request is made, read and answered with one identity and one purpose") {
  TestPki pki;
  const auto authority =
      must(CertificateAuthority::read(pki.authority().certificate_pem, pki.authority().key_pem));
  const auto made = must(make_certificate_request());
  const auto request = must(CertificateRequest::read(made.request));
  const TimeMs now = TestPki::wall_ms();
  const std::string uri = test_uri("node", "edge-1");
  const auto leaf =
      leaf_of(must(authority.issue(request, uri, "edge-1", now - kHourMs, now + kHourMs)));
  REQUIRE(leaf);
  CHECK(uris_of(leaf.get()) == std::vector{uri});
  CHECK(X509_check_ca(leaf.get()) == 0);
  CHECK(X509_get_extended_key_usage(leaf.get()) == XKU_SSL_CLIENT);
  CHECK(X509_get_key_usage(leaf.get()) == KU_DIGITAL_SIGNATURE);

  transport::TlsFiles files = pki.node("edge-1");
  must(write_file(files.certificate, must(x509::certificate_pem(leaf.get()))));
  CHECK_FALSE(transport::TlsContext::load(files, transport::Side::kClient));  // a different key
  must(write_file(files.private_key, made.key_pem));
  const auto context = must(transport::TlsContext::load(files, transport::Side::kClient));
  CHECK(must(Result<session::Identity>(context->identity())).text() == uri);
  CHECK(context->not_before_ms() / 1000 == (now - kHourMs) / 1000);
  CHECK(context->not_after_ms() / 1000 == (now + kHourMs) / 1000);
}

TEST_CASE("what a request wishes for is not granted") {
  TestPki pki;
  const auto authority =
      must(CertificateAuthority::read(pki.authority().certificate_pem, pki.authority().key_pem));
  const auto key = must(x509::make_key(x509::KeyType::kP256));
  const auto request = must(CertificateRequest::read(request_of(key.get())));
  const TimeMs now = TestPki::wall_ms();
  const auto leaf = leaf_of(
      must(authority.issue(request, test_uri("node", "edge-1"), "edge-1", now, now + kHourMs)));
  CHECK(uris_of(leaf.get()) == std::vector{test_uri("node", "edge-1")});
  CHECK(X509_check_ca(leaf.get()) == 0);
  CHECK(X509_get_extended_key_usage(leaf.get()) == XKU_SSL_CLIENT);
  char name[64] = {};
  X509_NAME_get_text_by_NID(X509_get_subject_name(leaf.get()), NID_commonName, name, sizeof name);
  CHECK(std::string(name) == "edge-1");
}

TEST_CASE("requests with another key than P-256 or Ed25519 are refused") {
  CHECK(refused(request_of(must(x509::make_key(x509::KeyType::kP256)).get())) == ErrorCode{});
  CHECK(refused(request_of(must(x509::make_key(x509::KeyType::kEd25519)).get())) == ErrorCode{});
  const x509::Key rsa(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t{2048}));
  CHECK(refused(request_of(rsa.get())) == ErrorCode::kMessage);
  for (const char* curve : {"P-384", "secp256k1"}) {
    CAPTURE(curve);
    const x509::Key other(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve));
    CHECK(refused(request_of(other.get())) == ErrorCode::kMessage);
  }
}

TEST_CASE("requests that are damaged, signed by another key or too long are refused") {
  const auto made = must(make_certificate_request());
  for (size_t size = 0; size < made.request.size(); ++size)
    CHECK(refused(made.request.substr(0, size)) == ErrorCode::kMessage);
  CHECK(refused(made.request + '\0') == ErrorCode::kMessage);
  Bytes flipped = made.request;
  flipped.back() = static_cast<char>(flipped.back() ^ 1);
  CHECK(refused(flipped) == ErrorCode::kMessage);
  CHECK(refused(Bytes(limits::kCertificateRequestBytesMax + 1, '0')) == ErrorCode::kLimit);

  // One's key, another's signature.
  const auto own = must(x509::make_key(x509::KeyType::kP256));
  const auto victim = must(x509::make_key(x509::KeyType::kP256));
  const RequestPointer request(X509_REQ_new());
  X509_REQ_set_pubkey(request.get(), victim.get());
  X509_REQ_sign(request.get(), own.get(), EVP_sha256());
  CHECK(refused(der_of(request.get())) == ErrorCode::kMessage);
}

TEST_CASE("a leaf ends with its issuer, and an issuer that has ended issues nothing") {
  const TimeMs now = TestPki::wall_ms();
  const auto request = must(CertificateRequest::read(must(make_certificate_request()).request));
  const auto issue = [&](const pki::Validity& validity) -> Result<std::string> {
    const auto ca = must(pki::make_authority("short", validity));
    const auto authority = must(CertificateAuthority::read(ca.certificate_pem, ca.key_pem));
    return authority.issue(request, test_uri("node", "a"), "a", now - 1'000, now + 100 * kHourMs);
  };
  const auto leaf = leaf_of(must(issue({now - kHourMs, now + kHourMs})));
  CHECK(ASN1_TIME_cmp_time_t(X509_get0_notAfter(leaf.get()), (now + kHourMs) / 1000) == 0);
  const auto late = issue({now - 2 * kHourMs, now - kHourMs});
  REQUIRE_FALSE(late);
  CHECK(late.error().code == ErrorCode::kCertificateExpired);
}

TEST_CASE("a leaf is no authority, and a key of another is none") {
  TestPki pki;
  const auto leaf = must(pki::issue(pki.authority(), pki.leaf("node", "edge-1")));
  CHECK_FALSE(CertificateAuthority::read(leaf.certificate_pem, leaf.key_pem));
  CHECK_FALSE(CertificateAuthority::read(pki.authority().certificate_pem, leaf.key_pem));
}
