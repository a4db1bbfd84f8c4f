// JSON texts in the form that records keep: no space between tokens, characters in place of their
// escapes, numbers verbatim. OPA's two feeds write one event with different escapes.
#pragma once

#include <optional>
#include <string>

#include "common/bytes.hpp"

namespace notp::opa_log {

// nullopt when the text is not one JSON value, is deeper than kJsonDepthMax, or holds bad UTF-8 or
// half a surrogate pair, which OPA replaces. The result is never longer than the text.
std::optional<Bytes> compact_json(ByteView text);

// Returns what a JSON string says. nullopt when the text is not one.
std::optional<std::string> json_text(ByteView value);

}  // namespace notp::opa_log
