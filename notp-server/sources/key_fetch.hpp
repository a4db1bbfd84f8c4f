// One fetch of an issuer's keys: discovery where it is needed, then the key set.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/http/client.hpp"
#include "common/jose/algorithm.hpp"
#include "notp-server/sources/discovery.hpp"
#include "notp-server/sources/issuer_core.hpp"

namespace notp::sources {

struct FetchTerms {
  IssuerUrls urls;
  std::vector<jose::Algorithm> algorithms;  // empty: all
};

// Blocks until the answer is complete, its deadline has passed, or it is cancelled.
using HttpGet = std::function<Result<http::Response>(http::Call)>;

// Within kSourceFetchMs of `now_ms`, which returns boot time. `get_keys` asks for the key set,
// `get` for all else; without `get_keys`, `get` asks for both. Redirects are not followed. Errors
// with rule_of() refuse what the provider serves; the others are those of Client::call(), and
// kUnavailable for another status than 200.
Result<FetchedKeys> fetch_keys(const FetchTerms& terms, const FetchOrder& order, const HttpGet& get,
                               const std::function<TimeMs()>& now_ms, const HttpGet& get_keys = {});

// Returns max-age of a Cache-Control field; nullopt when it has none, or a malformed one (RFC 9111
// §5.2.2.1). Pure.
std::optional<TimeMs> max_age_ms(std::string_view cache_control);

}  // namespace notp::sources
