#include "protocol/transport/tls_check.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <memory>

#include "common/c_ptr.hpp"
#include "common/tls/certificates.hpp"
#include "common/tls/peer_chain.hpp"
#include "protocol/transport/endpoint.hpp"
#include "protocol/transport/tls_peer.hpp"

namespace notp::transport {
namespace {

using Context = CPointer<SSL_CTX, SSL_CTX_free>;
using Store = CPointer<X509_STORE, X509_STORE_free>;
using VerifyContext = CPointer<X509_STORE_CTX, X509_STORE_CTX_free>;
using Kind = SetupFinding::Kind;

// A certificate expires soon when this part of its life is left, but at most this long before its
// end: certificates of an hour are replaced in time by their issuer.
constexpr TimeMs kLifePartLeft = 5;
constexpr TimeMs kEndsSoonMs = 14LL * 24 * 3600 * 1000;

// Reads the file; null with a finding.
std::optional<tls::Pem> read(const std::filesystem::path& file, SetupReport& report) {
  auto pem = tls::read_pem(file);
  if (pem) return *std::move(pem);
  report.add(Kind::kRefused, pem.error(), kPutFileThere, "file_unreadable");
  return std::nullopt;
}

void check_dates(const std::string& name, X509* certificate, TimeMs wall_ms, SetupReport& report) {
  const TimeMs from_ms = tls::time_of(X509_get0_notBefore(certificate));
  const TimeMs until_ms = tls::time_of(X509_get0_notAfter(certificate));
  if (wall_ms >= until_ms)
    return report.add(
        Kind::kUseless, name, fmt::format("the certificate ended at {}", utc_time(until_ms)),
        "issue a new one, or set this clock", ErrorCode::kConfig, "certificate_ended");
  if (wall_ms < from_ms)
    return report.add(Kind::kUseless, name,
                      fmt::format("the certificate is valid only from {} on", utc_time(from_ms)),
                      "set this clock, or wait", ErrorCode::kConfig, "certificate_not_begun");
  if (until_ms - wall_ms < std::min(kEndsSoonMs, (until_ms - from_ms) / kLifePartLeft))
    report.add(Kind::kWarning, name, fmt::format("the certificate ends at {}", utc_time(until_ms)),
               "replace it before", ErrorCode::kConfig, "certificate_ends_soon");
}

// Loads the certificate and its key into a separate context; null when there is no certificate.
Context load_pair(const std::filesystem::path& certificate, const std::filesystem::path& key,
                  SetupReport& report) {
  Context context(SSL_CTX_new(TLS_method()));
  const auto certificate_pem = read(certificate, report);
  const bool is_loaded = certificate_pem && [&] {
    auto used = tls::use_certificate(context.get(), *certificate_pem);
    if (!used) report.add(Kind::kRefused, used.error(), {}, "certificate_unusable");
    return used.has_value();
  }();
  const auto key_pem = key == certificate ? certificate_pem : read(key, report);
  if (is_loaded && key_pem)
    if (const auto used = tls::use_key(context.get(), *key_pem); !used)
      report.add(Kind::kRefused, used.error(), {}, "key_mismatch");
  if (!is_loaded) context.reset();
  return context;
}

Store load_authorities(const std::filesystem::path& file, SetupReport& report) {
  Store store(X509_STORE_new());
  const auto pem = read(file, report);
  if (!pem) return nullptr;
  if (const auto added = tls::add_authorities(store.get(), *pem); !added) {
    report.add(Kind::kRefused, added.error(), {}, "authorities_unusable");
    return nullptr;
  }
  return store;
}

STACK_OF(X509) * chain_of(SSL_CTX* context) {
  STACK_OF(X509)* chain = nullptr;
  SSL_CTX_get0_chain_certs(context, &chain);
  return chain;
}

// Verifies like a peer with the same authorities; dates are reported separately.
void check_chain(const TlsFiles& files, SSL_CTX* own, X509_STORE* authorities, Side side,
                 SetupReport& report) {
  X509* const leaf = SSL_CTX_get0_certificate(own);
  const VerifyContext verify(X509_STORE_CTX_new());
  if (!verify || X509_STORE_CTX_init(verify.get(), authorities, leaf, chain_of(own)) != 1) return;
  X509_STORE_CTX_set_default(verify.get(), side == Side::kServer ? "ssl_server" : "ssl_client");
  X509_VERIFY_PARAM* rules = X509_STORE_CTX_get0_param(verify.get());
  X509_VERIFY_PARAM_set_depth(rules, tls::kIntermediatesMax);
  X509_VERIFY_PARAM_set_auth_level(rules, SSL_CTX_get_security_level(own));
  X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_NO_CHECK_TIME);
  const bool is_good = X509_verify_cert(verify.get()) == 1;
  const int why = X509_STORE_CTX_get_error(verify.get());
  ERR_clear_error();
  // The check of the identity reports a missing purpose.
  if (is_good || why == X509_V_ERR_INVALID_PURPOSE) return;
  report.add(Kind::kUseless, files.certificate.string(),
             fmt::format("the certificate does not chain to one in {} ({})",
                         files.authorities.string(), X509_verify_cert_error_string(why)),
             "use a certificate of that authority, or add its CA there", ErrorCode::kConfig,
             "certificate_untrusted");
}

void check_identity(const TlsFiles& files, SSL_CTX* own, X509_STORE* built_in, Side side,
                    SetupReport& report) {
  X509* const leaf = SSL_CTX_get0_certificate(own);
  const auto tell = [&](const Error& error) {
    report.add(side == Side::kServer ? Kind::kRefused : Kind::kUseless, files.certificate.string(),
               error.message, {}, error.code, "certificate_identity");
  };
  const auto uri = identity_uri(leaf, side);
  if (!uri) return tell(uri.error());
  const bool attested = built_in != nullptr ? tls::chains_to(leaf, chain_of(own), built_in)
                                            : files.has_built_in_ids();
  const auto identity = files.identities.identify(*uri, files.trust_domain, attested);
  if (!identity) return tell(identity.error());
  const session::Role wanted =
      side == Side::kServer ? session::Role::kRegistry : session::Role::kNode;
  if (identity->role == wanted) return;
  report.add(Kind::kUseless, files.certificate.string(),
             fmt::format("the identity '{}' has the role {} where {} is needed", identity->text(),
                         session::role_name(identity->role), session::role_name(wanted)),
             "issue a certificate for this program", ErrorCode::kIdentity, "certificate_identity");
}

// Numeric addresses of this machine's interfaces.
bool is_of_this_machine(const boost::asio::ip::address& wanted) {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return true;
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, ::freeifaddrs);
  for (const ifaddrs* at = list; at != nullptr; at = at->ifa_next) {
    char text[INET6_ADDRSTRLEN] = {};
    if (at->ifa_addr == nullptr) continue;
    const void* bytes = nullptr;
    if (at->ifa_addr->sa_family == AF_INET)
      bytes = &reinterpret_cast<const sockaddr_in*>(at->ifa_addr)->sin_addr;
    else if (at->ifa_addr->sa_family == AF_INET6)
      bytes = &reinterpret_cast<const sockaddr_in6*>(at->ifa_addr)->sin6_addr;
    else
      continue;
    if (::inet_ntop(at->ifa_addr->sa_family, bytes, text, sizeof text) != nullptr &&
        boost::asio::ip::make_address(text) == wanted)
      return true;
  }
  return false;
}

}  // namespace

