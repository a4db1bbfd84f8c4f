// Who a peer is: one SPIFFE id (SPIFFE-ID §2), taken from its certificate by protocol/transport.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/result.hpp"

namespace notp {

enum class Role : uint8_t { kNode, kPublisher, kAdmin, kRegistry };

// "node", "publisher", "admin", "registry".
std::string_view role_name(Role role);

struct Identity {
  std::string trust_domain;
  Role role = Role::kNode;
  std::string name;  // 1 to kNameBytesMax of [A-Za-z0-9._-], neither "." nor ".."

  // "spiffe://<trust-domain>/(node|publisher|admin|registry)/<name>". kIdentity names the rule that
  // is broken; nothing is normalised, so that two spellings are never one identity.
  static Result<Identity> parse(std::string_view uri);
  // The URI that parse() takes.
  std::string text() const;
  auto operator<=>(const Identity&) const = default;
};

}  // namespace notp
