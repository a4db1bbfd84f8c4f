#include "common/http/url.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/bytes.hpp"

namespace notp::http {
namespace {

constexpr std::string_view kPlain = "http://", kTls = "https://";
constexpr size_t kShownBytesMax = 200;

// Returns the text without anything that a person may have written before the host.
std::string shown(std::string_view text) {
  const size_t begin = text.find("://");
  const size_t at = text.find('@');
  if (at == std::string_view::npos || begin == std::string_view::npos || at < begin)
    return printable(text, kShownBytesMax);
  return printable(fmt::format("{}…{}", text.substr(0, begin + 3), text.substr(at)),
                   kShownBytesMax);
}

std::unexpected<Error> refuse(std::string_view text) {
  return fail(ErrorCode::kUsage,
              fmt::format("{} is not a URL of the form http://127.0.0.1:8181/path or "
                          "https://host/path",
                          shown(text)));
}

// Whether the authority has a port after its host; "[::1]" has none.
bool has_port(std::string_view authority) {
  const size_t colon = authority.rfind(':');
  return colon != std::string_view::npos && !authority.ends_with(']');
}

}  // namespace

Result<Url> Url::parse(std::string_view text) {
  const bool is_tls = text.starts_with(kTls);
  if (!is_tls && !text.starts_with(kPlain)) return refuse(text);
  const bool has_foreign = std::ranges::any_of(
      text, [](char c) { return c <= ' ' || static_cast<unsigned char>(c) >= 0x7f; });
  if (has_foreign || text.contains('#')) return refuse(text);
  const std::string_view rest = text.substr(is_tls ? kTls.size() : kPlain.size());
  const size_t end = std::min(rest.find_first_of("/?"), rest.size());
  const std::string_view authority = rest.substr(0, end), target = rest.substr(end);
  auto at =
      HostPort::parse(has_port(authority) ? std::string(authority)
                                          : fmt::format("{}:{}", authority, is_tls ? 443 : 80));
  if (!at || at->port == 0) return refuse(text);
  return Url{.is_tls = is_tls,
             .at = *std::move(at),
             .authority = std::string(authority),
             .target = target.starts_with('/') ? std::string(target) : fmt::format("/{}", target)};
}

}  // namespace notp::http
