// Accepts or refuses the key set of a provider (RFC 7517 §5). Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.hpp"
#include "common/jose/algorithm.hpp"

namespace notp::sources {

inline constexpr std::string_view kPrivateMemberRule = "key-set.private-member";
inline constexpr std::string_view kSymmetricKeyRule = "key-set.symmetric-key";

// A key set in the one form in which it is published: two sets with the same keys are the same
// bytes.
struct AcceptedKeySet {
  // {"issuer": …, "keys": […]}: keys by kid, ascending, then by thumbprint, each with the members
  // of PublicJwk::canonical().
  Bytes document;
  std::vector<std::string> kids;  // of the keys, in their order; "" for a key without one

  bool has(std::string_view kid) const;
  bool operator==(const AcceptedKeySet&) const = default;
};

// Keys for other purposes than signatures are left out, those of a kty that is not known, those on
// Ed448, which engines do not know, and those that fit none of `algorithms` unless that is empty.
// Everything else refuses the whole set: refuse(), with one of these rules behind "key-set.":
//   too-large, not-json, too-deep, not-an-object; no-keys: there is no array "keys"; too-many-keys;
//   not-a-key; symmetric-key; private-member: the provider has lost the key; bad-key: see
//   jose::PublicJwk::parse(); same-kid, same-key; empty: no key is left.
// A message names a private member, and never a value.
Result<AcceptedKeySet> accept_key_set(ByteView text, std::string_view issuer,
                                      std::span<const jose::Algorithm> algorithms = {});

// Returns the kids of a published document; none when it is not one.
std::vector<std::string> kids_in(ByteView document);

}  // namespace notp::sources
