// Parts of a JSON text by their places in it, beside json_members(): nothing is parsed and written
// again, so that numbers of any size, duplicate names and the order of members survive.
#pragma once

#include <optional>
#include <vector>

#include "common/bytes.hpp"

namespace notp {

// The elements of the array that is all of `text`, a text that is_json() accepts; the views point
// into it. nullopt when it is not an array. Linear in its size.
std::optional<std::vector<ByteView>> json_elements(ByteView text);

// The same document with line breaks and two spaces a level, as Go's encoder writes it. Any text is
// taken; one that is not JSON comes out as something else that is not.
Bytes indent_json(ByteView text);

}  // namespace notp
