#include "notp-server/sources/key_fetch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <charconv>

#include "common/jose/jose_limits.hpp"
#include "common/oauth/token_client.hpp"
#include "notp-server/sources/document.hpp"
#include "notp-server/sources/issuer_limits.hpp"

namespace notp::sources {
namespace {

constexpr unsigned kOk = 200, kNotModified = 304;

// A fetch on its way.
struct Fetch {
  const FetchTerms& terms;
  const FetchOrder& order;
  const HttpGet &get, &get_keys;
  const std::function<TimeMs()>& now_ms;
  const TimeMs until_ms = now_ms() + limits::kSourceFetchMs;

  Result<http::Response> ask(const HttpGet& by, const std::string& url, size_t bytes_max,
                             http::Headers headers) const {
    headers.emplace_back("Accept", "application/json");
    return by({.url = url,
               .headers = std::move(headers),
               .deadline_ms = std::max<TimeMs>(1, until_ms - now_ms()),
               .answer_bytes_max = bytes_max});
  }
  Result<std::string> discover() const;
  Result<FetchedKeys> keys_at(const std::string& url) const;
};

std::unexpected<Error> unexpected_status(const std::string& url, unsigned status) {
  constexpr unsigned kClass = 100, kRedirection = 3;
  return fail(ErrorCode::kUnavailable,
              fmt::format("GET {}: the provider answers {}{}", printable(url), status,
                          status / kClass == kRedirection && status != kNotModified
                              ? ", a redirect, which is not followed"
                              : ""));
}

// The client refuses what is too large or not HTTP before anything can be read. What a token
// endpoint answers is not the provider's document; the message says whose answer it is.
Error refused_answer(Error error, std::string_view front) {
  const bool is_of_token = std::erase_if(error.context, [](const auto& fact) {
                             return fact.first == oauth::kTokenEndpoint;
                           }) > 0;
  if (is_of_token || (error.code != ErrorCode::kLimit && error.code != ErrorCode::kMessage))
    return error;
  const bool is_limit = error.code == ErrorCode::kLimit;
  return std::move(error).with(kRule,
                               fmt::format("{}.{}", front, is_limit ? "too-large" : "not-http"));
}

// An answer without a document is the second place's chance; a bad document is not.
Result<std::string> Fetch::discover() const {
  std::string first_url;
  unsigned first_status = 0;
  for (const std::string& url : discovery_urls(terms.urls.issuer)) {
    auto response = ask(get, url, limits::kDiscoveryBytesMax, {});
    if (!response) return std::unexpected(refused_answer(std::move(response).error(), "discovery"));
    if (response->status == kOk) return read_discovery(response->content(), terms.urls);
    if (first_url.empty()) {
      first_url = url;
      first_status = response->status;
    }
  }
  return unexpected_status(first_url, first_status);
}

Result<FetchedKeys> Fetch::keys_at(const std::string& url) const {
  const bool is_conditional = !order.etag.empty() && url == order.etag_uri;
  http::Headers headers;
  if (is_conditional) headers.emplace_back("If-None-Match", order.etag);
  auto response = ask(get_keys, url, jose::kKeySetBytesMax, std::move(headers));
  if (!response) return std::unexpected(refused_answer(std::move(response).error(), "key-set"));
  FetchedKeys out{.jwks_uri = url,
                  .keys = std::nullopt,
                  .etag = std::string(http::find_header(response->headers, "ETag")),
                  .max_age_ms = max_age_ms(http::find_header(response->headers, "Cache-Control"))};
  if (response->status == kNotModified && is_conditional) return out;
  if (response->status != kOk) return unexpected_status(url, response->status);
  NOTP_ASSIGN(out.keys, accept_key_set(response->content(), terms.urls.issuer, terms.algorithms));
  return out;
}

std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

}  // namespace

std::optional<TimeMs> max_age_ms(std::string_view cache_control) {
  constexpr TimeMs kSecondMs = 1'000;
  while (!cache_control.empty()) {
    const size_t end = std::min(cache_control.find(','), cache_control.size());
    const std::string_view directive = cache_control.substr(0, end);
    cache_control.remove_prefix(std::min(end + 1, cache_control.size()));
    const size_t equals = directive.find('=');
    if (equals == std::string_view::npos ||
        !boost::beast::iequals(trimmed(directive.substr(0, equals)), "max-age"))
      continue;
    std::string_view value = trimmed(directive.substr(equals + 1));
    if (value.size() >= 2 && value.starts_with('"') && value.ends_with('"'))
      value = value.substr(1, value.size() - 2);
    uint64_t seconds = 0;
    const auto [at, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
    if (at != value.data() + value.size() || value.empty()) return std::nullopt;
    if (error != std::errc()) return limits::kSourceAgeMsMax;  // more than 64 bits
    return std::min<uint64_t>(seconds, limits::kSourceAgeMsMax / kSecondMs) * kSecondMs;
  }
  return std::nullopt;
}

Result<FetchedKeys> fetch_keys(const FetchTerms& terms, const FetchOrder& order, const HttpGet& get,
                               const std::function<TimeMs()>& now_ms, const HttpGet& get_keys) {
  const Fetch fetch{terms, order, get, get_keys ? get_keys : get, now_ms};
  std::string url = order.jwks_uri;
  if (url.empty()) {
    NOTP_ASSIGN(url, fetch.discover());
  }
  return fetch.keys_at(url);
}

}  // namespace notp::sources
