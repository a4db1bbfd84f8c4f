#include "common/crypto/x509.hpp"

#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "common/bytes.hpp"

namespace notp::x509 {
namespace {

using Bio = CPointer<BIO, BIO_free>;
using BigNumber = CPointer<BIGNUM, BN_free>;
using Extension = CPointer<X509_EXTENSION, X509_EXTENSION_free>;
using Names = CPointer<GENERAL_NAMES, GENERAL_NAMES_free>;
using Name = CPointer<GENERAL_NAME, GENERAL_NAME_free>;
using MdContext = CPointer<EVP_MD_CTX, EVP_MD_CTX_free>;
using Request = CPointer<X509_REQ, X509_REQ_free>;

// A key file may be encrypted; a passphrase prompt on the terminal would block a daemon.
int no_passphrase(char*, int, int, void*) { return -1; }

Result<std::string> text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  if (size <= 0) return openssl_failed("writing PEM");
  return std::string(data, static_cast<size_t>(size));
}

// RFC 5280 §4.1.2.2: positive, at most 20 bytes; 159 random bits are both and never collide.
Result<void> set_serial(X509* certificate) {
  BigNumber number(BN_new());
  if (!number || BN_rand(number.get(), 159, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) != 1 ||
      BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) == nullptr)
    return openssl_failed("drawing a serial number");
  return {};
}

Result<void> set_validity(X509* certificate, const Draft& draft) {
  if (draft.not_after_ms <= draft.not_before_ms)
    return fail(ErrorCode::kUsage, "the certificate would end before it starts");
  if (ASN1_TIME_set(X509_getm_notBefore(certificate), draft.not_before_ms / 1000) == nullptr ||
      ASN1_TIME_set(X509_getm_notAfter(certificate), draft.not_after_ms / 1000) == nullptr)
    return openssl_failed("setting the validity");
  return {};
}

// Makes extensions that need neither an issuer nor a certificate.
Result<Extension> plain_extension(int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, nullptr, nullptr, nullptr, nullptr, 0);
  Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  if (!extension) return openssl_failed(fmt::format("making '{}'", value));
  return extension;
}

Result<void> add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  if (!extension || X509_add_ext(certificate, extension.get(), -1) != 1)
    return openssl_failed(fmt::format("adding '{}'", value));
  return {};
}

Result<void> push_name(GENERAL_NAMES* names, int type, const std::string& value) {
  Name name(GENERAL_NAME_new());
  ASN1_IA5STRING* text = ASN1_IA5STRING_new();
  if (names == nullptr || !name || text == nullptr ||
      ASN1_STRING_set(text, value.data(), static_cast<int>(value.size())) != 1) {
    ASN1_IA5STRING_free(text);
    return openssl_failed("writing an alternative name");
  }
  GENERAL_NAME_set0_value(name.get(), type, text);
  if (sk_GENERAL_NAME_push(names, name.get()) <= 0)
    return openssl_failed("adding an alternative name");
  static_cast<void>(name.release());
  return {};
}

Result<void> push_address(GENERAL_NAMES* names, const std::string& address) {
  Name name(GENERAL_NAME_new());
  ASN1_OCTET_STRING* bytes = a2i_IPADDRESS(address.c_str());
  if (!name || bytes == nullptr) {
    ASN1_OCTET_STRING_free(bytes);
    return openssl_failed("writing an address");
  }
  GENERAL_NAME_set0_value(name.get(), GEN_IPADD, bytes);
  if (sk_GENERAL_NAME_push(names, name.get()) <= 0) return openssl_failed("adding an address");
  static_cast<void>(name.release());
  return {};
}

bool has_names(const Draft& draft) {
  return !draft.uris.empty() || !draft.emails.empty() || !draft.dns_names.empty() ||
         !draft.addresses.empty();
}

