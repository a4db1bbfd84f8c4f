// A node's identity on its disk.
//
// Key and certificate are one PEM file, replaced by one rename: a crash leaves the old pair or the
// new one. The authorities are in a separate file, which is replaced first: the new authorities
// verify the registry in its current state, so they match either pair.
#pragma once

#include "protocol/transport/tls_context.hpp"
#include "protocol/wire/messages.hpp"

namespace notp::identity {

// Returns the contents that the files will have.
Result<transport::TlsTexts> identity_texts(const transport::TlsFiles& files,
                                           const std::string& key_pem,
                                           const wire::Certificate& certificate);

// Writes the files durably. kIo.
Result<void> write_identity(const transport::TlsFiles& files, const transport::TlsTexts& texts);

}  // namespace notp::identity
