// A node's identity on its disk.
//
// Key and certificate are one PEM file, replaced by one rename: a crash leaves the old pair or the
// new one. The authorities are a file of their own, replaced before it: the new ones verify the
// registry as it is, so that they go with either pair.
#pragma once

#include "protocol/transport/tls_context.hpp"
#include "protocol/wire/messages.hpp"

namespace notp {

// What the files will say, once they are written.
Result<TlsTexts> identity_texts(const TlsFiles& files, const std::string& key_pem,
                                const wire::Certificate& certificate);

// Writes them, durably. kIo.
Result<void> write_identity(const TlsFiles& files, const TlsTexts& texts);

}  // namespace notp
