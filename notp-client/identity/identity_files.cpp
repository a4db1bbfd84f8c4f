#include "notp-client/identity/identity_files.hpp"

#include "common/files.hpp"

namespace notp {

TlsTexts identity_texts(const TlsFiles& files, const std::string& key_pem,
                        const wire::Certificate& certificate) {
  const TlsTexts::Pem pair{files.certificate.string(), key_pem + certificate.certificate};
  return {.certificate = pair,
          .private_key = pair,
          .authorities = {files.authorities.string(), certificate.authorities},
          .trust_domain = files.trust_domain};
}

Result<void> write_identity(const TlsFiles& files, const TlsTexts& texts) {
  NOTP_TRY(write_file(files.authorities, texts.authorities.text));
  return write_file(files.certificate, texts.certificate.text, 0600);
}

}  // namespace notp
