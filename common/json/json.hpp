// JSON (RFC 8259) with limits, on Boost.JSON.
#pragma once

#include <boost/json.hpp>
#include <string_view>

#include "common/bytes.hpp"

namespace notp {

namespace json = boost::json;

// Parses one document. kMessage with line and column when it is not well formed, is deeper than
// kJsonDepthMax or holds bad UTF-8, and when two readers could see two documents: a name twice in
// one object, an integer beyond 64 bits, a number beyond the range of a double.
Result<json::value> parse_json(std::string_view text);

// Whether a text is one JSON value by its grammar and its depth only: it may repeat a name and have
// numbers of any size.
bool is_json(std::string_view text);

// The place of an error in a text. Both count from 1, columns in bytes; 0: no particular place.
struct TextPosition {
  uint32_t line = 0;
  uint32_t column = 0;
};
// Returns the position of `offset` in `text`.
TextPosition position_at(std::string_view text, size_t offset);
// Returns a kMessage error that starts with "line L, column C: " and carries both in its context.
std::unexpected<Error> fail_at(TextPosition position, std::string_view what);
// Returns a fail_at() error at the first byte that is not UTF-8.
Result<void> check_utf8(std::string_view text);
// The same for text that people write: the error names the actual encoding (UTF-16 and UTF-32 with
// and without a byte order mark, a single-byte one) and how to convert it. Readers of Rego and YAML
// skip a UTF-8 byte order mark; those of JSON do not (RFC 8259 section 8.1).
enum class ByteOrderMark : bool { kRefused, kSkipped };
Result<void> check_encoding(std::string_view text, ByteOrderMark mark);
// Returns the position that fail_at() put into the context of an error; zeros when there is none.
TextPosition position_of(const Error& error);

// Returns the text as a JSON string, which in YAML is a double-quoted one.
std::string json_string(std::string_view text);

// Formats with an indent of two spaces, for people and -o json.
std::string pretty_json(const json::value& value);

}  // namespace notp
