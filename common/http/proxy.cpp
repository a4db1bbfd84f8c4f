#include "common/http/proxy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>
#include <charconv>

#include "common/http/message.hpp"
#include "common/storage/files.hpp"

namespace notp::http {
namespace {

namespace ip = boost::asio::ip;

constexpr uint16_t kHttpPort = 80;

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

// Returns IPv4 for addresses mapped into IPv6: 10.0.0.0/8 also matches ::ffff:10.1.2.3.
std::optional<ip::address> address_of(std::string_view host) {
  boost::system::error_code error;
  auto address = ip::make_address(host, error);
  if (error) return std::nullopt;
  if (address.is_v6() && address.to_v6().is_v4_mapped())
    return ip::make_address_v4(ip::v4_mapped, address.to_v6());
  return address;
}

bool is_loopback(const HostPort& target) {
  const auto address = address_of(target.host);
  if (address) return address->is_loopback();
  return lower_case(target.host) == "localhost" || lower_case(target.host) == "localhost.";
}

bool is_in_network(std::string_view network, const ip::address& address) {
  boost::system::error_code error;
  if (address.is_v4()) {
    const auto v4 = ip::make_network_v4(network, error);
    if (error) return false;
    return ip::network_v4(address.to_v4(), v4.prefix_length()).canonical() == v4.canonical();
  }
  const auto v6 = ip::make_network_v6(network, error);
  if (error) return false;
  return ip::network_v6(address.to_v6(), v6.prefix_length()).canonical() == v6.canonical();
}

// Removes ":port" and the brackets of an IPv6 address; nullopt: there is no port.
std::optional<uint16_t> take_port(std::string_view& entry) {
  const size_t colon = entry.rfind(':');
  const bool bracketed = entry.starts_with('[');
  std::optional<uint16_t> port;
  if (colon != std::string_view::npos &&
      (bracketed ? entry[colon - 1] == ']' : entry.find(':') == colon)) {
    const std::string_view digits = entry.substr(colon + 1);
    uint16_t number = 0;
    const auto [end, bad] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (bad == std::errc() && end == digits.data() + digits.size()) {
      port = number;
      entry = entry.substr(0, colon);
    }
  }
  if (entry.starts_with('[') && entry.ends_with(']')) entry = entry.substr(1, entry.size() - 2);
  return port;
}

bool is_name_below(std::string host, std::string entry) {
  if (host.ends_with('.')) host.pop_back();
  if (entry.ends_with('.')) entry.pop_back();
  if (entry.starts_with("*.")) entry.erase(0, 1);
  if (entry.starts_with('.')) return entry.size() > 1 && host.ends_with(entry);
  return !entry.empty() && (host == entry || host.ends_with("." + entry));
}

bool names(std::string_view entry, const HostPort& target) {
  if (entry == "*") return true;
  const auto address = address_of(target.host);
  if (entry.contains('/')) return address && is_in_network(entry, *address);
  const auto port = take_port(entry);
  if (port && *port != target.port) return false;
  if (address) return address_of(entry) == address;
  return is_name_below(lower_case(target.host), lower_case(entry));
}

struct Variable {
  std::string_view name;
  std::string value;
};

// Returns the first of the two that is set.
std::optional<Variable> either(const Environment& environment, std::string_view lower,
                               std::string_view upper) {
  for (const std::string_view name : {lower, upper}) {
    const auto found = environment.find(std::string(name));
    if (found != environment.end() && !found->second.empty()) return Variable{name, found->second};
  }
  return std::nullopt;
}

std::unexpected<Error> bad_url(std::string_view source, std::string_view why) {
  return fail(ErrorCode::kConfig, fmt::format("{} does not name an HTTP proxy: {}; write "
                                              "http://[user[:password]@]host:port",
                                              source, why));
}

// Rejects characters that would break the head of a request, or end the user where the password
// begins.
bool is_clean(std::string_view text) {
  return std::ranges::none_of(text, [](unsigned char c) { return c < ' ' || c == 0x7f; });
}

Result<void> read_credentials(ProxyServer& proxy, std::string_view text) {
  const size_t colon = text.find(':');
  const auto user = percent_decode(text.substr(0, colon));
  const auto password =
      percent_decode(colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1));
  if (!user || !password || user->empty() || user->contains(':') || !is_clean(*user) ||
      !is_clean(*password))
    return bad_url(proxy.source, "its user or password is not encoded as in a URL (RFC 3986)");
  proxy.user = *user;
  proxy.password = *password;
  return {};
}

Result<ProxyServer> parse_proxy(std::string_view url, std::string_view source) {
  ProxyServer proxy;
  proxy.source = source;
  if (const size_t scheme = url.find("://"); scheme != std::string_view::npos) {
    if (lower_case(url.substr(0, scheme)) != "http")
      return bad_url(source,
                     "only proxies that are asked in plain HTTP are supported, as TLS of "
                     "NOTP's own goes through them");
    url.remove_prefix(scheme + 3);
  }
  while (url.ends_with('/')) url.remove_suffix(1);
  if (const size_t at = url.rfind('@'); at != std::string_view::npos) {
    NOTP_TRY(read_credentials(proxy, url.substr(0, at)));
    url.remove_prefix(at + 1);
  }
  const bool has_port = url.ends_with(']') ? false : url.contains(':');
  auto at = HostPort::parse(has_port ? std::string(url) : fmt::format("{}:{}", url, kHttpPort));
  if (!at || at->port == 0) return bad_url(source, "its host and port cannot be read");
  proxy.at = *std::move(at);
  return proxy;
}

}  // namespace

