// Where the keys of an issuer are: OpenID Connect Discovery 1.0 §4, RFC 8414 §3. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.hpp"

namespace notp::sources {

// What a person has configured of an issuer; nothing else decides which hosts are asked.
struct IssuerUrls {
  std::string issuer;              // its identifier, an URL: check_issuer()
  std::vector<std::string> hosts;  // which may serve its keys, beside its own
  bool insecure_loopback = false;  // also http://, to this machine
};

// kConfig: not https, or http to another machine; user and password, a query, a fragment (OIDC
// Discovery §3, RFC 8414 §2); longer than kIssuerBytesMax.
Result<void> check_issuer(const IssuerUrls& urls);

// Returns the places of the document, in the order in which they are asked: appended to the issuer
// (OIDC Discovery §4.1), then inserted before its path (RFC 8414 §3.1). `issuer` is one that
// check_issuer() takes.
std::vector<std::string> discovery_urls(std::string_view issuer);

// Returns jwks_uri. Everything else than a good document is refused: refuse(), with one of these
// rules behind "discovery.":
//   too-large, not-json, too-deep, not-an-object; no-issuer, other-issuer: `issuer` must be the
//   configured one byte for byte (OIDC Discovery §4.3, RFC 8414 §3.3); no-jwks-uri;
//   jwks-uri-too-long; jwks-uri-malformed; jwks-uri-scheme: not https; jwks-uri-userinfo;
//   jwks-uri-fragment; jwks-uri-host: neither the issuer's nor one of `hosts`.
Result<std::string> read_discovery(ByteView document, const IssuerUrls& urls);

}  // namespace notp::sources
