// Times as OPA writes them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace notp::opa_log {

// RFC 3339 with up to nine digits of a second, "Z" or an offset: nanoseconds since 1970. nullopt:
// another text, or a time that they cannot express.
std::optional<int64_t> parse_time(std::string_view text);

}  // namespace notp::opa_log