// Built by hand: the text form of OpenSSL's configuration would interpret commas and NUL.
Result<Names> names_of(const Draft& draft) {
  Names names(GENERAL_NAMES_new());
  for (const std::string& uri : draft.uris) NOTP_TRY(push_name(names.get(), GEN_URI, uri));
  for (const std::string& email : draft.emails) NOTP_TRY(push_name(names.get(), GEN_EMAIL, email));
  for (const std::string& name : draft.dns_names) NOTP_TRY(push_name(names.get(), GEN_DNS, name));
  for (const std::string& address : draft.addresses) NOTP_TRY(push_address(names.get(), address));
  return names;
}

Result<void> add_names(X509* certificate, const Draft& draft) {
  if (!has_names(draft)) return {};
  NOTP_ASSIGN(const Names names, names_of(draft));
  if (X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, 0) != 1)
    return openssl_failed("adding the alternative names");
  return {};
}

std::string constraints_of(const Draft& draft) {
  return draft.is_ca ? "critical,CA:TRUE" : "critical,CA:FALSE";
}

std::string usage_of(const Draft& draft) {
  return draft.is_ca ? "critical,keyCertSign,cRLSign,digitalSignature"
                     : "critical,digitalSignature";
}

std::string purposes_of(const Draft& draft) {
  std::string purposes = draft.server_auth ? "serverAuth" : "";
  if (draft.client_auth) purposes += purposes.empty() ? "clientAuth" : ",clientAuth";
  return purposes;
}

Result<void> add_extensions(X509* certificate, X509* issuer, const Draft& options) {
  NOTP_TRY(add_extension(certificate, issuer, NID_basic_constraints, constraints_of(options)));
  NOTP_TRY(add_extension(certificate, issuer, NID_key_usage, usage_of(options)));
  NOTP_TRY(add_extension(certificate, issuer, NID_subject_key_identifier, "hash"));
  NOTP_TRY(add_extension(certificate, issuer, NID_authority_key_identifier, "keyid:always"));
  const std::string purposes = purposes_of(options);
  if (!purposes.empty()) NOTP_TRY(add_extension(certificate, issuer, NID_ext_key_usage, purposes));
  return add_names(certificate, options);
}

Result<void> set_subject(X509_NAME* subject, std::string_view common_name) {
  if (X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(common_name.data()),
                                 static_cast<int>(common_name.size()), -1, 0) != 1)
    return openssl_failed(
        fmt::format("setting the name '{}' (1 to 64 characters)", printable(common_name)));
  return {};
}

// Makes all but issuer and signature.
Result<Certificate> unsigned_certificate(const Draft& options, EVP_PKEY* key) {
  Certificate certificate(X509_new());
  if (!certificate || X509_set_version(certificate.get(), X509_VERSION_3) != 1)
    return openssl_failed("making a certificate");
  NOTP_TRY(set_serial(certificate.get()));
  NOTP_TRY(set_validity(certificate.get(), options));
  NOTP_TRY(set_subject(X509_get_subject_name(certificate.get()), options.common_name));
  if (X509_set_pubkey(certificate.get(), key) != 1) return openssl_failed("setting the key");
  return certificate;
}

Result<void> sign(X509* certificate, X509* issuer, EVP_PKEY* issuer_key) {
  const bool hashes_itself = EVP_PKEY_is_a(issuer_key, "ED25519") == 1;
  if (X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) != 1)
    return openssl_failed("setting the issuer");
  if (X509_sign(certificate, issuer_key, hashes_itself ? nullptr : EVP_sha256()) == 0)
    return openssl_failed("signing the certificate");
  return {};
}

void free_extensions(X509_EXTENSIONS* extensions) {
  sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
}
using Extensions = CPointer<X509_EXTENSIONS, free_extensions>;

Result<void> push_extension(Extensions& extensions, int nid, const std::string& value) {
  NOTP_ASSIGN(Extension extension, plain_extension(nid, value));
  if (!extensions || sk_X509_EXTENSION_push(extensions.get(), extension.get()) <= 0)
    return openssl_failed(fmt::format("adding '{}'", value));
  static_cast<void>(extension.release());
  return {};
}

