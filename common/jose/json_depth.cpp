#include "common/jose/json_depth.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/jose/jose_limits.hpp"

namespace notp::jose {

// parse_json() bounds the recursion.
bool is_deeper(const json::value& value, size_t levels) {
  const auto inner = [levels](const json::value& element) {
    return levels == 0 || is_deeper(element, levels - 1);
  };
  if (value.is_array()) return levels == 0 || std::ranges::any_of(value.get_array(), inner);
  if (!value.is_object()) return false;
  return levels == 0 || std::ranges::any_of(value.get_object(), inner,
                                            [](const auto& member) -> const json::value& {
                                              return member.value();
                                            });
}

Result<json::value> parse_shallow_json(std::string_view text) {
  NOTP_ASSIGN(json::value value, parse_json(text));
  if (is_deeper(value, kJsonDepthMax))
    return fail(ErrorCode::kMessage, fmt::format("more than {} levels", kJsonDepthMax));
  return value;
}

}  // namespace notp::jose
