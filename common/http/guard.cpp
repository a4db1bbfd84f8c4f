#include "common/http/guard.hpp"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <boost/beast/core/string.hpp>

namespace notp::http {
namespace {

using boost::beast::iequals;

bool is_port(std::string_view text) {
  constexpr size_t kDigitsMax = 5;
  return !text.empty() && text.size() <= kDigitsMax &&
         std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool is_name_character(char c) {
  c = lower(c);
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

Response misdirected() {
  return error_response(421, "misdirected_request",
                        "the Host header names another machine; ask for localhost, or add the name "
                        "to the configured hosts");
}

Response foreign_origin() {
  return error_response(403, "foreign_origin",
                        "a web page of another origin may not ask here (Origin, Sec-Fetch-Site)");
}

// A page's name cannot resolve to a socket file. A client that uses this machine's own names may
// still do so when a proxy's name is accepted, too.
bool is_accepted(const std::string& name, const std::vector<std::string>& hosts,
                 Transport transport, bool loopback_listener) {
  if (transport == Transport::kUnix) return true;
  if (loopback_listener ? names_loopback(name) : hosts.empty()) return true;
  return std::ranges::any_of(hosts,
                             [&](const std::string& accepted) { return iequals(accepted, name); });
}

// Compares "https://host:port" with the Host field of the same server.
bool is_own_origin(std::string_view origin, std::string_view host, Transport transport) {
  const std::string_view scheme = transport == Transport::kTls ? "https://" : "http://";
  return iequals(origin.substr(0, scheme.size()), scheme) &&
         iequals(origin.substr(scheme.size()), host);
}

}  // namespace

std::optional<std::string> host_name(std::string_view authority) {
  std::string_view name = authority;
  if (authority.starts_with('[')) {
    const size_t end = authority.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    name = authority.substr(0, end + 1);
    boost::system::error_code error;
    boost::asio::ip::make_address_v6(std::string(name.substr(1, end - 1)), error);
    if (error) return std::nullopt;
  } else {
    name = authority.substr(0, authority.find(':'));
    if (!std::ranges::all_of(name, is_name_character)) return std::nullopt;
  }
  const std::string_view rest = authority.substr(name.size());
  if (!rest.empty() && (rest[0] != ':' || !is_port(rest.substr(1)))) return std::nullopt;
  if (name.ends_with('.')) name.remove_suffix(1);
  std::string out(name);
  std::ranges::transform(out, out.begin(), lower);
  return out;
}

bool names_loopback(std::string_view name) {
  if (name == "localhost") return true;
  if (name.starts_with('[') && name.ends_with(']')) name = name.substr(1, name.size() - 2);
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(std::string(name), error);
  return !error && address.is_loopback();
}

std::optional<Response> refuse_stranger(const Request& request,
                                        const std::vector<std::string>& hosts,
                                        bool loopback_listener) {
  const std::string_view host = request.header("Host");
  const auto name = host_name(host);
  const auto is_host = [](const auto& header) { return iequals(header.first, "Host"); };
  if (!name || std::ranges::count_if(request.headers, is_host) > 1)
    return error_response(400, "invalid_request", "the Host header names no host");
  // Browsers do not send an empty one; HTTP/1.0 has none.
  if (!name->empty() && !is_accepted(*name, hosts, request.peer.transport, loopback_listener))
    return misdirected();
  if (const auto site = request.header("Sec-Fetch-Site");
      !site.empty() && site != "none" && site != "same-origin")
    return foreign_origin();
  for (const auto& [field, value] : request.headers)
    if (iequals(field, "Origin") && !is_own_origin(value, host, request.peer.transport))
      return foreign_origin();
  return std::nullopt;
}

}  // namespace notp::http