Result<Extensions> requested_extensions(const Draft& draft) {
  Extensions out(sk_X509_EXTENSION_new_null());
  NOTP_TRY(push_extension(out, NID_basic_constraints, constraints_of(draft)));
  NOTP_TRY(push_extension(out, NID_key_usage, usage_of(draft)));
  if (const std::string purposes = purposes_of(draft); !purposes.empty())
    NOTP_TRY(push_extension(out, NID_ext_key_usage, purposes));
  if (!has_names(draft)) return out;
  NOTP_ASSIGN(const Names names, names_of(draft));
  X509_EXTENSIONS* list = out.get();
  if (X509V3_add1_i2d(&list, NID_subject_alt_name, names.get(), 0, X509V3_ADD_APPEND) != 1)
    return openssl_failed("adding the alternative names");
  return out;
}

bool is_rsa(const EVP_PKEY* key) {
  return EVP_PKEY_is_a(key, "RSA") == 1 || EVP_PKEY_is_a(key, "RSA-PSS") == 1;
}

const EVP_MD* digest_for(const EVP_PKEY* key) {
  return EVP_PKEY_is_a(key, "ED25519") == 1 ? nullptr : EVP_sha256();
}

bool set_padding(const EVP_PKEY* key, EVP_PKEY_CTX* context) {
  return !is_rsa(key) || (EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
                          EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1);
}

// Neither curves with parameters of their own nor keys whose use takes long.
bool may_verify(const EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "ED25519") == 1) return true;
  if (is_rsa(key)) {
    const int bits = EVP_PKEY_get_bits(key);
    return bits >= kRsaBitsMin && bits <= kRsaBitsMax;
  }
  char group[32] = {};
  if (EVP_PKEY_is_a(key, "EC") != 1 ||
      EVP_PKEY_get_group_name(key, group, sizeof group, nullptr) != 1)
    return false;
  const std::string_view name(group);
  return name == "prime256v1" || name == "secp384r1" || name == "secp521r1";
}

const unsigned char* data_of(ByteView bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

bool is_self_signed(X509* certificate) {
  return (X509_get_extension_flags(certificate) & EXFLAG_SS) != 0;
}

}  // namespace

std::unexpected<Error> openssl_failed(std::string_view what) {
  const char* reason = ERR_reason_error_string(ERR_get_error());
  ERR_clear_error();
  return fail(ErrorCode::kInternal,
              fmt::format("{}: {}", what, reason == nullptr ? "OpenSSL gave no reason" : reason));
}

Result<Key> make_key(KeyType type) {
  Key key(type == KeyType::kP256 ? EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256")
                                 : EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  if (!key) return openssl_failed("making a key");
  return key;
}

Result<std::string> key_pem(EVP_PKEY* key) {
  Bio bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return openssl_failed("writing a private key");
  return text_of(bio.get());
}

Result<std::string> certificate_pem(X509* certificate) {
  Bio bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_X509(bio.get(), certificate) != 1)
    return openssl_failed("writing a certificate");
  return text_of(bio.get());
}

