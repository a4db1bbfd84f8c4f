// Untrusted URIs in certificates, under the widest possible rules: an accepted URI is kept as
// written, an id of the built-in form gets its role from its authority only, and a pattern matches
// exactly as a comparison segment by segment.
#include <string>
#include <string_view>
#include <vector>

#include "common/assert.hpp"
#include "common/limits.hpp"
#include "protocol/session/identity.hpp"

namespace {

using namespace notp;

constexpr std::string_view kDomain = "core.internal";

std::vector<std::string_view> segments(std::string_view path) {
  std::vector<std::string_view> out;
  for (size_t at = 0; at <= path.size();) {
    const size_t slash = std::min(path.find('/', at), path.size());
    out.push_back(path.substr(at, slash - at));
    at = slash + 1;
  }
  return out;
}

const session::IdentityRules& rules() {
  static const session::IdentityRules table = [] {
    session::IdentityRules out;
    for (const auto& [match, role] : {std::pair("spiffe://core.internal/ns/payments/*", "node"),
                                      std::pair("spiffe://core.internal/*", "publisher")}) {
      const auto added = out.add(match, role, kDomain);
      NOTP_ASSERT(added, "the rules are good ones");
    }
    return out;
  }();
  return table;
}

void check(std::string_view uri) {
  const auto id = model::SpiffeId::parse(uri);
  const auto unattested = rules().identify(uri, kDomain, false);
  const auto attested = rules().identify(uri, kDomain, true);
  NOTP_ASSERT(id || (!unattested && !attested), "what is no id has no role");
  if (!id) return;
  NOTP_ASSERT(id->text() == uri && uri.size() <= limits::kIdentityBytesMax,
              "nothing is normalised");
  const bool is_ours = id->trust_domain == kDomain;
  const auto parts = segments(id->path);
  for (const std::string_view part : parts)
    NOTP_ASSERT(!part.empty() && part != "." && part != ".." && !part.contains('%'),
                "no segment climbs or hides");
  const bool is_built_in = parts.size() == 2 && (parts[0] == "node" || parts[0] == "publisher" ||
                                                 parts[0] == "admin" || parts[0] == "registry");
  NOTP_ASSERT(unattested.has_value() == (is_ours && !is_built_in),
              "the form has no role by itself");
  if (attested) NOTP_ASSERT(attested->text() == uri, "an identity is its URI");
  if (!unattested) return;
  const bool is_payments = parts.size() > 2 && parts[0] == "ns" && parts[1] == "payments";
  NOTP_ASSERT((unattested->role == session::Role::kNode) == is_payments,
              "patterns cover whole segments");
  NOTP_ASSERT(unattested->name == uri && !unattested->is_built_in(), "its name is the whole URI");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check(text);
  check(std::string("spiffe://core.internal/").append(text));
  return 0;
}
