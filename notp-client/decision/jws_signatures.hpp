// Finds signatures of tokens in text.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "common/bytes.hpp"

namespace notp::decision {

struct TextRange {
  size_t begin = 0, end = 0;
  bool operator==(const TextRange&) const = default;
};

// Returns the places of the signatures of compact JWS (RFC 7515 section 3.1): what follows the
// second dot when what precedes the first one is the header, the base64url of a JSON object. A JWE
// loses all that follows its key. Ascending and disjoint.
//
// With `has_escapes`, `text` is the content of a JSON string with its escapes; they are seen
// through, also those of JSON text inside of the string, at any depth. A place begins and ends
// between two escapes. Linear.
std::vector<TextRange> find_jws_signatures(ByteView text, bool has_escapes);

// Returns a text without them.
std::string without_jws_signatures(std::string_view text);

}  // namespace notp::decision
