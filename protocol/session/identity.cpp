#include "protocol/session/identity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "common/bytes.hpp"
#include "common/limits.hpp"
#include "protocol/model/ledger.hpp"

namespace notp {
namespace {

constexpr std::string_view kScheme = "spiffe://";
constexpr std::array<std::string_view, 4> kRoleNames = {"node", "publisher", "admin", "registry"};

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

bool is_name(std::string_view name) {
  return !name.empty() && name.size() <= limits::kNameBytesMax && name != "." && name != ".." &&
         std::ranges::all_of(name, is_name_char);
}

std::unexpected<Error> refuse(std::string_view uri, std::string_view rule) {
  return fail(ErrorCode::kIdentity,
              fmt::format("the identity '{}' {}; issue a certificate with the one URI "
                          "spiffe://<trust-domain>/(node|publisher|admin|registry)/<name>",
                          printable(uri), rule));
}

// Takes what comes before the next '/' off the front.
std::optional<std::string_view> take_segment(std::string_view& rest) {
  const size_t slash = rest.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const std::string_view segment = rest.substr(0, slash);
  rest.remove_prefix(slash + 1);
  return segment;
}

}  // namespace

std::string_view role_name(Role role) { return kRoleNames[static_cast<size_t>(role)]; }

Result<Identity> Identity::parse(std::string_view uri) {
  if (uri.size() > limits::kIdentityBytesMax) return refuse(uri, "is too long");
  if (!uri.starts_with(kScheme)) return refuse(uri, "is no SPIFFE id");
  std::string_view rest = uri.substr(kScheme.size());
  const auto domain = take_segment(rest);
  const auto role = take_segment(rest);
  if (!domain || !role) return refuse(uri, "has no role and name");
  if (!check_trust_domain(*domain)) return refuse(uri, "has a malformed trust domain");
  const auto known = std::ranges::find(kRoleNames, *role);
  if (known == kRoleNames.end()) return refuse(uri, "has an unknown role");
  if (!is_name(rest)) return refuse(uri, "has a malformed name");
  return Identity{std::string(*domain), static_cast<Role>(known - kRoleNames.begin()),
                  std::string(rest)};
}

std::string Identity::text() const {
  return fmt::format("{}{}/{}/{}", kScheme, trust_domain, role_name(role), name);
}

}  // namespace notp
