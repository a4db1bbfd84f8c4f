// Chooses the HTTP proxy, if any, for a connection to a host. Pure, except for the password file,
// which is read on use.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "common/bytes.hpp"
#include "common/clock.hpp"
#include "common/config.hpp"
#include "common/config_section.hpp"
#include "common/host_port.hpp"

namespace notp::http {

// For a proxy's answer to CONNECT: it resolves and reaches the target first.
inline constexpr size_t kProxyHeaderBytesMax = 16 << 10;
inline constexpr TimeMs kProxyAnswerMs = 20'000;
inline constexpr size_t kProxyPasswordBytesMax = 1 << 10;  // of the file

// A proxy that opens tunnels by CONNECT (RFC 9110 §9.3.6), in plain HTTP.
struct ProxyServer {
  HostPort at;
  std::string user;                     // empty: no credentials are sent
  std::string password;                 // never printed
  std::filesystem::path password_file;  // instead of `password`; empty: none
  std::string source;                   // origin of the setting, as in "HTTPS_PROXY"

  // Returns "http://host:port (HTTPS_PROXY)", without credentials: for logs and errors.
  std::string text() const;
  // Returns the value of Proxy-Authorization (RFC 7617), read each time; empty without a user. kIo,
  // kNotFound, kConfig: the file cannot be read or used.
  Result<std::string> authorization() const;
};

// The proxy settings of a configuration.
struct ProxyConfig {
  std::string url;                      // empty: not set; "none": connect directly
  std::filesystem::path password_file;  // empty: none
  std::string source = "proxy";         // its name for errors and logs
};

// Reads the keys `proxy` and `proxy_password_file` of a whole configuration. kConfig.
Result<ProxyConfig> load_proxy(const config::Section& root);

struct ProxyRoute {
  std::optional<ProxyServer> proxy;  // nullopt: directly
  // The reason why a proxy that a variable names is not used, for a person; empty: no variable
  // names one.
  std::string direct_because;

  // Returns "through the proxy http://… (HTTPS_PROXY)", "directly: …", or "directly".
  std::string text() const;
};

// Chooses the route to `target`. A configured proxy is used for every target, "none" means
// directly. Otherwise https_proxy, else HTTPS_PROXY, names the proxy, and no_proxy, else NO_PROXY,
// the hosts that are reached directly: a list between commas or blanks of
//   *                            every host
//   example.com, .example.com    the host (not so with the dot) and all below it; *.example.com
//                                is the latter
//   192.0.2.7, 2001:db8::7       an address; names are not resolved
//   10.0.0.0/8, 2001:db8::/32    a network (CIDR)
// each, except networks, with or without a port: example.com:7443, [2001:db8::7]:7443. Variables
// never route localhost or a loopback address through a proxy. kConfig: the chosen proxy is not a
// URL of the form http://[user[:password]@]host[:port] (port 80 by default; a configuration's has
// no password); the error does not repeat it.
Result<ProxyRoute> choose_proxy(const ProxyConfig& config, const Environment& environment,
                                const HostPort& target);

// Whether a list in the form of NO_PROXY names the target.
bool is_exempt(std::string_view no_proxy, const HostPort& target);

}  // namespace notp::http
