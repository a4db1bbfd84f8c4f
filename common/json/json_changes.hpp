// What changed between two versions of a large JSON document, in time that the change's place costs
// and not the document's parse: a node patches the data that it holds, and the registry's door
// looks again at what is new.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "common/bytes.hpp"

namespace notp {

// A value of the new document that stands where the old one has another.
struct ChangedMember {
  std::vector<std::string> path;  // from the root; an array's element by its number
  size_t offset = 0;              // of the value in the new text
  size_t size = 0;
};

// Those values, in the order of the text, none inside another and none of them the root: putting
// each in the place of the old document's value gives the new document. Empty when only white space
// differs. The old text must be JSON; then so is the new one, and each path is unique in both:
// where a name stands twice in one object, the object whole is the change. An array that got longer
// or shorter, and an object with other names or another order, are changes whole.
// Nothing when it is not worth it: the root changed, the values are more than half of the
// document, or there are too many; the new text is not JSON; or a text is too large or too deep.
// Time is linear in both sizes, memory at worst 8 times the larger. Any thread.
std::optional<std::vector<ChangedMember>> find_changed_members(ByteView old_text,
                                                               ByteView new_text);

// The same as JSON: [[["segment",...],value],...], each value verbatim.
std::optional<Bytes> find_json_changes(ByteView old_text, ByteView new_text);

}  // namespace notp
