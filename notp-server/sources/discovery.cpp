#include "notp-server/sources/discovery.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/core/string.hpp>

#include "common/http/guard.hpp"
#include "common/http/url.hpp"
#include "notp-server/sources/document.hpp"
#include "notp-server/sources/issuer_limits.hpp"
#include "protocol/wire/source_limits.hpp"

namespace notp::sources {
namespace {

constexpr std::string_view kOpenId = "/.well-known/openid-configuration";
constexpr std::string_view kOauth = "/.well-known/oauth-authorization-server";
constexpr std::string_view kPlain = "http://";

bool is_allowed_scheme(const http::Url& url, const IssuerUrls& urls) {
  return url.is_tls || (urls.insecure_loopback && http::names_loopback(url.at.host));
}

// Without the slash at its end (OIDC Discovery §4, RFC 8414 §3.1).
std::string_view without_slash(std::string_view issuer) {
  return issuer.ends_with('/') ? issuer.substr(0, issuer.size() - 1) : issuer;
}

// Where the path begins.
size_t path_at(std::string_view issuer) {
  return std::min(issuer.find('/', issuer.find("://") + 3), issuer.size());
}

// Of a URL with a scheme.
std::string_view authority_of(std::string_view url) {
  const std::string_view rest = url.substr(url.find("://") + 3);
  return rest.substr(0, rest.find_first_of("/?#"));
}

Result<std::string> text_member(const json::object& document, std::string_view name,
                                std::string rule) {
  const json::value* const value = document.if_contains(name);
  if (value == nullptr || !value->is_string() || value->get_string().empty())
    return refuse(std::move(rule), fmt::format("the document has no text \"{}\"", name));
  return std::string(value->get_string());
}

Result<void> check_keys_url(const std::string& text, const IssuerUrls& urls) {
  const std::string shown = printable(text);
  if (text.size() > limits::kSourceUrlBytesMax)
    return refuse("discovery.jwks-uri-too-long",
                  fmt::format("jwks_uri has {} bytes, more than {}", text.size(),
                              limits::kSourceUrlBytesMax));
  if (!text.starts_with("https://") && !text.starts_with(kPlain))
    return refuse("discovery.jwks-uri-scheme", fmt::format("jwks_uri is not https: {}", shown));
  // Not shown: a password may stand there.
  if (authority_of(text).contains('@'))
    return refuse("discovery.jwks-uri-userinfo", "jwks_uri has user information");
  if (text.contains('#'))
    return refuse("discovery.jwks-uri-fragment", fmt::format("jwks_uri has a fragment: {}", shown));
  const auto url = http::Url::parse(text);
  if (!url)
    return refuse("discovery.jwks-uri-malformed", fmt::format("jwks_uri is not a URL: {}", shown));
  if (!is_allowed_scheme(*url, urls))
    return refuse("discovery.jwks-uri-scheme", fmt::format("jwks_uri is not https: {}", shown));
  // Names are compared without case (RFC 3986 §3.2.2).
  const auto is_host = [&](const std::string& name) {
    return boost::beast::iequals(name, url->at.host);
  };
  const auto own = http::Url::parse(urls.issuer);
  if ((own && is_host(own->at.host)) || std::ranges::any_of(urls.hosts, is_host)) return {};
  return refuse(
      "discovery.jwks-uri-host",
      fmt::format("jwks_uri is at {}, neither the issuer's host nor one of the configured "
                  "'hosts'",
                  printable(url->at.host)));
}

}  // namespace

Result<void> check_issuer(const IssuerUrls& urls) {
  const auto refused = [&](std::string_view why) {
    return fail(ErrorCode::kConfig, fmt::format("the issuer {} {}", printable(urls.issuer), why));
  };
  if (urls.issuer.size() > limits::kIssuerBytesMax) return refused("is too long");
  const auto url = http::Url::parse(urls.issuer);
  if (!url) return fail(ErrorCode::kConfig, url.error().message);
  if (urls.issuer.contains('?')) return refused("has a query");
  if (!is_allowed_scheme(*url, urls))
    return refused(
        "is not https; http:// counts on a loopback address alone, with "
        "insecure_loopback");
  return {};
}

std::vector<std::string> discovery_urls(std::string_view issuer) {
  const std::string_view base = without_slash(issuer);
  const size_t path = path_at(base);
  return {fmt::format("{}{}", base, kOpenId),
          fmt::format("{}{}{}", base.substr(0, path), kOauth, base.substr(path))};
}

Result<std::string> read_discovery(ByteView document, const IssuerUrls& urls) {
  NOTP_ASSIGN(const json::object members,
              read_document(document, limits::kDiscoveryBytesMax, "discovery"));
  NOTP_ASSIGN(const std::string issuer, text_member(members, "issuer", "discovery.no-issuer"));
  if (issuer != urls.issuer)
    return refuse("discovery.other-issuer",
                  fmt::format("the document is of the issuer {}, not of {}", printable(issuer),
                              printable(urls.issuer)));
  NOTP_ASSIGN(std::string keys, text_member(members, "jwks_uri", "discovery.no-jwks-uri"));
  NOTP_TRY(check_keys_url(keys, urls));
  return keys;
}

}  // namespace notp::sources
