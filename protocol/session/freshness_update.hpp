// A freshness statement on the wire: only what the peer cannot derive from the statement before it.
#pragma once

#include <string_view>

#include "protocol/trust/envelope.hpp"
#include "protocol/trust/statements.hpp"
#include "protocol/wire/messages.hpp"

namespace notp {

// `next` as a difference to `base`, the last statement sent in this session; nullptr: none.
wire::FreshnessUpdate make_freshness_update(const Freshness& next, ByteView signature,
                                            const Freshness* base);

// The statement in its one encoding, with the signature that came, not yet verified. kState when
// the update builds on another statement than `base`; kMessage when there cannot be such a
// statement.
Result<Envelope> expand_freshness_update(const wire::FreshnessUpdate& update, const Freshness* base,
                                         std::string_view trust_domain, std::string_view audience);

}  // namespace notp
