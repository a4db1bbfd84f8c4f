// The identity of a peer: one SPIFFE id (SPIFFE-ID §2), taken from its certificate by
// protocol/transport, and its role at this end. protocol/transport/README.md, "Identities and
// roles".
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/result.hpp"
#include "protocol/model/spiffe_id.hpp"

namespace notp::session {

enum class Role : uint8_t {
  kNode,
  kPublisher,
  kAdmin,
  kRegistry,
  kSource,  // sends events to token lanes by HTTP; it has no sessions
};

// "node", "publisher", "admin", "registry", "source".
std::string_view role_name(Role role);
// kConfig with the allowed names.
Result<Role> parse_role(std::string_view name);

struct Identity {
  std::string trust_domain;
  Role role = Role::kNode;
  // For a built-in id 1 to kNameBytesMax of [A-Za-z0-9._-], neither "." nor ".."; for any other the
  // whole URI, so that no two identities have the same name.
  std::string name;

  // Parses a built-in id: "spiffe://<trust-domain>/<role>/<name>".
  // kIdentity names the broken rule; nothing is normalised, so that two spellings are never one
  // identity.
  static Result<Identity> parse(std::string_view uri);
  // Whether the URI has the path of a built-in id; ignores its certificate.
  static bool is_built_in(const model::SpiffeId& id);

  bool is_built_in() const;
  // Returns the URI.
  std::string text() const;
  // Returns "role/name" for a built-in id, the URI for any other.
  std::string short_text() const;
  auto operator<=>(const Identity&) const = default;
};

// The identities that an entry of a configuration covers, in one of these forms:
//   "<role>/<name>", "<role>/<front>*"  built-in ids only, by their name or its front
//   "<role>/*"                          every identity with the role
//   "spiffe://…"                        as SpiffePattern, whatever the role of the id
class IdentityPattern {
 public:
  // kConfig.
  static Result<IdentityPattern> parse(std::string_view text, std::string_view trust_domain);

  bool covers(const Identity& identity) const;
  const std::string& text() const { return text_; }
  const std::optional<model::SpiffePattern>& uri() const { return uri_; }
  // The role of the first three forms; nullopt for a URI.
  std::optional<Role> role() const { return role_; }
  // Whether it is "<role>/*".
  bool is_whole_role() const { return role_ && is_prefix_ && name_.empty(); }
  bool operator==(const IdentityPattern&) const = default;

 private:
  explicit IdentityPattern(std::string_view text) : text_(text) {}

  std::string text_;
  std::optional<model::SpiffePattern> uri_;
  std::optional<Role> role_;
  std::string name_;  // without "*"
  bool is_prefix_ = false;
};

// One entry of a configuration's `identities`.
struct IdentityRule {
  model::SpiffePattern match;
  Role role = Role::kNode;
  bool operator==(const IdentityRule&) const = default;
};

// Assigns roles to ids at this end. The first rule that covers an id decides, so that it has one
// role. A rule never applies to an id of the built-in form: such an id depends on the authority
// that attests it, and could otherwise pass for the node whose name it took.
class IdentityRules {
 public:
  // kConfig for a rule that could only apply to built-in ids.
  Result<void> add(std::string_view match, std::string_view role, std::string_view trust_domain);

  bool empty() const { return rules_.empty(); }
  const std::vector<IdentityRule>& rules() const { return rules_; }

  // Returns the identity of the URI in a verified certificate. `attested`: its chain ends under an
  // authority for built-in ids. `trust_domain`: the only one that is accepted; empty: any.
  // kIdentity.
  Result<Identity> identify(std::string_view uri, std::string_view trust_domain,
                            bool attested) const;
  // Whether an identity that the pattern covers could have the role. `has_built_in`: ids of the
  // built-in form count.
  bool may_give(Role role, const IdentityPattern& pattern, std::string_view trust_domain,
                bool has_built_in) const;
  bool operator==(const IdentityRules&) const = default;

 private:
  std::vector<IdentityRule> rules_;
};

}  // namespace notp::session