std::string ProxyServer::text() const { return fmt::format("http://{} ({})", at.text(), source); }

Result<std::string> ProxyServer::authorization() const {
  if (user.empty()) return std::string();
  std::string secret = password;
  if (!password_file.empty()) {
    auto read = read_file(password_file, kProxyPasswordBytesMax);
    if (!read)
      return std::unexpected(
          std::move(read).error().in(fmt::format("the password for the proxy {}", text())));
    secret = *std::move(read);
    while (secret.ends_with('\n') || secret.ends_with('\r')) secret.pop_back();
    if (secret.empty() || !is_clean(secret))
      return fail(ErrorCode::kConfig,
                  fmt::format("{} holds no password for the proxy {}: write it there as one line",
                              password_file.string(), text()));
  }
  return "Basic " + to_base64(user + ":" + secret);
}

std::string ProxyRoute::text() const {
  if (proxy) return "through the proxy " + proxy->text();
  return direct_because.empty() ? "directly" : "directly: " + direct_because;
}

bool is_exempt(std::string_view no_proxy, const HostPort& target) {
  while (!no_proxy.empty()) {
    const size_t end = std::min(no_proxy.find_first_of(", \t"), no_proxy.size());
    const std::string_view entry = no_proxy.substr(0, end);
    if (!entry.empty() && names(entry, target)) return true;
    no_proxy.remove_prefix(std::min(end + 1, no_proxy.size()));
  }
  return false;
}

Result<ProxyConfig> load_proxy(const config::Section& root) {
  ProxyConfig out;
  out.url = root.text_or_empty("proxy");
  out.password_file = root.text_or_empty("proxy_password_file");
  if (!out.password_file.empty() && out.url.empty())
    return fail(ErrorCode::kConfig,
                "proxy_password_file: write the proxy that it is for, proxy: "
                "http://USER@host:port");
  return out;
}

Result<ProxyRoute> choose_proxy(const ProxyConfig& config, const Environment& environment,
                                const HostPort& target) {
  ProxyRoute route;
  const auto variable = either(environment, "https_proxy", "HTTPS_PROXY");
  if (config.url == "none") {
    if (variable)
      route.direct_because =
          fmt::format("{} is not used, as {} says none", variable->name, config.source);
    return route;
  }
  if (!config.url.empty()) {
    NOTP_ASSIGN(route.proxy, parse_proxy(config.url, config.source));
    if (!route.proxy->password.empty())
      return bad_url(config.source,
                     "a password does not belong into a configuration; leave it out and name a "
                     "file with it as proxy_password_file");
    route.proxy->password_file = config.password_file;
    if (!config.password_file.empty() && route.proxy->user.empty())
      return bad_url(config.source, "proxy_password_file is given, but no user");
    return route;
  }
  if (!variable) return route;
  const auto exempt = either(environment, "no_proxy", "NO_PROXY");
  if (is_loopback(target)) {
    route.direct_because =
        fmt::format("{} is not used for {}, which is this machine", variable->name, target.host);
  } else if (exempt && is_exempt(exempt->value, target)) {
    route.direct_because = fmt::format("{} is not used for {}, which {} names", variable->name,
                                       target.text(), exempt->name);
  } else {
    NOTP_ASSIGN(route.proxy, parse_proxy(variable->value, variable->name));
  }
  return route;
}

}  // namespace notp::http
