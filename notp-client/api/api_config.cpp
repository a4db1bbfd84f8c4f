#include "notp-client/api/api_config.hpp"

#include <fmt/format.h>

#include <charconv>

#include "notp-client/pdp/pdp.hpp"
#include "protocol/transport/endpoint.hpp"

namespace notp::api {
namespace {

// Collects all mistakes, a line each.
class Mistakes {
 public:
  void add(std::string_view field, std::string_view what) {
    text_ += fmt::format("{}{}: {}", text_.empty() ? "" : "\n", field, what);
  }
  // Returns the value, or a default one in its place.
  template <typename T>
  T take(std::string_view field, Result<T> result) {
    if (result) return *std::move(result);
    add(field, result.error().message);
    return T();
  }
  bool none() const { return text_.empty(); }
  std::string take_text() { return std::move(text_); }

 private:
  std::string text_;
};

HostPort address_of(const std::string& text, std::string_view field, Mistakes& mistakes) {
  auto address = mistakes.take(field, HostPort::parse(text));
  if (address.host == "localhost") address.host = "127.0.0.1";
  return address;
}

unsigned mode_of(const std::string& text) {
  unsigned mode = 0;
  constexpr int kOctal = 8;
  std::from_chars(text.data(), text.data() + text.size(), mode, kOctal);
  return mode;
}

PepRule pep_of(const config::Section& entry, const std::string& field,
               const std::string& trust_domain, Mistakes& mistakes) {
  PepRule rule{.identity = entry.text_or_empty("identity"),
               .token = entry.text_or_empty("token"),
               .paths = {}};
  if (!rule.identity.empty())
    if (const auto good = check_identity_pattern(rule.identity, trust_domain); !good)
      mistakes.add(field + ".identity", good.error().message);
  for (const std::string& path : entry.texts("paths"))
    rule.paths.push_back(mistakes.take(field + ".paths", PathPattern::parse(path)));
  if (entry.has("at_once")) rule.at_once = entry.size("at_once");
  return rule;
}

void read_listeners(const config::Section& root, ApiConfig& out, Mistakes& mistakes) {
  if (const std::string listen = root.text("listen"); listen != "none") {
    HostPort address = address_of(listen, "listen", mistakes);
    out.listen = {.address = std::move(address.host), .port = address.port};
  }
  if (root.has("listen_unix"))
    out.listen_unix = {.path = root.text("listen_unix.path"),
                       .mode = mode_of(root.text("listen_unix.mode")),
                       .group = root.text_or_empty("listen_unix.group")};
  if (root.has("listen_tls")) {
    HostPort address = address_of(root.text("listen_tls.address"), "listen_tls.address", mistakes);
    out.listen_tls = {.address = std::move(address.host),
                      .port = address.port,
                      .certificate = root.text("listen_tls.certificate"),
                      .private_key = root.text("listen_tls.key"),
                      .client_authorities = root.text("listen_tls.client_ca"),
                      .client_certificate = http::ClientCertificate::kOptional,
                      .allow_p384 = root.flag("listen_tls.allow_p384")};
  }
  if (root.has("health_listen")) {
    HostPort address = address_of(root.text("health_listen"), "health_listen", mistakes);
    out.health_listen = {
        .address = std::move(address.host), .port = address.port, .beyond_loopback = true};
  }
}

// Checks combinations of keys that are each valid on their own.
void check_together(const config::Section& root, const ApiConfig& api, Mistakes& mistakes) {
  if (!api.peps.empty() && !api.listen_tls && api.api_token.empty())
    mistakes.add("peps", "no caller can be one of them: configure listen_tls or api_token as well");
  for (const PepRule& rule : api.peps)
    if (!rule.token.empty() && api.api_token.empty())
      mistakes.add("peps", fmt::format("token '{}' needs api_token", rule.token));
    else if (!rule.identity.empty() && !api.listen_tls)
      mistakes.add("peps", fmt::format("identity '{}' needs listen_tls", rule.identity));
  if (!api.listen && root.text("pdp.kind") == "opa")
    mistakes.add("listen", "none, but the OPA of pdp.kind fetches its bundles there");
}

}  // namespace

Result<ApiConfig> ApiConfig::load(const config::Section& root, const std::string& trust_domain) {
  ApiConfig out;
  Mistakes mistakes;
  read_listeners(root, out, mistakes);
  out.api_token = root.text_or_empty("api_token");
  const auto peps = root.sections("peps");
  for (size_t i = 0; i < peps.size(); ++i)
    out.peps.push_back(pep_of(peps[i], fmt::format("peps.{}", i), trust_domain, mistakes));
  out.hosts = root.texts("hosts");
  out.body_bytes_max = root.size("limits.body_bytes");
  out.gzip_body_bytes_max =
      root.has("limits.gzip_body_bytes") ? root.size("limits.gzip_body_bytes") : out.body_bytes_max;
  out.connections_max = root.size("limits.connections");
  out.default_decision = pdp::path_segments(root.text("default_decision"));
  out.authzen_path = pdp::path_segments(root.text("authzen.path"));
  check_together(root, out, mistakes);
  if (!mistakes.none()) return fail(ErrorCode::kConfig, mistakes.take_text());
  return out;
}

Result<AccessRules> ApiConfig::access_rules(const std::string& trust_domain) const {
  AccessRules rules{
      .trust_domain = trust_domain, .has_tokens = !api_token.empty(), .tokens = {}, .peps = peps};
  if (rules.has_tokens) {
    auto tokens = ApiTokens::load(api_token);
    if (!tokens) return std::unexpected(std::move(tokens).error().in("api_token"));
    rules.tokens = *std::move(tokens);
  }
  return rules;
}

}  // namespace notp::api
