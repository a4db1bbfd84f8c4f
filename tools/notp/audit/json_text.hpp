// Writes compact JSON as text, so that JSON from a record is inserted as it is: its numbers keep
// their digits, its members their order. No state beside the text.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/bytes.hpp"

namespace notp::cli {

// Returns the JSON text on one line. What is not JSON becomes a string that shows it: a record is
// what its node wrote.
Bytes one_line_json(ByteView text);
// Returns the text as a JSON string; bytes that are not UTF-8 become \xNN.
Bytes string_json(std::string_view text);

// An object under construction. Names are not checked to be unique.
class JsonObject {
 public:
  JsonObject& json(std::string_view name, ByteView value);  // inserted unchanged
  JsonObject& text(std::string_view name, std::string_view value);
  JsonObject& number(std::string_view name, uint64_t value);
  JsonObject& signed_number(std::string_view name, int64_t value);
  JsonObject& boolean(std::string_view name, bool value);
  // These add nothing when there is nothing to say.
  JsonObject& json_if(std::string_view name, ByteView value);
  JsonObject& text_if(std::string_view name, std::string_view value);
  JsonObject& number_if(std::string_view name, uint64_t value);

  bool empty() const { return members_.empty(); }
  Bytes done() const { return "{" + members_ + "}"; }

 private:
  Bytes members_;
};

class JsonArray {
 public:
  JsonArray& json(ByteView element);
  JsonArray& text(std::string_view element) { return json(string_json(element)); }
  bool empty() const { return elements_.empty(); }
  Bytes done() const { return "[" + elements_ + "]"; }

 private:
  Bytes elements_;
};

template <typename Texts>
Bytes strings_json(const Texts& texts) {
  JsonArray array;
  for (const std::string& text : texts) array.text(text);
  return array.done();
}

}  // namespace notp::cli