void check_tls(const TlsFiles& files, Side side, TimeMs wall_ms, SetupReport& report) {
  const Context own = load_pair(files.certificate, files.private_key, report);
  const Store authorities = load_authorities(files.authorities, report);
  Store built_in;
  if (!files.built_in_authorities.empty())
    built_in = load_authorities(files.built_in_authorities, report);
  if (built_in && authorities)
    check_leads_to(files.built_in_authorities, files.authorities,
                   "ids of the built-in form are not accepted from any peer", report);
  if (!own) return;
  check_dates(files.certificate.string(), SSL_CTX_get0_certificate(own.get()), wall_ms, report);
  if (authorities) check_chain(files, own.get(), authorities.get(), side, report);
  if (built_in || files.built_in_authorities.empty())
    check_identity(files, own.get(), built_in.get(), side, report);
}

void check_key_pair(const std::filesystem::path& certificate, const std::filesystem::path& key,
                    TimeMs wall_ms, SetupReport& report) {
  const Context own = load_pair(certificate, key, report);
  if (own) check_dates(certificate.string(), SSL_CTX_get0_certificate(own.get()), wall_ms, report);
}

void check_leads_to(const std::filesystem::path& certificate,
                    const std::filesystem::path& authorities, const std::string& why,
                    SetupReport& report) {
  const auto leaf = tls::read_pem(certificate);
  const auto trusted = tls::read_pem(authorities);
  const Context context(SSL_CTX_new(TLS_method()));
  const Store store(X509_STORE_new());
  // Unreadable files are reported elsewhere.
  if (!leaf || !trusted || !tls::use_certificate(context.get(), *leaf) ||
      !tls::add_authorities(store.get(), *trusted))
    return;
  if (!tls::chains_to(SSL_CTX_get0_certificate(context.get()), chain_of(context.get()),
                      store.get()))
    report.add(Kind::kUseless, certificate.string(),
               fmt::format("is neither in {} nor leads to a certificate there: {}",
                           authorities.string(), why),
               "add it to that file", ErrorCode::kConfig, "certificate_untrusted");
}

void check_authorities(const std::filesystem::path& file, SetupReport& report) {
  load_authorities(file, report);
}

void check_listen_address(const std::string& key, const std::string& address, SetupReport& report) {
  const auto at = HostPort::parse(address);
  if (!at) return report.add(Kind::kRefused, key, at.error().message, {});
  boost::system::error_code error;
  const auto numeric = boost::asio::ip::make_address(at->host, error);
  if (error)
    return report.add(Kind::kRefused, key, fmt::format("'{}' is not a numeric address", address),
                      "write an IP address to listen on, as in 0.0.0.0:7443", ErrorCode::kConfig,
                      "listen_address");
  if (!at->is_wildcard() && !numeric.is_loopback() && !is_of_this_machine(numeric))
    report.add(Kind::kWarning, key,
               fmt::format("{} is not an address of this machine now", address),
               "without it the program cannot listen there", ErrorCode::kConfig, "listen_address");
}

}  // namespace notp::transport
