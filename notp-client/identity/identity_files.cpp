#include "notp-client/identity/identity_files.hpp"

#include "common/storage/files.hpp"

namespace notp::identity {

Result<transport::TlsTexts> identity_texts(const transport::TlsFiles& files,
                                           const std::string& key_pem,
                                           const wire::Certificate& certificate) {
  const transport::TlsTexts::Pem pair{files.certificate.string(),
                                      key_pem + certificate.certificate};
  transport::TlsTexts out{.certificate = pair,
                          .private_key = pair,
                          .authorities = {files.authorities.string(), certificate.authorities},
                          .trust_domain = files.trust_domain,
                          .identities = files.identities,
                          .built_in_authorities = {}};
  if (files.built_in_authorities == files.authorities) {
    out.built_in_authorities = out.authorities;
  } else if (!files.built_in_authorities.empty()) {
    NOTP_ASSIGN(out.built_in_authorities, tls::read_pem(files.built_in_authorities));
  }
  return out;
}

Result<void> write_identity(const transport::TlsFiles& files, const transport::TlsTexts& texts) {
  NOTP_TRY(write_file(files.authorities, texts.authorities.text));
  return write_file(files.certificate, texts.certificate.text, 0600);
}

}  // namespace notp::identity
