#include "common/http/router.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/core/string.hpp>

#include "common/assert.hpp"

namespace notp::http {
namespace {

constexpr std::string_view kBelow = "/*";

// Returns the decoded path, but keeps "%2F": it must not lead to another route.
std::string path_of(const Request& request) {
  if (!request.raw_path.contains('%')) return request.path;
  std::string out;
  std::string_view rest = request.raw_path;
  while (true) {
    size_t at = 0;
    while ((at = rest.find('%', at)) != std::string_view::npos &&
           !boost::beast::iequals(rest.substr(at, 3), "%2F"))
      ++at;
    out += percent_decode(rest.substr(0, at)).value_or("");
    if (at == std::string_view::npos) return out;
    out += "%2F";
    rest.remove_prefix(at + 3);
  }
}

}  // namespace

const Handler* Router::Route::find(std::string_view method) const {
  for (const auto& [name, handler] : methods)
    if (name == method) return &handler;
  return method == "HEAD" ? find("GET") : nullptr;
}

std::string Router::Route::allowed() const {
  std::string out;
  for (const auto& [name, handler] : methods) out += name == "GET" ? "GET, HEAD, " : name + ", ";
  return out + "OPTIONS";
}

Router& Router::add(std::string_view methods, std::string_view pattern, Handler handler) {
  NOTP_ASSERT(pattern.starts_with('/'), "a pattern is a path");
  const bool below = pattern.ends_with(kBelow);
  if (below) pattern.remove_suffix(kBelow.size());
  Route& route = (below ? below_ : exact_)[std::string(pattern)];
  while (!methods.empty()) {
    const std::string_view method = methods.substr(0, methods.find(' '));
    methods.remove_prefix(std::min(methods.size(), method.size() + 1));
    if (!method.empty()) route.methods.emplace_back(method, handler);
  }
  return *this;
}

const Router::Route* Router::find(std::string_view path) const {
  if (const auto route = exact_.find(path); route != exact_.end()) return &route->second;
  while (true) {
    if (const auto route = below_.find(path); route != below_.end()) return &route->second;
    const size_t slash = path.rfind('/');
    if (slash == std::string_view::npos) return nullptr;
    path = path.substr(0, slash);
  }
}

boost::asio::awaitable<Response> Router::answer(const Request& request) const {
  const Route* route = find(path_of(request));
  if (route == nullptr)
    co_return error_response(404, "not_found", fmt::format("no route {}", request.path));
  if (const Handler* handler = route->find(request.method)) co_return co_await (*handler)(request);
  const std::string allowed = route->allowed();
  Response response;
  response.status = 204;
  if (request.method != "OPTIONS")
    response = error_response(405, "method_not_allowed",
                              fmt::format("{} takes {}", request.path, allowed));
  response.headers.emplace_back("Allow", allowed);
  co_return response;
}

Handler Router::handler() const {
  return [this](const Request& request) { return answer(request); };
}

}  // namespace notp::http
