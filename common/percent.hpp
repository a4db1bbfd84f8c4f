// Percent-encoding (RFC 3986 §2.1), in URLs and forms.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace notp {

// nullopt: '%' without two hexadecimal digits, or a NUL. `plus_is_space`: in forms.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space = false);

// Letters, digits and the characters of `plain` stay, by default the unreserved ones (§2.3).
std::string percent_encode(std::string_view text, std::string_view plain = "-._~");

}  // namespace notp
