// Members of a JSON object and elements of an array as bytes: numbers, order and doubled names stay
// as they were written.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "common/bytes.hpp"

namespace notp {

struct JsonMember {
  ByteView name;   // between its quotation marks, escapes as they stand
  ByteView value;  // without space around it
};

// The members of the object that is all of `text`, in its order; the text must outlive them.
// Nothing when it is not one object, holds bad UTF-8, or has more than kJsonChangesBytesMax. Only
// the object itself is looked at: a value that is an array or an object need not be JSON inside,
// nor a scalar.
std::optional<std::vector<JsonMember>> json_members(ByteView text);

// The same of the elements of an array.
std::optional<std::vector<ByteView>> json_elements(ByteView text);

// The last value of a name; nothing when there is none.
std::optional<ByteView> json_member(std::span<const JsonMember> members, ByteView name);

}  // namespace notp
