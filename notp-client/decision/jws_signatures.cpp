#include "notp-client/decision/jws_signatures.hpp"

#include <array>
#include <charconv>
#include <cstdint>
#include <optional>

namespace notp::decision {
namespace {

constexpr size_t kJwsBytesMin = 8;  // shorter than any header
constexpr uint8_t kForeign = 0xff;

// RFC 4648 section 5.
constexpr std::array<uint8_t, 256> kDigits = [] {
  std::array<uint8_t, 256> digits{};
  digits.fill(kForeign);
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  for (size_t i = 0; i < kAlphabet.size(); ++i)
    digits[static_cast<uint8_t>(kAlphabet[i])] = static_cast<uint8_t>(i);
  return digits;
}();

uint8_t digit(char byte) { return kDigits[static_cast<uint8_t>(byte)]; }
bool is_digit(char byte) { return digit(byte) != kForeign; }

size_t run_end(std::string_view text, size_t at) {
  while (at < text.size() && is_digit(text[at])) ++at;
  return at;
}

bool is_space(uint8_t byte) { return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r'; }

// Returns byte `index` of the decoded digits, all of which exist.
uint8_t decoded(std::string_view digits, size_t index) {
  const size_t first = index * 4 / 3;
  const unsigned shift = 2 * (index % 3);  // bits of the first digit that belong to the byte before
  const unsigned pair = digit(digits[first]) << 6 | digit(digits[first + 1]);
  return static_cast<uint8_t>(pair >> (4 - shift));
}

// Whether base64url digits begin as a JSON object with members does.
bool begins_as_object(std::string_view digits) {
  const size_t end = digits.size() * 3 / 4;
  if (end < 2 || decoded(digits, 0) != '{') return false;
  size_t at = 1;
  while (at < end && is_space(decoded(digits, at))) ++at;
  return at < end && decoded(digits, at) == '"';
}

bool ends_as_object(std::string_view digits) {
  if (digits.size() % 4 == 1) return false;
  size_t end = digits.size() * 3 / 4;
  while (end > 0 && is_space(decoded(digits, end - 1))) --end;
  return end > 0 && decoded(digits, end - 1) == '}';
}

// Whether a run of digits ends in a header, the base64url of a JSON object: other digits may stand
// before it.
bool ends_in_header(std::string_view run) {
  std::array<std::optional<bool>, 4>
      ends;  // by the place of the header: four digits are three bytes
  // '{' begins with 'e'; the second digit has the rest of it, and the start of '"' or of a space.
  for (size_t at = run.find('e'); at != std::string_view::npos; at = run.find('e', at + 1)) {
    if (at + 1 == run.size() || (run[at + 1] != 'y' && run[at + 1] != 'w')) continue;
    if (!begins_as_object(run.substr(at))) continue;
    std::optional<bool>& end = ends[at % 4];
    if (!end) end = ends_as_object(run.substr(at));
    if (*end) return true;
  }
  return false;
}

std::vector<TextRange> find_signatures(std::string_view text) {
  std::vector<TextRange> found;
  size_t run = 0;  // where the digits before a dot may begin
  for (size_t dot = text.find('.'); dot != std::string_view::npos; dot = text.find('.', dot + 1)) {
    size_t begin = dot;
    while (begin > run && is_digit(text[begin - 1])) --begin;
    run = dot + 1;
    const size_t second = run_end(text, dot + 1);
    if (second >= text.size() || text[second] != '.') continue;
    if (!ends_in_header(text.substr(begin, dot - begin))) continue;
    size_t end = run_end(text, second + 1);
    while (end + 1 < text.size() && text[end] == '.' && is_digit(text[end + 1]))
      end = run_end(text, end + 1);
    if (end > second + 1) found.push_back({second + 1, end});
    run = dot = end > second + 1 ? end - 1 : second;
  }
  return found;
}

// A text with one byte for each character that a reader sees, as far as it matters to tokens, and
// the places of those characters.
struct Seen {
  std::string text;
  std::vector<uint32_t> places;  // one more than characters
};

// A run of backslashes belongs to the character behind it, however often a text was escaped.
Seen see_through_escapes(std::string_view raw) {
  Seen seen;
  seen.text.reserve(raw.size());
  seen.places.reserve(raw.size() + 1);
  for (size_t at = 0; at < raw.size();) {
    seen.places.push_back(static_cast<uint32_t>(at));
    if (raw[at] != '\\') {
      seen.text.push_back(raw[at++]);
      continue;
    }
    while (at < raw.size() && raw[at] == '\\') ++at;
    char byte = ' ';
    size_t bytes = at < raw.size() ? 1 : 0;
    if (at + 4 < raw.size() && raw[at] == 'u') {
      uint32_t unit = 0;
      const char* const digits = raw.data() + at + 1;
      if (std::from_chars(digits, digits + 4, unit, 16).ptr == digits + 4) {
        bytes = 5;
        if (unit < 0x80) byte = static_cast<char>(unit);
      }
    }
    seen.text.push_back(byte);
    at += bytes;
  }
  seen.places.push_back(static_cast<uint32_t>(raw.size()));
  return seen;
}

}  // namespace

std::vector<TextRange> find_jws_signatures(ByteView text, bool has_escapes) {
  if (text.size() < kJwsBytesMin) return {};
  if (!has_escapes) return find_signatures(text);
  const Seen seen = see_through_escapes(text);
  std::vector<TextRange> found = find_signatures(seen.text);
  for (TextRange& range : found) range = {seen.places[range.begin], seen.places[range.end]};
  return found;
}

std::string without_jws_signatures(std::string_view text) {
  std::string out;
  size_t from = 0;
  for (const TextRange& range : find_jws_signatures(text, text.contains('\\'))) {
    out += text.substr(from, range.begin - from);
    from = range.end;
  }
  return out += text.substr(from);
}

}  // namespace notp::decision
