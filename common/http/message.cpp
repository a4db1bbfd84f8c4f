#include "common/http/message.hpp"

#include <algorithm>
#include <boost/beast/core/string.hpp>

#include "common/json/json.hpp"
#include "common/percent.hpp"

namespace notp::http {
namespace {

// Calls `visit` with the decoded values under `name` until it returns false.
template <typename Visit>
void each_parameter(std::string_view query, std::string_view name, Visit visit) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const std::string_view key = pair.substr(0, pair.find('='));
    if (percent_decode(key, true) != name) continue;
    if (!visit(percent_decode(key.size() == pair.size() ? "" : pair.substr(key.size() + 1), true)))
      return;
  }
}

}  // namespace

std::string_view find_header(const Headers& headers, std::string_view name) {
  for (const auto& [key, value] : headers)
    if (boost::beast::iequals(key, name)) return value;
  return {};
}

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  return notp::percent_decode(text, plus_is_space);
}

std::optional<std::string> Request::parameter(std::string_view name) const {
  std::optional<std::string> out;
  each_parameter(query, name, [&](std::optional<std::string> value) {
    out = std::move(value);
    return false;
  });
  return out;
}

std::vector<std::string> Request::parameters(std::string_view name) const {
  std::vector<std::string> out;
  each_parameter(query, name, [&](std::optional<std::string> value) {
    if (value) out.push_back(*std::move(value));
    return true;
  });
  return out;
}

std::vector<std::string> Request::segments_below(std::string_view prefix) const {
  std::string_view rest = raw_path;
  // Skips as many segments as the prefix has, however they were escaped.
  for (size_t slashes = std::ranges::count(prefix, '/'); slashes > 0; --slashes)
    rest = rest.substr(std::min(rest.size(), rest.find('/', 1)));
  std::vector<std::string> out;
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const std::string_view segment = rest.substr(0, rest.find('/'));
    rest.remove_prefix(segment.size());
    if (!segment.empty()) out.push_back(percent_decode(segment).value_or(""));
  }
  return out;
}

Response error_response(unsigned status, std::string_view code, std::string_view message) {
  Response response;
  response.status = status;
  response.body = json::serialize(json::object{{"code", code}, {"message", message}});
  return response;
}

Response text_response(unsigned status, std::string_view text) {
  Response response;
  response.status = status;
  response.content_type = "text/plain; charset=utf-8";
  response.body = text;
  return response;
}

}  // namespace notp::http
