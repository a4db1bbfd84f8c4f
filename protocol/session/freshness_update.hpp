// Codes a freshness statement on the wire: only what the peer cannot derive from the previous one.
#pragma once

#include <optional>
#include <string_view>

#include "protocol/trust/envelope.hpp"
#include "protocol/trust/statements.hpp"
#include "protocol/wire/messages.hpp"

namespace notp::session {

// Codes `next` as a difference to `base`, the last statement of this session for the same class, or
// for the peer alone; nullptr: none.
wire::FreshnessUpdate make_freshness_update(const trust::Freshness& next, ByteView signature,
                                            const trust::Freshness* base);

// Returns the statement in its canonical encoding, with the received signature, not yet verified.
// `base` is as above, `class_id` the class that the reader is in. kState when the update builds on
// another statement than `base`; kWrongTarget when it is of a class, and the reader is in none;
// kMessage when the update does not yield a possible statement.
Result<trust::Envelope> expand_freshness_update(const wire::FreshnessUpdate& update,
                                                const trust::Freshness* base,
                                                std::string_view trust_domain,
                                                std::string_view audience,
                                                std::optional<trust::ClassId> class_id = {});

}  // namespace notp::session
