// Reads the tokens of one JSON text (RFC 8259), without a tree and without a copy.
#pragma once

#include <optional>
#include <string>

#include "common/bytes.hpp"

namespace notp::decision {

// One thread. The text must outlive it. Functions return false, or nullopt, at the first fault,
// which error() describes; the reader must not be used afterwards.
class JsonReader {
 public:
  explicit JsonReader(ByteView text) : text_(text) {}

  // A string with its escapes, as it is in the text.
  struct String {
    ByteView raw;  // between its quotation marks
    bool has_escapes = false;
    bool has_dots = false;  // a '.' that is not escaped
  };

  size_t at() const { return at_; }
  // Returns the next byte; 0 at the end.
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool is_at_end() const { return at_ >= text_.size(); }
  // Takes one byte if it is next.
  bool take(char byte) {
    if (peek() != byte || is_at_end()) return false;
    ++at_;
    return true;
  }
  void skip_space();

  // The rest begins at the first byte of what is read. UTF-8 and escapes are checked.
  std::optional<String> string();
  // A number, true, false or null.
  bool scalar();
  // A whole value, in it at most `depth_max` levels of objects and arrays.
  bool skip_value(size_t depth_max);

  // Reports a fault of the caller's at the current place. Returns false.
  bool refuse(std::string_view what);
  bool refuse_depth();
  // The same for a text that gets too large: kLimit.
  bool refuse_size(size_t bytes_max);
  Error error() const;

 private:
  bool skip_escape();
  bool skip_digits();
  bool number();
  bool word(std::string_view expected);
  bool skip_members(size_t depth_max);
  bool skip_elements(size_t depth_max);

  const ByteView text_;
  size_t at_ = 0;
  std::optional<Error> error_;
};

// Returns a string without its escapes. A half of a surrogate pair becomes U+FFFD, as in Go.
std::string unescape_json(ByteView raw);
// Replaces each escaped half of a surrogate pair by \ufffd, which is what the engine reads;
// nullopt: there is none. Not every reader takes such halves for JSON.
std::optional<Bytes> replace_lone_surrogates(ByteView text);

}  // namespace notp::decision
