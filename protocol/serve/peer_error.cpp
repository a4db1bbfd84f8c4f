#include "protocol/serve/peer_error.hpp"

#include <fmt/format.h>

namespace notp::serve {

bool is_own_matter(ErrorCode code) {
  return code == ErrorCode::kIo || code == ErrorCode::kCorrupt || code == ErrorCode::kInternal;
}

std::string peer_message(ErrorCode code, std::string message, std::string_view about) {
  if (!is_own_matter(code)) return message;
  const std::string_view what =
      code == ErrorCode::kIo ? "the registry cannot read or write its files: is its disk full?"
      : code == ErrorCode::kCorrupt ? "what the registry keeps is damaged"
                                    : "the registry failed by a mistake of its own";
  return fmt::format("{}{}{}; its log says more, under the code {}", about,
                     about.empty() ? "" : ": ", what, error_traits(code).name);
}

std::string_view code_name(uint32_t wire) {
  return wire == 0 ? "" : error_traits(error_code_from_wire(wire)).name;
}

}  // namespace notp::serve
