#include "notp-client/decision/json_reader.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>

#include "common/json/json.hpp"
#include "common/limits.hpp"

namespace notp::decision {
namespace {

// Classes of bytes in a string.
constexpr uint8_t kStop = 1, kDot = 2;

constexpr std::array<uint8_t, 256> kClasses = [] {
  std::array<uint8_t, 256> classes{};
  for (size_t byte = 0; byte < classes.size(); ++byte)
    if (byte < 0x20 || byte >= 0x80 || byte == '"' || byte == '\\') classes[byte] = kStop;
  classes['.'] = kDot;
  return classes;
}();

bool is_digit(char byte) { return byte >= '0' && byte <= '9'; }

// Returns the code unit of four hexadecimal digits; nullopt: they are not.
std::optional<uint32_t> code_unit(ByteView digits) {
  if (digits.size() < 4) return std::nullopt;
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + 4, value, 16);
  if (error != std::errc{} || end != digits.data() + 4) return std::nullopt;
  return value;
}

void append_utf8(std::string& out, uint32_t point) {
  const auto put = [&](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (point < 0x80) return put(point);
  if (point < 0x800) {
    put(0xc0 | point >> 6);
  } else if (point < 0x10000) {
    put(0xe0 | point >> 12);
    put(0x80 | (point >> 6 & 0x3f));
  } else {
    put(0xf0 | point >> 18);
    put(0x80 | (point >> 12 & 0x3f));
    put(0x80 | (point >> 6 & 0x3f));
  }
  put(0x80 | (point & 0x3f));
}

bool is_high_surrogate(uint32_t unit) { return unit >= 0xd800 && unit < 0xdc00; }
bool is_low_surrogate(uint32_t unit) { return unit >= 0xdc00 && unit < 0xe000; }

// Appends the character of "XXXX" or "XXXX\uXXXX" at the front of `rest`; returns the bytes taken.
size_t append_escaped(std::string& out, ByteView rest) {
  constexpr uint32_t kReplacement = 0xfffd;
  const uint32_t first = code_unit(rest).value_or(kReplacement);
  if (is_high_surrogate(first) && rest.substr(4).starts_with("\\u")) {
    const uint32_t second = code_unit(rest.substr(6)).value_or(0);
    if (is_low_surrogate(second)) {
      append_utf8(out, 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00));
      return 10;
    }
  }
  append_utf8(out, is_high_surrogate(first) || is_low_surrogate(first) ? kReplacement : first);
  return 4;
}

char plain_of(char escape) {
  switch (escape) {
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return escape;
  }
}

}  // namespace

void JsonReader::skip_space() {
  while (at_ < text_.size()) {
    const char byte = text_[at_];
    if (byte != ' ' && byte != '\n' && byte != '\t' && byte != '\r') return;
    ++at_;
  }
}

std::optional<JsonReader::String> JsonReader::string() {
  if (!take('"')) {
    refuse("a string is expected");
    return std::nullopt;
  }
  String out;
  const size_t begin = at_;
  uint8_t seen = 0;
  while (true) {
    while (at_ < text_.size()) {
      const uint8_t kind = kClasses[static_cast<uint8_t>(text_[at_])];
      seen |= kind;
      if ((kind & kStop) != 0) break;
      ++at_;
    }
    if (at_ >= text_.size()) {
      refuse("a string does not end");
      return std::nullopt;
    }
    const char byte = text_[at_];
    if (byte == '"') break;
    if (byte == '\\') {
      out.has_escapes = true;
      if (!skip_escape()) return std::nullopt;
      continue;
    }
    const size_t bytes =
        static_cast<uint8_t>(byte) < 0x20 ? 0 : utf8_sequence_bytes(text_.substr(at_));
    if (bytes == 0) {
      refuse("a control character, or not UTF-8");
      return std::nullopt;
    }
    at_ += bytes;
  }
  out.raw = text_.substr(begin, at_ - begin);
  out.has_dots = (seen & kDot) != 0;
  ++at_;
  return out;
}

