// Members of a JSON object and elements of an array as bytes: numbers, order and doubled names stay
// as they were written.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "common/bytes.hpp"
#include "common/json/json_tokens.hpp"

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

// The same for values at any depth of one text, whose tokens are looked for once.
class JsonOutline {
 public:
  // The text must outlive it. Nothing for bad UTF-8 or more than kJsonChangesBytesMax.
  static std::optional<JsonOutline> find(ByteView text);

  // As json_members() and json_elements(). `value` is the whole text or a value that one of them
  // gave: bytes of the text itself.
  std::optional<std::vector<JsonMember>> members(ByteView value) const;
  std::optional<std::vector<ByteView>> elements(ByteView value) const;

 private:
  JsonOutline(ByteView text, JsonTokens tokens) : text_(text), tokens_(std::move(tokens)) {}
  std::span<const uint32_t> places_of(ByteView value) const;

  ByteView text_;
  JsonTokens tokens_;
};

// The last value of a name; nothing when there is none.
std::optional<ByteView> json_member(std::span<const JsonMember> members, ByteView name);

}  // namespace notp
