#include "notp-client/api/api_config.hpp"

#include <fmt/format.h>

#include <charconv>

#include "common/config.hpp"
#include "notp-client/pdp/pdp.hpp"
#include "protocol/transport/endpoint.hpp"

namespace notp {
namespace {

// All that is wrong, a line each.
class Mistakes {
 public:
  void add(std::string_view field, std::string_view what) {
    text_ += fmt::format("{}{}: {}", text_.empty() ? "" : "\n", field, what);
  }
  // The value, or a default one in its place.
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

std::string text_or_empty(const json::value& config, std::string_view path) {
  const json::value* found = config_find(config, path);
  return found ? std::string(found->as_string()) : std::string();
}

size_t size_of(const json::value& config, std::string_view path) {
  return static_cast<size_t>(config_integer(config, path));
}

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

PepRule pep_of(const json::value& entry, const std::string& field, const std::string& trust_domain,
               Mistakes& mistakes) {
  PepRule rule{.identity = text_or_empty(entry, "identity"),
               .token = text_or_empty(entry, "token"),
               .paths = {}};
  if (!rule.identity.empty())
    if (const auto good = check_identity_pattern(rule.identity, trust_domain); !good)
      mistakes.add(field + ".identity", good.error().message);
  for (const json::value& path : entry.at("paths").as_array())
    rule.paths.push_back(mistakes.take(field + ".paths", PathPattern::parse(path.as_string())));
  if (config_find(entry, "at_once")) rule.at_once = size_of(entry, "at_once");
  return rule;
}

void read_listeners(const json::value& config, ApiConfig& out, Mistakes& mistakes) {
  if (const std::string listen = config_text(config, "listen"); listen != "none") {
    HostPort address = address_of(listen, "listen", mistakes);
    out.listen = {.address = std::move(address.host), .port = address.port};
  }
  if (config_find(config, "listen_unix"))
    out.listen_unix = {.path = config_text(config, "listen_unix.path"),
                       .mode = mode_of(config_text(config, "listen_unix.mode")),
                       .group = text_or_empty(config, "listen_unix.group")};
  if (config_find(config, "listen_tls")) {
    HostPort address =
        address_of(config_text(config, "listen_tls.address"), "listen_tls.address", mistakes);
    out.listen_tls = {.address = std::move(address.host),
                      .port = address.port,
                      .certificate = config_text(config, "listen_tls.certificate"),
                      .private_key = config_text(config, "listen_tls.key"),
                      .client_authorities = config_text(config, "listen_tls.client_ca"),
                      .client_certificate = http::ClientCertificate::kOptional,
                      .allow_p384 = config_find(config, "listen_tls.allow_p384")->as_bool()};
  }
  if (config_find(config, "health_listen")) {
    HostPort address = address_of(config_text(config, "health_listen"), "health_listen", mistakes);
    out.health_listen = {
        .address = std::move(address.host), .port = address.port, .beyond_loopback = true};
  }
}

// What each key allows by itself and both together do not.
void check_together(const json::value& config, const ApiConfig& api, Mistakes& mistakes) {
  if (!api.peps.empty() && !api.listen_tls && api.api_token.empty())
    mistakes.add("peps", "nobody can be one of them: configure listen_tls or api_token as well");
  for (const PepRule& rule : api.peps)
    if (!rule.token.empty() && api.api_token.empty())
      mistakes.add("peps", fmt::format("token '{}' needs api_token", rule.token));
    else if (!rule.identity.empty() && !api.listen_tls)
      mistakes.add("peps", fmt::format("identity '{}' needs listen_tls", rule.identity));
  if (!api.listen && config_text(config, "pdp.kind") == "opa")
    mistakes.add("listen", "none, but the OPA of pdp.kind fetches its bundles there");
}

}  // namespace

Result<ApiConfig> ApiConfig::read(const json::value& config, const std::string& trust_domain) {
  ApiConfig out;
  Mistakes mistakes;
  read_listeners(config, out, mistakes);
  out.api_token = text_or_empty(config, "api_token");
  const json::array& peps = config_find(config, "peps")->as_array();
  for (size_t i = 0; i < peps.size(); ++i)
    out.peps.push_back(pep_of(peps[i], fmt::format("peps.{}", i), trust_domain, mistakes));
  for (const json::value& host : config_find(config, "hosts")->as_array())
    out.hosts.emplace_back(host.as_string());
  out.body_bytes_max = size_of(config, "limits.body_bytes");
  out.gzip_body_bytes_max = config_find(config, "limits.gzip_body_bytes")
                                ? size_of(config, "limits.gzip_body_bytes")
                                : out.body_bytes_max;
  out.connections_max = size_of(config, "limits.connections");
  out.default_decision = path_segments(config_text(config, "default_decision"));
  out.authzen_path = path_segments(config_text(config, "authzen.path"));
  check_together(config, out, mistakes);
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

}  // namespace notp
