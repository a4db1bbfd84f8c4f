#include "notp-client/txn/introspection_config.hpp"

namespace notp::txn {
namespace {

constexpr TimeMs kMsPerSecond = 1'000;

// The defaults of the schema do not reach members of arrays.
int64_t number_or(const config::Section& section, std::string_view key, int64_t otherwise) {
  return section.has(key) ? section.integer(key) : otherwise;
}
bool flag_or_no(const config::Section& section, std::string_view key) {
  return section.has(key) && section.flag(key);
}

}  // namespace

Result<IntrospectionConfig> load_introspection(const config::Section& section, std::string issuer,
                                               http::ProxyConfig proxy) {
  IntrospectionConfig out;
  out.issuer = std::move(issuer);
  out.url = section.text("url");
  out.insecure_loopback = flag_or_no(section, "insecure_loopback");
  NOTP_ASSIGN(out.auth, oauth::load_client_auth(section.section("auth"), oauth::Purpose::kClient));
  out.ca = section.text_or_empty("ca");
  for (const std::string& pin : section.texts("pins")) {
    NOTP_ASSIGN(const Hash hash, http::parse_pin(pin));
    out.pins.push_back(hash);
  }
  out.proxy = std::move(proxy);
  out.is_for_opaque = flag_or_no(section, "opaque");
  out.cache_ms = number_or(section, "cache_s", 0) * kMsPerSecond;
  out.timeout_ms = number_or(section, "timeout_ms", out.timeout_ms);
  out.at_once =
      static_cast<size_t>(number_or(section, "at_once", static_cast<int64_t>(out.at_once)));
  if (auto good = oauth::check_url(out.url, out.server()); !good)
    return fail(ErrorCode::kConfig, std::move(good).error().message);
  return out;
}

}  // namespace notp::txn
