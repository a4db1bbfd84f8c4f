// Security event tokens (RFC 8417) under the rules of the Shared Signals Framework 1.0: verified,
// and turned into revocations of a lane. Pure.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/jose/token.hpp"
#include "notp-server/lane/intake.hpp"
#include "notp-server/lane_inputs/event_types.hpp"
#include "notp-server/lane_inputs/subject.hpp"

namespace notp::lane_inputs {

struct SetRules {
  std::string issuer;                  // iss, byte for byte
  std::vector<std::string> audiences;  // aud must have one of them; none: no token passes
  SubjectRules subjects;
  // Differences from event_types(), by the last part of a type: kRevoke or kIgnore.
  std::map<std::string, EventEffect, std::less<>> effects;
};

struct SecurityEvent {
  std::string jti;
  std::string type;
  TimeMs issued_ms = 0;  // wall time, from iat
  EventEffect effect = EventEffect::kIgnore;
  std::optional<lane::Revoked> revoked;  // kRevoke, unless the change is harmless
  std::string state;                     // kVerification: as it was asked for; empty: none
  std::string status, reason;            // kStreamUpdated
};

// Returns the types that revoke something, for a stream that is made.
std::vector<std::string> wanted_events(const SetRules& rules);

// Reads a token; nothing in it is verified. refuse(): set.too-large, set.malformed: see
// jose::read_token().
Result<jose::Token> read_set(std::string_view compact);
// "" when there is none. For finding keys and sources, before anything is verified.
std::string_view claim_text(const jose::Token& token, std::string_view name);
bool has_audience(const jose::Token& token, std::span<const std::string> audiences);

// Verifies it and reads its event. refuse() with the rules of subject.hpp, and
//   set.alg, set.key, set.signature, set.typ, set.iss, set.aud, set.exp, set.age, set.nbf, set.iat:
//     as in jose::check_token(); set.age: of kSetAgeMsMax ago
//   set.jti: missing or too long; set.events: not one event (SSF 1.0 §11.1.7), or malformed
//   set.subject: none, or two; event.timestamp: malformed; event.future
Result<SecurityEvent> accept_set(const jose::Token& token, const jose::KeySet& keys,
                                 const SetRules& rules, TimeMs now_ms);

// The same for claims that were verified.
Result<SecurityEvent> read_event(const json::object& claims, const SetRules& rules, TimeMs now_ms);

// Returns the code of RFC 8935 §2.4 for a refusal.
std::string_view set_error_code(const Error& refusal);

}  // namespace notp::lane_inputs
