#include "notp-client/identity/renewal_config.hpp"

namespace notp::identity {

Result<bool> load_renewal(const config::Section& root, const transport::TlsFiles& files) {
  const bool renews = root.flag("tls.renew");
  if (renews && files.certificate != files.private_key)
    return fail(ErrorCode::kConfig,
                "tls.renew: tls.certificate and tls.key must name one file, which is replaced as a "
                "whole; `notp-client enroll` makes such a one");
  return renews;
}

}  // namespace notp::identity
