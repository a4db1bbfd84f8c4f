// What a security event is about, as a lane can name it: subject identifiers of RFC 9493 §3 and of
// the Shared Signals Framework 1.0 §3. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/json/json.hpp"
#include "protocol/feed/token_id.hpp"

namespace notp::lane_inputs {

struct SubjectRules {
  std::string issuer;  // of subjects whose form names none
  // Issuers of whose subjects the source may tell; empty: any.
  std::vector<std::string> issuers;
  // sub of an email address or of an account ("acct:…"), in lower case.
  std::map<std::string, std::string, std::less<>> subjects;
};

// What is revoked: see feed::mark_key().
struct MarkTarget {
  feed::MarkKind kind = feed::MarkKind::kSubject;
  std::string issuer, value;
  bool operator==(const MarkTarget&) const = default;
};

// `bare` is what an opaque id by itself names. refuse(), with one of
//   subject.not-an-object, subject.format, subject.member: malformed;
//   subject.unknown-format: none of iss_sub, opaque, jwt_id, email, account, aliases, complex;
//   subject.other-issuer: not one of `issuers`; subject.not-mapped: not in `subjects`;
//   subject.too-wide: complex, without a user or session that would limit it.
// Of a complex subject a session counts before its user, and the session "ALL" is none. What else
// limits a user (device, tenant, …) is left out: more is revoked, never less.
Result<MarkTarget> target_of(const json::value& subject, const SubjectRules& rules,
                             feed::MarkKind bare);

// In lower case (ASCII), as the names of SubjectRules::subjects.
std::string lower_case(std::string_view text);

}  // namespace notp::lane_inputs
