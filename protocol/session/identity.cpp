#include "protocol/session/identity.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "common/bytes.hpp"
#include "common/limits.hpp"

namespace notp::session {
namespace {

constexpr std::string_view kScheme = "spiffe://";
constexpr std::array<std::string_view, 5> kRoleNames = {"node", "publisher", "admin", "registry",
                                                        "source"};

std::optional<Role> find_role(std::string_view name) {
  const auto found = std::ranges::find(kRoleNames, name);
  if (found == kRoleNames.end()) return std::nullopt;
  return static_cast<Role>(found - kRoleNames.begin());
}

std::unexpected<Error> refuse(std::string_view uri, std::string_view why) {
  return fail(ErrorCode::kIdentity, fmt::format("the identity '{}' {}", printable(uri), why));
}

constexpr std::string_view kIssueBuiltIn =
    "issue a certificate with the one URI "
    "spiffe://<trust-domain>/(node|publisher|admin|registry|source)/<name>";

// Splits "<role>/<name>", a path of two segments whose first one is a role.
std::optional<std::pair<Role, std::string_view>> built_in_parts(std::string_view path) {
  const size_t slash = path.find('/');
  if (slash == std::string_view::npos || path.find('/', slash + 1) != std::string_view::npos)
    return std::nullopt;
  const auto role = find_role(path.substr(0, slash));
  if (!role) return std::nullopt;
  return std::pair(*role, path.substr(slash + 1));
}

Result<Identity> built_in(const model::SpiffeId& id) {
  const auto parts = built_in_parts(id.path);
  if (!parts) return refuse(id.text(), fmt::format("has an unknown role; {}", kIssueBuiltIn));
  if (parts->second.size() > limits::kNameBytesMax)
    return refuse(id.text(), fmt::format("has a name longer than {} bytes; {}",
                                         limits::kNameBytesMax, kIssueBuiltIn));
  return Identity{id.trust_domain, parts->first, std::string(parts->second)};
}

}  // namespace

std::string_view role_name(Role role) { return kRoleNames[static_cast<size_t>(role)]; }

Result<Role> parse_role(std::string_view name) {
  if (const auto role = find_role(name)) return *role;
  return fail(ErrorCode::kConfig, fmt::format("'{}' is not a role; use one of {}", printable(name),
                                              fmt::join(kRoleNames, ", ")));
}

Result<Identity> Identity::parse(std::string_view uri) {
  NOTP_ASSIGN(const model::SpiffeId id, model::SpiffeId::parse(uri));
  return built_in(id);
}

bool Identity::is_built_in(const model::SpiffeId& id) {
  return built_in_parts(id.path).has_value();
}

bool Identity::is_built_in() const { return !name.starts_with(kScheme); }

std::string Identity::text() const {
  if (!is_built_in()) return name;
  return fmt::format("{}{}/{}/{}", kScheme, trust_domain, role_name(role), name);
}

std::string Identity::short_text() const {
  return is_built_in() ? fmt::format("{}/{}", role_name(role), name) : name;
}

// --- rules

Result<void> IdentityRules::add(std::string_view match, std::string_view role,
                                std::string_view trust_domain) {
  NOTP_ASSIGN(model::SpiffePattern pattern, model::SpiffePattern::parse(match, trust_domain));
  NOTP_ASSIGN(const Role given, parse_role(role));
  for (const std::string_view name : kRoleNames) {
    const std::string reserved = fmt::format("{}{}/{}/", kScheme, trust_domain, name);
    const bool is_one = match.starts_with(reserved) && !match.substr(reserved.size()).contains('/');
    if (is_one)
      return fail(ErrorCode::kConfig,
                  fmt::format("'{}' is of the built-in form, for which no entry of 'identities' "
                              "speaks: name the authority of such ids as identity.builtin_ca",
                              printable(match)));
  }
  rules_.push_back({std::move(pattern), given});
  return {};
}

Result<Identity> IdentityRules::identify(std::string_view uri, std::string_view trust_domain,
                                         bool attested) const {
  NOTP_ASSIGN(const model::SpiffeId id, model::SpiffeId::parse(uri));
  if (!trust_domain.empty() && id.trust_domain != trust_domain)
    return refuse(uri, fmt::format("is of another trust domain than {}", trust_domain));
  if (Identity::is_built_in(id)) {
    if (attested) return built_in(id);
    return refuse(uri,
                  "is of the built-in form, and its certificate does not come from an authority "
                  "for such ids; name that authority as identity.builtin_ca, or use another id");
  }
  for (const IdentityRule& rule : rules_)
    if (rule.match.covers(uri)) return Identity{id.trust_domain, rule.role, std::string(uri)};
  if (rules_.empty())
    return refuse(uri, fmt::format("has an unknown role; {}, or give it a role under 'identities' "
                                   "in the configuration",
                                   kIssueBuiltIn));
  return refuse(uri, "has no role: no entry of 'identities' in the configuration covers it");
}

bool IdentityRules::may_give(Role role, const IdentityPattern& pattern,
                             std::string_view trust_domain, bool has_built_in) const {
  if (!pattern.uri() && pattern.role() != role) return false;
  const auto by_rule = [&](const IdentityRule& rule) {
    return rule.role == role &&
           (pattern.uri() ? rule.match.overlaps(*pattern.uri()) : pattern.is_whole_role());
  };
  if (std::ranges::any_of(rules_, by_rule)) return true;
  if (!has_built_in || !pattern.uri()) return has_built_in;
  const auto built_in_ids = model::SpiffePattern::parse(
      fmt::format("{}{}/{}/*", kScheme, trust_domain, role_name(role)), trust_domain);
  return built_in_ids && built_in_ids->overlaps(*pattern.uri());
}

// --- patterns

Result<IdentityPattern> IdentityPattern::parse(std::string_view text,
                                               std::string_view trust_domain) {
  IdentityPattern out(text);
  if (text.starts_with(kScheme)) {
    NOTP_ASSIGN(out.uri_, model::SpiffePattern::parse(text, trust_domain));
    return out;
  }
  const size_t slash = text.find('/');
  out.role_ = find_role(text.substr(0, slash));
  std::string_view name = slash == std::string_view::npos ? "" : text.substr(slash + 1);
  if (name.ends_with('*')) {
    out.is_prefix_ = true;
    name.remove_suffix(1);
  }
  out.name_ = name;
  const std::string sample =
      fmt::format("{}{}/node/{}{}", kScheme, trust_domain, name, out.is_prefix_ ? "x" : "");
  if (!out.role_ || !Identity::parse(sample))
    return fail(ErrorCode::kConfig,
                fmt::format("'{}' names no identity: write role/name, role/front*, role/* or a "
                            "SPIFFE id of the trust domain, maybe with '*' as its last segment",
                            printable(text)));
  return out;
}

bool IdentityPattern::covers(const Identity& identity) const {
  if (uri_) return uri_->covers(identity.text());
  if (role_ != identity.role) return false;
  if (is_whole_role()) return true;
  if (!identity.is_built_in()) return false;
  return is_prefix_ ? identity.name.starts_with(name_) : identity.name == name_;
}

}  // namespace notp::session
