// Finds the changes between two versions of a large JSON document, without parsing the whole: a
// node patches its data, and the registry checks only the new values.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "common/bytes.hpp"

namespace notp {

// A value of the new document that differs from the old one at its place.
struct ChangedMember {
  std::vector<std::string> path;  // from the root; an array's element by its index
  size_t offset = 0;              // of the value in the new text
  size_t size = 0;
};

// Finds those values, in the order of the text, none inside another and none of them the root:
// replacing the old document's value at each place gives the new document. Empty when only white
// space differs. The old text must be JSON; then so is the new one, and each path is unique in
// both: when a name occurs twice in one object, the whole object is the change. An array whose
// length changed, and an object with other names or another order, are changes as a whole. nullopt
// when it is not useful: the root changed, the values are more than half of the document, or there
// are too many; the new text is not JSON; or a text is too large or too deep. Time is linear in
// both sizes, memory at worst 8 times the larger. Any thread.
std::optional<std::vector<ChangedMember>> find_changed_members(ByteView old_text,
                                                               ByteView new_text);

// The same as JSON: [[["segment",...],value],...], each value verbatim.
std::optional<Bytes> find_json_changes(ByteView old_text, ByteView new_text);

}  // namespace notp
