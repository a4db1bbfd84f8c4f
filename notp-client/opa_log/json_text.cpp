#include "notp-client/opa_log/json_text.hpp"

#include <charconv>

#include "common/json/json.hpp"

namespace notp::opa_log {
namespace {

void append_utf8(std::string& out, uint32_t code) {
  if (code < 0x80) {
    out.push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    out.push_back(static_cast<char>(0xC0 | code >> 6));
    out.push_back(static_cast<char>(0x80 | (code & 0x3F)));
  } else if (code < 0x10000) {
    out.push_back(static_cast<char>(0xE0 | code >> 12));
    out.push_back(static_cast<char>(0x80 | (code >> 6 & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (code & 0x3F)));
  } else {
    out.push_back(static_cast<char>(0xF0 | code >> 18));
    out.push_back(static_cast<char>(0x80 | (code >> 12 & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (code >> 6 & 0x3F)));
    out.push_back(static_cast<char>(0x80 | (code & 0x3F)));
  }
}

// Reads strings of a text that is JSON.
class Strings {
 public:
  explicit Strings(ByteView text) : text_(text) {}

  // Calls `take` with each character or run of characters of the string that begins at `at`, and
  // whether it was one code point behind a backslash. Returns the place after the closing mark.
  template <typename Take>
  size_t read(size_t at, Take&& take) const {
    for (++at; text_[at] != '"';) {
      const size_t stop = text_.find_first_of("\"\\", at);
      if (stop != at) {
        take(text_.substr(at, stop - at));
        at = stop;
      } else {
        at = escape(at, take);
      }
    }
    return at + 1;
  }

 private:
  uint32_t hex(size_t at) const {
    uint32_t code = 0;
    std::from_chars(text_.data() + at, text_.data() + at + 4, code, 16);
    return code;
  }

  template <typename Take>
  size_t escape(size_t at, Take&& take) const {
    const char kind = text_[at + 1];
    if (kind != 'u') {
      constexpr std::string_view kNames = "bfnrt\"\\/", kCodes = "\b\f\n\r\t\"\\/";
      take(static_cast<uint32_t>(kCodes[kNames.find(kind)]));
      return at + 2;
    }
    const uint32_t code = hex(at + 2);
    at += 6;
    const bool is_pair = code >= 0xD800 && code < 0xDC00;
    if (is_pair) {
      take(0x10000 + ((code - 0xD800) << 10) + (hex(at + 2) - 0xDC00));
      return at + 6;
    }
    take(code);
    return at;
  }

  const ByteView text_;
};

// Writes a code point as the inside of a JSON string: only what must be escaped is.
void append_in_string(std::string& out, uint32_t code) {
  constexpr std::string_view kCodes = "\b\f\n\r\t\"\\", kNames = "bfnrt\"\\";
  if (const size_t at = code < 0x80 ? kCodes.find(static_cast<char>(code)) : std::string::npos;
      at != std::string::npos) {
    out.push_back('\\');
    out.push_back(kNames[at]);
  } else if (code < 0x20) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    out += "\\u00";
    out.push_back(kDigits[code >> 4]);
    out.push_back(kDigits[code & 15]);
  } else {
    append_utf8(out, code);
  }
}

struct InString {
  std::string& out;
  void operator()(ByteView run) const { out += run; }
  void operator()(uint32_t code) const { append_in_string(out, code); }
};

struct Plain {
  std::string& out;
  void operator()(ByteView run) const { out += run; }
  void operator()(uint32_t code) const { append_utf8(out, code); }
};

}  // namespace

std::optional<Bytes> compact_json(ByteView text) {
  if (!is_json(text) || !is_utf8(text)) return std::nullopt;
  const Strings strings(text);
  Bytes out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c == '"') {
      out.push_back('"');
      at = strings.read(at, InString{out});
      out.push_back('"');
      continue;
    }
    if (!std::string_view(" \t\r\n").contains(c)) out.push_back(c);
    ++at;
  }
  return out;
}

std::optional<std::string> json_text(ByteView value) {
  if (!value.starts_with('"') || !is_json(value) || !is_utf8(value)) return std::nullopt;
  std::string out;
  out.reserve(value.size());
  Strings(value).read(0, Plain{out});
  return out;
}

}  // namespace notp::opa_log