Result<Key> read_key(std::string_view pem) {
  const Bio text(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  Key key(PEM_read_bio_PrivateKey(text.get(), nullptr, no_passphrase, nullptr));
  ERR_clear_error();
  if (!key) return fail(ErrorCode::kConfig, "the key is not an unencrypted PEM private key");
  return key;
}

Hash key_hash(const EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  ERR_clear_error();
  if (size <= 0) return {};
  const Hash out = sha256({reinterpret_cast<const char*>(der), static_cast<size_t>(size)});
  OPENSSL_free(der);
  return out;
}

Result<Issuer> Issuer::read(std::string_view certificate_pem, std::string_view key_pem) {
  Bio certificate(
      BIO_new_mem_buf(certificate_pem.data(), static_cast<int>(certificate_pem.size())));
  Bio key(BIO_new_mem_buf(key_pem.data(), static_cast<int>(key_pem.size())));
  Issuer issuer;
  issuer.certificate.reset(PEM_read_bio_X509(certificate.get(), nullptr, no_passphrase, nullptr));
  issuer.key.reset(PEM_read_bio_PrivateKey(key.get(), nullptr, no_passphrase, nullptr));
  const bool matches = issuer.certificate && issuer.key &&
                       X509_check_private_key(issuer.certificate.get(), issuer.key.get()) == 1;
  ERR_clear_error();
  if (!issuer.certificate)
    return fail(ErrorCode::kConfig, "the issuer's certificate is not a PEM certificate");
  if (!issuer.key)
    return fail(ErrorCode::kConfig, "the issuer's key is not an unencrypted PEM private key");
  if (!matches)
    return fail(ErrorCode::kConfig, "the issuer's key does not belong to its certificate");
  if (!is_self_signed(issuer.certificate.get())) issuer.chain_pem = certificate_pem;
  return issuer;
}

Result<Certificate> sign_own(const Draft& draft, EVP_PKEY* key) {
  NOTP_ASSIGN(Certificate certificate, unsigned_certificate(draft, key));
  NOTP_TRY(add_extensions(certificate.get(), certificate.get(), draft));
  NOTP_TRY(sign(certificate.get(), certificate.get(), key));
  return certificate;
}

Result<Certificate> issue(const Issuer& issuer, const Draft& draft, EVP_PKEY* key) {
  NOTP_ASSIGN(Certificate certificate, unsigned_certificate(draft, key));
  NOTP_TRY(add_extensions(certificate.get(), issuer.certificate.get(), draft));
  NOTP_TRY(sign(certificate.get(), issuer.certificate.get(), issuer.key.get()));
  return certificate;
}

Result<std::string> request_pem(const Draft& draft, EVP_PKEY* key) {
  const Request request(X509_REQ_new());
  if (!request || X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) != 1)
    return openssl_failed("making a certificate request");
  NOTP_TRY(set_subject(X509_REQ_get_subject_name(request.get()), draft.common_name));
  NOTP_ASSIGN(const Extensions extensions, requested_extensions(draft));
  const bool hashes_itself = EVP_PKEY_is_a(key, "ED25519") == 1;
  if (X509_REQ_add_extensions(request.get(), extensions.get()) != 1 ||
      X509_REQ_set_pubkey(request.get(), key) != 1 ||
      X509_REQ_sign(request.get(), key, hashes_itself ? nullptr : EVP_sha256()) == 0)
    return openssl_failed("signing a certificate request");
  const Bio bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_X509_REQ(bio.get(), request.get()) != 1)
    return openssl_failed("writing a certificate request");
  return text_of(bio.get());
}

Result<Certificate> read_der(ByteView der) {
  const unsigned char* at = data_of(der);
  const unsigned char* const end = at + der.size();
  Certificate certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  ERR_clear_error();
  if (!certificate || at != end)
    return fail(ErrorCode::kMessage, "the certificate is not one X.509 certificate in DER");
  return certificate;
}

Result<Bytes> der_of(const X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate, &der);
  if (size <= 0) return openssl_failed("writing a certificate");
  Bytes out(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  return out;
}

Result<Bytes> sign_message(EVP_PKEY* key, ByteView message) {
  const MdContext context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* parameters = nullptr;
  size_t size = 0;
  if (!context ||
      EVP_DigestSignInit(context.get(), &parameters, digest_for(key), nullptr, key) != 1 ||
      !set_padding(key, parameters) ||
      EVP_DigestSign(context.get(), nullptr, &size, data_of(message), message.size()) != 1)
    return openssl_failed("signing a message");
  Bytes signature(size, '\0');
  if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                     data_of(message), message.size()) != 1)
    return openssl_failed("signing a message");
  signature.resize(size);
  return signature;
}

bool verify_message(EVP_PKEY* key, ByteView message, ByteView signature) {
  if (!may_verify(key)) return false;
  const MdContext context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* parameters = nullptr;
  const bool good =
      context &&
      EVP_DigestVerifyInit(context.get(), &parameters, digest_for(key), nullptr, key) == 1 &&
      set_padding(key, parameters) &&
      EVP_DigestVerify(context.get(), data_of(signature), signature.size(), data_of(message),
                       message.size()) == 1;
  ERR_clear_error();
  return good;
}

}  // namespace notp::x509
