// JSON made readable by its tokens: nothing is parsed and written again, so that numbers of any
// size, duplicate names and the order of members survive.
#pragma once

#include "common/bytes.hpp"

namespace notp {

// The same document with line breaks and two spaces a level, as Go's encoder writes it. Any text is
// taken; one that is not JSON comes out as something else that is not.
Bytes indent_json(ByteView text);

}  // namespace notp
