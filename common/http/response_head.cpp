#include "common/http/response_head.hpp"

#include <fmt/format.h>

#include <boost/beast/http/status.hpp>

namespace notp::http {
namespace {

void add(std::string& out, std::string_view name, std::string_view value) {
  constexpr std::string_view kBreaking("\r\n\0", 3);
  if (name.find_first_of(kBreaking) != std::string_view::npos ||
      value.find_first_of(kBreaking) != std::string_view::npos)
    return;
  out.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

bool has_body(unsigned status) { return status >= 200 && status != 204 && status != 304; }

std::string response_head(const Response& response, size_t body_bytes, bool keep_alive) {
  namespace message = boost::beast::http;
  const std::string_view reason = message::obsolete_reason(message::int_to_status(response.status));
  std::string out = fmt::format("HTTP/1.1 {} {}\r\n", response.status, reason);
  for (const auto& [name, value] : response.headers) add(out, name, value);
  if (has_body(response.status)) {
    add(out, "Content-Type", response.content_type);
    out += fmt::format("Content-Length: {}\r\n", body_bytes);
  }
  // HTTP/1.0 needs an explicit keep-alive; in HTTP/1.1 it is the default.
  add(out, "Connection", keep_alive ? "keep-alive" : "close");
  return out += "\r\n";
}

}  // namespace notp::http
