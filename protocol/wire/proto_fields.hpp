// Converts values to and from the fields of generated messages.
#pragma once

#include <google/protobuf/message_lite.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.hpp"
#include "common/crypto/digest.hpp"
#include "common/result.hpp"
#include "protocol/model/ledger.hpp"
#include "protocol/trust/age.hpp"
#include "protocol/wire/messages/transfer.hpp"
#include "schemas/notp.pb.h"
#include "schemas/requests.pb.h"

namespace notp::wire {

namespace pb = ::notp::wire::v1;

// --- sending

// Returns foreign text as UTF-8, cut between characters to the limit of its kind of field. A field
// with bad UTF-8 would serialise, and the peer would refuse the frame.
std::string clean_text(std::string_view text);
std::string clean_name(std::string_view text);
std::string clean_identity(std::string_view text);

std::string hash_bytes(const Hash& hash);
// Empty for zero: the field is left out.
std::string hash_bytes_if_set(const Hash& hash);

// The message must be small enough to serialise: check() has bounded it.
Bytes serialize(const google::protobuf::MessageLite& message);

// --- receiving; every error is kMessage

std::unexpected<Error> bad(std::string_view what);

// Reads all of `payload`, which has passed check_structure(), into `out`.
Result<void> parse(ByteView payload, google::protobuf::MessageLite& out);

// Empty: zero. The semantic check refuses zero where it is not allowed.
Result<Hash> take_hash(const std::string& in);
// Each 32 bytes long, or empty.
Result<std::vector<Hash>> take_hashes(const google::protobuf::RepeatedPtrField<std::string>& in);
// Empty: none.
Result<std::optional<TraceContext>> take_trace(const std::string& in);
// An error for an unknown value.
Result<CommitState> take_state(pb::Commit::State in);
Result<trust::FreshnessState> take_freshness(pb::FreshnessState in);

inline model::LedgerId ledger_of(const pb::LedgerName& in) { return {in.zone(), in.name()}; }

// The ledger of a message that must name one.
template <typename Proto>
Result<model::LedgerId> take_ledger(const Proto& in) {
  if (!in.has_ledger()) return bad("the ledger is missing");
  return ledger_of(in.ledger());
}

// Zone 0 when it is absent. An empty ledger that is present must not read as absent.
template <typename Proto>
Result<model::LedgerId> take_ledger_if_named(const Proto& in) {
  if (!in.has_ledger()) return model::LedgerId{};
  if (in.ledger().zone() == 0) return bad("the ledger has no zone");
  return take_ledger(in);
}

}  // namespace notp::wire
