#include "notp-server/sources/document.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/jose/jose_limits.hpp"
#include "common/jose/json_depth.hpp"

namespace notp::sources {

std::unexpected<Error> refuse(std::string name, std::string message) {
  return std::unexpected(
      Error{ErrorCode::kMessage, std::move(message), {}}.with(kRule, std::move(name)));
}

std::string_view rule_of(const Error& error) {
  const auto found =
      std::ranges::find(error.context, kRule, &std::pair<std::string, std::string>::first);
  return found == error.context.end() ? std::string_view() : std::string_view(found->second);
}

Result<json::object> read_document(ByteView text, size_t bytes_max, const std::string& front) {
  if (text.size() > bytes_max)
    return refuse(front + ".too-large",
                  fmt::format("the document has {} bytes, more than {}", text.size(), bytes_max));
  auto value = parse_json(text);
  if (!value)
    return refuse(front + ".not-json",
                  fmt::format("the document cannot be read: {}", value.error().message));
  if (jose::is_deeper(*value, jose::kJsonDepthMax))
    return refuse(front + ".too-deep",
                  fmt::format("the document has more than {} levels", jose::kJsonDepthMax));
  if (!value->is_object())
    return refuse(front + ".not-an-object", "the document is not a JSON object");
  return std::move(value->get_object());
}

}  // namespace notp::sources
