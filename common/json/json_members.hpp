// Members of a JSON object and elements of an array as bytes: numbers, order and duplicate names
// stay unchanged.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "common/bytes.hpp"
#include "common/json/json_tokens.hpp"

namespace notp {

struct JsonMember {
  ByteView name;   // between its quotation marks, with its escapes
  ByteView value;  // without space around it
};

// Returns the members of the object that is all of `text`, in its order; the text must outlive
// them. nullopt when it is not one object, holds bad UTF-8, or is longer than kJsonChangesBytesMax.
// Only the object itself is checked: its values need not be JSON inside.
std::optional<std::vector<JsonMember>> json_members(ByteView text);

// The same for the elements of an array.
std::optional<std::vector<ByteView>> json_elements(ByteView text);

// The same for values at any depth of one text, which is tokenised once.
class JsonOutline {
 public:
  // The text must outlive it. nullopt for bad UTF-8 or more than kJsonChangesBytesMax.
  static std::optional<JsonOutline> find(ByteView text);

  // Like json_members() and json_elements(). `value` is the whole text or a value that one of them
  // returned: a view of the same text.
  std::optional<std::vector<JsonMember>> members(ByteView value) const;
  std::optional<std::vector<ByteView>> elements(ByteView value) const;

 private:
  JsonOutline(ByteView text, JsonTokens tokens) : text_(text), tokens_(std::move(tokens)) {}
  std::span<const uint32_t> places_of(ByteView value) const;

  ByteView text_;
  JsonTokens tokens_;
};

// Returns the last value of a name; nullopt when there is none.
std::optional<ByteView> json_member(std::span<const JsonMember> members, ByteView name);

}  // namespace notp
