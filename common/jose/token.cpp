#include "common/jose/token.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "common/base64url.hpp"
#include "common/jose/json_depth.hpp"
#include "common/limits.hpp"

namespace notp::jose {
namespace {

std::unexpected<Error> refuse(std::string why) { return fail(ErrorCode::kMessage, std::move(why)); }

// Header parameters that change what a token means, none of which is understood here; and cty, a
// token inside a token.
constexpr std::array<std::string_view, 5> kRefusedParameters = {"crit", "b64", "enc", "zip", "cty"};

constexpr std::array<std::string_view, 3> kDates = {"exp", "nbf", "iat"};
constexpr std::array<std::string_view, 3> kTexts = {"iss", "sub", "jti"};

Result<json::object> object_of(std::string_view part, std::string_view name) {
  auto text = from_base64url(part);
  if (!text) return std::unexpected(std::move(text).error().in(name));
  auto value = parse_shallow_json(*text);
  if (!value) return std::unexpected(std::move(value).error().in(name));
  if (!value->is_object()) return refuse(fmt::format("{}: not a JSON object", name));
  return std::move(value->get_object());
}

// Empty when there is none.
Result<std::string> parameter_of(const json::object& header, std::string_view name) {
  const json::value* value = header.if_contains(name);
  if (value == nullptr) return std::string();
  if (!value->is_string() || value->get_string().empty())
    return refuse(fmt::format("header: {} is not a string, or empty", name));
  if (value->get_string().size() > kKidBytesMax)
    return refuse(fmt::format("header: {} is longer than {} bytes", name, kKidBytesMax));
  return std::string(value->get_string());
}

Result<Algorithm> algorithm_in(const json::object& header) {
  NOTP_ASSIGN(const std::string name, parameter_of(header, "alg"));
  if (const auto algorithm = algorithm_of(name)) return *algorithm;
  return refuse(name.empty()
                    ? "header: alg is missing"
                    : fmt::format("header: alg \"{}\" is not allowed", printable(name, 40)));
}

Result<void> check_audience_form(const json::value& audience) {
  if (audience.is_string()) return {};
  if (!audience.is_array()) return refuse("claims: aud is neither a string nor an array");
  const json::array& elements = audience.get_array();
  if (elements.empty() || elements.size() > kAudiencesMax)
    return refuse(fmt::format("claims: aud has {} entries; 1 to {} are allowed", elements.size(),
                              kAudiencesMax));
  if (!std::ranges::all_of(elements, &json::value::is_string))
    return refuse("claims: aud has an entry that is not a string");
  return {};
}

Result<void> check_forms(const json::object& claims) {
  for (const std::string_view name : kTexts)
    if (const json::value* value = claims.if_contains(name); value && !value->is_string())
      return refuse(fmt::format("claims: {} is not a string", name));
  for (const std::string_view name : kDates)
    if (const json::value* value = claims.if_contains(name))
      if (auto date = numeric_date_ms(*value); !date)
        return std::unexpected(std::move(date).error().in(fmt::format("claims: {}", name)));
  if (const json::value* audience = claims.if_contains("aud"))
    return check_audience_form(*audience);
  return {};
}

}  // namespace

Result<TimeMs> numeric_date_ms(const json::value& date) {
  constexpr TimeMs kSecond = 1'000, kSecondsMax = limits::kTimestampMsMax / kSecond;
  if (!date.is_number()) return refuse("not a number of seconds");
  const double seconds = date.to_number<double>();
  if (!(seconds >= 0 && seconds <= static_cast<double>(kSecondsMax)))
    return refuse("not within the years 1970 to 9999");
  // A double has room for whole milliseconds of these years.
  return static_cast<TimeMs>(std::floor(seconds * static_cast<double>(kSecond)));
}

Result<Token> read_token(std::string_view compact, size_t bytes_max) {
  if (compact.size() > bytes_max)
    return fail(ErrorCode::kLimit,
                fmt::format("a token of {} bytes; {} are allowed", compact.size(), bytes_max));
  const size_t first = compact.find('.');
  const size_t second = first == std::string_view::npos ? first : compact.find('.', first + 1);
  if (second == std::string_view::npos || compact.find('.', second + 1) != std::string_view::npos)
    return refuse("not a signed token in compact form: three parts with dots between them");
  Token token;
  NOTP_ASSIGN(token.header, object_of(compact.substr(0, first), "header"));
  for (const std::string_view name : kRefusedParameters)
    if (token.header.contains(name))
      return refuse(fmt::format("header: {} is not understood here", name));
  NOTP_ASSIGN(token.algorithm, algorithm_in(token.header));
  NOTP_ASSIGN(token.kid, parameter_of(token.header, "kid"));
  NOTP_ASSIGN(token.typ, parameter_of(token.header, "typ"));
  NOTP_ASSIGN(token.claims, object_of(compact.substr(first + 1, second - first - 1), "claims"));
  NOTP_TRY(check_forms(token.claims));
  auto signature = from_base64url(compact.substr(second + 1));
  if (!signature) return std::unexpected(std::move(signature).error().in("signature"));
  if (signature->empty()) return refuse("the signature is empty");
  token.signature = *std::move(signature);
  token.signing_input = compact.substr(0, second);
  return token;
}

}  // namespace notp::jose
