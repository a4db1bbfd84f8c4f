// Makes JSON readable by its tokens, without parsing it, so that numbers of any size, duplicate
// names and the order of members survive.
#pragma once

#include "common/bytes.hpp"

namespace notp {

// Returns the same document with line breaks and two spaces for each level, as Go's encoder writes
// it. Accepts any text; one that is not JSON becomes another one that is not.
Bytes indent_json(ByteView text);

}  // namespace notp
