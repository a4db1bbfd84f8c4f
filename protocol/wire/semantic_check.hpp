// Rules for the content of messages that several families share. The rules of one message are in
// its codec. They are the same for sent and for received messages.
#pragma once

#include <string_view>
#include <vector>

#include "common/bytes.hpp"
#include "common/result.hpp"
#include "protocol/model/ledger.hpp"

namespace notp::wire {

// Every check returns kMessage with the field and the rule.

Result<void> require(bool holds, std::string_view rule);

// By LedgerId::check.
Result<void> check_ledger(const model::LedgerId& ledger);

// From 1 to kVersionMax. `what` names the field.
Result<void> check_release(uint64_t version, std::string_view what);
// The same, or 0 for "none".
Result<void> check_release_or_none(uint64_t version, std::string_view what);

// Not empty, at most kEnvelopeBytesMax.
Result<void> check_envelope(ByteView envelope);
// At most kRootStepsMax envelopes.
Result<void> check_roots(const std::vector<Bytes>& roots);
// Ed25519: 64 bytes.
Result<void> check_signature(ByteView signature);

}  // namespace notp::wire
