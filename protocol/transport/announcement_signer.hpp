// Signs with the key of the own TLS certificate, for statements that outlive a session.
#pragma once

#include <memory>

#include "protocol/record/announcement.hpp"
#include "protocol/transport/tls_context.hpp"

namespace notp::transport {

// The signer keeps `tls` alive. kNoCertificate: the context has none.
Result<record::AnnouncementSigner> announcement_signer(std::shared_ptr<const TlsContext> tls);

}  // namespace notp::transport
