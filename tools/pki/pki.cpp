#include "tools/pki/pki.hpp"

namespace notp::pki {
namespace {

x509::Draft draft_of(const LeafOptions& options) {
  return {.common_name = options.common_name,
          .uris = options.uris,
          .emails = options.emails,
          .dns_names = options.dns_names,
          .addresses = options.addresses,
          .not_before_ms = options.validity.not_before_ms,
          .not_after_ms = options.validity.not_after_ms,
          .server_auth = options.server_auth,
          .client_auth = options.client_auth,
          .is_ca = options.is_ca};
}

}  // namespace

Validity Validity::days(TimeMs now_ms, int64_t days) {
  constexpr TimeMs kHourMs = 3'600'000;
  return {now_ms - kHourMs, now_ms + days * 24 * kHourMs};
}

Result<Credential> make_authority(std::string_view common_name, const Validity& validity,
                                  KeyType key_type) {
  Credential out;
  NOTP_ASSIGN(out.key_pem, pki::make_key(key_type));
  NOTP_ASSIGN(out.certificate_pem, certify_authority(common_name, validity, out.key_pem));
  return out;
}

Result<Credential> issue(const Credential& issuer, const LeafOptions& options) {
  Credential out;
  NOTP_ASSIGN(out.key_pem, pki::make_key(options.key));
  NOTP_ASSIGN(out.certificate_pem, certify(issuer, options, out.key_pem));
  return out;
}

Result<std::string> make_key(KeyType key_type) {
  NOTP_ASSIGN(const x509::Key key, x509::make_key(key_type));
  return x509::key_pem(key.get());
}

Result<std::string> certify_authority(std::string_view common_name, const Validity& validity,
                                      std::string_view key_pem) {
  const LeafOptions options{
      .common_name = std::string(common_name), .uris = {}, .validity = validity, .is_ca = true};
  NOTP_ASSIGN(const x509::Key key, x509::read_key(key_pem));
  NOTP_ASSIGN(const x509::Certificate certificate, x509::sign_own(draft_of(options), key.get()));
  return x509::certificate_pem(certificate.get());
}

Result<std::string> certify(const Credential& issuer, const LeafOptions& options,
                            std::string_view key_pem) {
  NOTP_ASSIGN(const x509::Issuer by, x509::Issuer::read(issuer.certificate_pem, issuer.key_pem));
  NOTP_ASSIGN(const x509::Key key, x509::read_key(key_pem));
  NOTP_ASSIGN(const x509::Certificate certificate, x509::issue(by, draft_of(options), key.get()));
  NOTP_ASSIGN(std::string pem, x509::certificate_pem(certificate.get()));
  return pem + by.chain_pem;
}

Result<std::string> request(const LeafOptions& options, std::string_view key_pem) {
  NOTP_ASSIGN(const x509::Key key, x509::read_key(key_pem));
  return x509::request_pem(draft_of(options), key.get());
}

}  // namespace notp::pki