bool JsonReader::skip_escape() {
  ++at_;
  const char kind = peek();
  if (kind == 'u') {
    if (!code_unit(text_.substr(at_ + 1))) return refuse("an escape without four digits");
    at_ += 5;
    return true;
  }
  if (!std::string_view("\"\\/bfnrt").contains(kind)) return refuse("an unknown escape");
  ++at_;
  return true;
}

bool JsonReader::scalar() {
  switch (peek()) {
    case 't':
      return word("true");
    case 'f':
      return word("false");
    case 'n':
      return word("null");
    default:
      return number();
  }
}

bool JsonReader::word(std::string_view expected) {
  if (text_.substr(at_, expected.size()) != expected) return refuse("a value is expected");
  at_ += expected.size();
  return true;
}

bool JsonReader::skip_digits() {
  if (!is_digit(peek())) return refuse("a value is expected");
  while (is_digit(peek())) ++at_;
  return true;
}

bool JsonReader::number() {
  take('-');
  if (!take('0') && !skip_digits()) return false;
  if (take('.') && !skip_digits()) return false;
  if (!take('e') && !take('E')) return true;
  if (!take('+')) take('-');
  return skip_digits();
}

bool JsonReader::skip_value(size_t depth_max) {
  const char first = peek();
  if (first == '"') return string().has_value();
  if (first != '{' && first != '[') return scalar();
  if (depth_max == 0) return refuse_depth();
  ++at_;
  return first == '{' ? skip_members(depth_max - 1) : skip_elements(depth_max - 1);
}

bool JsonReader::skip_members(size_t depth_max) {
  skip_space();
  if (take('}')) return true;
  while (true) {
    skip_space();
    if (!string()) return false;
    skip_space();
    if (!take(':')) return refuse("a colon is expected");
    skip_space();
    if (!skip_value(depth_max)) return false;
    skip_space();
    if (take('}')) return true;
    if (!take(',')) return refuse("a comma or a closing brace is expected");
  }
}

bool JsonReader::skip_elements(size_t depth_max) {
  skip_space();
  if (take(']')) return true;
  while (true) {
    skip_space();
    if (!skip_value(depth_max)) return false;
    skip_space();
    if (take(']')) return true;
    if (!take(',')) return refuse("a comma or a closing bracket is expected");
  }
}

bool JsonReader::refuse(std::string_view what) {
  error_ = fail_at(position_at(text_, at_), what).error();
  return false;
}

bool JsonReader::refuse_depth() {
  return refuse(fmt::format("nested deeper than {} levels", limits::kJsonDepthMax));
}

bool JsonReader::refuse_size(size_t bytes_max) {
  error_ = Error{ErrorCode::kLimit, fmt::format("more than {} bytes", bytes_max), {}};
  return false;
}

Error JsonReader::error() const {
  return error_.value_or(Error{ErrorCode::kMessage, "not JSON", {}});
}

std::string unescape_json(ByteView raw) {
  std::string out;
  out.reserve(raw.size());
  for (size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '\\' || i + 1 == raw.size()) {
      out.push_back(raw[i]);
    } else if (raw[++i] == 'u') {
      i += append_escaped(out, raw.substr(i + 1));
    } else {
      out.push_back(plain_of(raw[i]));
    }
  }
  return out;
}

std::optional<Bytes> replace_lone_surrogates(ByteView text) {
  constexpr size_t kEscapeBytes = 6;
  std::optional<Bytes> out;
  for (size_t at = text.find('\\'); at != ByteView::npos; at = text.find('\\', at)) {
    const ByteView escape = text.substr(at, kEscapeBytes), next = text.substr(at + escape.size());
    const auto unit = escape.starts_with("\\u") ? code_unit(escape.substr(2)) : std::nullopt;
    at += unit ? kEscapeBytes : 2;
    if (!unit || (!is_high_surrogate(*unit) && !is_low_surrogate(*unit))) continue;
    const auto second = next.starts_with("\\u") ? code_unit(next.substr(2)) : std::nullopt;
    if (is_high_surrogate(*unit) && second && is_low_surrogate(*second)) {
      at += kEscapeBytes;
      continue;
    }
    if (!out) out.emplace(text);
    out->replace(at - kEscapeBytes, kEscapeBytes, "\\ufffd");
  }
  return out;
}

}  // namespace notp::decision
